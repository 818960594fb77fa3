//! Every type of field, integer and chosen ids, and a store on disk.

use super::described::Described;
use super::*;

const THINGS: &str = r#"
store: main
access: { default: public }
fields:
  title:  { type: string, required: true, min: 1, max: 200, filter: [eq, prefix], sort: true }
  views:  { type: integer, min: 0, default: 0 }
  ratio:  { type: number }
  price:  { type: decimal, precision: 12, scale: 2 }
  active: { type: boolean, default: true }
  status: { type: enum, values: [draft, published], default: draft }
  due:    { type: date }
  at:     { type: datetime }
  site:   { type: url }
  owner:  { type: uuid }
  meta:   { type: json, schema: { type: object, maxProperties: 2 } }
"#;

#[tokio::test]
async fn every_type_goes_in_and_comes_out() {
    let api = serve("things", THINGS).await;
    let answer = api.post(r#"{"title":"A","views":7,"ratio":0.5,"price":"12.5","active":false,"status":"published","due":"2026-02-28","at":"2026-02-03T01:00:00+01:00","site":"https://a.example/x?y","owner":"0191B3F0-0000-7000-8000-000000000000","meta":{"b":[1,null],"a":{"c":true}}}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let wanted = format!(
        r#"{{"id":"{id}","title":"A","views":7,"ratio":0.5,"price":"12.50","active":false,"status":"published","due":"2026-02-28","at":"2026-02-03T00:00:00.000000Z","site":"https://a.example/x?y","owner":"0191b3f0-0000-7000-8000-000000000000","meta":{{"b":[1,null],"a":{{"c":true}}}}}}"#
    );
    assert_eq!(answer.body, wanted);
    assert_eq!(api.get(&format!("/{id}")).await.body, wanted);
}

