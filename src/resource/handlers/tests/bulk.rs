//! Row C28 and its kin: several items in one request.

use super::*;
use futures_util::future::join_all;
use serde_json::json;

const PRODUCTS: &str = r#"
store: main
access: { default: public }
put: merge
bulk: { create: true, upsert: sku, max: 50 }
pagination: { per_page: 100 }
fields:
  sku: { type: string, required: true, unique: { ignore_case: true, message: "SKU is taken" }, sort: true }
  name: { type: string, required: true, max: 20 }
  stock: { type: integer, min: 0, default: 0 }
  labels: { type: json }
"#;

async fn products() -> Api {
    serve("products", PRODUCTS).await
}

fn product(sku: impl std::fmt::Display) -> Value {
    json!({ "sku": sku.to_string(), "name": "a" })
}

impl Api {
    async fn create(&self, items: &Value) -> Answer {
        self.post(&items.to_string()).await
    }

    async fn upsert(&self, items: &Value) -> Answer {
        self.ask(Method::PUT, "").json(&items.to_string()).send().await
    }

    async fn one_by_one(&self, method: Method, items: &Value) -> Answer {
        let answer = self.ask(method, "").json(&items.to_string()).header("prefer", "handling=lenient").send().await;
        assert_eq!((answer.status.as_u16(), &*answer.header("preference-applied")), (207, "handling=lenient"));
        answer
    }

    async fn total(&self) -> u64 {
        self.get("").await.header("x-total-count").parse().unwrap()
    }
}

