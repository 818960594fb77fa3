//! Any sequence of writes leaves what a map would hold.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

#[derive(Debug, Clone)]
enum Step {
    Create(u8, Option<i64>),
    Patch(usize, u8),
    Replace(usize, u8),
    Delete(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..6_u8, proptest::option::of(0..9_i64)).prop_map(|(title, rank)| Step::Create(title, rank)),
        (0..8_usize, 0..6_u8).prop_map(|(at, title)| Step::Patch(at, title)),
        (0..8_usize, 0..6_u8).prop_map(|(at, title)| Step::Replace(at, title)),
        (0..8_usize).prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 0..24)
}

/// What a row should be.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    title: String,
    rank: Option<i64>,
    tag: String,
}

/// Titles are unique: whether `title` belongs to another row than `id`.
fn taken(rows: &BTreeMap<String, Row>, title: &str, id: &str) -> bool {
    rows.iter().any(|(other, row)| other != id && row.title == title)
}

async fn run(steps: Vec<Step>) {
    let api = serve("notes", &NOTES.replace("max: 200, filter", "max: 200, unique: true, filter")).await;
    let (mut rows, mut ids) = (BTreeMap::<String, Row>::new(), Vec::<String>::new());
    let mut tags = HashSet::new();
    for step in steps {
        let pick = |at: usize| ids.get(at).cloned().unwrap_or_else(|| uuid::Uuid::nil().to_string());
        match step {
            Step::Create(title, rank) => {
                let title = format!("t{title}");
                let answer = api.post(&serde_json::json!({"title": title, "rank": rank}).to_string()).await;
                if taken(&rows, &title, "") {
                    assert_eq!(answer.status, 409);
                } else {
                    assert_eq!(answer.status, 201, "{}", answer.body);
                    let id = answer.json()["id"].as_str().unwrap().to_owned();
                    let tag = answer.header("etag");
                    assert!(tags.insert(tag.clone()), "a tag of its own");
                    rows.insert(id.clone(), Row { title, rank, tag });
                    ids.push(id);
                }
            }
            Step::Patch(at, title) | Step::Replace(at, title) => {
                let (id, title) = (pick(at), format!("t{title}"));
                let body = format!(r#"{{"title":"{title}"}}"#);
                let merges = matches!(step, Step::Patch(..));
                let answer = if merges { api.patch(&id, &body).await } else { api.put(&id, &body).await };
                let clash = taken(&rows, &title, &id);
                let Some(row) = rows.get_mut(&id) else {
                    assert_eq!(answer.status, 404);
                    continue;
                };
                if clash {
                    assert_eq!(answer.status, 409);
                    continue;
                }
                assert_eq!(answer.status, 200, "{}", answer.body);
                let mut wanted = Row { title, rank: row.rank.filter(|_| merges), tag: row.tag.clone() };
                let tag = answer.header("etag");
                assert_eq!(tag == row.tag, wanted == *row, "a new tag for new content");
                assert!(wanted == *row || tags.insert(tag.clone()), "a tag of its own");
                wanted.tag = tag;
                *row = wanted;
            }
            Step::Delete(at) => {
                let id = pick(at);
                let answer = api.ask(Method::DELETE, &format!("/{id}")).send().await;
                assert_eq!(answer.status, if rows.remove(&id).is_some() { 204 } else { 404 });
            }
        }
    }
    assert_eq!(api.get("?per_page=100").await.rows().len(), rows.len());
    for (id, row) in rows {
        let answer = api.get(&format!("/{id}")).await;
        let json = answer.json();
        assert_eq!((json["title"].as_str(), json["rank"].as_i64()), (Some(&*row.title), row.rank));
        assert_eq!(answer.header("etag"), row.tag);
    }
}

#[test]
fn a_sequence_of_writes_leaves_what_a_map_would_hold() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(run(steps));
        Ok(())
    });
    outcome.unwrap();
}
