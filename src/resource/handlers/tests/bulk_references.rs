//! Several items in one request, with fields that refer to other items.

use super::world::*;
use super::*;
use futures_util::future::{join, join_all};
use serde_json::json;

const SHOP: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { create: authenticated, default: { where: { owner: $claims.sub } } }
  fields: { owner: { type: string, set: $claims.sub } }
people:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { name: { type: string } }
items:
  store: main
  access: { create: authenticated, default: { where: { list.owner: $claims.sub } } }
  put: merge
  bulk: { create: true, upsert: sku, max: 300 }
  pagination: { max_per_page: 1000 }
  fields:
    sku: { type: string, unique: true, required: true, sort: true }
    list: { type: ref, to: lists, required: true, on_delete: cascade, filter: [eq] }
    parent: { type: ref, to: items, on_delete: set_null }
    maker: { type: ref, to: people, set: $claims.sub }
    title: { type: string }
"#;

async fn send(api: &Api, who: &str, method: Method, items: &Value) -> Answer {
    api.ask(method, "").json(&items.to_string()).with(json!({ "sub": who })).send().await
}

async fn lenient(api: &Api, who: &str, method: Method, items: &Value) -> Vec<(u64, String)> {
    let ask = api.ask(method, "").json(&items.to_string()).header("prefer", "handling=lenient");
    let answer = ask.with(json!({ "sub": who })).send().await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let outcomes = answer.json();
    let field = |one: &Value| one["details"][0]["field"].as_str().unwrap_or_default().to_owned();
    outcomes.as_array().unwrap().iter().map(|one| (one["status"].as_u64().unwrap(), field(one))).collect()
}

async fn shop() -> World {
    let world = world(SHOP).await;
    for who in ["ann", "bob"] {
        assert_eq!(world.of("people").post(&json!({ "id": who }).to_string()).await.status, 201);
        for list in ["1", "2"] {
            let made = send(world.of("lists"), who, Method::POST, &json!({ "id": format!("{who}{list}") })).await;
            assert_eq!(made.status, 201);
        }
    }
    world
}

/// Index, field and code of each fault.
fn faults(answer: &Answer) -> Vec<(u64, String, String)> {
    let text = |detail: &Value, key: &str| detail[key].as_str().unwrap().to_owned();
    let details = answer.json()["details"].as_array().unwrap().clone();
    details.iter().map(|one| (one["index"].as_u64().unwrap(), text(one, "field"), text(one, "code"))).collect()
}

fn missing(index: u64, field: &str) -> (u64, String, String) {
    (index, field.to_owned(), "reference".to_owned())
}

async fn count(world: &World) -> i64 {
    world.count("SELECT count(*) FROM items").await
}

#[tokio::test]
async fn a_list_is_created_if_all_that_it_refers_to_is_there() {
    let world = shop().await;
    let items = world.of("items");
    let made: Value =
        (0..300).map(|n| json!({ "sku": format!("{n:03}"), "list": format!("ann{}", n % 2 + 1) })).collect();
    let created = send(items, "ann", Method::POST, &made).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let rows = created.json();
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[7]["list"], &rows[7]["maker"]),
        (300, &json!("ann2"), &json!("ann"))
    );
    let first = rows[0]["id"].clone();
    // The list of another is not there, and neither is one that does not exist.
    let mixed = json!([
        { "sku": "a", "list": "ann1", "parent": first },
        { "sku": "b", "list": "bob1" },
        { "sku": "c", "list": "nowhere", "parent": "01a22510-357c-72a9-84c8-411555ce7244" },
        { "sku": "d", "list": "ann2", "parent": null },
    ]);
    let refused = send(items, "ann", Method::POST, &mixed).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(faults(&refused), [missing(1, "list"), missing(2, "list"), missing(2, "parent")]);
    assert!(
        refused.message().starts_with("[1].list: refers to an item that does not exist, [2].list:"),
        "{}",
        refused.body
    );
    assert_eq!(count(&world).await, 300, "all or none");
    assert_eq!(
        lenient(items, "ann", Method::POST, &mixed).await,
        [(201, String::new()), (400, "list".into()), (400, "list".into()), (201, String::new())]
    );
    // What the server sets must be there too: the client cannot do anything about it.
    let eve = send(world.of("lists"), "eve", Method::POST, &json!({ "id": "eve1" })).await;
    assert_eq!(eve.status, 201);
    let denied = send(items, "eve", Method::POST, &json!([{ "sku": "e", "list": "eve1" }])).await;
    assert_eq!((denied.status.as_u16(), &*denied.reason), (403, "reference_missing:maker"));
}