#[tokio::test]
async fn defaults_fill_what_is_absent() {
    let api = serve("things", THINGS).await;
    let answer = api.post(r#"{"title":"A"}"#).await.json();
    assert_eq!((&answer["views"], &answer["active"], &answer["status"]), (&0.into(), &true.into(), &"draft".into()));
    assert!(answer["ratio"].is_null() && answer["meta"].is_null());
}

#[tokio::test]
async fn every_type_refuses_what_is_none_of_its_own() {
    let api = serve("things", THINGS).await;
    for (field, value, message) in [
        ("views", "\"7\"", "must be an integer"),
        ("views", "-1", "must be at least 0"),
        ("views", "18446744073709551616", "must be an integer of 64 bits, from -2^63 to 2^63-1"),
        ("views", "1.5", "must be an integer"),
        ("ratio", "\"0.5\"", "must be a number"),
        ("price", "\"1.234\"", "must be a decimal as a string, with at most 12 digits, 2 of them after the point"),
        ("active", "1", "must be true or false"),
        ("active", "\"true\"", "must be true or false"),
        ("status", "\"Draft\"", "must be one of draft, published"),
        ("due", "\"2026-02-30\"", "must be an RFC 3339 date"),
        ("at", "\"2026-02-03T00:00:00\"", "must be an RFC 3339 date-time"),
        ("at", "1770000000", "must be an RFC 3339 date-time"),
        ("site", "\"/x\"", "must be an absolute URL"),
        ("owner", "\"me\"", "must be a UUID"),
        ("meta", "[1]", "does not match the schema"),
        ("meta", "{\"a\":1,\"b\":2,\"c\":3}", "does not match the schema"),
    ] {
        let answer = api.post(&format!(r#"{{"title":"A","{field}":{value}}}"#)).await;
        refused(&answer, &format!("{field}: {message}"));
    }
    assert_eq!(api.post(r#"{"title":"A","views":1e400}"#).await.status, 400);
}

#[tokio::test]
async fn u15_a_patch_merges_into_json_and_the_outcome_is_judged() {
    let api = serve("things", THINGS).await;
    let (id, _) = api.made(r#"{"title":"A","meta":{"a":{"x":1,"y":2},"b":3}}"#).await;
    let meta = async |patch: &str| {
        let answer = api.patch(&id, &format!(r#"{{"meta":{patch}}}"#)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["meta"].to_string()
    };
    assert_eq!(meta(r#"{"a":{"x":null,"z":[null]}}"#).await, r#"{"a":{"y":2,"z":[null]},"b":3}"#);
    refused(&api.patch(&id, r#"{"meta":{"c":1}}"#).await, "meta: does not match the schema");
    refused(&api.patch(&id, r#"{"meta":[1]}"#).await, "meta: does not match the schema");
    assert_eq!(meta(r#"{"b":null,"c":1}"#).await, r#"{"a":{"y":2,"z":[null]},"c":1}"#);
    assert_eq!(meta("null").await, "null");
    assert_eq!(meta(r#"{"d":{"e":null}}"#).await, r#"{"d":{}}"#);
}

#[tokio::test]
async fn a_store_can_count_ids_up() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nid: { type: integer }")).await;
    for wanted in 1..=3 {
        let answer = api.post(r#"{"title":"a"}"#).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (201, &wanted.into()));
        assert_eq!(answer.header("location"), format!("/api/notes/{wanted}"));
    }
    assert_eq!(api.get("/2").await.json()["id"], 2);
    assert_eq!(api.patch("2", r#"{"title":"b"}"#).await.json()["title"], "b");
    for bad in ["0", "-1", "abc", "02", "1.0", "99999999999999999999"] {
        refused(&api.get(&format!("/{bad}")).await, "id: must be an integer of at least 1");
    }
    assert_eq!(api.get("?per_page=2").await.rows().len(), 2);
}

#[tokio::test]
async fn a_client_can_choose_ids() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nid: { type: string }")).await;
    refused(&api.post(r#"{"title":"a"}"#).await, "id: is required");
    refused(&api.post(r#"{"id":"a/b","title":"a"}"#).await, "id: must be 1-64 of the characters A-Z a-z 0-9 . _ ~ -");
    let (id, _) = api.made(r#"{"id":"first-1","title":"a"}"#).await;
    assert_eq!(id, "first-1");
    assert_eq!(api.get("/first-1").await.json()["title"], "a");
    let again = api.post(r#"{"id":"first-1","title":"b"}"#).await;
    assert_eq!((again.status.as_u16(), again.json()["details"][0]["field"].as_str()), (409, Some("id")));
}

#[tokio::test]
async fn put_creates_where_clients_choose_ids() {
    let yaml = NOTES.replace("store: main", "store: main\nid: { type: string }");
    let api = serve("notes", &yaml).await;
    let put = |tag: Option<(&'static str, &'static str)>| {
        let ask = api.ask(Method::PUT, "/first").json(r#"{"title":"a"}"#);
        match tag {
            Some((name, value)) => ask.header(name, value),
            None => ask,
        }
        .send()
    };
    assert_eq!(put(Some(("if-match", "*"))).await.status, 404);
    let made = put(Some(("if-none-match", "*"))).await;
    assert_eq!((made.status.as_u16(), &*made.header("location")), (201, "/api/notes/first"));
    assert_eq!(put(Some(("if-none-match", "*"))).await.status, 412);
    let again = put(None).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, made.header("etag")));
    refused(&api.put("second", "{}").await, "title: is required");
    assert_eq!(api.patch("second", r#"{"title":"b"}"#).await.status, 404, "PATCH changes what is there");
    let guarded =
        serve("notes", &yaml.replace("{ default: public }", "{ default: public, create: { role: admin } }")).await;
    assert_eq!(guarded.put("first", r#"{"title":"a"}"#).await.status, 404);
}

#[tokio::test]
async fn a_read_from_disk_is_answered_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let model = compile_for("notes", NOTES, "sqlite:");
    let store =
        Arc::new(Store::new(&format!("sqlite://{}/notes.db", folder.path().display()).parse().unwrap()).unwrap());
    store.prepare(std::slice::from_ref(&model.table)).await.unwrap();
    let (path, described) = ("/api/notes".to_owned(), Described::of(&model));
    let statements = Statements::new(&store, "main", &model.table.name);
    let service = super::super::items(&super::super::api(
        Arc::new(model),
        Arc::clone(&store),
        Arc::new(Hasher::new()),
        Arc::new(statements),
        &[],
    ));
    let api = Api { service, store, path, fixed: Vec::new(), described };
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    // The store opens the connection for it with its first responses.
    let mut at_once = false;
    for _ in 0..1000 {
        let reply = api.service.call(api.ask(Method::GET, &format!("/{id}")).request);
        at_once = matches!(reply, gatewright_sdk::Reply::Ready(_));
        assert_eq!(reply.await.status(), 200);
        if at_once {
            break;
        }
    }
    assert!(at_once, "no future, no other thread");
    api.store.close();
}