fn statuses(answer: &Answer) -> Vec<u64> {
    answer.json().as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn c28_a_list_is_created_in_order() {
    let api = products().await;
    let items: Value = (0..50).map(product).collect();
    let created = api.create(&items).await;
    assert_eq!((created.status.as_u16(), &*created.header("location"), &*created.header("etag")), (201, "", ""));
    let rows = created.json();
    for (at, row) in rows.as_array().unwrap().iter().enumerate() {
        assert_eq!((&row["sku"], &row["stock"]), (&json!(at.to_string()), &json!(0)));
        let read = api.get(&format!("/{}", row["id"].as_str().unwrap())).await;
        assert_eq!(read.json(), *row);
    }
    assert_eq!(api.total().await, 50);
    let nothing = api.create(&json!([])).await;
    assert_eq!((nothing.status.as_u16(), &*nothing.body), (201, "[]"));
    // One item is still one item.
    assert_eq!(api.create(&product("one")).await.status, 201);
    let minimal = api.ask(Method::POST, "").json(&json!([product("m")]).to_string()).header("prefer", "return=minimal");
    let minimal = minimal.send().await;
    assert_eq!((minimal.status.as_u16(), &*minimal.body), (201, ""));
}

#[tokio::test]
async fn c28_a_list_with_a_fault_creates_nothing() {
    let api = products().await;
    api.create(&product("old")).await;
    let long = "x".repeat(21);
    let bad = api.create(&json!([product(1), { "sku": "2" }, 5, { "sku": "3", "name": long, "nmae": 1 }])).await;
    assert_eq!(bad.status, 400);
    assert_eq!(
        bad.message(),
        "[1].name: is required, [2]: must be a JSON object, [3].name: must be at most 20 characters, \
         [3].nmae: unknown field, did you mean \"name\"?"
    );
    let details = bad.json()["details"].clone();
    let indexes: Vec<_> = details.as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [1, 2, 3, 3]);
    // Taken by a row, in another case, and by an item of the list itself.
    let taken = api.create(&json!([product(1), product("OLD"), product(2)])).await;
    assert_eq!((taken.status.as_u16(), taken.message()), (409, "[1].sku: SKU is taken".to_owned()));
    assert_eq!(taken.json()["details"][0]["index"], 1);
    let twice = api.create(&json!([product("a"), product(2), product("A")])).await;
    assert_eq!((twice.status.as_u16(), twice.message()), (409, "[2].sku: SKU is taken".to_owned()));
    let many = api.create(&(0..51).map(product).collect()).await;
    assert_eq!((many.status.as_u16(), many.message()), (413, "Request has more than 50 items".to_owned()));
    let repeated = api.post(r#"[{"sku":"1","name":"a","name":"b"}]"#).await;
    assert_eq!((repeated.status.as_u16(), repeated.message()), (400, "[0].name: duplicate key".to_owned()));
    for broken in ["[", "[{", "[{}", "[{},", "[]]", "[] x", "[,]"] {
        assert_eq!(api.post(broken).await.status, 400, "{broken}");
    }
    assert_eq!(api.total().await, 1);
}

#[tokio::test]
async fn a_list_is_no_item_where_bulk_is_off() {
    let api = serve("products", &PRODUCTS.replace("bulk: { create: true, upsert: sku, max: 50 }\n", "")).await;
    let answer = api.create(&json!([product(1)])).await;
    assert_eq!((answer.status.as_u16(), answer.message()), (400, "body: must be a JSON object".to_owned()));
    let answer = api.upsert(&json!([product(1)])).await;
    assert_eq!((answer.status.as_u16(), &*answer.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
}

#[tokio::test]
async fn one_by_one_each_item_has_its_own_outcome() {
    let api = products().await;
    api.create(&product("old")).await;
    let items = json!([product(1), product("OLD"), { "sku": "2" }, 7, product(1), product(3)]);
    let answer = api.one_by_one(Method::POST, &items).await;
    assert_eq!(statuses(&answer), [201, 409, 400, 400, 409, 201]);
    let outcomes = answer.json();
    let first = &outcomes[0];
    let read = api.ask(Method::GET, "").send().await.json();
    let stored = read.as_array().unwrap().iter().find(|row| row["sku"] == "1").unwrap();
    assert_eq!(first["item"], *stored);
    let item = api.get(&format!("/{}", stored["id"].as_str().unwrap())).await;
    assert_eq!(
        (&first["location"], &first["etag"]),
        (&json!(format!("/api/products/{}", stored["id"].as_str().unwrap())), &json!(item.header("etag")))
    );
    assert_eq!((&outcomes[1]["error"], &outcomes[1]["message"]), (&json!("conflict"), &json!("SKU is taken")));
    assert_eq!(outcomes[2]["details"][0], json!({ "field": "name", "code": "required", "message": "is required" }));
    assert_eq!(api.total().await, 3);
}

#[tokio::test]
async fn a_list_with_a_key_is_created_once() {
    let api = products().await;
    let items = json!([product(1), product(2)]).to_string();
    let ask = async |body: &str, prefer: &str| {
        api.ask(Method::POST, "").json(body).header("idempotency-key", "k").header("prefer", prefer).send().await
    };
    let first = ask(&items, "").await;
    // What a key stands for is done completely or not at all.
    let again = ask(&items, "handling=lenient").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!((&first.body, &*again.header("idempotency-replayed")), (&again.body, "true"));
    assert_eq!((&*again.header("location"), &*again.header("etag")), ("", ""));
    assert_eq!(ask(&json!([product(1)]).to_string(), "").await.status, 422);
    assert_eq!(ask(&product(1).to_string(), "").await.status, 422);
    assert_eq!(api.total().await, 2);
    let counted = serve("counted", "store: main\nid: { type: integer }\nbulk: { create: true }\naccess: { default: public }\nfields: { a: { type: string } }").await;
    let ids = counted.create(&json!([{ "a": "x" }, { "a": "y" }])).await.json();
    assert_eq!(ids, json!([{ "id": 1, "a": "x" }, { "id": 2, "a": "y" }]));
    let keyed = counted.ask(Method::POST, "").json("[{}]").header("idempotency-key", "k").send().await;
    assert_eq!(keyed.status, 400);
}

#[tokio::test]
async fn an_upsert_changes_what_is_there_and_creates_the_rest() {
    let api = products().await;
    let old = api.create(&json!({ "sku": "Old", "name": "before", "stock": 7, "labels": { "a": 1, "b": 2 } })).await;
    let (old, tag) = (old.json(), old.header("etag"));
    let item = format!("/{}", old["id"].as_str().unwrap());
    let items = json!([
        { "sku": "new", "name": "n", "labels": { "x": null, "y": 1 } },
        { "sku": "Old", "name": "after", "labels": { "a": null } },
    ]);
    let answer = api.upsert(&items).await;
    assert_eq!(answer.status, 200);
    let rows = answer.json();
    assert_eq!((&rows[0]["labels"], &rows[0]["stock"]), (&json!({ "y": 1 }), &json!(0)));
    assert_eq!((&rows[1]["id"], &rows[1]["name"], &rows[1]["stock"]), (&old["id"], &json!("after"), &json!(7)));
    assert_eq!(rows[1]["labels"], json!({ "b": 2 }));
    let read = api.get(&item).await;
    assert_eq!(read.json(), rows[1]);
    assert_ne!(read.header("etag"), tag);
    // The same once more changes nothing; neither does a value in another case create a second item.
    assert_eq!(api.upsert(&items).await.json(), rows);
    assert_eq!(api.get(&item).await.header("etag"), read.header("etag"));
    assert_eq!(api.upsert(&json!([{ "sku": "OLD" }])).await.json()[0]["id"], old["id"]);
    assert_eq!(api.total().await, 2);
    // A new item is complete, and all or nothing holds.
    let bad = api.upsert(&json!([{ "sku": "OLD", "stock": 1 }, { "sku": "x" }, { "name": "y" }])).await;
    assert_eq!((bad.status.as_u16(), bad.message()), (400, "[2].sku: is required".to_owned()));
    let bad = api.upsert(&json!([{ "sku": "OLD", "stock": 1 }, { "sku": "x" }])).await;
    assert_eq!((bad.status.as_u16(), bad.message()), (400, "[1].name: is required".to_owned()));
    assert_eq!(api.get(&item).await.json()["stock"], 7);
    let twice = api.upsert(&json!([product("a"), product("A")])).await;
    assert_eq!(
        (twice.status.as_u16(), twice.message()),
        (400, "[1].sku: is the value of an earlier item of the list".to_owned())
    );
    let answer =
        api.one_by_one(Method::PUT, &json!([{ "sku": "old", "stock": 3 }, { "sku": "x" }, product("y")])).await;
    assert_eq!(statuses(&answer), [200, 400, 201]);
    assert_eq!(answer.json()[0]["item"]["stock"], 3);
    for (body, status) in [("", 400), ("{}", 400), ("[", 400), ("[]", 200)] {
        assert_eq!(api.ask(Method::PUT, "").json(body).send().await.status, status, "{body}");
    }
    let listed = api.get("").await.header("etag");
    let matched = api.ask(Method::PUT, "").json("[]").header("if-match", &listed).send().await;
    assert_eq!(matched.status, 412);
}

#[tokio::test]
async fn an_upsert_by_id_replaces_as_put_does() {
    let yaml = "store: main\nid: { type: string }\nbulk: { upsert: id }\naccess: { default: public }\n\
                fields: { a: { type: string, required: true }, b: { type: integer, default: 1 } }";
    let api = serve("things", yaml).await;
    let answer = api.upsert(&json!([{ "id": "x", "a": "1", "b": 5 }, { "id": "y", "a": "2" }])).await;
    assert_eq!(answer.json(), json!([{ "id": "x", "a": "1", "b": 5 }, { "id": "y", "a": "2", "b": 1 }]));
    let answer = api.upsert(&json!([{ "id": "x", "a": "3" }])).await;
    assert_eq!(answer.json(), json!([{ "id": "x", "a": "3", "b": 1 }]));
    let bad = api.upsert(&json!([{ "a": "3" }, { "id": "a b", "a": "3" }, { "id": "z" }])).await;
    assert_eq!(
        bad.message(),
        "[0].id: is required, [1].id: must be 1-64 of the characters A-Z a-z 0-9 . _ ~ -, [2].a: is required"
    );
}

#[tokio::test]
async fn rules_hold_for_each_item_of_a_list() {
    let yaml = r#"
store: main
bulk: { create: true, upsert: name }
put: merge
access: { list: public, read: public, create: { where: { owner: $claims.sub } }, update: { where: { owner: $claims.sub } }, delete: none }
fields:
  name: { type: string, required: true, unique: true }
  owner: { type: string, required: true }
  text: { type: string }
"#;
    let api = serve("notes", yaml).await;
    let ask = async |method: Method, who: &str, body: Value| {
        api.ask(method, "").json(&body.to_string()).with(json!({ "sub": who })).send().await
    };
    let of = |name: &str, owner: &str| json!({ "name": name, "owner": owner });
    assert_eq!(api.create(&json!([of("a", "ann")])).await.status, 401);
    assert_eq!(ask(Method::POST, "ann", json!([of("a", "ann"), of("b", "bob")])).await.status, 403);
    assert_eq!(api.total().await, 0);
    assert_eq!(ask(Method::POST, "ann", json!([of("a", "ann")])).await.status, 201);
    // The item of someone else is not changed, not taken over and not given away.
    assert_eq!(ask(Method::PUT, "bob", json!([{ "name": "a", "owner": "bob", "text": "x" }])).await.status, 409);
    assert_eq!(ask(Method::PUT, "ann", json!([{ "name": "a", "owner": "bob" }])).await.status, 403);
    assert_eq!(ask(Method::PUT, "bob", json!([of("c", "ann")])).await.status, 403);
    assert_eq!(ask(Method::PUT, "ann", json!([{ "name": "a", "text": "mine" }])).await.status, 200);
    let lenient = api.ask(Method::POST, "").json(&json!([of("d", "bob"), of("e", "ann")]).to_string());
    let lenient = lenient.with(json!({ "sub": "bob" })).header("prefer", "handling=lenient").send().await;
    assert_eq!(statuses(&lenient), [201, 403]);
}

#[tokio::test]
async fn concurrent_upserts_of_the_same_items_make_each_once() {
    let api = products().await;
    for round in 0..10 {
        let tasks = (0..16).map(|task| {
            let mut items: Vec<Value> =
                (0..20).map(|at| json!({ "sku": format!("{round} {at}"), "name": "a", "stock": task })).collect();
            fastrand::shuffle(&mut items);
            let (api, sent) = (&api, items.clone());
            async move { (sent, api.upsert(&Value::from(items)).await) }
        });
        for (sent, answer) in join_all(tasks).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
            let skus = |items: &[Value]| items.iter().map(|item| item["sku"].clone()).collect::<Vec<_>>();
            assert_eq!(skus(&answer.rows()), skus(&sent), "in the order of the list");
        }
        assert_eq!(api.total().await, (round + 1) * 20);
        let page = api.get("?sort=-sku").await.json();
        let rows = page.as_array().unwrap().iter();
        let last: Vec<_> = rows.filter(|row| row["sku"].as_str().unwrap().starts_with(&format!("{round} "))).collect();
        // One request wrote all of them.
        assert!(last.iter().all(|row| row["stock"] == last[0]["stock"]), "{last:?}");
    }
}

#[tokio::test]
async fn concurrent_lists_of_the_same_new_items_are_created_once() {
    let api = products().await;
    for round in 0..10 {
        let tasks = (0..16).map(|_| {
            let mut items: Vec<Value> = (0..20).map(|at| product(format!("{round} {at}"))).collect();
            fastrand::shuffle(&mut items);
            let api = &api;
            async move { api.create(&Value::from(items)).await.status.as_u16() }
        });
        let statuses = join_all(tasks).await;
        let count = |status| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(201), count(409)), (1, 15), "{statuses:?}");
        assert_eq!(api.total().await, (round + 1) * 20);
    }
}

