//! The users API as shipped: what a person does with curl.

use crate::harness::{Gateway, SECRET, command};
use serde_json::{Value, json};

const LISTENER: &str = "listeners: { web: { address: \"127.0.0.1:0\", chain: edge } }\n";

/// The resource, route and plugins of `config/gateway.yaml`, on free ports.
fn shipped() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/gateway.yaml")).unwrap();
    let from = text.find("stores:").unwrap();
    format!("{LISTENER}{}", text[from..].replace("sqlite://../data/", "sqlite://data/"))
}

fn open() -> String {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/open-users.yaml")).unwrap();
    let from = text.find("stores:").unwrap();
    format!("listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n{}", &text[from..])
}

fn ada() -> Value {
    json!({ "email": "ada@example.com", "name": "Ada", "password": "password123" })
}

fn token(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = command(gateway.folder())
        .args(["token", "--config", "gateway.yaml"])
        .args(arguments)
        .env("JWT_SECRET", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_user_can_sign_up_change_and_be_deleted() {
    let gateway = Gateway::start(&open());
    let created = gateway.json("POST", "/api/users", &ada());
    assert_eq!(created.status, 201, "{created:?}");
    let user = created.json();
    let keys: Vec<_> = user.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "email", "name", "created_at"]);
    let location = created.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/api/users/{}", user["id"].as_str().unwrap()));

    assert_eq!(gateway.get(&location).json(), user);
    let listed = gateway.get("/api/users?page=1&per_page=10");
    assert_eq!((listed.json(), listed.header("x-total-count")), (json!([user]), Some("1")));

    let renamed = gateway.json("PUT", &location, &json!({ "name": "Ada Lovelace" }));
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Ada Lovelace")));
    assert_eq!(renamed.json()["email"], "ada@example.com");

    assert_eq!(gateway.send("DELETE", &location, &[], "").status, 204);
    assert_eq!(gateway.send("DELETE", &location, &[], "").status, 404);
}

#[test]
fn all_faults_of_a_body_are_reported_at_once() {
    let gateway = Gateway::start(&open());
    let answer = gateway.json("POST", "/api/users", &json!({ "email": "invalid", "name": "", "password": "short" }));
    assert_eq!(answer.status, 400);
    let body = answer.json();
    assert_eq!(body["error"], "validation_error");
    assert_eq!(
        body["message"],
        "email: Invalid email format, name: Name must be 1-100 characters, password: Password must be at least 8 characters"
    );
    assert_eq!(gateway.json("POST", "/api/users", &ada()).status, 201);
    let taken = gateway.json(
        "POST",
        "/api/users",
        &json!({ "email": "ADA@example.com", "name": "B", "password": "password123" }),
    );
    assert_eq!((taken.status, &taken.json()["message"]), (409, &json!("Email already registered")));
}

#[test]
fn the_shipped_file_lets_people_sign_up_and_see_themselves_only() {
    let gateway = Gateway::start(&shipped());
    let user = gateway.json("POST", "/api/users", &ada()).json();
    let other = json!({ "email": "bob@example.com", "name": "Bob", "password": "password123" });
    let other = gateway.json("POST", "/api/users", &other).json();
    let path = |user: &Value| format!("/api/users/{}", user["id"].as_str().unwrap());
    let ask = |path: &str, token: &str| gateway.send("GET", path, &[("authorization", &format!("Bearer {token}"))], "");

    let anonymous = gateway.get(&path(&user));
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Bearer")));
    let ada = token(&gateway, &["--sub", user["id"].as_str().unwrap()]);
    assert_eq!(ask(&path(&user), &ada).json(), user);
    assert_eq!(ask(&path(&other), &ada).status, 404);
    assert_eq!(ask("/api/users", &ada).status, 403);
    let admin = token(&gateway, &["--sub", "root", "--role", "admin"]);
    assert_eq!(ask("/api/users", &admin).json().as_array().unwrap().len(), 2);
    assert_eq!(ask("/api/users", "nonsense").status, 401);
}

#[test]
fn rows_and_new_fields_survive_an_edit() {
    let gateway = Gateway::start(&open());
    let user = gateway.json("POST", "/api/users", &ada()).json();
    let more = open().replace("      created_at:", "      city: { type: string, default: Paris }\n      created_at:");
    let reloaded = gateway.reload(&more);
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    let path = format!("/api/users/{}", user["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).json()["city"], "Paris");
    let narrowed = more.replace("city: { type: string, default: Paris }", "city: { type: integer }");
    let refused = gateway.reload(&narrowed);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("city"), "{refused:?}");
    assert_eq!(gateway.reload(&open()).status, 200);
    assert_eq!(gateway.get(&path).json(), user);
}

#[test]
fn rows_survive_a_restart_and_passwords_are_nowhere() {
    let mut gateway = Gateway::start(&open());
    let user = gateway
        .json("POST", "/api/users", &json!({ "email": "a@b.c", "name": "A", "password": "canary-password" }))
        .json();
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    assert!(!gateway.log().contains("canary-password"));
    for entry in std::fs::read_dir(gateway.folder().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(15).any(|window| window == b"canary-password"));
    }
    let again = Gateway::start(&format!(
        "stores: {{ main: {{ url: \"sqlite://{}\" }} }}\n{}",
        gateway.folder().join("data/open-users.db").display(),
        without_stores(&open())
    ));
    assert_eq!(again.get(&format!("/api/users/{}", user["id"].as_str().unwrap())).json(), user);
}

fn without_stores(yaml: &str) -> String {
    yaml.lines().filter(|line| !line.starts_with("stores:")).map(|line| format!("{line}\n")).collect()
}
