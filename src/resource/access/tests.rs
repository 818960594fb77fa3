//! Rules mean the same in SQL and in memory, for every operator, every type, and rows with null.
use super::Columns;
use super::columns::Compared;
use crate::config::document::resource::{FilterOp, IdKind};
use crate::resource::dialect::Dialect;
use crate::resource::field_type::FieldType;
use crate::resource::model::{self, Model};
use crate::resource::operator::{OPERATORS, fits};
use crate::resource::predicate::{Column, Comparison, Predicate};
use crate::resource::store::{Decision, Param, Sql, Statement, Store};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const YAML: &str = r#"
store: main
id: { type: string }
access: { default: public }
fields:
  string: { type: string }
  folded: { type: string, lowercase: true, trim: true }
  text: { type: text }
  email: { type: email }
  uuid: { type: uuid }
  url: { type: url }
  integer: { type: integer }
  number: { type: number }
  decimal: { type: decimal, precision: 12, scale: 2 }
  boolean: { type: boolean }
  datetime: { type: datetime }
  date: { type: date }
  enum: { type: enum, values: [draft, Draft, published] }
  json: { type: json }
"#;

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let spec = serde_yaml::from_str(YAML).unwrap();
    Arc::new(model::alone("things", &spec, Dialect::Sqlite, false).unwrap_or_else(|faults| panic!("{faults:?}")))
});

/// Texts that are alike: parts of each other, of other cases, beyond ASCII, with what LIKE would read as wildcards.
fn texts() -> BoxedStrategy<Value> {
    let alike = proptest::sample::select(vec!["a", "A", "ab", "aB", "b", "ä", "", "a%", "a_", "\u{10FFFF}", "10", "9"]);
    prop_oneof![alike.prop_map(Value::from), "[a-bA-Bé\u{10FFFF}]{0,4}".prop_map(Value::from)].boxed()
}

fn picked<T: Clone + std::fmt::Debug + Into<Value> + 'static>(values: Vec<T>) -> BoxedStrategy<Value> {
    proptest::sample::select(values).prop_map(Into::into).boxed()
}

/// Values of a type as JSON; now and then null.
fn values(kind: &FieldType) -> BoxedStrategy<Value> {
    let value = match kind {
        FieldType::String | FieldType::Text | FieldType::Password => texts(),
        FieldType::Email => picked(vec!["a@x.com", "A@x.com", "ab@x.com", "a@x.org"]),
        FieldType::Uuid => {
            (0..4_u128).prop_map(|low| uuid::Uuid::from_u128(low << 60).to_string().to_uppercase().into()).boxed()
        }
        FieldType::Url => picked(vec!["https://a.example/", "https://a.example/b", "http://a.example/"]),
        FieldType::Integer => {
            prop_oneof![-2..3_i64, Just(9), Just(10), Just(i64::MIN), Just(i64::MAX)].prop_map_into().boxed()
        }
        FieldType::Number => picked(vec![-1.5, -0.0, 0.0, 1.0, 9.0, 10.0, 1e300, 5e-324]),
        FieldType::Decimal { .. } => {
            picked(vec!["200.00", "1000.00", "1000", "-1", "-0.00", "0", "0.1", "9999999999.99"])
        }
        FieldType::Boolean => any::<bool>().prop_map_into().boxed(),
        FieldType::Datetime => picked(vec![
            "2026-02-03T00:00:00Z",
            "2026-02-03T01:00:00+01:00",
            "2026-02-03T00:00:00.5Z",
            "2026-12-03T00:00:00Z",
            "1999-02-03T00:00:00Z",
        ]),
        FieldType::Date => picked(vec!["2026-02-03", "2026-12-03", "1999-02-03"]),
        FieldType::Enum(values) => picked(values.clone()),
        FieldType::Json(_) => proptest::sample::select(vec![json!({"a": 1}), json!([]), json!("x"), json!(1)]).boxed(),
    };
    prop_oneof![4 => value, 1 => Just(Value::Null)].boxed()
}