#[tokio::test]
async fn conflicts_of_an_upsert_name_the_item() {
    let yaml = "store: main\nid: { type: string }\nput: merge\nbulk: { upsert: id }\naccess: { default: public }\n\
                fields: { u: { type: string, unique: true }, n: { type: string, unique: true } }";
    let api = serve("things", yaml).await;
    api.upsert(&json!([{ "id": "old", "u": "taken" }])).await;
    for (items, message) in [
        (json!([{ "id": "b" }, { "id": "a", "u": "taken" }]), "[1].u: is already taken"),
        (json!([{ "id": "b", "u": "x" }, { "id": "a", "u": "x" }]), "[1].u: is already taken"),
    ] {
        let answer = api.upsert(&items).await;
        let found = (answer.status.as_u16(), answer.json()["details"][0]["index"].as_u64());
        assert_eq!(found, (409, Some(1)), "{message}: {}", answer.body);
        assert!(answer.message().starts_with("[1].u: "), "{}", answer.message());
    }
    assert_eq!(api.upsert(&json!([{ "id": "old", "u": "taken", "n": "1" }])).await.status, 200);
}

#[tokio::test]
async fn an_item_of_a_list_is_judged_as_one_that_is_sent_by_itself() {
    let api = products().await;
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, single, listed) in [(31, 201, 201), (32, 400, 400)] {
        let item = |sku: &str| format!(r#"{{"sku":"{sku}","name":"x","labels":{}}}"#, nested(levels));
        assert_eq!(api.post(&item("a")).await.status, single);
        assert_eq!(api.post(&format!("[{}]", item("b"))).await.status, listed);
    }
    let null = api.upsert(&json!([{ "sku": null, "name": "x" }])).await;
    assert_eq!(null.message(), "[0].sku: must not be null");
    let answer = api.one_by_one(Method::POST, &json!([1])).await;
    assert_eq!(answer.json()[0]["message"], "must be a JSON object");
}

