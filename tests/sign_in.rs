//! Sign-in: what honest users do with it, and thieves of tokens.

mod abuse;
mod accounts;
mod described;
mod guesses;
mod keys;
mod sessions;
mod shared;

use crate::harness::{Answer, Gateway, HEAD, send};
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse";

/// Users who sign in below `/auth`; `/me` needs a token. `SETTINGS` and `MORE` are settings of `sign_in` and fields of users.
const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", trusted_proxies: [127.0.0.1/32] } }
stores: { main: { url: "sqlite://data/users.db" } }
plugins:
  bearer: { jwt: { issuer: here, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
chains: { api: [bearer] }
resources:
  users:
    store: main
    access: { create: public, default: { where: { id: $claims.sub } } }
    fields:
      email: { type: email, required: true, unique: { ignore_case: true } }
      name: { type: string, required: true }
      password: { type: password, required: true, min: 8 }
      MORE
routes:
  sign-up: { path: /users, methods: [POST], resource: users }
  users: { path: /own, chain: api, resource: users }
  auth: { path: /auth, sign_in: { resource: users, token: { plugin: bearer, SETTINGS } } }
  me: { path: /me, chain: api, respond: { text: me } }
"#;

fn yaml(settings: &str, more: &str) -> String {
    YAML.replace("SETTINGS", settings).replace("MORE", more)
}

fn plain() -> String {
    yaml("ttl: 15m", "")
}

/// With metrics and the whole access log.
fn whole(yaml: &str) -> String {
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let head = head.replace("level: info", "level: info, access: { sample: 1.0 }");
    format!("{head}{yaml}")
}

/// A gateway with its users.
struct Site(Gateway);

/// A pair of tokens.
#[derive(Clone)]
struct Session {
    access: String,
    refresh: String,
}

impl Site {
    fn start(yaml: &str) -> Self {
        Self(Gateway::start_whole(&whole(yaml)))
    }

    /// A request from a client with this address.
    fn from(&self, client: &str, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("x-forwarded-for", client), ("content-type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.0.send(method, path, &headers, &body)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.from("10.0.0.1", "POST", path, None, body)
    }

    /// Signs up a user; returns the id.
    fn sign_up(&self, email: &str) -> String {
        let user = json!({ "email": email, "name": "Ada", "password": PASSWORD });
        let answer = self.post("/users", &user);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    fn log_in_as(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", &json!({ "email": email, "password": password }))
    }

    fn log_in(&self, email: &str) -> Session {
        let answer = self.log_in_as(email, PASSWORD);
        Session::of(&answer).unwrap_or_else(|| panic!("{answer:?}"))
    }

    fn refresh(&self, session: &Session) -> Answer {
        self.post("/auth/refresh", &json!({ "refresh_token": session.refresh }))
    }

    fn me(&self, token: &str) -> u16 {
        self.from("10.0.0.1", "GET", "/me", Some(token), &Value::Null).status
    }
}

impl Session {
    fn of(answer: &Answer) -> Option<Self> {
        let body = if answer.status == 200 { answer.json() } else { return None };
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Some(Self { access: text("access_token"), refresh: text("refresh_token") })
    }

    fn claims(&self) -> Value {
        use base64::Engine;
        let payload = self.access.split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[test]
fn from_sign_up_to_sign_out() {
    let site = Site::start(&plain());
    let id = site.sign_up("ada@example.com");
    let answer = site.log_in_as("ADA@Example.COM", PASSWORD);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let session = Session::of(&answer).unwrap();
    let claims = session.claims();
    assert_eq!((&claims["sub"], &claims["iss"], &claims["aud"]), (&json!(id), &json!("here"), &json!("api")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(site.me(&session.access), 200);
    assert_eq!(site.me(&session.refresh), 401, "a refresh token is no access token");
    let own = site.from("10.0.0.1", "GET", &format!("/own/{id}"), Some(&session.access), &Value::Null);
    assert_eq!(own.json()["email"], "ada@example.com");
    let me = site.from("10.0.0.1", "GET", "/auth/me", Some(&session.access), &Value::Null);
    assert_eq!((me.status, &me.body, me.header("cache-control")), (200, &own.body, Some("no-store")));
    assert_eq!(site.from("10.0.0.1", "GET", "/auth/me", None, &Value::Null).status, 401);
    assert_eq!(site.from("10.0.0.1", "GET", "/auth/me", Some(&session.refresh), &Value::Null).status, 401);

    let renewed = Session::of(&site.refresh(&session)).unwrap();
    assert_ne!(renewed.refresh, session.refresh);
    assert_eq!(renewed.claims()["sid"], claims["sid"]);
    assert_eq!(site.me(&renewed.access), 200);
    let out = site.post("/auth/logout", &json!({ "refresh_token": renewed.refresh }));
    assert_eq!((out.status, &*out.body), (204, ""));
    assert_eq!(site.refresh(&renewed).status, 401);
    // RFC 7009 section 2.2: a token that is not valid is no error.
    for token in [&*renewed.refresh, "nonsense", ""] {
        assert_eq!(site.post("/auth/logout", &json!({ "refresh_token": token })).status, 204);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_account_are_answered_alike() {
    let mut site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let mut answers = ["ada@example.com", "eve@example.com"].map(|email| site.log_in_as(email, "wrong password"));
    answers.iter_mut().for_each(|answer| answer.headers.retain(|(name, _)| name != "date" && name != "x-request-id"));
    let [known, unknown] = &answers;
    assert_eq!((known.status, &known.headers, &known.body), (401, &unknown.headers, &unknown.body));
    assert_eq!(known.json(), json!({ "error": "invalid_grant", "message": "Wrong email or password" }));
    assert_eq!(known.header("cache-control"), Some("no-store"));
    for reason in ["wrong_password", "unknown_account"] {
        site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == reason);
    }
}

#[test]
fn nobody_signs_in_by_a_name_that_two_accounts_have() {
    let mut site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    // The rule goes, and comes back after a second account was made.
    let loose = plain().replace(", unique: { ignore_case: true }", "");
    let loose: String =
        loose.lines().filter(|line| !line.starts_with("  auth:")).map(|line| format!("{line}\n")).collect();
    std::fs::write(site.0.file(), whole(&loose)).unwrap();
    let reloaded = site.0.admin("POST", "/reload");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    site.sign_up("Ada@example.com");
    site.sign_up("eve@example.com");
    std::fs::write(site.0.file(), whole(&plain())).unwrap();
    let reloaded = site.0.admin("POST", "/reload");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    site.0.wait_for_log(|line| line["code"] == "GW0638" && line["path"] == "resources.users.fields.email");
    for name in ["ada@example.com", "ADA@example.com"] {
        assert_eq!(site.log_in_as(name, PASSWORD).status, 401);
        site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "ambiguous_account");
    }
    site.log_in("eve@example.com");
    assert_eq!(site.refresh(&session).status, 200, "a session knows its account by the id");
}

#[test]
fn a_refresh_token_that_is_used_again_ends_its_session_and_no_other() {
    let mut site = Site::start(&plain());
    let id = site.sign_up("ada@example.com");
    let (stolen, other) = (site.log_in("ada@example.com"), site.log_in("ada@example.com"));
    let thief = Session::of(&site.refresh(&stolen)).unwrap();
    let thief = Session::of(&site.refresh(&thief)).unwrap();
    let reused = site.refresh(&stolen);
    assert_eq!((reused.status, &reused.json()["error"]), (401, &json!("invalid_grant")));
    let after = site.refresh(&thief);
    assert_eq!((after.status, &after.body), (401, &reused.body), "the thief has lost it, too");
    assert_eq!(site.refresh(&other).status, 200);
    let record = site.0.wait_for_log(|line| line["event"] == "refresh_token_reused");
    assert_eq!((&record["target"], &record["account"]), (&json!("gatewright::audit"), &json!(id)));
}

#[test]
fn tabs_that_refresh_at_once_may_keep_their_session() {
    let site = Site::start(&plain().replace("ttl: 15m }", "ttl: 15m }, refresh: { reuse_grace: 1m }"));
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let first = Session::of(&site.refresh(&session)).unwrap();
    assert_eq!(site.refresh(&session).status, 401, "a token still works only once");
    let second = Session::of(&site.refresh(&first)).unwrap();
    assert_eq!(site.refresh(&first).status, 401);
    assert_eq!(site.refresh(&second).status, 200);
}

#[test]
fn exactly_one_of_many_refreshes_succeeds() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let (start, address) = (std::sync::Barrier::new(50), site.0.address);
    let body = json!({ "refresh_token": session.refresh }).to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            send(address, "POST", "/auth/refresh", &[("content-type", "application/json")], &body).status
        };
        let asking: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 49, "{statuses:?}");
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let mut site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let (own, other) = (site.log_in("ada@example.com"), site.log_in("ada@example.com"));
    let change = |token: Option<&str>, current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        site.from("10.0.0.1", "POST", "/auth/password", token, &body)
    };
    assert_eq!(change(None, PASSWORD, "battery staple").status, 401);
    assert_eq!(change(Some(&own.refresh), PASSWORD, "battery staple").status, 401);
    let wrong = change(Some(&own.access), "wrong password", "battery staple");
    assert_eq!((wrong.status, &wrong.json()["details"][0]["field"]), (400, &json!("current_password")));
    let short = change(Some(&own.access), PASSWORD, "short");
    assert_eq!((short.status, &short.json()["details"][0]["field"]), (400, &json!("new_password")));
    assert_eq!(site.refresh(&other).status, 200, "nothing has happened yet");

    let other = site.log_in("ada@example.com");
    assert_eq!(change(Some(&own.access), PASSWORD, "battery staple").status, 204);
    assert_eq!(site.refresh(&other).status, 401);
    assert_eq!(site.refresh(&own).status, 200, "the session that changed it goes on");
    assert_eq!(site.log_in_as("ada@example.com", PASSWORD).status, 401);
    assert_eq!(site.log_in_as("ada@example.com", "battery staple").status, 200);
    let record = site.0.wait_for_log(|line| line["event"] == "password_changed");
    assert_eq!(record["sessions_ended"], 2);
}

#[test]
fn a_change_of_the_password_through_the_resource_and_a_deletion_end_sessions_too() {
    let site = Site::start(&plain());
    let id = site.sign_up("ada@example.com");
    let (own, other) = (site.log_in("ada@example.com"), site.log_in("ada@example.com"));
    let ask = |method: &str, session: &Session, body: &Value| {
        site.from("10.0.0.1", method, &format!("/own/{id}"), Some(&session.access), body).status
    };
    assert_eq!(ask("PATCH", &own, &json!({ "name": "Countess" })), 200);
    let other = Session::of(&site.refresh(&other)).unwrap();
    assert_eq!(ask("PATCH", &own, &json!({ "password": "battery staple" })), 200);
    assert_eq!(site.refresh(&other).status, 401);
    let own = Session::of(&site.refresh(&own)).unwrap();
    assert_eq!(ask("DELETE", &own, &Value::Null), 204);
    assert_eq!(site.refresh(&own).status, 401);
    assert_eq!(site.me(&own.access), 200, "an access token lives until it expires");
    assert_eq!(site.log_in_as("ada@example.com", "battery staple").status, 401);
}

#[test]
fn claims_come_from_fields_and_follow_them() {
    let more = "roles: { type: json, nullable: true }\n      level: { type: integer, default: 3 }\n      \
                vip: { type: boolean, default: true }\n      nick: { type: string }";
    let site = Site::start(&yaml("claims: { name: name, groups_of: roles, level: level, vip: vip, nick: nick }", more));
    let user = json!({ "email": "a@b.c", "name": "Ada", "password": PASSWORD, "roles": ["staff", "dev"] });
    let id = site.post("/users", &user).json()["id"].as_str().unwrap().to_owned();
    let session = site.log_in("a@b.c");
    let claims = session.claims();
    assert_eq!((&claims["name"], &claims["groups_of"]), (&json!("Ada"), &json!(["staff", "dev"])));
    assert_eq!((&claims["level"], &claims["vip"], claims.get("nick")), (&json!(3), &json!(true), None));
    let patch = site.from("10.0.0.1", "PATCH", &format!("/own/{id}"), Some(&session.access), &json!({ "nick": "Al" }));
    assert_eq!(patch.status, 200);
    assert_eq!(Session::of(&site.refresh(&session)).unwrap().claims()["nick"], "Al", "a refresh reads them again");
}

#[test]
fn an_expired_token_in_the_header_does_not_hinder_a_refresh() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let stale = Some("eyJhbGciOiJIUzI1NiJ9.e30.bm8");
    let body = json!({ "refresh_token": session.refresh });
    assert_eq!(site.from("10.0.0.1", "POST", "/auth/refresh", stale, &body).status, 200);
}

#[test]
fn a_resource_needs_no_route_of_its_own_and_ids_may_be_numbers() {
    let yaml = plain().replace("store: main\n    access", "store: main\n    id: { type: integer }\n    access");
    let site = Site::start(&yaml);
    assert_eq!(site.sign_up_number("ada@example.com"), 1);
    let session = site.log_in("ada@example.com");
    assert_eq!(session.claims()["sub"], "1");
    let body = json!({ "current_password": PASSWORD, "new_password": "battery staple" });
    assert_eq!(site.from("10.0.0.1", "POST", "/auth/password", Some(&session.access), &body).status, 204);
    let session = Session::of(&site.refresh(&session)).unwrap();
    let gone = yaml.lines().filter(|line| !line.starts_with("  sign-up:") && !line.starts_with("  users: { path"));
    let reloaded = site.0.reload(&gone.map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(site.refresh(&session).status, 200, "sessions survive a reload");
}

impl Site {
    fn sign_up_number(&self, email: &str) -> i64 {
        let user = json!({ "email": email, "name": "Ada", "password": PASSWORD });
        self.post("/users", &user).json()["id"].as_i64().unwrap()
    }
}
