//! Unique rules and foreign keys that are hit by something else than the item itself: by triggers, or by a change of what others
//! refer to.

use super::adopted::adopt;
use super::migrations::{empty, fields, migrate, serve_on, sql};
use super::*;

/// Makes a trigger of `items` that runs a statement after an insert of an item with this name.
async fn trigger(store: &Store, name: &str, event: &str, row: &str, statement: &str) {
    if postgres::server().is_none() {
        let when = format!("CREATE TRIGGER {name} AFTER {event} ON items WHEN {row}.name = '{name}'");
        return sql(store, &format!("{when} BEGIN {statement}; END")).await;
    }
    let body = format!("BEGIN IF {row}.name = '{name}' THEN {statement}; END IF; RETURN NULL; END");
    sql(store, &format!("CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")).await;
    sql(store, &format!("CREATE TRIGGER {name} AFTER {event} ON items FOR EACH ROW EXECUTE FUNCTION {name}()")).await;
}

const FIELDS: &str = "  name: { type: string }\n  code: { type: string, unique: true }\n  town: { type: string }\n  \
                      part: { type: string }\n";

async fn items() -> Api {
    let store = empty().await;
    sql(&store, "CREATE TABLE towns (name text PRIMARY KEY)").await;
    sql(&store, "INSERT INTO towns VALUES ('Rome')").await;
    sql(
        &store,
        "CREATE TABLE items (id text PRIMARY KEY, name text, code text, town text REFERENCES towns (name), part text, \
         CONSTRAINT codes UNIQUE (code))",
    )
    .await;
    sql(
        &store,
        "CREATE TABLE visits (item text REFERENCES items (id), code text REFERENCES items (code), \
                 strict text REFERENCES items (code) ON UPDATE RESTRICT ON DELETE RESTRICT, CONSTRAINT once UNIQUE (item))",
    )
    .await;
    sql(&store, "CREATE TABLE notes (town text REFERENCES towns)").await;
    let yaml =
        fields(FIELDS).replacen("fields:", "id: { type: string }\nbulk: { create: true, upsert: id }\nfields:", 1);
    migrate(&store, &yaml, &adopt()).await;
    let nowhere = "INSERT INTO notes VALUES ('Nowhere')";
    trigger(&store, "nowhere", "INSERT", "new", nowhere).await;
    trigger(&store, "to_nowhere", "UPDATE", "new", nowhere).await;
    trigger(&store, "from_nowhere", "DELETE", "old", nowhere).await;
    trigger(&store, "twice", "INSERT", "new", "INSERT INTO visits (item) VALUES ('a')").await;
    serve_on(&store, &yaml).await.unwrap()
}

#[tokio::test]
async fn what_a_trigger_violates_in_another_table_is_no_fault_of_the_item() {
    let api = items().await;
    for id in ["a", "from_nowhere"] {
        api.made(&format!(r#"{{"id":"{id}","name":"{id}","code":"{id}"}}"#)).await;
    }
    sql(&api.store, "INSERT INTO visits (item) VALUES ('a')").await;
    let list = r#"[{"id":"l","code":"l"},{"id":"m","code":"m","name":"NAME"}]"#;
    let mut answers = vec![
        api.patch("a", r#"{"name":"to_nowhere"}"#).await,
        api.put("a", r#"{"name":"to_nowhere","code":"a"}"#).await,
        api.ask(Method::DELETE, "/from_nowhere").send().await,
    ];
    for name in ["nowhere", "twice"] {
        answers.push(api.post(&format!(r#"{{"id":"x","name":"{name}"}}"#)).await);
        for method in [Method::POST, Method::PUT] {
            answers.push(api.ask(method, "").json(&list.replace("NAME", name)).send().await);
        }
    }
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 500, "{number}: {}", answer.body);
    }
    assert_eq!(api.get("").await.rows().len(), 2);
    // The item's own faults are still those of the item.
    assert_eq!(api.post(r#"{"id":"x","code":"a"}"#).await.status, 409);
    assert_eq!(api.post(r#"{"id":"x","town":"Nowhere"}"#).await.fault(), (400, "town".into(), "reference".into()));
    assert_eq!(api.ask(Method::DELETE, "/a").send().await.status, 409);
}

#[tokio::test]
async fn a_value_that_others_refer_to_cannot_change() {
    for column in ["code", "strict"] {
        let api = items().await;
        api.made(r#"{"id":"a","code":"x","town":"Rome"}"#).await;
        sql(&api.store, &format!("INSERT INTO visits ({column}) VALUES ('x')")).await;
        for answer in [
            api.patch("a", r#"{"code":"y"}"#).await,
            api.put("a", r#"{"code":"y"}"#).await,
            api.patch("a", r#"{"code":null}"#).await,
        ] {
            let told = (answer.status.as_u16(), answer.message());
            assert_eq!(told, (409, "Other items refer to a value that would change".to_owned()), "{column}");
        }
        // Both are wrong: the item is the first to be mended.
        let both = api.patch("a", r#"{"code":"y","town":"Nowhere"}"#).await;
        assert!([400, 409].contains(&both.status.as_u16()), "{}", both.body);
        assert_eq!(api.patch("a", r#"{"town":"Nowhere"}"#).await.fault(), (400, "town".into(), "reference".into()));
        assert_eq!(api.patch("a", r#"{"name":"n","code":"x"}"#).await.status, 200);
        let deleted = api.ask(Method::DELETE, "/a").send().await;
        assert_eq!((deleted.status.as_u16(), deleted.message()), (409, "Resource is still referenced".to_owned()));
        sql(&api.store, "DELETE FROM visits").await;
        assert_eq!(api.patch("a", r#"{"code":"y"}"#).await.status, 200);
    }
}

/// The table refers to itself: both sides of the key are in it.
#[tokio::test]
async fn the_two_sides_of_a_key_within_one_table_are_told_apart() {
    let store = empty().await;
    sql(
        &store,
        "CREATE TABLE items (id text PRIMARY KEY, code text, part text, CONSTRAINT codes UNIQUE (code), \
                 FOREIGN KEY (part) REFERENCES items (code))",
    )
    .await;
    let yaml = fields("  code: { type: string, unique: true }\n  part: { type: string }\n").replacen(
        "fields:",
        "id: { type: string }\nfields:",
        1,
    );
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    api.made(r#"{"id":"a","code":"x"}"#).await;
    api.made(r#"{"id":"b","part":"x"}"#).await;
    assert_eq!(api.patch("a", r#"{"code":"y"}"#).await.status, 409);
    assert_eq!(api.patch("a", r#"{"part":"z"}"#).await.fault(), (400, "part".into(), "reference".into()));
    assert_eq!(api.post(r#"{"id":"c","part":"z"}"#).await.fault(), (400, "part".into(), "reference".into()));
    assert_eq!(api.ask(Method::DELETE, "/a").send().await.status, 409);
    assert_eq!(api.ask(Method::DELETE, "/b").send().await.status, 204);
}
