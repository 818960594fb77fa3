//! Paths below the items of another resource: `/lists/{list}/items`.

use super::world::*;
use super::*;
use serde_json::json;

const LISTS: &str = r#"
lists:
  store: main
  access: { default: { where: { owner: $claims.sub } }, create: authenticated }
  fields: { owner: { type: string, set: $claims.sub } }
items:
  store: main
  access: { default: authenticated }
  pagination: { per_page: 2 }
  fields:
    list: { type: ref, to: lists, required: true, on_delete: cascade, filter: [eq] }
    title: { type: string, required: true, sort: true }
"#;

async fn ask(api: &Api, who: &str, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(json!({"sub": who})).send().await
}

async fn lists(world: &World) -> (String, String) {
    let make = async |who| ask(world.of("lists"), who, Method::POST, "", "{}").await.id();
    (make("ann").await, make("bob").await)
}

#[tokio::test]
async fn a_new_item_belongs_to_the_one_in_the_path() {
    let world = world(LISTS).await;
    let (a, b) = lists(&world).await;
    let below = world.under("lists", &a, "items", "list");
    let made = ask(&below, "ann", Method::POST, "", r#"{"title":"x"}"#).await;
    assert_eq!((made.status.as_u16(), &made.json()["list"]), (201, &json!(a)), "{}", made.body);
    assert_eq!(made.header("location"), format!("/api/lists/{a}/items/{}", made.id()));
    let named = ask(&below, "ann", Method::POST, "", &format!(r#"{{"title":"x","list":"{a}"}}"#)).await;
    assert_eq!(named.status, 201, "the same is no contradiction");
    for value in [json!(b), json!(null)] {
        let body = json!({"title": "x", "list": value}).to_string();
        let refused = ask(&below, "ann", Method::POST, "", &body).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.json()["details"][0]["field"], "list");
    }
    let flat = ask(world.of("items"), "ann", Method::GET, &format!("/{}", made.id()), "").await;
    assert_eq!((&flat.body, flat.header("etag")), (&made.body, made.header("etag")), "one item, one tag");
}

#[tokio::test]
async fn without_the_parent_there_is_nothing() {
    let world = world(LISTS).await;
    let (a, b) = lists(&world).await;
    let item = ask(world.of("items"), "bob", Method::POST, "", &format!(r#"{{"title":"x","list":"{b}"}}"#)).await.id();
    let nowhere = "01a22510-357c-72a9-84c8-411555ce7244".to_owned();
    for (parent, what) in [(&b, "of another"), (&nowhere, "absent")] {
        let below = world.under("lists", parent, "items", "list");
        for (method, target, body) in [
            (Method::GET, String::new(), ""),
            (Method::HEAD, String::new(), ""),
            (Method::POST, String::new(), r#"{"title":"x"}"#),
            (Method::GET, format!("/{item}"), ""),
            (Method::PATCH, format!("/{item}"), r#"{"title":"y"}"#),
            (Method::PUT, format!("/{item}"), r#"{"title":"y"}"#),
            (Method::DELETE, format!("/{item}"), ""),
        ] {
            let answer = ask(&below, "ann", method.clone(), &target, body).await;
            assert_eq!(answer.status, 404, "{what}: {method} {target} {}", answer.body);
        }
        assert_eq!(below.get("").await.status, 401, "who it is comes first");
    }
    // An item of another parent is not below this one, although the caller may see both.
    let below = world.under("lists", &a, "items", "list");
    assert_eq!(ask(&below, "ann", Method::GET, &format!("/{item}"), "").await.status, 404);
    assert_eq!(ask(&below, "ann", Method::DELETE, &format!("/{item}"), "").await.status, 404);
    assert_eq!(ask(world.of("items"), "ann", Method::GET, &format!("/{item}"), "").await.status, 200);
    let wrong = world.under("lists", "x", "items", "list");
    let refused = ask(&wrong, "ann", Method::GET, "", "").await;
    assert_eq!((refused.status.as_u16(), refused.message()), (400, "list: must be a UUID".into()));
}

#[tokio::test]
async fn items_are_changed_and_deleted_below_their_parent() {
    let world = world(LISTS).await;
    let (a, b) = lists(&world).await;
    let below = world.under("lists", &a, "items", "list");
    let made = ask(&below, "ann", Method::POST, "", r#"{"title":"x"}"#).await;
    let item = format!("/{}", made.id());
    let tag = made.header("etag");
    assert_eq!(ask(&below, "ann", Method::GET, &item, "").await.header("etag"), tag);
    let same = below.ask(Method::GET, &item).header("if-none-match", &tag).with(json!({"sub": "ann"})).send().await;
    assert_eq!(same.status, 304);
    assert_eq!(ask(&below, "ann", Method::PUT, &item, r#"{"title":"y"}"#).await.json()["list"], json!(a));
    assert_eq!(ask(&below, "ann", Method::PATCH, &item, r#"{"title":"z"}"#).await.status, 200);
    let moved = ask(&below, "ann", Method::PATCH, &item, &json!({ "list": b }).to_string()).await;
    assert_eq!(
        (moved.status.as_u16(), moved.message()),
        (400, "list: must be the one in the path, or left out".into())
    );
    let stale = below.ask(Method::DELETE, &item).header("if-match", &tag).with(json!({"sub": "ann"})).send().await;
    assert_eq!(stale.status, 412);
    assert_eq!(ask(&below, "ann", Method::DELETE, &item, "").await.status, 204);
}

#[tokio::test]
async fn a_page_has_the_items_below_and_its_links_stay_there() {
    let world = world(LISTS).await;
    let (a, b) = lists(&world).await;
    for (who, list, count) in [("ann", &a, 3), ("bob", &b, 2)] {
        for number in 0..count {
            let body = format!(r#"{{"title":"{number}","list":"{list}"}}"#);
            assert_eq!(ask(world.of("items"), who, Method::POST, "", &body).await.status, 201);
        }
    }
    let below = world.under("lists", &a, "items", "list");
    let page = ask(&below, "ann", Method::GET, "?sort=-title&count=exact", "").await;
    assert_eq!((page.rows().len(), page.header("x-total-count")), (2, "3".into()));
    assert!(page.header("link").starts_with(&format!("</api/lists/{a}/items?sort=-title&")), "{}", page.header("link"));
    let next = ask(&below, "ann", Method::GET, &page.link("next").unwrap(), "").await;
    assert_eq!(next.rows().len(), 1);
    assert_eq!(next.rows()[0]["title"], "0");
    // A cursor belongs to one parent.
    let other = world.under("lists", &b, "items", "list");
    assert_eq!(ask(&other, "bob", Method::GET, &page.link("next").unwrap(), "").await.status, 400);
    let again = below.ask(Method::GET, "?sort=-title&count=exact").header("if-none-match", &page.header("etag"));
    assert_eq!(again.with(json!({"sub": "ann"})).send().await.status, 304);
    // A parent that is gone, or is not the caller's any more, is not a list that has not changed.
    world.run("UPDATE lists SET owner = 'bob'").await;
    let lost = below.ask(Method::GET, "?sort=-title&count=exact").header("if-none-match", &page.header("etag"));
    assert_eq!(lost.with(json!({"sub": "ann"})).send().await.status, 404);
    assert!(page.header("vary").contains("authorization"));
}

#[tokio::test]
async fn a_put_below_a_parent_creates_there() {
    let yaml = LISTS.replace("  pagination: { per_page: 2 }\n", "  id: { type: string }\n");
    let world = world(&yaml).await;
    let (a, b) = lists(&world).await;
    let below = world.under("lists", &a, "items", "list");
    let made = ask(&below, "ann", Method::PUT, "/x", r#"{"title":"x"}"#).await;
    assert_eq!((made.status.as_u16(), &made.json()["list"]), (201, &json!(a)));
    assert_eq!(made.header("location"), format!("/api/lists/{a}/items/x"));
    let hidden = world.under("lists", &b, "items", "list");
    assert_eq!(ask(&hidden, "ann", Method::PUT, "/y", r#"{"title":"x"}"#).await.status, 404);
    assert_eq!(ask(&hidden, "bob", Method::PUT, "/x", r#"{"title":"x"}"#).await.status, 409, "the id is taken");
}

#[tokio::test]
async fn a_field_that_only_the_path_sets() {
    let yaml = LISTS
        .replace("list: { type: ref, to: lists, required: true,", "list: { type: ref, to: lists, read_only: true,");
    let world = world(&yaml).await;
    let (a, _) = lists(&world).await;
    let below = world.under("lists", &a, "items", "list");
    let made = ask(&below, "ann", Method::POST, "", r#"{"title":"x"}"#).await;
    assert_eq!(made.json()["list"], json!(a));
    let item = format!("/{}", made.id());
    assert_eq!(ask(&below, "ann", Method::PUT, &item, r#"{"title":"y"}"#).await.json()["list"], json!(a));
    assert_eq!(ask(world.of("items"), "ann", Method::POST, "", r#"{"title":"x"}"#).await.json()["list"], json!(null));
}

#[tokio::test]
async fn keys_of_repeated_requests_belong_to_the_path() {
    let world = world(LISTS).await;
    let (a, _) = lists(&world).await;
    let below = world.under("lists", &a, "items", "list");
    let send = |api: &Api, body: &str| {
        let ask = api.ask(Method::POST, "").json(body).header("idempotency-key", "k").with(json!({"sub": "ann"}));
        let request = ask.request;
        (request, api.service.clone())
    };
    let mut statuses = Vec::new();
    for (api, body) in [
        (&below, r#"{"title":"x"}"#.to_owned()),
        (&below, r#"{"title":"x"}"#.to_owned()),
        (world.of("items"), format!(r#"{{"title":"x","list":"{a}"}}"#)),
    ] {
        let (request, service) = send(api, &body);
        statuses.push(service.call(request).await.status().as_u16());
    }
    assert_eq!(statuses, [201, 201, 422]);
    assert_eq!(ask(&below, "ann", Method::GET, "", "").await.rows().len(), 1);
}