fn columns() -> Vec<Column> {
    std::iter::once(Column::Id).chain((0..MODEL.fields.len()).map(Column::Field)).collect()
}

fn compared(column: Column) -> Compared<'static> {
    Columns { id: IdKind::String, fields: &MODEL.fields }.get(column).unwrap()
}

/// Any rule that a file could give, by the function that reads the file.
fn comparisons() -> impl Strategy<Value = Predicate> {
    let pairs = columns().into_iter().flat_map(|column| OPERATORS.map(|operator| (column, operator)));
    let pairs: Vec<_> = pairs.filter(|(column, operator)| fits(*operator, compared(*column).kind())).collect();
    let wanted = proptest::sample::select(pairs).prop_flat_map(|(column, operator)| {
        let kind = compared(column).kind();
        let value = match operator {
            FilterOp::Null => any::<bool>().prop_map_into().boxed(),
            FilterOp::In => proptest::collection::vec(values(kind), 1..4).prop_map(Value::from).boxed(),
            FilterOp::Prefix | FilterOp::Contains => prop_oneof![texts(), values(kind)].boxed(),
            _ => values(kind),
        };
        (Just(column), Just(operator), value)
    });
    wanted.prop_filter_map("a value of the type", |(column, operator, value)| {
        let values = compared(column).constant(operator, &value).ok()?;
        Some(Predicate::Is(Comparison { column, operator, values, fold: false }))
    })
}

fn predicates() -> impl Strategy<Value = Predicate> {
    comparisons().prop_recursive(2, 8, 3, |inner| {
        let some = proptest::collection::vec(inner, 1..4);
        prop_oneof![some.clone().prop_map(Predicate::All), some.prop_map(Predicate::Any)]
    })
}

fn rows() -> impl Strategy<Value = Vec<Param>> {
    let fields: Vec<_> = MODEL.fields.iter().map(|field| values(&field.kind)).collect();
    fields.prop_map(|values| {
        let pairs = MODEL.fields.iter().zip(values);
        pairs.map(|(field, value)| if value.is_null() { Param::Null } else { field.stored(value).unwrap() }).collect()
    })
}

#[test]
fn sql_and_memory_agree_on_every_rule() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::new(&"sqlite::memory:".parse().unwrap()).unwrap();
    runtime.block_on(store.prepare(std::slice::from_ref(&MODEL.table))).unwrap();
    let ids = ["a", "B", "ab", "b~1"].map(|id| Param::Text(id.into()));
    let cases = (proptest::collection::vec(rows(), 4), proptest::collection::vec(predicates(), 12));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(96));
    let outcome = runner.run(&cases, |(rows, predicates)| {
        let ids = ids.clone();
        let deadline = Duration::from_secs(30);
        let mut statements = vec![Sql::new("DELETE FROM things", [])];
        statements.extend(ids.iter().zip(&rows).map(|(id, row)| MODEL.sql.insert(1, Some(id.clone()), row)));
        let decide = move |_| Decision::run(statements.clone(), ());
        runtime.block_on(store.write(deadline, Vec::new(), decide)).unwrap();
        for predicate in &predicates {
            for (id, row) in ids.iter().zip(&rows) {
                let Sql { text, parameters, .. } = MODEL.sql.read_where(id.clone(), predicate);
                let select = Statement { sql: text.into(), parameters, deadline };
                let found = runtime.block_on(store.query(select, |rows| Ok(rows.next()?.is_some()))).unwrap();
                prop_assert!(
                    found == predicate.holds(id, row, &[]),
                    "SQL says {found}: {predicate:?} of {id:?} {row:?}"
                );
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_table_of_the_test_has_every_type() {
    let kinds: std::collections::HashSet<_> =
        MODEL.fields.iter().map(|field| std::mem::discriminant(&field.kind)).collect();
    assert_eq!(kinds.len(), 13, "all but the password, which no rule compares");
}
