//! Deleted items that are kept, through the real program: routes, sign-in, reloads and copies.

use crate::harness::{Answer, Gateway, HEAD, command};
use crate::metrics::{Scraped, wait_for};
use serde_json::{Value, json};

const DESK: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "STORE" } }
resources:
  users:
    store: main
    access: { default: public }
    soft_delete: { keep: 90d }
    fields:
      email: { type: email, required: true, unique: { ignore_case: true } }
      password: { type: password, min: 8 }
  desks:
    store: main
    access: { default: public }
    soft_delete: true
    fields: { name: { type: string } }
  tickets:
    store: main
    access: { default: public }
    soft_delete: true
    fields:
      desk: { type: ref, to: desks, on_delete: cascade }
      title: { type: string }
plugins:
  login: { jwt: { issuer: shop, audiences: [shop], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
routes:
  users: { path: /users, resource: users }
  desks: { path: /desks, resource: desks }
  tickets: { path: /tickets, resource: tickets }
  desk-tickets: { path: "/desks/{desk}/tickets", resource: tickets, under: desk }
  auth: { path: /auth, sign_in: { resource: users, token: { plugin: login } } }
  openapi: { path: /openapi.json, openapi: {} }
"#;

fn desk(store: &str) -> String {
    DESK.replace("STORE", store)
}

fn made(gateway: &Gateway, path: &str, item: &Value) -> String {
    let answer = gateway.json("POST", path, item);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn send(gateway: &Gateway, method: &str, path: &str) -> Answer {
    gateway.send(method, path, &[], "")
}

fn count(gateway: &Gateway, path: &str) -> usize {
    gateway.get(path).json().as_array().unwrap().len()
}

#[test]
fn removals_that_fail_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desk.db");
    let yaml = format!(
        "{}{}",
        HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },"),
        desk(&format!("sqlite://{}", file.display()))
    );
    let runs = |of: &Scraped, table: &str, outcome: &str| {
        let labels = [("db_collection_name", table), ("gateway_outcome", outcome), ("gateway_store", "main")];
        of.sum("gateway_store_purges_total", &labels)
    };
    let gateway = Gateway::start_whole(&yaml);
    let user = made(&gateway, "/users", &json!({ "email": "ada@example.com" }));
    assert_eq!(send(&gateway, "DELETE", &format!("/users/{user}")).status, 204);
    wait_for(&gateway, |seen| {
        runs(seen, "_gw_deleted_users", "done") > 0.0 && runs(seen, "_gw_idempotency", "done") > 0.0
    });
    drop(gateway);
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute_batch(
            "UPDATE _gw_deleted_users SET deleted_at = '2020-01-01T00:00:00.000000Z';
             CREATE TRIGGER t BEFORE DELETE ON _gw_deleted_users BEGIN SELECT RAISE(IGNORE); END",
        )
        .unwrap();
    let gateway = Gateway::start_whole(&yaml);
    wait_for(&gateway, |seen| {
        runs(seen, "_gw_deleted_users", "failed") > 0.0 && runs(seen, "_gw_idempotency", "done") > 0.0
    });
}

#[test]
fn items_are_restored_by_every_path_that_leads_to_them() {
    let gateway = Gateway::start(&desk("sqlite::memory:"));
    let one = made(&gateway, "/desks", &json!({ "name": "one" }));
    let ticket = made(&gateway, &format!("/desks/{one}/tickets"), &json!({ "title": "x" }));
    for path in [format!("/tickets/{ticket}"), format!("/desks/{one}/tickets/{ticket}")] {
        assert_eq!(send(&gateway, "DELETE", &path).status, 204);
        assert_eq!(send(&gateway, "GET", &format!("{path}/restore")).status, 405);
        let back = send(&gateway, "POST", &format!("{path}/restore"));
        assert_eq!((back.status, &back.json()["title"]), (200, &json!("x")));
        assert!(back.header("etag").is_some());
        assert_eq!(send(&gateway, "POST", &format!("{path}/restore")).status, 404);
        assert_eq!(send(&gateway, "POST", &format!("{path}/other")).status, 404);
    }
    let below = format!("/desks/{one}/tickets");
    assert_eq!(send(&gateway, "DELETE", &format!("/tickets/{ticket}")).status, 204);
    assert_eq!((count(&gateway, &below), count(&gateway, &format!("{below}?deleted=only"))), (0, 1));
    let read = gateway.get(&format!("{below}/{ticket}?deleted=only"));
    assert!(read.json()["deleted_at"].is_string(), "{read:?}");
    assert_eq!(send(&gateway, "POST", &format!("/tickets/{ticket}/restore")).status, 200);
    assert_eq!(send(&gateway, "DELETE", &format!("/desks/{one}")).status, 204);
    assert_eq!(count(&gateway, "/tickets"), 0);
    assert_eq!(send(&gateway, "POST", &format!("/tickets/{ticket}/restore")).status, 409);
    assert_eq!(send(&gateway, "POST", &format!("/desks/{one}/restore")).status, 200);
    assert_eq!(count(&gateway, &below), 1);
    let minimal = gateway.send("DELETE", &format!("/tickets/{ticket}"), &[], "");
    assert_eq!(minimal.status, 204);
    let quiet = gateway.send("POST", &format!("/tickets/{ticket}/restore"), &[("prefer", "return=minimal")], "");
    assert_eq!((quiet.status, quiet.body.as_str()), (204, ""));
    // What is removed for good does not come back.
    for path in [format!("/desks/{one}/tickets/{ticket}"), format!("/desks/{one}")] {
        let for_good = format!("{path}?deleted=only");
        assert_eq!(send(&gateway, "DELETE", &for_good).status, 404, "it is not deleted");
        assert_eq!([&path, &for_good, &for_good].map(|path| send(&gateway, "DELETE", path).status), [204, 204, 404]);
        assert_eq!(send(&gateway, "POST", &format!("{path}/restore")).status, 404);
    }
}

#[test]
fn a_restore_is_described_and_explained() {
    let gateway = Gateway::start(&desk("sqlite::memory:"));
    let document = gateway.get("/openapi.json").json();
    let restore = &document["paths"]["/desks/{desk}/tickets/{id}/restore"]["post"];
    assert_eq!(restore["operationId"], "restoreTicketOfDesk", "{restore}");
    assert!(document["paths"]["/tickets/{id}/restore"]["post"]["responses"]["409"].is_object());
    let parameters = document["paths"]["/tickets"]["get"]["parameters"].as_array().unwrap();
    let deleted = parameters.iter().find(|parameter| parameter["name"] == "deleted").unwrap();
    assert_eq!(deleted["schema"]["enum"], json!(["only"]));
    let sort = parameters.iter().find(|parameter| parameter["name"] == "sort").unwrap();
    assert_eq!(sort["schema"]["items"]["enum"], json!(["id", "deleted_at", "-id", "-deleted_at"]));
    assert!(parameters.iter().any(|parameter| parameter["name"] == "filter[deleted_at][gte]"), "{parameters:?}");
    let own = document["paths"]["/auth/me"]["get"]["parameters"].as_array().unwrap();
    assert!(own.iter().all(|parameter| parameter["name"] != "deleted"), "{own:?}");
    let removal = &document["paths"]["/tickets/{id}"]["delete"];
    let parameters = removal["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "deleted"), "{removal}");
    let routes = command(gateway.folder()).args(["routes", "gateway.yaml"]).output().unwrap();
    let routes = String::from_utf8(routes.stdout).unwrap();
    assert!(routes.contains("/tickets[/{id}[/restore]]"), "{routes}");
    let explained =
        command(gateway.folder()).args(["explain", "POST", "/tickets/7/restore", "gateway.yaml"]).output().unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("`tickets`") && explained.contains("id = 7"), "{explained}");
    let explained = command(gateway.folder())
        .args(["explain", "DELETE", "/tickets/7?deleted=only", "gateway.yaml"])
        .output()
        .unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("delete: ") && explained.contains("restore: "), "{explained}");
}

