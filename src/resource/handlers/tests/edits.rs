//! Edits of the document, and putting the old one back.

use super::described::Described;
use super::*;
use crate::resource::store::RefusedTable;
use proptest::prelude::*;

/// The API of a document on a store that may have served another one.
async fn serve_on(store: &Arc<Store>, yaml: &str) -> Result<Api, Vec<RefusedTable>> {
    let model = compile("items", yaml);
    store.prepare(std::slice::from_ref(&model.table)).await?;
    let (path, described) = ("/api/items".to_owned(), Described::nothing());
    let statements = Statements::new(store, "main", &model.table.name);
    let service = super::super::items(&super::super::api(
        Arc::new(model),
        Arc::clone(store),
        Arc::new(Hasher::new()),
        Arc::new(statements),
        &[],
    ));
    Ok(Api { service, store: Arc::clone(store), path, fixed: Vec::new(), described })
}

fn with_fields(fields: &str) -> String {
    format!("store: main\naccess: {{ default: public }}\nfields:\n{fields}")
}

async fn empty() -> Arc<Store> {
    Arc::new(Store::new(&url().await.parse().unwrap()).unwrap())
}

/// Serves `before`, makes an item, serves `between`, tries to make `meanwhile`, puts `before` back; the items then.
async fn there_and_back(before: &str, item: &str, between: &str, meanwhile: &[&str]) -> Option<Vec<Value>> {
    let store = empty().await;
    let first = serve_on(&store, before).await.unwrap();
    first.made(item).await;
    let rows = first.get("?sort=id").await.rows();
    let second = serve_on(&store, between).await.ok()?;
    for body in meanwhile {
        second.made(body).await;
    }
    let again = serve_on(&store, before).await.unwrap_or_else(|refused| panic!("cannot be taken back: {refused:?}"));
    let after = again.get("?sort=id").await.rows();
    assert_eq!(after[0], rows[0], "an item reads differently");
    Some(after)
}

