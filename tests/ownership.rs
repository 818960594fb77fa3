//! Items belong to the owner that a rule determines, whatever clients write to them.

use crate::harness::{Answer, Gateway, SECRET, command};
use serde_json::{Value, json};

const REST: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins:
  bearer: { jwt: { algorithms: [HS256], secret: "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu", issuer: here, audiences: [us] } }
chains: { edge: [bearer] }
stores: { main: { url: "sqlite::memory:" } }
resources:
  docs:
    store: main
    access: { default: { where: { owner: $claims.sub, tenant: $claims.tenant } } }
    fields:
      owner: { type: string, default: $claims.sub }
      tenant: { type: integer, default: $claims.tenant }
      name: { type: string }
routes: { docs: { path: /docs, resource: docs } }
"#;

struct Caller<'a> {
    gateway: &'a Gateway,
    token: String,
}

impl<'a> Caller<'a> {
    fn new(gateway: &'a Gateway, sub: &str, tenant: &str) -> Self {
        let claim = format!("tenant={tenant}");
        let output = command(gateway.folder())
            .args(["token", "--config", "gateway.yaml", "--sub", sub, "--claim", &claim])
            .env("JWT_SECRET", SECRET)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { gateway, token: String::from_utf8(output.stdout).unwrap().trim().to_owned() }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers = [("authorization", &*authorization), ("content-type", "application/json")];
        self.gateway.send(method, path, &headers, &body.to_string())
    }
}

#[test]
fn an_owner_cannot_transfer_an_item() {
    let gateway = Gateway::start(REST);
    let (ann, eve) = (Caller::new(&gateway, "ann", "7"), Caller::new(&gateway, "eve", "\"7\""));
    let made = ann.ask("POST", "/docs", &json!({ "name": "a" }));
    assert_eq!((made.status, &made.json()["owner"], &made.json()["tenant"]), (201, &json!("ann"), &json!(7)));
    let item = made.header("location").unwrap().to_owned();
    for change in
        [json!({ "owner": "eve" }), json!({ "tenant": 8 }), json!({ "owner": null }), json!({ "tenant": null })]
    {
        assert_eq!(ann.ask("PATCH", &item, &change).status, 403, "{change}");
        assert_eq!(ann.ask("PUT", &item, &change).status, 403, "{change}");
    }
    assert_eq!(ann.ask("POST", "/docs", &json!({ "owner": "eve" })).status, 403);
    assert_eq!(ann.ask("GET", &item, &json!({})).json(), made.json(), "nothing of it was written");
    assert_eq!(ann.ask("PATCH", &item, &json!({ "name": "b" })).status, 200);
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(eve.ask(method, &item, &json!({})).status, 404, "{method}");
    }
}