#[test]
fn a_deleted_account_cannot_sign_in_until_it_is_restored() {
    let gateway = Gateway::start(&desk("sqlite::memory:"));
    let who = json!({ "email": "ada@example.com", "password": "correct horse" });
    let id = made(&gateway, "/users", &who);
    let session = gateway.json("POST", "/auth/login", &who);
    assert_eq!(session.status, 200, "{session:?}");
    let bearer = format!("Bearer {}", session.json()["access_token"].as_str().unwrap());
    assert_eq!(send(&gateway, "DELETE", &format!("/users/{id}")).status, 204);
    assert_eq!(gateway.json("POST", "/auth/login", &who).status, 401);
    let refresh = json!({ "refresh_token": session.json()["refresh_token"] });
    assert_eq!(gateway.json("POST", "/auth/refresh", &refresh).status, 401);
    assert_eq!(gateway.send("GET", "/auth/me", &[("authorization", &bearer)], "").status, 404);
    for query in ["deleted=only", "fields=id&deleted=only", "%64eleted=only"] {
        let own = gateway.send("GET", &format!("/auth/me?{query}"), &[("authorization", &bearer)], "");
        assert_eq!((own.status, &own.json()["message"]), (400, &json!("deleted: unknown parameter")), "{query}");
    }
    // Someone else takes the address, and gives it up again.
    let other = made(&gateway, "/users", &json!({ "email": "ADA@example.com" }));
    assert_eq!(send(&gateway, "POST", &format!("/users/{id}/restore")).status, 409);
    assert_eq!(send(&gateway, "DELETE", &format!("/users/{other}")).status, 204);
    assert_eq!(send(&gateway, "POST", &format!("/users/{id}/restore")).status, 200);
    assert_eq!(gateway.json("POST", "/auth/login", &who).status, 200);
    assert_eq!(gateway.json("POST", "/auth/refresh", &refresh).status, 401, "sessions ended with the delete");
}

