//! Row L22: lists that did not change since, and counts that are known.

use super::described::Described;
use super::list::filled;
use super::*;
use proptest::prelude::*;

impl Api {
    async fn if_none_match(&self, target: &str, tag: &str) -> Answer {
        self.ask(Method::GET, target).header("if-none-match", tag).send().await
    }
}

#[tokio::test]
async fn l22_an_unchanged_list_is_answered_without_its_rows() {
    let api = filled(30).await;
    let first = api.get("?sort=-rank").await;
    let tag = first.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    for known in [tag.clone(), tag.trim_start_matches("W/").to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = api.if_none_match("?sort=-rank", &known).await;
        assert_eq!((answer.status.as_u16(), &*answer.body, answer.header("etag")), (304, "", tag.clone()), "{known}");
        assert_eq!(answer.header("cache-control"), first.header("cache-control"));
        assert_eq!(answer.header("content-type"), "");
    }
    for other in ["\"x\"", "garbage", ""] {
        assert_eq!(api.if_none_match("?sort=-rank", other).await.status, 200, "{other}");
    }
    let head = api.ask(Method::HEAD, "?sort=-rank").header("if-none-match", &tag).send().await;
    assert_eq!(head.status, 304);
}

#[tokio::test]
async fn a_list_is_not_what_if_match_names_unless_it_names_anything() {
    let api = filled(1).await;
    let tag = api.get("").await.header("etag");
    for (value, status) in [(&*tag, 412), (tag.trim_start_matches("W/"), 412), ("\"x\"", 412), ("*", 200), ("x", 400)] {
        let answer = api.ask(Method::GET, "").header("if-match", value).send().await;
        assert_eq!(answer.status, status, "{value}");
    }
}