#[tokio::test]
async fn an_upsert_checks_what_changes_and_what_is_new() {
    let world = shop().await;
    let items = world.of("items");
    let upsert = async |who: &str, list: Value| send(items, who, Method::PUT, &list).await;
    let first = upsert("ann", json!([{ "sku": "a", "list": "ann1" }, { "sku": "b", "list": "ann2" }])).await;
    assert_eq!(first.status, 200, "{}", first.body);
    // A field that is not sent, and one that stays as it is, are no change.
    let second = upsert(
        "ann",
        json!([{ "sku": "b", "title": "x" }, { "sku": "a", "list": "ann2" }, { "sku": "c", "list": "ann1" }]),
    )
    .await;
    assert_eq!((second.status.as_u16(), &second.json()[0]["list"]), (200, &json!("ann2")), "{}", second.body);
    let refused = upsert(
        "ann",
        json!([{ "sku": "a", "list": "bob1" }, { "sku": "b", "title": "y" }, { "sku": "z", "list": "nowhere" }]),
    )
    .await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(faults(&refused), [missing(0, "list"), missing(2, "list")]);
    assert_eq!(items.get("").await.status, 401);
    let outcomes =
        lenient(items, "ann", Method::PUT, &json!([{ "sku": "z", "list": "nowhere" }, { "sku": "b", "title": "y" }]))
            .await;
    assert_eq!(outcomes, [(400, "list".into()), (200, String::new())]);
    // Items of another are not changed: their values are taken.
    assert_eq!(upsert("bob", json!([{ "sku": "a", "list": "bob1" }])).await.status, 409);
    let required = upsert("ann", json!([{ "sku": "new" }])).await;
    assert_eq!(faults(&required), [(0, "list".into(), "required".into())]);
    assert_eq!(count(&world).await, 3);
}

#[tokio::test]
async fn lists_are_written_below_an_item() {
    let world = shop().await;
    let below = world.under("lists", "ann1", "items", "list");
    let created = send(&below, "ann", Method::POST, &json!([{ "sku": "a" }, { "sku": "b", "list": "ann1" }])).await;
    assert_eq!((created.status.as_u16(), &created.json()[0]["list"]), (201, &json!("ann1")), "{}", created.body);
    let wrong = send(&below, "ann", Method::POST, &json!([{ "sku": "c" }, { "sku": "d", "list": "ann2" }])).await;
    assert_eq!(faults(&wrong), [(1, "list".into(), "path".into())]);
    let upserted = send(&below, "ann", Method::PUT, &json!([{ "sku": "a", "title": "x" }, { "sku": "e" }])).await;
    assert_eq!((upserted.status.as_u16(), &upserted.json()[1]["list"]), (200, &json!("ann1")), "{}", upserted.body);
    for parent in ["bob1", "nowhere"] {
        let hidden = world.under("lists", parent, "items", "list");
        for method in [Method::POST, Method::PUT] {
            let answer = send(&hidden, "ann", method.clone(), &json!([{ "sku": "f" }])).await;
            assert_eq!(answer.status, 404, "{method} {parent} {}", answer.body);
        }
    }
    // A list without items, too: the path is what it is about.
    for (parent, created, changed) in [("ann1", 201, 200), ("bob1", 404, 404), ("nowhere", 404, 404)] {
        let path = world.under("lists", parent, "items", "list");
        for (method, status) in [(Method::POST, created), (Method::PUT, changed)] {
            let answer = send(&path, "ann", method.clone(), &json!([])).await;
            assert_eq!(answer.status, status, "{method} {parent} {}", answer.body);
            let each = path.ask(method.clone(), "").json("[]").header("prefer", "handling=lenient");
            let each = each.with(json!({ "sub": "ann" })).send().await.status;
            assert_eq!(each, if status == 404 { 404 } else { 207 }, "{method} {parent}");
        }
    }
    let elsewhere = world.under("lists", "ann2", "items", "list");
    assert_eq!(
        send(&elsewhere, "ann", Method::PUT, &json!([{ "sku": "a" }])).await.status,
        409,
        "it is in another list"
    );
    assert_eq!(lenient(&below, "ann", Method::POST, &json!([{ "sku": "g" }])).await, [(201, String::new())]);
    assert_eq!(count(&world).await, 4);
}

