//! Lists that are sorted by decimals and booleans, and filters that compare decimals: exact with any number of digits.

use super::migrations::{command, empty, fields, migrate, serve_on, sql};
use super::*;
use crate::resource::dialect::Dialect;
use crate::resource::order::SortKey;
use crate::resource::predicate::Column;
use crate::resource::store::{Cell, Statement};
use std::time::Duration;

const PRICES: &str = r"
  price: { type: decimal, precision: 38, scale: 2, sort: true, index: true, filter: [eq, ne, in, lt, lte, gt, gte, 'null'] }
  sold: { type: boolean, sort: true, index: true }
";

/// In their order.
const VALUES: [&str; 20] = [
    "-999999999999999999999999999999999999.99",
    "-999999999999999999999999999999999999.98",
    "-9007199254740993.00",
    "-9007199254740992.99",
    "-100.00",
    "-20.10",
    "-20.01",
    "-3.00",
    "-0.10",
    "-0.09",
    "0.00",
    "0.01",
    "0.10",
    "3.00",
    "20.01",
    "100.00",
    "9007199254740992.99",
    "9007199254740993.00",
    "999999999999999999999999999999999999.98",
    "999999999999999999999999999999999999.99",
];

/// Items with these prices in another order, each twice, and two without one.
async fn priced() -> Api {
    let api = serve("items", &fields(PRICES)).await;
    for round in 0..2 {
        for at in 0..VALUES.len() {
            let price = VALUES[at * 7 % VALUES.len()];
            api.made(&format!(r#"{{"price":"{price}","sold":{}}}"#, (at + round) % 2 == 0)).await;
        }
        api.made("{}").await;
    }
    api
}

/// A field of all items, by cursors from page to page.
async fn walk(api: &Api, query: &str, field: &str) -> Vec<Value> {
    let (mut seen, mut target) = (Vec::new(), query.to_owned());
    loop {
        let answer = api.get(&target).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        seen.extend(answer.rows().iter().map(|row| row[field].clone()));
        match answer.link("next") {
            Some(next) => target = next,
            None => return seen,
        }
    }
}

#[tokio::test]
async fn decimals_are_sorted_by_their_value_and_null_comes_last() {
    let api = priced().await;
    let nulls = || [Value::Null, Value::Null].into_iter();
    let twice = |value: &&str| [Value::from(*value), Value::from(*value)];
    let upwards: Vec<Value> = VALUES.iter().flat_map(twice).chain(nulls()).collect();
    let downwards: Vec<Value> = VALUES.iter().rev().flat_map(twice).chain(nulls()).collect();
    for (sort, wanted) in [("price", &upwards), ("-price", &downwards), ("price,-id", &upwards)] {
        for size in [1, 5, 100] {
            assert_eq!(walk(&api, &format!("?sort={sort}&per_page={size}"), "price").await, *wanted, "{sort} {size}");
        }
        let (mut seen, mut page) = (Vec::new(), 1);
        while seen.len() < wanted.len() {
            let rows = api.get(&format!("?sort={sort}&per_page=5&page={page}")).await.rows();
            assert!(!rows.is_empty());
            seen.extend(rows.iter().map(|row| row["price"].clone()));
            page += 1;
        }
        assert_eq!(seen, *wanted, "{sort} by number");
    }
}

#[tokio::test]
async fn false_comes_before_true_and_null_last() {
    let api = priced().await;
    for (sort, first) in [("sold", false), ("-sold", true), ("sold,-price", false), ("-sold,price", true)] {
        let half = VALUES.len();
        let wanted = [vec![Value::from(first); half], vec![Value::from(!first); half], vec![Value::Null; 2]].concat();
        for size in [3, 7, 100] {
            assert_eq!(walk(&api, &format!("?sort={sort}&per_page={size}"), "sold").await, wanted, "{sort} {size}");
        }
    }
    // Within the same boolean, by the second key.
    let prices = walk(&api, "?sort=sold,price&per_page=3", "price").await;
    let of_one: Vec<Value> = VALUES.iter().map(|value| Value::from(*value)).collect();
    assert_eq!(prices[..of_one.len()], of_one);
}

#[tokio::test]
async fn filters_compare_decimals_by_their_value() {
    let api = priced().await;
    for (at, value) in VALUES.iter().enumerate() {
        for (operator, wanted) in [
            ("lt", &VALUES[..at]),
            ("lte", &VALUES[..=at]),
            ("gt", &VALUES[at + 1..]),
            ("gte", &VALUES[at..]),
            ("eq", &VALUES[at..=at]),
        ] {
            let query = format!("?sort=price&per_page=100&filter[price][{operator}]={value}");
            let found = walk(&api, &query, "price").await;
            let wanted: Vec<_> = wanted.iter().flat_map(|value| [*value, *value]).collect();
            assert_eq!(found, wanted, "{operator} {value}");
        }
    }
    // In any spelling.
    let some = walk(&api, "?sort=price&filter[price][gt]=-003.0&filter[price][lt]=0", "price").await;
    assert_eq!(some, ["-0.10", "-0.10", "-0.09", "-0.09"]);
    refused(
        &api.get("?filter[price][gt]=1e3").await,
        "filter[price]: must be a decimal as a string, with at most 38 digits, 2 of them after the point",
    );
    refused(&api.get("?filter[sold]=true").await, "filter[sold]: operator \"eq\" is not allowed");
}

#[tokio::test]
async fn an_index_has_the_order_of_decimals() {
    let api = priced().await;
    if api.store.dialect() != Dialect::Sqlite {
        return;
    }
    let model = compile("items", &fields(PRICES));
    let keys = [false, true].map(|descending| {
        let key = |column| SortKey { column, descending };
        [key(Column::Field(0)), key(Column::Id)]
    });
    for keys in keys {
        let page = model.sql.page(None, &[], &keys, 5, 0);
        let sql = format!("EXPLAIN QUERY PLAN {}", page.text).into();
        let explain = Statement { sql, parameters: page.parameters, deadline: Duration::from_secs(60) };
        let plan = api.store.query(explain, |rows| {
            let mut plan = String::new();
            while let Some(row) = rows.next()? {
                if let Cell::Text(text) = row.cell(3) {
                    plan.push_str(text);
                }
            }
            Ok(plan)
        });
        let plan = plan.await.unwrap();
        assert!(plan.contains("gwo_items.price"), "{plan}");
    }
}

#[tokio::test]
async fn an_index_of_decimals_follows_edits() {
    let store = empty().await;
    let is_sqlite = store.dialect() == Dialect::Sqlite;
    let plain = fields("  price: { type: decimal, precision: 9, scale: 2, index: true }\n");
    let sorted = plain.replace("index", "sort: true, index");
    serve_on(&store, &plain).await.unwrap().made(r#"{"price":"-1.50"}"#).await;
    let ordered: &[&str] = if is_sqlite { &["create index gwo_items.price"] } else { &[] };
    assert_eq!(migrate(&store, &sorted, &command()).await, ordered);
    for yaml in [&plain, &sorted, &plain.replace("index: true", "filter: [gt]"), &sorted] {
        let api = serve_on(&store, yaml).await.unwrap();
        api.made(r#"{"price":"-10.50"}"#).await;
    }
    // Renamed by the gateway, and by hand.
    let renamed = sorted.replace("price: {", "cost: { renamed_from: price,");
    migrate(&store, &renamed, &command()).await;
    serve_on(&store, &renamed).await.unwrap();
    sql(&store, "ALTER TABLE items RENAME COLUMN cost TO worth").await;
    let renamed = sorted.replace("price:", "worth:");
    let api = serve_on(&store, &renamed).await.unwrap();
    assert_eq!(api.get("?sort=-worth").await.rows()[0]["worth"], "-1.50");
    assert_eq!(migrate(&store, &renamed, &command()).await, [""; 0]);
}

#[tokio::test]
async fn integers_that_become_decimals_are_sorted_at_once() {
    let store = empty().await;
    let before = fields("  n: { type: integer, sort: true, index: true }\n");
    let api = serve_on(&store, &before).await.unwrap();
    for n in [10, -2, 9, -10] {
        api.made(&format!(r#"{{"n":{n}}}"#)).await;
    }
    let after = before.replace("integer,", "decimal, precision: 9, scale: 1,");
    migrate(&store, &after, &command()).await;
    let api = serve_on(&store, &after).await.unwrap();
    let rows = api.get("?sort=n").await.rows();
    let found: Vec<_> = rows.iter().map(|row| row["n"].as_str().unwrap()).collect();
    assert_eq!(found, ["-10.0", "-2.0", "9.0", "10.0"]);
    assert_eq!(migrate(&store, &after, &command()).await, [""; 0]);
}
