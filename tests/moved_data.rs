//! Data that is backed up, restored and moved, through the real program: `gatewright db`.

mod adopted;
mod backups;
mod copies;
mod decimals;
mod left_out;
pub mod server;

use crate::harness::{Answer, Gateway, command};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

/// The configuration of these tests. `STORE` is the URL of the store, `MORE` are fields of people.
const SHOP: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "STORE" } }
resources:
  people:
    store: main
    access: { default: public }
    fields:
      email: { type: email, required: true, unique: { ignore_case: true } }
      password: { type: password, min: 8 }
      born: { type: date }
      height: { type: number }
      married: { type: boolean, default: false }
      balance: { type: decimal, precision: 12, scale: 2 }
      extra: { type: json }
      parent: { type: uuid }
      created_at: { type: datetime, set: on_create, sort: true }
      MORE
  tickets:
    store: main
    id: { type: integer }
    access: { default: public }
    fields: { title: { type: string, required: true } }
plugins:
  login: { jwt: { issuer: shop, audiences: [shop], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
routes:
  people: { path: /people, resource: people }
  tickets: { path: /tickets, resource: tickets }
  auth: { path: /auth, sign_in: { resource: people, token: { plugin: login } } }
"#;

fn shop(url: &str) -> String {
    shop_with(url, "")
}

fn shop_with(url: &str, more: &str) -> String {
    SHOP.replace("STORE", url).replace("MORE", more)
}

fn person(number: u32) -> Value {
    json!({
        "email": format!("p{number}@example.com"), "born": "1969-12-31", "height": 1.25 * f64::from(number), "balance": "12.50",
        "extra": { "b": [1, null, "ü"], "a": 1e3 }, "parent": "01890000-0000-7000-8000-000000000000",
    })
}

fn made(gateway: &Gateway, path: &str, item: &Value) -> Answer {
    let answer = gateway.json("POST", path, item);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// `gatewright db …` in the folder.
fn db(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).arg("db").args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A command that succeeds.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = db(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    out(&output)
}

/// A command that fails; what it prints about the reason.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = db(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    err(&output)
}

fn stopped(mut gateway: Gateway) {
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
}