#[tokio::test]
async fn repeated_lists_and_lists_with_passwords_check_references_too() {
    let yaml = r#"
teams: { store: main, id: { type: string }, access: { default: public }, fields: { name: { type: string } } }
users:
  store: main
  id: { type: string }
  access: { default: public }
  bulk: { create: true }
  fields: { team: { type: ref, to: teams }, password: { type: password } }
"#;
    let world = world(yaml).await;
    let users = world.of("users");
    assert_eq!(world.of("teams").post(r#"{"id":"t"}"#).await.status, 201);
    let repeat = |team: &'static str| {
        let list = json!([{ "id": "a", "team": team, "password": "password123" }, { "id": "b" }]).to_string();
        users.ask(Method::POST, "").json(&list).header("idempotency-key", team).send()
    };
    let refused = repeat("u").await;
    assert_eq!((refused.status.as_u16(), faults(&refused)), (400, vec![missing(0, "team")]));
    let (first, second) = (repeat("t").await, repeat("t").await);
    assert_eq!((first.status.as_u16(), &first.body), (201, &second.body));
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(world.count("SELECT count(*) FROM users WHERE password LIKE '$argon2id$%'").await, 1);
}

#[tokio::test]
async fn lists_and_deletes_of_what_they_refer_to_at_once_leave_no_orphans() {
    let world = shop().await;
    let items = world.of("items");
    for round in 0..10 {
        let creates = join_all((0..8).map(|client| {
            let list = ["ann1", "ann2"];
            let rows: Value =
                (0..6).map(|n| json!({ "sku": format!("{round}-{client}-{n}"), "list": list[n % 2] })).collect();
            let method = if client % 2 == 0 { Method::POST } else { Method::PUT };
            async move { send(items, "ann", method, &rows).await }
        }));
        let deletes = async {
            let lists = world.of("lists");
            lists.ask(Method::DELETE, "/ann1").with(json!({ "sub": "ann" })).send().await
        };
        let (creates, deleted) = join(creates, deletes).await;
        assert_eq!(deleted.status, 204, "{}", deleted.body);
        for answer in &creates {
            assert!([200, 201, 400].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
        }
        let orphans = "SELECT count(*) FROM items WHERE list NOT IN (SELECT id FROM lists)";
        assert_eq!(world.count(orphans).await, 0);
        let made = creates.iter().filter(|answer| answer.status != 400).count();
        let there =
            world.count(&format!("SELECT count(*) FROM items WHERE sku LIKE '{round}-%' AND list = 'ann2'")).await;
        assert_eq!(usize::try_from(there).unwrap(), made * 3, "all or none");
        assert_eq!(send(world.of("lists"), "ann", Method::POST, &json!({ "id": "ann1" })).await.status, 201);
    }
}
