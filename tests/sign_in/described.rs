//! Sign-in against its own description: what the gateway accepts and sends is what its OpenAPI document says.

use super::{PASSWORD, Site, plain};
use crate::harness::Answer;
use serde_json::{Value, json};

/// The fields that a description does not list: of the message, of caches and of every response of the gateway.
const OF_EVERY_RESPONSE: [&str; 8] = [
    "content-type",
    "content-length",
    "cache-control",
    "vary",
    "date",
    "x-request-id",
    "x-content-type-options",
    "connection",
];

struct Described(Value);

impl Described {
    fn by(site: &Site) -> Self {
        Self(site.0.get("/openapi.json").json())
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let path = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        path.map_or(value, |path| self.0.pointer(path).unwrap())
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        let mut root = schema.clone();
        root["components"] = self.0["components"].clone();
        gatewright_openapi::json_schema().build(&root).unwrap().is_valid(value)
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        operation
    }

    /// Whether a body is as described.
    fn takes(&self, path: &str, body: &Value) -> bool {
        self.is_valid(&self.operation("POST", path)["requestBody"]["content"]["application/json"]["schema"], body)
    }

    /// Panics if a response is not as described.
    fn check(&self, (method, path): (&str, &str), answer: &Answer) {
        let found = self.operation(method, path)["responses"].get(answer.status.to_string());
        let found = self.resolved(found.unwrap_or_else(|| panic!("{method} {path}: {answer:?} is not described")));
        let nothing = serde_json::Map::new();
        let fields = found.get("headers").and_then(Value::as_object).unwrap_or(&nothing);
        for (name, _) in answer.headers.iter().filter(|(name, _)| !OF_EVERY_RESPONSE.contains(&name.as_str())) {
            let is_described = fields.keys().any(|field| field.eq_ignore_ascii_case(name));
            assert!(is_described, "{method} {path}: the field {name} is not described");
        }
        let content = found.get("content");
        assert_eq!(content.is_none(), answer.body.is_empty(), "{method} {path}: {answer:?}");
        if let (Some(content), Some(media)) = (content, answer.header("content-type")) {
            let schema = &content.get(media).unwrap_or_else(|| panic!("{media} is not described"))["schema"];
            assert!(self.is_valid(schema, &answer.json()), "{method} {path}: {answer:?}");
        }
    }
}

fn site() -> Site {
    Site::start(&format!("{}  openapi: {{ path: /openapi.json, openapi: {{}} }}\n", plain()))
}