#[tokio::test]
async fn every_write_makes_another_tag_also_one_that_is_undone() {
    // PostgreSQL has no revision of a table: equal responses have equal tags there.
    let url = files::url().unwrap_or_else(|| "sqlite::memory:".to_owned());
    let api = serve_at("notes", NOTES, &url).await;
    let (id, _) = api.made(r#"{"title":"a","rank":1}"#).await;
    let mut tags = vec![api.get("").await.header("etag")];
    let mut next = async |what: &str| {
        let answer = api.get("").await;
        let tag = answer.header("etag");
        assert!(!tags.contains(&tag), "{what}");
        for old in &tags {
            assert_eq!(api.if_none_match("", old).await.status, 200, "{what}");
        }
        tags.push(tag);
    };
    api.patch(&id, r#"{"rank":2}"#).await;
    next("changed").await;
    api.patch(&id, r#"{"rank":1}"#).await;
    next("changed back").await;
    let (other, _) = api.made(r#"{"title":"b"}"#).await;
    next("created").await;
    api.ask(Method::DELETE, &format!("/{other}")).send().await;
    next("deleted").await;
}

#[tokio::test]
async fn what_writes_nothing_leaves_the_tag() {
    let api = filled(2).await;
    let tag = api.get("").await.header("etag");
    let id = api.get("").await.rows()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.patch(&id, "{}").await.status, 200);
    assert_eq!(api.patch(&id, r#"{"rank":0}"#).await.status, 200);
    assert_eq!(api.post("{}").await.status, 400);
    assert_eq!(api.ask(Method::DELETE, "/00000000-0000-7000-8000-000000000000").send().await.status, 404);
    assert_eq!(api.if_none_match("", &tag).await.status, 304);
}

#[tokio::test]
async fn each_query_has_a_tag_of_its_own() {
    let api = filled(50).await;
    let next = api.get("").await.link("next").unwrap();
    let mut tags = Vec::new();
    for target in [
        "",
        "?page=1",
        "?page=2",
        "?per_page=2",
        "?page=2&per_page=2",
        "?sort=rank",
        "?sort=-rank",
        "?fields=title",
        "?filter[rank]=1",
        "?filter[rank]=2",
        "?filter[rank][gt]=1",
        "?count=none",
        "?count=exact",
        &next,
    ] {
        let tag = api.get(target).await.header("etag");
        assert!(!tag.is_empty() && !tags.contains(&tag), "{target}");
        assert_eq!(api.if_none_match(target, &tag).await.status, 304, "{target}");
        tags.push(tag);
    }
}

#[tokio::test]
async fn callers_who_see_other_items_have_other_tags() {
    let yaml = "store: main\naccess: { default: authenticated, list: { any: [ { where: { owner: $claims.sub } }, \
                { role: admin } ] } }\nfields: { owner: { type: string } }";
    let api = serve("notes", yaml).await;
    let list = async |claims: Value, tag: &str| {
        let ask = api.ask(Method::GET, "").with(claims);
        if tag.is_empty() { ask.send().await } else { ask.header("if-none-match", tag).send().await }
    };
    for owner in ["a", "b"] {
        let created = api.ask(Method::POST, "").json(&format!(r#"{{"owner":"{owner}"}}"#));
        assert_eq!(created.with(serde_json::json!({"sub": owner})).send().await.status, 201);
    }
    let people = ["a", "b", "c"].map(|sub| serde_json::json!({"sub": sub}));
    let mut tags = Vec::new();
    for claims in people {
        let tag = list(claims.clone(), "").await.header("etag");
        assert!(!tags.contains(&tag));
        assert_eq!(list(claims.clone(), &tag).await.status, 304);
        for other in &tags {
            assert_eq!(list(claims.clone(), other).await.status, 200);
        }
        tags.push(tag);
    }
    let admin = serde_json::json!({"sub": "a", "role": "admin"});
    assert_eq!(list(admin, &tags[0]).await.status, 200);
}

#[tokio::test]
async fn a_list_that_looks_otherwise_after_a_reload_has_another_tag() {
    let api = filled(3).await;
    let tag = api.get("").await.header("etag");
    for (from, to) in [
        ("  body: { type: text }\n", "  body: { type: text, hidden: true }\n"),
        ("  body: { type: text }\n", "  body: { type: text }\n  more: { type: integer, default: 3 }\n"),
        ("per_page: 20", "per_page: 2"),
        ("store: main\n", "store: main\nsort: \"-rank\"\n"),
    ] {
        let yaml = NOTES.replace(from, to);
        assert_ne!(yaml, NOTES, "{from}");
        let model = compile("notes", &yaml);
        api.store.prepare(std::slice::from_ref(&model.table)).await.unwrap();
        let statements = Arc::new(Statements::new(&api.store, "main", "notes"));
        let (store, described) = (Arc::clone(&api.store), Described::of(&model));
        let service =
            super::super::items(&super::super::api(Arc::new(model), store, Arc::new(Hasher::new()), statements, &[]));
        let edited =
            Api { service, store: Arc::clone(&api.store), path: api.path.clone(), fixed: Vec::new(), described };
        assert_eq!(edited.if_none_match("", &tag).await.status, 200, "{to}");
    }
}

#[tokio::test]
async fn a_store_that_is_opened_again_knows_no_tag_from_before() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/notes.db", folder.path().display());
    let mut tags: Vec<String> = Vec::new();
    for _ in 0..3 {
        let api = serve_at("notes", NOTES, &url).await;
        for old in &tags {
            assert_eq!(api.if_none_match("", old).await.status, 200);
        }
        let tag = api.get("").await.header("etag");
        assert_eq!(api.if_none_match("", &tag).await.status, 304);
        tags.push(tag);
        api.store.close();
    }
}

#[tokio::test]
async fn what_another_program_writes_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let api = serve_at("notes", NOTES, &format!("sqlite://{}", path.display())).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    for number in 1..20 {
        // The revision is not known while another thread looks at the file; then the list is sent again.
        let mut tag = String::new();
        for attempt in 0.. {
            tag = api.get("?per_page=1&page=1").await.header("etag");
            if api.if_none_match("?per_page=1&page=1", &tag).await.status == 304 {
                break;
            }
            assert!(attempt < 1000, "never unchanged");
        }
        if number % 3 == 0 {
            // A commit of ours in front of theirs.
            api.made(r#"{"title":"ours"}"#).await;
            other.execute("DELETE FROM notes WHERE title = 'ours'", []).unwrap();
        }
        other.execute("INSERT INTO notes (id, title) VALUES (?, 'theirs')", [number.to_string()]).unwrap();
        let answer = api.if_none_match("?per_page=1&page=1", &tag).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-total-count"), number.to_string());
    }
}

#[derive(Debug, Clone)]
enum Act {
    Create(u8),
    Change(u8, u8),
    Delete(u8),
    /// A list by the number of its query, as a client that keeps what it was given.
    List(usize),
}

const QUERIES: [&str; 6] = [
    "?per_page=2&page=1",
    "?per_page=3&page=2",
    "?filter[rank][gt]=3&per_page=1&page=1",
    "?sort=-rank",
    "?fields=rank",
    "?count=exact&per_page=1",
];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..9_u8).prop_map(Act::Create),
        2 => (any::<u8>(), 0..9_u8).prop_map(|(at, rank)| Act::Change(at, rank)),
        1 => any::<u8>().prop_map(Act::Delete),
        6 => (0..QUERIES.len()).prop_map(Act::List),
    ]
}

/// Beside the API that is tried, the same rows in an array: what a list shows is compared with one that is new.
async fn play(acts: Vec<Act>, url: &str) {
    let api = serve_at("notes", NOTES, url).await;
    let mut ranks: Vec<(String, u8)> = Vec::new();
    let mut kept: Vec<Option<(String, Answer)>> = QUERIES.iter().map(|_| None).collect();
    for act in acts {
        let at = |at: u8, ranks: &[(String, u8)]| usize::from(at).checked_rem(ranks.len());
        match act {
            Act::Create(rank) => {
                let (id, _) = api.made(&format!(r#"{{"title":"t","rank":{rank}}}"#)).await;
                ranks.push((id, rank));
            }
            Act::Change(number, rank) => {
                let Some(at) = at(number, &ranks) else { continue };
                let (id, old) = &mut ranks[at];
                *old = rank;
                assert_eq!(api.patch(id, &format!(r#"{{"rank":{rank}}}"#)).await.status, 200);
            }
            Act::Delete(number) => {
                let Some(at) = at(number, &ranks) else { continue };
                let (id, _) = ranks.remove(at);
                assert_eq!(api.ask(Method::DELETE, &format!("/{id}")).send().await.status, 204);
            }
            Act::List(number) => {
                let fresh = api.get(QUERIES[number]).await;
                let wanted = if number == 2 { ranks.iter().filter(|(_, rank)| *rank > 3).count() } else { ranks.len() };
                assert_eq!(fresh.header("x-total-count"), wanted.to_string(), "{}", QUERIES[number]);
                if let Some((tag, known)) = &kept[number] {
                    let answer = api.if_none_match(QUERIES[number], tag).await;
                    let same = (&known.body, known.header("x-total-count"), known.header("link"))
                        == (&fresh.body, fresh.header("x-total-count"), fresh.header("link"));
                    assert!(answer.status == 200 || same, "a wrong 304 of {}", QUERIES[number]);
                }
                kept[number] = Some((fresh.header("etag"), fresh));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_sequence_of_writes_and_lists_gives_a_wrong_304_or_count(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts.clone(), "sqlite::memory:"));
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(play(acts, &format!("sqlite://{}/notes.db", folder.path().display())));
    }
}
