//! Callers whom a preset does not restrict: their items belong to someone too, and nothing leads out of a tenant.

use super::world::*;
use super::*;
use crate::resource::model::others::Others;
use crate::resource::model::served::Served;
use serde_json::json;

const DESK: &str = r#"
orgs: { store: main, id: { type: string }, access: { default: authenticated }, fields: { name: { type: string } } }
lists:
  store: main
  id: { type: string }
  access: { preset: tenant, field: org, claim: org, except: { role: support } }
  fields: { org: { type: ref, to: orgs, set: $claims.org } }
items:
  store: main
  id: { type: string }
  access: { preset: tenant, field: org, claim: org, except: { role: support } }
  bulk: { create: true, upsert: id }
  fields:
    org: { type: string, set: $claims.org, filter: [eq] }
    list: { type: ref, to: lists }
    parent: { type: ref, to: items, on_delete: cascade }
    title: { type: string }
secrets:
  store: main
  access: { preset: tenant, field: org, claim: org, except: { role: support } }
  fields: { org: { type: string, set: $claims.org, hidden: true }, text: { type: string } }
"#;

fn support() -> Value {
    json!({"sub": "sue", "roles": ["support"]})
}

async fn ask(api: &Api, who: &Value, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(who.clone()).send().await
}

async fn make(api: &Api, who: &Value, body: &str) -> Answer {
    ask(api, who, Method::POST, "", body).await
}

