//! A part is taken away while the gateway runs, and nothing that was protected is served without it. Each case is shown to work
//! before. Key sets, expressions, Redis and authorization servers have such tests beside their own.

use crate::harness::{Answer, Gateway, HEAD, SECRET, command};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use rusqlite::Connection;
use serde_json::json;

fn bearer(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", encode(&Header::default(), claims, &key).unwrap())
}

/// A plugin that protects a route, its settings that cannot be used, and a request that it admits and one that it rejects.
struct Guard {
    name: &'static str,
    good: String,
    bad: &'static str,
    admitted: (&'static str, String),
    rejected: (&'static str, String),
}

const HTPASSWD: &str = "ada:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";

fn guards() -> Vec<Guard> {
    use base64::Engine;
    let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let claims =
        json!({ "iss": "idp", "aud": "shop", "sub": "u1", "role": "admin", "exp": get_current_timestamp() + 300 });
    let mut visitor = claims.clone();
    visitor["role"] = json!("visitor");
    let jwt = format!("jwt: {{ issuer: idp, audiences: [shop], algorithms: [HS256], secret: \"{SECRET}\" }}");
    vec![
        Guard {
            name: "login",
            good: jwt,
            bad: "jwt: { issuer: idp, audiences: [shop], algorithms: [HS256], secret: short }",
            admitted: ("authorization", bearer(&claims)),
            rejected: ("authorization", "Bearer a.b.c".to_owned()),
        },
        Guard {
            name: "admin",
            good: "authorize: { role: admin }".to_owned(),
            bad: "authorize: { cel: \"auth.claim.role == 'admin'\" }",
            admitted: ("authorization", bearer(&claims)),
            rejected: ("authorization", bearer(&visitor)),
        },
        Guard {
            name: "staff",
            good: "basic: { htpasswd_file: htpasswd }".to_owned(),
            bad: "basic: { htpasswd_file: no-such-file }",
            admitted: ("authorization", basic("ada:correct horse")),
            rejected: ("authorization", basic("ada:wrong")),
        },
        Guard {
            name: "partners",
            good: "api_key: { keys: { file: keys.yaml } }".to_owned(),
            bad: "api_key: { keys: { file: no-such-file } }",
            admitted: ("x-api-key", "a-key-for-tests-with-many-random-bits".to_owned()),
            rejected: ("x-api-key", "guess".to_owned()),
        },
        Guard {
            name: "office",
            good: "ip_filter: { allow: [10.0.0.0/8] }".to_owned(),
            bad: "ip_filter: { allow: [10.0.0.0/33] }",
            admitted: ("x-forwarded-for", "10.0.0.1".to_owned()),
            rejected: ("x-forwarded-for", "192.0.2.1".to_owned()),
        },
    ]
}

/// All guards, each in front of its own route. `edit` changes the settings of one, or removes it.
fn yaml(guards: &[Guard], edit: Option<(&str, Option<&str>)>) -> String {
    let mut plugins = String::new();
    let mut routes = String::new();
    for Guard { name, good, .. } in guards {
        let settings = match edit {
            Some((edited, settings)) if edited == *name => settings,
            _ => Some(good.as_str()),
        };
        plugins.extend(settings.map(|settings| format!("  {name}: {{ {settings} }}\n")));
        let chain = if *name == "admin" { "login, admin" } else { name };
        routes += &format!("  {name}: {{ path: /{name}, plugins: [{chain}], respond: {{ text: in }} }}\n");
    }
    let listeners = "listeners: { web: { address: \"127.0.0.1:0\", trusted_proxies: [127.0.0.1/32] } }";
    format!("{listeners}\nplugins:\n{plugins}routes:\n{routes}")
}

fn keys() -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest("a-key-for-tests-with-many-random-bits");
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("- {{ owner: acme, hash: \"sha256:{hash}\" }}\n")
}

fn start(yaml: &str) -> Gateway {
    let keys = keys();
    Gateway::start_in(&[("gateway.yaml", &format!("{HEAD}{yaml}")), ("htpasswd", HTPASSWD), ("keys.yaml", &keys)])
}

/// Every route admits and rejects what it should.
fn all_guarded(gateway: &Gateway, guards: &[Guard], when: &str) {
    for Guard { name, admitted, rejected, .. } in guards {
        let ask = |headers: &[(&str, &str)]| gateway.send("GET", &format!("/{name}"), headers, "").status;
        assert_eq!(ask(&[(admitted.0, &admitted.1)]), 200, "{name} {when}");
        for headers in [&[][..], &[(rejected.0, rejected.1.as_str())]] {
            let status = ask(headers);
            assert!(status == 401 || status == 403, "{name} {when}: {status}");
        }
    }
}

#[test]
fn a_route_whose_plugin_is_removed_or_cannot_be_built_is_never_open() {
    let guards = guards();
    let gateway = start(&yaml(&guards, None));
    all_guarded(&gateway, &guards, "at the start");
    let generation = gateway.generation();
    for Guard { name, bad, .. } in &guards {
        for settings in [None, Some(*bad), Some("no_such_type: {}"), Some("")] {
            let edited = yaml(&guards, Some((name, settings)));
            let when = format!("after an edit of {name} to {settings:?}");
            let refused = gateway.reload(&edited);
            assert_eq!(refused.status, 422, "{when}: {refused:?}");
            all_guarded(&gateway, &guards, &when);
            // Such a file does not start a gateway either.
            let mut run = command(gateway.folder());
            assert_eq!(run.args(["run", "gateway.yaml"]).output().unwrap().status.code(), Some(1), "{when}");
        }
    }
    for file in ["htpasswd", "keys.yaml"] {
        std::fs::remove_file(gateway.folder().join(file)).unwrap();
        assert_eq!(gateway.reload(&yaml(&guards, None)).status, 422, "without {file}");
        all_guarded(&gateway, &guards, &format!("without {file}"));
        std::fs::write(gateway.folder().join("htpasswd"), HTPASSWD).unwrap();
    }
    assert_eq!(gateway.generation(), generation);
    std::fs::write(gateway.folder().join("keys.yaml"), keys()).unwrap();
    let more = yaml(&guards, None) + "  more: { path: /more, respond: { text: more } }\n";
    assert_eq!((gateway.reload(&more).status, gateway.get("/more").status), (200, 200), "the good file is applied");
    all_guarded(&gateway, &guards, "in the end");
}

const USERS: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite://data/users.db" } }
plugins:
  login: { jwt: { issuer: here, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
resources:
  users:
    store: main
    access: { create: public, default: { where: { id: $claims.sub } } }
    fields:
      email: { type: email, required: true, unique: { ignore_case: true } }
      password: { type: password, required: true, min: 8 }
routes:
  sign-up: { path: /users, methods: [POST], resource: users }
  users: { path: /own, plugins: [login], resource: users }
  auth: { path: /auth, sign_in: { resource: users, token: { plugin: login } } }
"#;

#[test]
fn without_the_users_no_one_signs_in_and_nothing_of_them_is_served() {
    let gateway = Gateway::start(USERS);
    let account = json!({ "email": "ada@example.com", "password": "correct horse" });
    let made = gateway.json("POST", "/users", &account);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let tokens = |answer: &Answer| {
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (format!("Bearer {}", text("access_token")), text("refresh_token"))
    };
    let (access, first) = tokens(&gateway.json("POST", "/auth/login", &account));
    let get = |path: &str| gateway.send("GET", path, &[("authorization", &access)], "").status;
    let change = || {
        let body = json!({ "current_password": "correct horse", "new_password": "battery staple" }).to_string();
        let headers = [("authorization", access.as_str()), ("content-type", "application/json")];
        gateway.send("POST", "/auth/password", &headers, &body).status
    };
    let with = |path: &str, token: &str| gateway.json("POST", path, &json!({ "refresh_token": token })).status;
    let own = format!("/own/{id}");
    let (_, second) = tokens(&gateway.json("POST", "/auth/refresh", &json!({ "refresh_token": first })));
    assert_eq!([get(&own), get("/own"), get("/auth/me")], [200, 200, 200]);

    let file = gateway.folder().join("data/users.db");
    let database = Connection::open(file).unwrap();
    database
        .execute_batch("ALTER TABLE users RENAME TO kept; ALTER TABLE _gw_sessions RENAME TO kept_sessions")
        .unwrap();
    let login = |password: &str| {
        let body = json!({ "email": "ada@example.com", "password": password });
        gateway.json("POST", "/auth/login", &body).status
    };
    let without = [
        login("correct horse"),
        login("wrong password"),
        with("/auth/refresh", &second),
        with("/auth/logout", &second),
        change(),
        get(&own),
        get("/own"),
        get("/auth/me"),
    ];
    assert!(without.iter().all(|status| *status >= 500), "{without:?}");

    database
        .execute_batch("ALTER TABLE kept RENAME TO users; ALTER TABLE kept_sessions RENAME TO _gw_sessions")
        .unwrap();
    assert_eq!([login("correct horse"), login("wrong password"), get(&own)], [200, 401, 200]);
    assert_eq!([with("/auth/refresh", &second), change()], [200, 204]);
}