#[test]
fn each_body_of_a_sign_in_is_taken_as_described_and_each_response_is_described() {
    let site = site();
    site.sign_up("ada@example.com");
    let described = Described::by(&site);
    let session = || site.log_in("ada@example.com").refresh;
    let own = site.log_in("ada@example.com").access;
    let foreign = "eyJhbGciOiJIUzI1NiJ9.e30.bm8";
    let login = |password: Value| json!({ "email": "ada@example.com", "password": password });
    let change = |current: &str, new: Value| json!({ "current_password": current, "new_password": new });
    let valid = [
        ("login", login(PASSWORD.into()), 200),
        ("login", login("wrong password".into()), 401),
        ("login", json!({ "email": "", "password": "" }), 401),
        ("refresh", json!({ "refresh_token": session() }), 200),
        ("refresh", json!({ "refresh_token": "" }), 401),
        ("logout", json!({ "refresh_token": session() }), 204),
        ("logout", json!({ "refresh_token": "nonsense" }), 204),
        ("logout", json!({ "refresh_token": session(), "everywhere": false }), 204),
        ("logout", json!({ "refresh_token": "nonsense", "everywhere": true }), 401),
        ("logout", json!({ "refresh_token": session(), "everywhere": true }), 204),
        // The body is valid, the password is not that of the account.
        ("password", change("wrong password", "battery staple".into()), 400),
        ("password", change(PASSWORD, PASSWORD.into()), 204),
    ];
    let token = json!({ "refresh_token": "a" });
    let with = |name: &str, value: Value| {
        let mut body = token.clone();
        body[name] = value;
        body
    };
    let invalid = [
        ("login", json!({ "email": "ada@example.com" })),
        ("login", json!({ "email": 5, "password": PASSWORD })),
        ("login", login(Value::Null)),
        ("login", login("a\0".into())),
        ("login", login("x".repeat(1025).into())),
        ("login", json!({ "email": "a@b.c", "password": "x", "everywhere": true })),
        ("login", json!([])),
        ("refresh", json!({})),
        ("refresh", with("refresh_token", Value::Null)),
        ("refresh", with("everywhere", true.into())),
        ("logout", json!({})),
        ("logout", with("everywhere", "yes".into())),
        ("logout", with("everywhere", Value::Null)),
        ("logout", with("id", "a".into())),
        ("password", json!({ "new_password": "battery staple" })),
        ("password", change(PASSWORD, "short".into())),
        ("password", change(PASSWORD, "x".repeat(1025).into())),
        ("password", change(PASSWORD, Value::Null)),
    ];
    let all = valid.into_iter().map(|(name, body, status)| (name, body, status, true));
    for (name, body, status, fits) in all.chain(invalid.into_iter().map(|(name, body)| (name, body, 400, false))) {
        let path = format!("/auth/{name}");
        let answer = site.from("10.0.0.1", "POST", &path, (name == "password").then_some(&*own), &body);
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert_eq!(described.takes(&path, &body), fits, "{path} {body}");
        described.check(("POST", &path), &answer);
    }
    for token in [None, Some(foreign)] {
        let answer = site.from("10.0.0.1", "POST", "/auth/password", token, &change(PASSWORD, PASSWORD.into()));
        assert_eq!(answer.status, 401, "{answer:?}");
        described.check(("POST", "/auth/password"), &answer);
    }
}

#[test]
fn other_responses_of_a_sign_in_are_described() {
    let site = site();
    site.sign_up("ada@example.com");
    let described = Described::by(&site);
    let token = format!("Bearer {}", site.log_in("ada@example.com").access);
    let bearer = ("authorization", &*token);
    let first = site.0.send("GET", "/auth/me", &[bearer], "");
    let tag = first.header("etag").unwrap().to_owned();
    for (path, headers, status) in [
        ("/auth/me", &[bearer][..], 200),
        ("/auth/me?fields=id,name", &[bearer], 200),
        ("/auth/me?page=1", &[bearer], 400),
        ("/auth/me", &[bearer, ("if-none-match", &tag)], 304),
        ("/auth/me", &[bearer, ("if-match", "\"a\"")], 412),
        ("/auth/me", &[bearer, ("accept", "text/html")], 406),
        ("/auth/me", &[], 401),
        ("/auth/jwks.json", &[], 200),
    ] {
        let answer = site.0.send("GET", path, headers, "");
        assert_eq!(answer.status, status, "{path} {headers:?}: {answer:?}");
        described.check(("GET", path.split('?').next().unwrap()), &answer);
    }
    let json = ("content-type", "application/json");
    for name in ["login", "refresh", "logout", "password"] {
        let path = format!("/auth/{name}");
        for (query, headers, body, status) in [
            ("", &[bearer, ("content-type", "text/plain")][..], "{}".to_owned(), 415),
            ("", &[bearer, json, ("content-encoding", "gzip")], "{}".to_owned(), 415),
            ("", &[bearer, json, ("accept", "text/html")], "{}".to_owned(), 406),
            ("?everywhere=true", &[bearer, json], "{}".to_owned(), 400),
            ("", &[bearer, json], " ".repeat(17 * 1024), 413),
        ] {
            let answer = site.0.send("POST", &format!("{path}{query}"), headers, &body);
            assert_eq!(answer.status, status, "{path}{query} {headers:?}: {answer:?}");
            described.check(("POST", &path), &answer);
        }
    }
    let wrong = json!({ "email": "ada@example.com", "password": "wrong password" });
    let slowed = (0..11).map(|_| site.post("/auth/login", &wrong)).find(|answer| answer.status == 429);
    described.check(("POST", "/auth/login"), &slowed.expect("too many were wrong"));
}
