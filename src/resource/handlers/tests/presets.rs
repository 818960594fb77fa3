//! Presets of access rules: items of their owner, and items of a tenant.

use super::migrations::{empty, migrate, serve_on, sql};
use super::world::*;
use super::*;
use crate::resource::model::others::Others;
use crate::resource::model::served::Served;
use crate::resource::store::{By, Orders};
use serde_json::json;

const NOTES: &str = r#"
notes:
  store: main
  access: { preset: owner, field: author }
  soft_delete: true
  bulk: { create: true, upsert: slug }
  fields:
    author: { type: string, set: $claims.sub, filter: [eq] }
    slug: { type: string, required: true, unique: true }
"#;

async fn ask(api: &Api, who: &Value, method: Method, target: &str, body: &str) -> Answer {
    let ask = api.ask(method, target).json(body);
    if who.is_null() { ask.send().await } else { ask.with(who.clone()).send().await }
}

#[tokio::test]
async fn the_preset_for_owners_leaves_no_way_to_items_of_others() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let (ann, bob) = (json!({"sub": "ann"}), json!({"sub": "bob"}));
    let made = ask(notes, &ann, Method::POST, "", r#"{"slug":"a"}"#).await;
    assert_eq!(made.json()["author"], "ann");
    let item = format!("/{}", made.id());
    for (method, target, body) in [
        (Method::GET, item.clone(), ""),
        (Method::PATCH, item.clone(), r#"{"slug":"b"}"#),
        (Method::PUT, item.clone(), r#"{"slug":"b"}"#),
        (Method::DELETE, item.clone(), ""),
        (Method::GET, format!("{item}?deleted=only"), ""),
        (Method::POST, format!("{item}/restore"), ""),
    ] {
        assert_eq!(ask(notes, &bob, method.clone(), &target, body).await.status, 404, "{method} {target}");
        assert_eq!(ask(notes, &Value::Null, method.clone(), &target, body).await.status, 401, "{method} {target}");
    }
    assert_eq!(ask(notes, &bob, Method::GET, "", "").await.rows().len(), 0);
    assert_eq!(ask(notes, &Value::Null, Method::GET, "", "").await.status, 401);
    assert_eq!(ask(notes, &Value::Null, Method::POST, "", r#"{"slug":"x"}"#).await.status, 401);
    for body in [r#"{"slug":"x","author":"bob"}"#, r#"[{"slug":"x","author":"bob"}]"#] {
        assert_eq!(ask(notes, &ann, Method::POST, "", body).await.status, 400, "{body}");
    }
    assert_eq!(ask(notes, &ann, Method::PATCH, &item, r#"{"author":"bob"}"#).await.status, 400, "it is not given away");
    assert_eq!(ask(notes, &bob, Method::PUT, "", r#"[{"slug":"a"}]"#).await.status, 409, "nor taken by an upsert");
    // A token without a subject owns nothing, and creates nothing.
    assert_eq!(ask(notes, &json!({"scope": "x"}), Method::POST, "", r#"{"slug":"x"}"#).await.status, 403);
    assert_eq!(ask(notes, &ann, Method::GET, &item, "").await.status, 200);
    assert_eq!(ask(notes, &ann, Method::DELETE, &item, "").await.status, 204);
    assert_eq!(ask(notes, &bob, Method::POST, &format!("{item}/restore"), "").await.status, 404);
    assert_eq!(ask(notes, &ann, Method::POST, &format!("{item}/restore"), "").await.status, 200);
}

const TEAMS: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { preset: tenant, field: tenant, claim: org }
  fields: { tenant: { type: string, set: $claims.org, hidden: true } }
items:
  store: main
  id: { type: string }
  access:
    preset: tenant
    field: tenant
    claim: org
    except: { role: support }
    delete: { role: admin }
    update_check: authenticated
  bulk: { create: true }
  fields:
    tenant: { type: string, set: $claims.org, hidden: true }
    list: { type: ref, to: lists, expand: true, filter: [eq] }
    title: { type: string }
"#;

#[tokio::test]
async fn the_preset_for_tenants_restricts_every_operation_and_every_reference() {
    let world = world(TEAMS).await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    let (one, two) = (json!({"sub": "ann", "org": "one"}), json!({"sub": "bob", "org": "two", "roles": ["admin"]}));
    for (who, id) in [(&one, "1"), (&two, "2")] {
        assert_eq!(ask(lists, who, Method::POST, "", &format!(r#"{{"id":"{id}"}}"#)).await.status, 201);
        let body = format!(r#"{{"id":"{id}","list":"{id}"}}"#);
        assert_eq!(ask(items, who, Method::POST, "", &body).await.status, 201);
    }
    // What belongs to another tenant is not there.
    for body in [r#"{"id":"x","list":"2"}"#, r#"[{"id":"x","list":"2"}]"#] {
        let refused = ask(items, &one, Method::POST, "", body).await;
        assert_eq!(refused.fault(), (400, "list".into(), "reference".into()), "{}", refused.body);
    }
    assert_eq!(ask(items, &one, Method::PATCH, "/1", r#"{"list":"2"}"#).await.status, 400);
    for (method, target) in [(Method::GET, "/2"), (Method::PATCH, "/2")] {
        assert_eq!(ask(items, &one, method, target, r#"{"title":"x"}"#).await.status, 404);
    }
    assert_eq!(ask(items, &one, Method::GET, "", "").await.rows().len(), 1);
    // The rule of the operation and the preset: both.
    assert_eq!(ask(items, &one, Method::DELETE, "/1", "").await.status, 403, "no admin");
    assert_eq!(ask(items, &two, Method::DELETE, "/1", "").await.status, 404, "an admin of another tenant");
    assert_eq!(ask(items, &json!({"sub": "x"}), Method::GET, "", "").await.status, 403, "no tenant");
    let support = json!({"sub": "sue", "roles": ["support"]});
    assert_eq!(ask(items, &support, Method::GET, "", "").await.rows().len(), 2, "except");
    assert_eq!(ask(items, &support, Method::DELETE, "/1", "").await.status, 403, "the rule of the operation holds");
    assert_eq!(ask(items, &two, Method::DELETE, "/2", "").await.status, 204);
    let world_of_one = items.get("").await;
    assert_eq!(world_of_one.status, 401);
}

/// The messages about a resource with these access rules.
fn faults(access: &str, field: &str) -> Vec<String> {
    let yaml = format!(
        "store: main\naccess: {access}\nfields: {{ author: {{ type: string{field} }}, title: {{ type: string }} }}"
    );
    let resources = crate::config::named::Named::default();
    let spec: Resource = serde_yaml::from_str(&yaml).unwrap();
    let compiled = model::compile(
        ("notes", &spec),
        Others { resources: &resources, served: &Served::default() },
        Dialect::Sqlite,
        false,
    );
    compiled.err().unwrap_or_default().into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

#[test]
fn a_preset_that_cannot_hold_is_a_fault() {
    let set = ", set: $claims.sub";
    assert_eq!(faults("{ preset: owner, field: author }", set), [""; 0]);
    let open = "access.field: `author` is not set to the claim `sub`, so callers could create items of others";
    for field in ["", ", required: true", ", default: $claims.sub", ", read_only: true", ", set: $claims.email"] {
        assert_eq!(faults("{ preset: owner, field: author }", field), [open], "{field}");
    }
    for (access, message) in [
        ("{ preset: owner }", "access.preset: `preset: owner` needs a field"),
        ("{ preset: owner, field: auhtor }", "access.field: `preset` names `auhtor`, which is not a field"),
        ("{ preset: tenant, field: author }", "access.preset: `preset: tenant` needs a claim"),
        (
            "{ preset: owner, field: author, read: public }",
            "access.read: `read: public` contradicts `preset`, which allows callers only their own items",
        ),
        (
            "{ preset: owner, field: author, default: public }",
            "access.default: `default: public` contradicts `preset`, which allows callers only their own items",
        ),
        ("{ default: authenticated, claim: org }", "access.claim: `claim` has no effect without `preset`"),
        ("{ preset: owner, field: author, except: {} }", "access.except: the condition is empty"),
    ] {
        assert_eq!(faults(access, set), [message], "{access}");
    }
}

#[test]
fn a_field_that_makes_one_owner_of_several_is_a_fault() {
    let fault = |field: &str| {
        let yaml = format!(
            "store: main\naccess: {{ preset: tenant, field: org, claim: org }}\nfields: {{ org: {{ {field}, set: $claims.org }} }}"
        );
        let resources = crate::config::named::Named::default();
        let spec: Resource = serde_yaml::from_str(&yaml).unwrap();
        let compiled = model::compile(
            ("notes", &spec),
            Others { resources: &resources, served: &Served::default() },
            Dialect::Sqlite,
            false,
        );
        let faults = compiled.err().unwrap_or_default();
        assert!(faults.iter().all(|fault| fault.code.to_string() == "GW0627" && fault.help.is_some()), "{faults:?}");
        faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>()
    };
    for exact in ["string", "text", "url", "uuid", "integer", "enum, values: [one, two]"] {
        assert_eq!(fault(&format!("type: {exact}")), [""; 0], "{exact}");
    }
    for merging in ["number", "decimal, precision: 9", "boolean", "datetime", "date", "email", "json"] {
        let text = "fields.org.type: `org` names the tenant, but different claims can be equal as values of this type";
        assert_eq!(fault(&format!("type: {merging}")), [text], "{merging}");
    }
    let lower = "fields.org.lowercase: `lowercase` makes one tenant of those that differ only in the case of letters";
    let trim = "fields.org.trim: `trim` makes one tenant of those that differ only in white space at their ends";
    assert_eq!(fault("type: string, lowercase: true"), [lower]);
    assert_eq!(fault("type: text, trim: true, lowercase: true"), [lower, trim]);
}

/// What the accepted types keep apart, and an empty claim: it names no one.
#[tokio::test]
async fn each_claim_is_an_owner_of_its_own_and_an_empty_one_is_none() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let owners = ["ann", "Ann", "ann ", "\u{e4}nn", "a\u{308}nn", "7", "7.0", "*", "%", "null"];
    for (at, sub) in owners.iter().enumerate() {
        let made = ask(notes, &json!({"sub": sub}), Method::POST, "", &format!(r#"{{"slug":"{at}"}}"#)).await;
        assert_eq!((made.status.as_u16(), &made.json()["author"]), (201, &json!(sub)));
    }
    for sub in owners {
        assert_eq!(ask(notes, &json!({"sub": sub}), Method::GET, "", "").await.rows().len(), 1, "{sub:?}");
    }
    // An item that another program has left without an owner.
    world.run("UPDATE notes SET author = '' WHERE slug = '0'").await;
    world.run("UPDATE notes SET author = NULL WHERE slug = '1'").await;
    for claims in [json!({"sub": ""}), json!({"sub": null}), json!({}), json!({"sub": ["ann"]})] {
        for (method, target) in [(Method::GET, ""), (Method::GET, "?deleted=only"), (Method::POST, "")] {
            let answer = ask(notes, &claims, method.clone(), target, r#"{"slug":"x"}"#).await;
            assert_eq!((answer.status.as_u16(), &*answer.reason), (403, "access_rule"), "{claims} {method} {target}");
        }
        assert_eq!(ask(notes, &claims, Method::PUT, "", r#"[{"slug":"x"}]"#).await.status, 403, "{claims}");
    }
}

#[tokio::test]
async fn owners_stay_apart_in_a_column_of_another_program_that_ignores_case() {
    let store = empty().await;
    if postgres::server().is_some() {
        let options = "provider = icu, locale = 'und-u-ks-level2', deterministic = false";
        sql(&store, &format!("CREATE COLLATION folded ({options})")).await;
        sql(&store, "CREATE TABLE items (id uuid PRIMARY KEY, author text COLLATE folded, title text)").await;
    } else {
        sql(&store, "CREATE TABLE items (id TEXT PRIMARY KEY, author TEXT COLLATE NOCASE, title TEXT)").await;
    }
    let row = "INSERT INTO items VALUES ('0190a000-0000-7000-8000-000000000000', 'Ann', 'x')";
    sql(&store, row).await;
    let fields = "fields:\n  author: { type: string, set: $claims.sub }\n  title: { type: string, filter: [eq] }\n";
    let yaml = format!("store: main\naccess: {{ preset: owner, field: author }}\n{fields}");
    migrate(&store, &yaml, &By::Command(Orders { adopt: true, ..Orders::default() })).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    let item = "/0190a000-0000-7000-8000-000000000000";
    for (sub, rows, status) in [("Ann", 1, 200), ("ann", 0, 404)] {
        let who = json!({"sub": sub});
        assert_eq!(ask(&api, &who, Method::GET, "", "").await.rows().len(), rows, "{sub}");
        assert_eq!(ask(&api, &who, Method::GET, item, "").await.status, status, "{sub}");
        assert_eq!(ask(&api, &who, Method::PATCH, item, r#"{"title":"y"}"#).await.status, status, "{sub}");
    }
    assert_eq!(ask(&api, &json!({"sub": "ann"}), Method::DELETE, item, "").await.status, 404);
}