#[test]
fn what_bulk_cannot_do_is_said_at_its_line() {
    let faults = |from: &str, to: &str| {
        let yaml = PRODUCTS.replace(from, to);
        let spec: Resource = serde_yaml::from_str(&yaml).unwrap();
        let faults = model::alone("products", &spec, Dialect::Sqlite, false).err().unwrap_or_default();
        faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>()
    };
    let upsert = "upsert: sku";
    assert_eq!(
        faults(upsert, "upsert: id"),
        ["bulk.upsert: clients do not choose the ids of this resource, so an upsert cannot know items by `id`"]
    );
    assert_eq!(
        faults("store: main", "store: main\nid: { type: string }"),
        ["bulk.upsert: clients choose the ids of this resource, and an upsert by `sku` has none for new items"]
    );
    assert_eq!(faults(upsert, "upsert: nmae"), ["bulk.upsert: `upsert` names `nmae`, which is not a field"]);
    assert_eq!(
        faults(upsert, "upsert: name"),
        ["bulk.upsert: `name` is not unique, so an upsert cannot know items by it"]
    );
    assert_eq!(faults("max: 50", "max: 0"), ["bulk.max: `max` must be between 1 and 10000"]);
    assert_eq!(
        faults("put: merge", "put: none"),
        ["bulk.upsert: `bulk.upsert` needs the operations `create` and `update`, and a `put` that is not `none`"]
    );
    assert_eq!(
        faults("put: merge", "concurrency: required"),
        ["bulk.upsert: a list has no entity tags of its items, which `concurrency: required` demands for each change"]
    );
    assert_eq!(
        faults("max: 20 }", "max: 20, accept_on: [create] }"),
        ["bulk.upsert: an upsert does both, and `name` is accepted on create but not on update"]
    );
    assert_eq!(
        faults("  labels:", "  word: { type: password }\n  labels:"),
        ["bulk.upsert: `bulk.upsert` is not available with the password `word`: a list must not replace it"]
    );
    assert_eq!(faults("put: merge", "operations: [list]").len(), 2);
    assert_eq!(faults("put: merge", "id: { type: integer }\nidempotency: { required: true }").len(), 1);
    assert_eq!(
        faults("ignore_case: true, message: \"SKU is taken\"", "with: [name]"),
        ["bulk.upsert: `sku` is not unique by itself, so an upsert cannot know items by it"]
    );
}
