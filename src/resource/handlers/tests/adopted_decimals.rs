//! Columns of other programs whose type gives each value other digits than the field has.

use super::adopted::adopt;
use super::migrations::{empty, fields, migrate, planned, serve_on, sql};
use super::*;

/// A table with this column and these values, and why it cannot be adopted with the field.
async fn refusal(column: &str, values: &[&str], field: &str) -> (Arc<Store>, String, String) {
    let store = empty().await;
    sql(&store, &format!("CREATE TABLE items (id text PRIMARY KEY, price {column})")).await;
    for (id, value) in values.iter().enumerate() {
        sql(&store, &format!("INSERT INTO items VALUES ('i{id}', {value})")).await;
    }
    let mut refused = planned(&store, &yaml(field), &adopt()).await.unwrap_err();
    assert_eq!((refused.len(), refused[0].column.as_deref()), (1, Some("price")), "{refused:?}");
    let refused = refused.remove(0);
    (store, refused.message, refused.help)
}

fn yaml(field: &str) -> String {
    fields(&format!("  price: {{ type: decimal, {field} }}\n")).replace("access:", "id: { type: string }\naccess:")
}

/// The values after the table is taken.
async fn prices(store: &Arc<Store>, field: &str) -> Vec<Value> {
    migrate(store, &yaml(field), &adopt()).await;
    let api = serve_on(store, &yaml(field)).await.unwrap();
    api.get("?sort=id").await.rows().iter().map(|row| row["price"].clone()).collect()
}

#[tokio::test]
async fn a_type_with_other_digits_is_refused_with_what_works() {
    if postgres::server().is_none() {
        return;
    }
    let field = "precision: 12, scale: 2";
    let (store, message, help) = refusal("numeric(10,4)", &["1.5", "2.34567", "NULL"], field).await;
    let why =
        "its column `price` is numeric(10,4), so each value has 4 digits after the point, and its field has `scale: 2`";
    assert!(message.ends_with(why), "{message}");
    assert!(help.starts_with("write `scale: 4` at `price`; or run this on the database: ALTER TABLE"), "{help}");
    assert_eq!(prices(&store, "precision: 12, scale: 4").await, ["1.5000".into(), "2.3457".into(), Value::Null]);

    let (store, _, help) = refusal("numeric(10,4)", &["1.5", "2.34567"], field).await;
    let alter = "ALTER TABLE \"items\" ALTER COLUMN \"price\" TYPE numeric(8,2);";
    let see = "SELECT \"id\", \"price\" FROM \"items\" WHERE \"price\" <> round(\"price\", 2);";
    assert!(help.contains(&format!("{alter} it rounds values with more digits; to see them: {see}")), "{help}");
    sql(&store, see).await;
    sql(&store, alter).await;
    assert_eq!(prices(&store, field).await, ["1.50", "2.35"]);

    // With fewer digits nothing is rounded, and all digits before the point stay.
    let (store, _, help) = refusal("numeric(4,1)", &["999.5"], field).await;
    let alter = "ALTER TABLE \"items\" ALTER COLUMN \"price\" TYPE numeric(5,2);";
    assert_eq!(help, format!("write `scale: 1` at `price`; or run this on the database: {alter}"));
    sql(&store, alter).await;
    assert_eq!(prices(&store, field).await, ["999.50"]);

    let (_, _, help) = refusal("numeric(20,6)", &["1"], "precision: 4, scale: 2").await;
    assert!(help.starts_with("write `precision: 20` and `scale: 6` at `price`; or"), "{help}");
    let (_, _, help) = refusal("numeric(60,50)", &["1"], field).await;
    assert!(help.starts_with("run this on the database: ALTER TABLE"), "{help}");
}