#[tokio::test]
async fn a_unique_field_can_be_taken_out_and_put_back() {
    let with = with_fields("  a: { type: string }\n  code: { type: string, unique: true }\n");
    let without = with_fields("  a: { type: string }\n");
    let item = r#"{"a":"1","code":"x"}"#;
    let items = there_and_back(&with, item, &without, &[r#"{"a":"2"}"#, r#"{"a":"3"}"#]).await;
    assert_eq!(items.unwrap().len(), 3);
}

#[tokio::test]
async fn a_unique_rule_can_be_taken_out_and_put_back_even_when_items_are_equal_by_now() {
    for rule in ["unique: true", "unique: { ignore_case: true }", "unique: { with: [a] }"] {
        let with = with_fields(&format!("  a: {{ type: string }}\n  code: {{ type: string, {rule} }}\n"));
        let without = with_fields("  a: { type: string }\n  code: { type: string }\n");
        let item = r#"{"a":"1","code":"x"}"#;
        assert_eq!(there_and_back(&with, item, &without, &[item, item]).await.unwrap().len(), 3, "{rule}");
    }
    let with = with_fields("  code: { type: string, unique: true }\n");
    let store = empty().await;
    let item = r#"{"code":"x"}"#;
    serve_on(&store, &with).await.unwrap().made(item).await;
    serve_on(&store, &with.replace(", unique: true", "")).await.unwrap().made(item).await;
    let again = serve_on(&store, &with).await.unwrap();
    assert_eq!(again.post(item).await.status, 409);
    let (other, _) = again.made(r#"{"code":"y"}"#).await;
    assert_eq!(again.patch(&other, item).await.status, 409);
    assert_eq!(again.patch(&other, r#"{"code":"z"}"#).await.status, 200);
}

#[tokio::test]
async fn a_required_field_is_not_taken_out_at_once_and_never_served_as_null() {
    let with = with_fields("  a: { type: string }\n  name: { type: string, required: true }\n");
    let optional = with.replace(", required: true", "");
    let without = with_fields("  a: { type: string }\n");
    let item = r#"{"a":"1","name":"x"}"#;
    assert_eq!(there_and_back(&with, item, &without, &[r#"{"a":"2"}"#]).await, None);
    let store = empty().await;
    for yaml in [&with, &optional, &without, &optional, &with] {
        let api = serve_on(&store, yaml).await.unwrap();
        if yaml == &with {
            api.made(item).await;
        }
    }
    assert!(serve_on(&store, &optional).await.is_ok());
    serve_on(&store, &without).await.unwrap().made(r#"{"a":"2"}"#).await;
    let refused = serve_on(&store, &with).await.err().unwrap();
    assert!(refused[0].message.contains("some items may not have it"), "{refused:?}");
    let default = with.replace("required: true", "required: true, default: none");
    let items = there_and_back(&default, item, &without, &[r#"{"a":"2"}"#]).await.unwrap();
    assert_eq!(items[1]["name"], "none");
}

#[tokio::test]
async fn a_field_is_not_required_of_items_that_have_none() {
    let store = empty().await;
    let optional = with_fields("  name: { type: string }\n");
    let required = optional.replace("string }", "string, required: true }");
    let api = serve_on(&store, &optional).await.unwrap();
    let (id, _) = api.made("{}").await;
    let refused = serve_on(&store, &required).await.err().unwrap();
    assert_eq!(refused[0].column.as_deref(), Some("name"));
    assert_eq!(api.patch(&id, r#"{"name":"x"}"#).await.status, 200);
    let api = serve_on(&store, &required).await.unwrap();
    assert_eq!(api.get("").await.rows()[0]["name"], "x");
    // The other way round the items may have none by then, and the old document comes back all the same.
    serve_on(&store, &optional).await.unwrap().made("{}").await;
    assert!(serve_on(&store, &required).await.is_ok());
}

#[tokio::test]
async fn a_field_with_nulls_does_not_become_one_that_must_have_a_value() {
    let store = empty().await;
    let loose = with_fields("  a: { type: string }\n");
    let api = serve_on(&store, &loose).await.unwrap();
    api.made("{}").await;
    for strict in [
        "  a: { type: string, nullable: false, default: k }\n",
        "  a: { type: string }\n  at: { type: datetime, default: now, nullable: false }\n",
    ] {
        let refused = serve_on(&store, &with_fields(strict)).await.err().unwrap();
        assert!(refused[0].message.contains("is required, but"), "{refused:?}");
    }
    let constant = "  a: { type: string }\n  b: { type: string, nullable: false, default: k }\n";
    assert_eq!(serve_on(&store, &with_fields(constant)).await.unwrap().get("").await.rows()[0]["b"], "k");
}

#[tokio::test]
async fn other_edits_are_refused_or_can_be_taken_back() {
    let before = with_fields("  a: { type: string, max: 9, filter: [eq] }\n  n: { type: integer }\n");
    let item = r#"{"a":"long word","n":1}"#;
    for (between, meanwhile) in [
        ("  a: { type: string, max: 3 }\n  n: { type: integer }\n", r#"{"a":"abc"}"#),
        ("  b: { type: string }\n  n: { type: integer }\n", r#"{"b":"renamed"}"#),
        ("  a: { type: integer }\n  n: { type: integer }\n", r#"{"a":1}"#),
        ("  a: { type: password }\n  n: { type: integer }\n", r#"{"a":"password"}"#),
        ("  a: { type: text }\n  n: { type: integer, required: true }\n", r#"{"n":2}"#),
        ("  n: { type: integer, unique: true }\n", r#"{"n":2}"#),
        ("  n: { type: number }\n", r#"{"n":2}"#),
        ("  a: { type: string, index: true, default: x }\n  m: { type: json }\n", r#"{"m":{}}"#),
    ] {
        there_and_back(&before, item, &with_fields(between), &[meanwhile]).await;
    }
}

#[tokio::test]
async fn the_form_of_stored_values_does_not_change() {
    let string = "{ type: string, unique: true }";
    for (before, between, value, told) in [
        (
            string,
            "{ type: string, unique: true, lowercase: true }",
            "ABC",
            "stored as they were sent; with `lowercase: true` they",
        ),
        ("{ type: string, lowercase: true }", string, "ABC", "stored with `lowercase: true`; without it they"),
        ("{ type: string }", "{ type: text, trim: true }", " a", "stored as they were sent; with `trim: true` they"),
        ("{ type: string }", "{ type: email }", "A@B.c", "stored as they were sent; with `type: email` they"),
        ("{ type: email }", "{ type: string }", "A@B.c", "stored with `type: email`; without it they"),
        ("{ type: email }", "{ type: email, lowercase: true }", "A@B.c", "with `type: email`, `lowercase: true` they"),
        (
            "{ type: decimal, precision: 10, scale: 2 }",
            "{ type: decimal, precision: 10, scale: 4 }",
            "1.5",
            "stored with `scale: 2`; with `scale: 4` they",
        ),
        (
            "{ type: string, default: Ann }",
            "{ type: string, lowercase: true, default: ann }",
            "",
            "with `lowercase: true`",
        ),
    ] {
        let yaml = |field: &str| with_fields(&format!("  v: {field}\n"));
        let item = if value.is_empty() { "{}".to_owned() } else { format!(r#"{{"v":"{value}"}}"#) };
        let store = empty().await;
        let api = serve_on(&store, &yaml(before)).await.unwrap();
        let empty = serve_on(&store, &yaml(between)).await;
        assert_eq!(empty.is_err(), before.contains("default"), "{between}");
        assert!(serve_on(&store, &yaml(before)).await.is_ok(), "{before}");
        api.made(&item).await;
        let rows = api.get("").await.rows();
        let refused = serve_on(&store, &yaml(between)).await.err().unwrap();
        assert_eq!(refused[0].column.as_deref(), Some("v"));
        assert!(refused[0].message.contains(told), "{}", refused[0].message);
        // Nor by way of a document without the field.
        serve_on(&store, &with_fields("  w: { type: string }\n")).await.unwrap();
        assert!(serve_on(&store, &yaml(between)).await.is_err());
        let again = serve_on(&store, &yaml(before)).await.unwrap();
        assert_eq!(again.get("").await.rows(), rows);
    }
    // A rule is not a form.
    let decimal = with_fields("  v: { type: decimal, precision: 10, scale: 2 }\n");
    let narrower = decimal.replace("precision: 10", "precision: 5");
    assert!(there_and_back(&decimal, r#"{"v":"1234567.50"}"#, &narrower, &[r#"{"v":"123.4"}"#]).await.is_some());
}

/// A field of a document: its type and its rules.
fn field(name: &'static str) -> impl Strategy<Value = String> {
    let unique = prop_oneof![
        4 => Just(""),
        2 => Just(", unique: true"),
        1 => Just(", unique: { ignore_case: true }"),
        1 => Just(", index: true"),
    ];
    let typed = prop_oneof![4 => Just(("string", "\"d\"")), 1 => Just(("integer", "7"))];
    let form = prop_oneof![3 => Just(""), 1 => Just(", lowercase: true")];
    (typed, any::<bool>(), unique, form, 0..4_u8, 0..5_u8).prop_map(
        move |((kind, value), required, unique, form, default, there)| {
            if there == 0 {
                return String::new();
            }
            let unique = if kind == "integer" && unique.contains("case") { "" } else { unique };
            let form = if kind == "integer" { "" } else { form };
            let default = if default == 0 { format!(", default: {value}") } else { String::new() };
            format!("  {name}: {{ type: {kind}, required: {required}{form}{unique}{default} }}\n")
        },
    )
}

fn document() -> impl Strategy<Value = String> {
    (field("a"), field("b"), field("c"))
        .prop_map(|(a, b, c)| with_fields(&format!("{a}{b}{c}  z: {{ type: string }}\n")))
}

/// A value for each field, in each of its types, from so few that some are equal; `None` is not sent.
type Written = [Option<u8>; 3];

fn body(yaml: &str, values: Written) -> String {
    let mut fields = Vec::new();
    for (name, value) in ["a", "b", "c"].iter().zip(values) {
        let Some(line) = yaml.lines().find(|line| line.starts_with(&format!("  {name}:"))) else { continue };
        let value = value.or_else(|| line.contains("required: true").then_some(9));
        if let Some(value) = value {
            let value = if line.contains("integer") {
                value.to_string()
            } else {
                format!("\"{}\"", ["x", "X", "y"][usize::from(value % 3)])
            };
            fields.push(format!("\"{name}\":{value}"));
        }
    }
    format!("{{{}}}", fields.join(","))
}

/// The fields of a document that have a key.
fn with_key(yaml: &str, key: &str) -> Vec<&'static str> {
    let has = |name: &&str| yaml.lines().any(|line| line.starts_with(&format!("  {name}:")) && line.contains(key));
    ["a", "b", "c"].into_iter().filter(has).collect()
}

async fn edit_and_undo(first: String, edits: Vec<(String, Vec<Written>, bool)>) {
    let store = empty().await;
    let mut yaml = first;
    let mut api = serve_on(&store, &yaml).await.unwrap();
    api.post(&body(&yaml, [Some(0), Some(1), Some(2)])).await;
    for (next, writes, undo) in edits {
        let before = api.get("?per_page=100").await.rows();
        let Ok(edited) = serve_on(&store, &next).await else {
            assert!(serve_on(&store, &yaml).await.is_ok(), "a refused edit changed something\n{yaml}\n{next}");
            assert_eq!(api.get("?per_page=100").await.rows(), before);
            continue;
        };
        for values in writes {
            let answer = edited.post(&body(&next, values)).await;
            assert!([201, 409].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
        }
        if !undo {
            (yaml, api) = (next, edited);
            continue;
        }
        api = serve_on(&store, &yaml).await.unwrap_or_else(|refused| panic!("{refused:?}\n{yaml}\n{next}"));
        let after = api.get("?per_page=100").await.rows();
        for row in &before {
            assert!(after.contains(row), "{row} reads differently\n{yaml}\n{next}");
        }
        for row in &after {
            for name in with_key(&yaml, "lowercase: true") {
                let value = row[name].as_str().unwrap_or_default();
                assert_eq!(value, value.to_lowercase(), "{name} of {row} would not be found\n{yaml}\n{next}");
            }
        }
        for row in after.iter().filter(|row| !before.contains(row)) {
            for name in
                with_key(&yaml, "required: true").into_iter().filter(|name| !next.contains(&format!("  {name}:")))
            {
                assert!(!row[name].is_null(), "{name} of {row} is null\n{yaml}\n{next}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_accepted_edit_can_be_undone_and_no_item_reads_differently(
        first in document(),
        edits in prop::collection::vec(
            (document(), prop::collection::vec(any::<Written>(), 0..4), any::<bool>()), 1..8)
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(edit_and_undo(first, edits));
    }
}

#[tokio::test]
async fn a_field_with_a_default_can_be_made_optional_then_taken_out_and_come_back_each_time() {
    let first = with_fields("  c: { type: string, required: true, default: \"d\" }\n  z: { type: string }\n");
    let optional = with_fields("  c: { type: string, required: false }\n  z: { type: string }\n");
    let without = with_fields("  z: { type: string }\n");
    edit_and_undo(first, vec![(optional, vec![[None, None, None]], true), (without, vec![], true)]).await;
}
