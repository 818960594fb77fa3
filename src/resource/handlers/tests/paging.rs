//! Rows L10 to L13: cursors, and how deep a page may be.

use super::list::filled;
use super::*;

async fn walk(api: &Api, query: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut target = query.to_owned();
    loop {
        let answer = api.get(&target).await;
        seen.extend(answer.rows().iter().map(|row| row["title"].as_str().unwrap().to_owned()));
        match answer.link("next") {
            Some(next) => target = next,
            None => return seen,
        }
    }
}

#[tokio::test]
async fn l10_page_and_cursor_exclude_each_other() {
    refused(&notes().await.get("?page=1&cursor=abc").await, "cursor: cannot be combined with page");
}

#[tokio::test]
async fn l11_a_deep_page_is_refused() {
    let api = notes().await;
    let message = "page: too deep, follow the Link rel=\"next\" cursor instead";
    refused(&api.get("?page=4294967295&per_page=100").await, message);
    // Whatever the size of the pages, so that the limit can be documented.
    for size in [1, 20, 100] {
        refused(&api.get(&format!("?page=102&per_page={size}")).await, message);
        assert_eq!(api.get(&format!("?page=101&per_page={size}")).await.status, 200);
    }
}

#[tokio::test]
async fn l11_the_last_page_that_is_not_too_deep_links_by_cursor() {
    let yaml = NOTES.replace("max_offset: 10000", "max_offset: 100");
    let api = serve("notes", &yaml).await;
    for at in 0..5 {
        api.made(&format!(r#"{{"title":"n{at}"}}"#)).await;
    }
    let next = api.get("?page=2&per_page=2").await.link("next").unwrap();
    assert!(next.contains("cursor="), "{next}");
    assert_eq!(api.get(&next).await.rows()[0]["title"], "n4");
}

#[tokio::test]
async fn l12_a_cursor_fits_its_own_query_alone() {
    let api = filled(30).await;
    let next = api.get("?sort=rank").await.link("next").unwrap();
    let cursor = next.split("cursor=").nth(1).unwrap().to_owned();
    assert_eq!(api.get(&format!("?sort=rank&cursor={cursor}")).await.status, 200);
    for bad in [
        format!("?cursor={cursor}"),
        format!("?sort=-rank&cursor={cursor}"),
        format!("?sort=rank&filter[rank][gt]=1&cursor={cursor}"),
        format!("?sort=rank&cursor={cursor}A"),
        format!("?sort=rank&cursor={}", &cursor[..cursor.len() - 1]),
        format!("?sort=rank&cursor={cursor}%3D"),
        "?cursor=eyJpZCI6IjEgT1IgMT0xIn0".to_owned(),
        "?cursor=".to_owned(),
    ] {
        let answer = api.get(&bad).await;
        refused(&answer, "cursor: invalid");
        assert_eq!(answer.code(), "cursor");
    }
    for at in [0, cursor.len() / 2, cursor.len() - 1] {
        for letter in "ABCXYZabcxyz0189-_".chars().filter(|letter| !cursor[at..].starts_with(*letter)) {
            let tampered = format!("{}{letter}{}", &cursor[..at], &cursor[at + 1..]);
            refused(&api.get(&format!("?sort=rank&cursor={tampered}")).await, "cursor: invalid");
        }
    }
    let other = serve("others", NOTES).await;
    refused(&other.get(&format!("?sort=rank&cursor={cursor}")).await, "cursor: invalid");
    assert_eq!(api.get("?cursor=%00%ff").await.status, 400);
}

#[tokio::test]
async fn l13_rows_that_stay_appear_exactly_once() {
    let api = filled(10).await;
    let first = api.get("?sort=-rank&per_page=4").await;
    let gone = first.rows()[3]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.ask(Method::DELETE, &format!("/{gone}")).send().await.status, 204);
    api.made(r#"{"title":"new","rank":100}"#).await;
    let rest = walk(&api, &first.link("next").unwrap()).await;
    assert_eq!(rest, ["n05", "n04", "n03", "n02", "n01", "n00"]);
}

#[tokio::test]
async fn cursors_walk_over_nulls_and_equal_keys_in_every_direction() {
    let api = notes().await;
    let mut rows = Vec::new();
    for at in 0..24_i64 {
        let rank = if at % 4 == 0 { None } else { Some(at % 3) };
        let title = format!("t{}", at % 2);
        let rank_json = rank.map_or("null".to_owned(), |rank| rank.to_string());
        let (id, _) = api.made(&format!(r#"{{"title":"{title}","rank":{rank_json},"body":"{at}"}}"#)).await;
        rows.push((rank, title, id, at));
    }
    for (query, rank_down, title_down) in [
        ("rank,title", false, false),
        ("-rank,title", true, false),
        ("rank,-title", false, true),
        ("-rank,-title", true, true),
    ] {
        let mut wanted = rows.clone();
        wanted.sort_by(|a, b| {
            let nulls = a.0.is_none().cmp(&b.0.is_none());
            let rank = if rank_down { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
            let title = if title_down { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) };
            nulls.then(rank).then(title).then_with(|| a.2.cmp(&b.2))
        });
        let wanted: Vec<String> = wanted.iter().map(|row| row.3.to_string()).collect();
        for per_page in [1, 2, 5, 23, 24] {
            let mut target = format!("?sort={query}&per_page={per_page}");
            let mut seen = Vec::new();
            loop {
                let answer = api.get(&target).await;
                seen.extend(answer.rows().iter().map(|row| row["body"].as_str().unwrap().to_owned()));
                let Some(next) = answer.link("next") else { break };
                target = next;
            }
            assert_eq!(seen, wanted, "{query} by {per_page}");
            let by_number: Vec<_> = {
                let pages = 24_usize.div_ceil(per_page);
                let mut seen = Vec::new();
                for page in 1..=pages {
                    let answer = api.get(&format!("?sort={query}&per_page={per_page}&page={page}")).await;
                    seen.extend(answer.rows().iter().map(|row| row["body"].as_str().unwrap().to_owned()));
                }
                seen
            };
            assert_eq!(by_number, wanted, "{query} by page of {per_page}");
        }
    }
    assert_eq!(walk(&api, "?sort=-id&per_page=7").await.len(), 24);
}

/// Items whose keys are alike over thousands of characters.
const LONG: &str = r#"
store: main
access: { default: public }
fields:
  name: { type: string, sort: true, filter: [in] }
  word: { type: string, sort: true }
  rank: { type: integer, sort: true }
"#;

async fn long_keys() -> Api {
    let api = serve("items", LONG).await;
    for at in 0..30 {
        let name = match at % 5 {
            0 => "null".to_owned(),
            1 => format!("\"\u{e9}%_'{}\"", at % 3),
            _ => format!("\"{}{}\"", "x".repeat(3000), at % 4),
        };
        let word = format!("{}{}", "\u{10FFFF}y".repeat(500), at % 2);
        api.made(&format!(r#"{{"name":{name},"word":"{word}","rank":{at}}}"#)).await;
    }
    api
}

#[tokio::test]
async fn every_item_is_listed_once_however_long_its_keys_are() {
    let api = long_keys().await;
    for sort in ["name", "-name", "word,name", "name,-word", "-name,-word,rank", "-word,-id"] {
        for per_page in [1, 4, 7, 29] {
            let mut seen = Vec::new();
            let mut target = format!("?sort={sort}&fields=rank&per_page={per_page}");
            loop {
                let answer = api.get(&target).await;
                assert!(answer.header("link").len() < 4000);
                seen.extend(answer.rows().iter().map(|row| row["rank"].as_i64().unwrap()));
                let Some(next) = answer.link("next") else { break };
                target = next;
            }
            let whole = api.get(&format!("?sort={sort}&fields=rank&per_page=100")).await.rows();
            let whole: Vec<_> = whole.iter().map(|row| row["rank"].as_i64().unwrap()).collect();
            assert_eq!(seen, whole, "{sort} by {per_page}");
            seen.sort_unstable();
            assert_eq!(seen, (0..30).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_page_after_an_item_with_long_keys_is_refused_when_that_item_is_gone_or_changed() {
    let text = "cursor: the item before this page was changed or deleted, start again without a cursor";
    for change in ["delete", "patch"] {
        let api = long_keys().await;
        let first = api.get("?sort=name&per_page=15").await;
        let (last, next) = (first.rows()[14]["id"].as_str().unwrap().to_owned(), first.link("next").unwrap());
        assert_eq!(api.get(&next).await.rows().len(), 15);
        if change == "delete" {
            assert_eq!(api.ask(Method::DELETE, &format!("/{last}")).send().await.status, 204);
        } else {
            assert_eq!(api.patch(&last, r#"{"rank":77}"#).await.status, 200);
            assert_eq!(api.get(&next).await.status, 200, "its keys are the same");
            assert_eq!(api.patch(&last, r#"{"name":"short"}"#).await.status, 200);
        }
        let answer = api.get(&next).await;
        refused(&answer, text);
        assert_eq!(answer.code(), "cursor");
    }
}
