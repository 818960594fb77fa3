//! No request gets a 5xx, and SQL contains only names from the configuration.

use super::*;
use crate::resource::query;
use crate::resource::sql::list::After;
use proptest::prelude::*;
use std::sync::LazyLock;

const PIECES: [&str; 34] = [
    "page",
    "per_page",
    "cursor",
    "sort",
    "fields",
    "count",
    "filter[name]",
    "filter[email][in]",
    "filter[password]",
    "filter[created_at][gte]",
    "filter[name][prefix]",
    "&filter[name]=1&",
    "&filter[name][prefix]=a&",
    "&filter[email][in]=a,b&",
    "&filter[created_at][gte]=2026-01-01T00:00:00Z&",
    "filter[",
    "x",
    "=",
    "=",
    "&",
    "&",
    "1",
    "-1",
    "name",
    "-created_at",
    "password",
    "'",
    "\"",
    "%27%20OR%201=1--",
    "%ff",
    "%00",
    "(SELECT%201)",
    ";DROP%20TABLE%20users",
    ",",
];

static MODEL: LazyLock<Model> = LazyLock::new(|| compile("users", USERS));

fn queries() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}

/// The words SQL may be made of: our own, and the names of the configuration.
fn only_known_words(text: &str) -> Result<(), String> {
    let ours = "SELECT FROM WHERE AND OR ORDER BY DESC NULLS LAST LIMIT OFFSET NULL IS NOT IN COLLATE NOCASE BINARY instr JOIN ON AS count \
                FALSE text int8 float8 uuid timestamptz to_char AT TIME ZONE UTC YYYY MM DD T HH24 MI SS US Z lower C strpos COALESCE";
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let revision = Dialect::Postgres.revision().unwrap_or_default();
    let text = text.replace("DD\"T\"HH24", "DD").replace("US\"Z\"", "US").replace(revision, "NULL");
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '"').filter(|word| !word.is_empty())
    {
        let named = ["_version", "_i", "_p", "_c", "id", "email", "name", "created_at", "users", "T", "Z", "C"];
        let quoted = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        let known = quoted
            .map_or_else(|| ours.split(' ').any(|our| our == word) || is_number(word), |name| named.contains(&name));
        if !known {
            return Err(format!("{word} in {text}"));
        }
    }
    let marks = text.chars().all(|c| c.is_ascii_alphanumeric() || " _\"(),$.=<>*:'-".contains(c));
    if marks { Ok(()) } else { Err(text) }
}

proptest! {
    #[test]
    fn l21_sql_is_made_of_known_words_whatever_the_query(query in queries()) {
        let model = &*MODEL;
        let Ok(list) = query::list(model, Some(&query), None) else { return Ok(()) };
        let page = model.sql.page(None, &list.filters, &list.keys, 21, 40);
        let count = model.sql.count(None, &list.filters, Some(10));
        let values = vec![crate::resource::store::Param::Integer(1); list.keys.len()];
        let mut texts = vec![page.text, count.text];
        for which in [After::Valued, After::Null] {
            texts.extend(model.sql.after(None, &list.filters, (&list.keys, &values), 21, which).map(|sql| sql.text));
        }
        for text in texts {
            prop_assert_eq!(only_known_words(&text), Ok(()));
        }
    }

    #[test]
    fn any_text_is_a_query_or_a_400(query in "\\PC{0,60}") {
        let model = &*MODEL;
        for problem in [query::list(model, Some(&query), None).err(), query::item(model, Some(&query)).err()].into_iter().flatten() {
            prop_assert_eq!(problem.status().as_u16(), 400);
        }
    }
}

#[test]
fn l21_no_query_is_answered_5xx() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let api = runtime.block_on(users());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let checked = runner.run(&queries(), |query| {
        let Ok(uri) = format!("/api/users?{query}").parse::<http::Uri>() else { return Ok(()) };
        let target = format!("?{}", uri.query().unwrap_or_default());
        let status = runtime.block_on(api.get(&target)).status;
        prop_assert!(status == 200 || status == 400, "{} for {}", status, query);
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn l21_values_are_bound() {
    let api = users().await;
    api.user("a@x.com").await;
    for query in [
        "?filter[name]=x'%20UNION%20SELECT%20*%20FROM%20sqlite_master--",
        "?filter[name]=x';ATTACH%20DATABASE%20'/tmp/p.db'%20AS%20p;--",
        "?filter[name]=x/**/OR/**/1=1",
        "?filter[name][prefix]=%25",
        "?filter[email][in]=',1)%20OR%20(1=1",
    ] {
        assert_eq!(api.get(query).await.rows().len(), 0, "{query}");
    }
    for (sort, count) in [("name;DROP%20TABLE%20users", 600), ("(SELECT%20password%20FROM%20users)", 900)] {
        assert_eq!(api.get(&format!("?sort={sort}")).await.status, 400);
        let flood: Vec<_> = (0..count).map(|at| format!("k{at}")).collect();
        assert_eq!(api.get(&format!("?{}", flood.join("&"))).await.status, 400);
    }
}

#[tokio::test]
async fn values_come_back_escaped_as_json() {
    let api = notes().await;
    let title = "</script>\u{1b}[31m\r\n\"\\\u{2028}é";
    let (id, _) = api.made(&serde_json::json!({"title": title}).to_string()).await;
    let answer = api.get(&format!("/{id}")).await;
    assert_eq!(answer.json()["title"], title);
    assert!(!answer.body.contains('\n') && !answer.body.contains('\u{1b}'));
}