async fn desk() -> World {
    let world = world(DESK).await;
    for org in ["one", "two"] {
        assert_eq!(make(world.of("orgs"), &support(), &format!(r#"{{"id":"{org}"}}"#)).await.status, 201);
        let who = json!({"sub": "ann", "org": org});
        for api in ["lists", "items"] {
            assert_eq!(make(world.of(api), &who, &format!(r#"{{"id":"{org}"}}"#)).await.status, 201);
        }
    }
    world
}

#[tokio::test]
async fn who_is_not_restricted_says_to_whom_a_new_item_belongs() {
    let world = desk().await;
    let items = world.of("items");
    let missing = make(items, &support(), r#"{"id":"a"}"#).await;
    assert_eq!(missing.fault(), (400, "org".into(), "required".into()), "{}", missing.body);
    for nothing in ["null", "\"\""] {
        assert_eq!(make(items, &support(), &format!(r#"{{"id":"a","org":{nothing}}}"#)).await.status, 400);
    }
    let both = make(items, &support(), r#"{"id":"a","titel":"x"}"#).await;
    assert_eq!(both.json()["details"].as_array().unwrap().len(), 2, "{}", both.body);
    assert_eq!(make(items, &support(), r#"{"id":"a","org":"one"}"#).await.json()["org"], "one");
    let list = make(items, &support(), r#"[{"id":"b","org":"two"},{"id":"c"}]"#).await;
    assert_eq!(list.json()["details"][0]["index"], 1, "{}", list.body);
    assert_eq!(make(items, &support(), r#"[{"id":"b","org":"two"}]"#).await.status, 201);
    // With the claim of a tenant, that tenant is the default.
    let own = json!({"sub": "sue", "roles": ["support"], "org": "two"});
    assert_eq!(make(items, &own, r#"{"id":"d"}"#).await.json()["org"], "two");
    assert_eq!(make(items, &own, r#"{"id":"e","org":"one"}"#).await.json()["org"], "one");
    // Others cannot choose, and no one can give an item away.
    let ann = json!({"sub": "ann", "org": "one"});
    assert_eq!(make(items, &ann, r#"{"id":"f","org":"one"}"#).await.fault().2, "read_only");
    for (method, target, body) in [
        (Method::PATCH, "/a", r#"{"org":"two"}"#),
        (Method::PUT, "/a", r#"{"org":"two"}"#),
        (Method::PUT, "", r#"[{"id":"a","org":"two"}]"#),
    ] {
        assert_eq!(ask(items, &support(), method, target, body).await.status, 400);
    }
    // A PUT does not say to whom a new item belongs, and neither can a create if the field is hidden.
    for (method, target, body) in [(Method::PUT, "/z", "{}"), (Method::PUT, "", r#"[{"id":"z"}]"#)] {
        let refused = ask(items, &support(), method, target, body).await;
        assert_eq!((refused.status.as_u16(), &*refused.reason), (403, "claim_missing:org"));
    }
    assert_eq!(make(world.of("secrets"), &support(), r#"{"text":"x"}"#).await.reason, "claim_missing:org");
    assert_eq!(make(world.of("secrets"), &support(), r#"{"org":"one"}"#).await.status, 400);
    assert_eq!(world.count("SELECT count(*) FROM items WHERE org IS NULL").await, 0);
    // The tenant must exist if the field refers to one.
    let lists = world.of("lists");
    assert_eq!(make(lists, &support(), r#"{"id":"x","org":"none"}"#).await.fault().1, "org");
    assert_eq!(make(lists, &support(), r#"{"id":"x","org":"one"}"#).await.status, 201);
}

#[tokio::test]
async fn no_reference_leads_out_of_a_tenant_whoever_makes_it() {
    let world = desk().await;
    let items = world.of("items");
    let elsewhere = |answer: &Answer| {
        assert_eq!(answer.fault(), (400, "list".into(), "reference".into()), "{}", answer.body);
        assert!(answer.message().ends_with("list: refers to an item of another tenant"), "{}", answer.body);
    };
    elsewhere(&make(items, &support(), r#"{"id":"a","org":"one","list":"two"}"#).await);
    elsewhere(&make(items, &support(), r#"[{"id":"a","org":"one","list":"two"}]"#).await);
    elsewhere(&ask(items, &support(), Method::PATCH, "/one", r#"{"list":"two"}"#).await);
    elsewhere(&ask(items, &support(), Method::PUT, "/one", r#"{"list":"two"}"#).await);
    elsewhere(&ask(items, &support(), Method::PUT, "", r#"[{"id":"one","list":"two"}]"#).await);
    let parent = ask(items, &support(), Method::PATCH, "/one", r#"{"parent":"two"}"#).await;
    assert_eq!(parent.fault(), (400, "parent".into(), "reference".into()), "{}", parent.body);
    let key = items.ask(Method::POST, "").header("idempotency-key", "k").with(support());
    elsewhere(&key.json(r#"{"id":"a","org":"one","list":"two"}"#).send().await);
    elsewhere(
        &ask(&world.under("lists", "two", "items", "list"), &support(), Method::POST, "", r#"{"id":"a","org":"one"}"#)
            .await,
    );
    for (method, target, body) in [
        (Method::POST, "", r#"{"id":"a","org":"one","list":"one","parent":"one"}"#),
        (Method::PATCH, "/one", r#"{"list":"one"}"#),
        (Method::PUT, "", r#"[{"id":"two","list":"two"}]"#),
    ] {
        let answer = ask(items, &support(), method, target, body).await;
        assert!(answer.status.is_success(), "{target}: {}", answer.body);
    }
    // Below a tenant, the path names it.
    let below = world.under("orgs", "two", "lists", "org");
    assert_eq!(ask(&below, &support(), Method::POST, "", r#"{"id":"y"}"#).await.json()["org"], "two");
    assert_eq!(ask(&below, &json!({"sub": "ann", "org": "one"}), Method::POST, "", r#"{"id":"w"}"#).await.status, 403);
}

#[test]
fn exceptions_name_callers_and_no_items() {
    let text = "access.except: `except` names callers, and a `where` is about items";
    for except in [
        "{ where: { title: open } }",
        "{ role: support, where: { title: open } }",
        "{ any: [ { role: a }, { all: [ { where: { org: $claims.other } } ] } ] }",
    ] {
        let yaml = format!(
            "store: main\naccess: {{ preset: tenant, field: org, claim: org, except: {except} }}\nfields: {{ org: {{ type: string, set: $claims.org }}, title: {{ type: string }} }}"
        );
        let spec: Resource = serde_yaml::from_str(&yaml).unwrap();
        let resources = crate::config::named::Named::default();
        let compiled = model::compile(
            ("notes", &spec),
            Others { resources: &resources, served: &Served::default() },
            Dialect::Sqlite,
            false,
        );
        let faults: Vec<_> =
            compiled.err().unwrap().iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
        assert_eq!(faults, [text], "{except}");
    }
}