#[test]
fn an_edit_that_removes_it_says_what_is_left() {
    let mut gateway = Gateway::start(&desk("sqlite://desk.db"));
    let id = made(&gateway, "/desks", &json!({ "name": "one" }));
    assert_eq!(send(&gateway, "DELETE", &format!("/desks/{id}")).status, 204);
    let without = desk("sqlite://desk.db").replace("    soft_delete: true\n", "");
    assert_eq!(gateway.reload(&without).status, 200);
    let warning = gateway.wait_for_log(|line| line.to_string().contains("cannot be restored"));
    let text = warning.to_string();
    assert!(text.contains("1 deleted item of `desks` cannot be restored, because it has no `soft_delete`"), "{text}");
    assert!(text.contains("_gw_deleted_desks"), "{text}");
    assert_eq!((count(&gateway, "/desks"), send(&gateway, "POST", &format!("/desks/{id}/restore")).status), (0, 404));
    let plan = command(gateway.folder()).args(["check", "gateway.yaml"]).output().unwrap();
    assert!(plan.status.success(), "{plan:?}");
    assert_eq!(gateway.reload(&desk("sqlite://desk.db")).status, 200);
    assert_eq!(send(&gateway, "POST", &format!("/desks/{id}/restore")).status, 200);
}

#[test]
fn deleted_items_are_copied_too() {
    let gateway = Gateway::start(&desk("sqlite://desk.db"));
    let one = made(&gateway, "/desks", &json!({ "name": "one" }));
    made(&gateway, "/tickets", &json!({ "desk": one, "title": "x" }));
    assert_eq!(send(&gateway, "DELETE", &format!("/desks/{one}")).status, 204);
    let (from, to) = (gateway.folder().join("desk.db"), gateway.folder().join("copy.db"));
    let (from, to) = (format!("sqlite://{}", from.display()), format!("sqlite://{}", to.display()));
    let copied =
        command(gateway.folder()).args(["db", "copy", "--format", "json", "--from", &from, "--to", &to]).output();
    let copied = copied.unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let copied: Value = serde_json::from_slice(&copied.stdout).unwrap();
    let tables: Vec<_> =
        copied["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(tables.iter().filter(|table| **table == "_gw_deleted_desks").count(), 1, "{tables:?}");
    let second = Gateway::start(&desk(&to));
    assert_eq!(send(&second, "POST", &format!("/desks/{one}/restore")).status, 200);
    assert_eq!(count(&second, "/tickets"), 1);
}
