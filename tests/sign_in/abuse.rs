//! Requests that are not as they should be.

use super::{PASSWORD, Session, Site, plain};
use serde_json::{Value, json};

#[test]
fn each_address_takes_its_method_and_its_body_only() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let right = json!({ "email": "ada@example.com", "password": PASSWORD }).to_string();
    let send = |method: &str, path: &str, kind: &str, body: &str| {
        site.0.send(method, path, &[("content-type", kind), ("x-forwarded-for", "10.0.0.1")], body)
    };
    const JSON: &str = "application/json";
    for path in ["/auth/login", "/auth/refresh", "/auth/logout", "/auth/password"] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = send(method, path, JSON, "");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, OPTIONS")), "{method} {path}");
        }
        assert_eq!(send("OPTIONS", path, JSON, "").header("allow"), Some("POST, OPTIONS"));
    }
    for path in ["/auth/me", "/auth/jwks.json"] {
        let answer = send("POST", path, JSON, "{}");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{path}");
    }
    for path in ["/auth", "/auth/", "/auth/other", "/auth/login/", "/auth/login/x", "/auth/LOGIN"] {
        assert_eq!(send("POST", path, JSON, &right).status, 404, "{path}");
    }
    // A page of another site can send forms and texts, but no JSON.
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""] {
        assert_eq!(send("POST", "/auth/login", kind, &right).status, 415, "{kind}");
    }
    let query = format!("/auth/login?email=ada@example.com&password={}", PASSWORD.replace(' ', "%20"));
    assert_eq!(send("POST", &query, JSON, &right).status, 400, "secrets do not belong in an address");
    assert_eq!(send("POST", "/auth/login", JSON, &right).status, 200);
    assert_eq!(send("POST", "/auth/%6Cogin", JSON, &right).status, 200, "another spelling of the same path");
}

#[test]
fn malformed_bodies_are_rejected_with_all_reasons() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let (email, right) = ("ada@example.com", PASSWORD);
    for (body, message) in [
        (json!({}), "email: is required, password: is required"),
        (json!({ "email": email }), "password: is required"),
        (json!({ "email": null, "password": 1 }), "email: must not be null, password: must be a string"),
        (json!({ "email": { "$gt": "" }, "password": [right] }), "email: must be a string, password: must be a string"),
        (json!({ "email": email, "password": right, "role": "admin" }), "role: unknown field"),
        (json!({ "email": email, "password": right, "id": "1" }), "id: unknown field"),
        (json!({ "email": email, "password": format!("{right}\0") }), "password: must not contain NUL"),
        (json!({ "email": email, "password": "x".repeat(1025) }), "password: must be at most 1024 bytes"),
        (json!([email, right]), "body: must be a JSON object"),
    ] {
        let answer = site.post("/auth/login", &body);
        assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(message)), "{body}");
        assert!(!answer.body.contains(right), "{body}");
    }
    let twice = site.0.send(
        "POST",
        "/auth/login",
        &[("content-type", "application/json")],
        r#"{"email":"a@b.c","email":"ada@example.com","password":"x"}"#,
    );
    assert_eq!((twice.status, twice.json()["message"].as_str()), (400, Some("email: duplicate key")));
    assert_eq!(site.post("/auth/login", &json!({ "email": "x".repeat(20_000), "password": right })).status, 413);
    for email in ["", "ada", "ada@example.com' OR '1'='1", "%", "ada@example.com ", "ａda@example.com"] {
        assert_eq!(site.log_in_as(email, right).status, 401, "{email:?}");
    }
    for password in ["", "correct hors", "correct horse ", "Correct horse"] {
        assert_eq!(site.log_in_as("ada@example.com", password).status, 401, "{password:?}");
    }
}

#[test]
fn a_refresh_token_cannot_be_made_up() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let flipped = |at: usize| {
        let mut text = session.refresh.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    // The id of the session is known from access tokens, and its proof and secret are not: these change another id or proof.
    for token in ["", "x", &session.access, &flipped(0), &flipped(25), &"A".repeat(86), &".".repeat(5000)] {
        let answer = site.post("/auth/refresh", &json!({ "refresh_token": token }));
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_grant")), "{token}");
    }
    let session = Session::of(&site.refresh(&session)).expect("none of them has ended the session");
    let out = site.post("/auth/logout", &json!({ "refresh_token": flipped(25) }));
    assert_eq!(out.status, 204);
    assert_eq!(site.refresh(&session).status, 200, "nor signed it out");
}

#[test]
fn tokens_of_another_table_or_gateway_are_unknown() {
    let two = plain()
        .replace("resources:\n  users:", "resources:\n  staff:\n    store: main\n    access: { default: public }\n    fields:\n      email: { type: email, unique: true }\n      password: { type: password }\n  users:")
        .replace("routes:\n", "routes:\n  staff-up: { path: /staff, resource: staff }\n  staff: { path: /in, sign_in: { resource: staff, token: { plugin: staff-bearer } } }\n")
        .replace("plugins:\n", "plugins:\n  staff-bearer: { jwt: { issuer: staff, audiences: [api], algorithms: [HS256], secret: \"${env.JWT_SECRET}\" } }\n");
    let site = Site::start(&two);
    site.sign_up("ada@example.com");
    let user = json!({ "email": "ada@example.com", "password": PASSWORD });
    assert_eq!(site.post("/staff", &user).status, 201);
    let staff = Session::of(&site.post("/in/login", &user)).unwrap();
    assert_eq!(site.refresh(&staff).status, 401);
    assert_eq!(site.post("/in/refresh", &json!({ "refresh_token": staff.refresh })).status, 200);
}

#[test]
fn old_passwords_that_are_too_short_by_now_still_work() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let reloaded = site.0.reload(&plain().replace("min: 8", "min: 20"));
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(site.log_in_as("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn no_secret_is_written_anywhere() {
    let mut site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let next = Session::of(&site.refresh(&session)).unwrap();
    site.log_in_as("ada@example.com", "a-wrong-password-as-canary");
    let body = json!({ "current_password": PASSWORD, "new_password": "a-new-password-as-canary" });
    assert_eq!(site.from("10.0.0.1", "POST", "/auth/password", Some(&next.access), &body).status, 204);
    let metrics = site.0.admin("GET", "/metrics").body;
    for line in [
        "gateway_sign_in_attempts_total{gateway_resource=\"users\",gateway_outcome=\"failed\"} 1",
        "gateway_sign_in_attempts_total{gateway_resource=\"users\",gateway_outcome=\"succeeded\"} 1",
        "gateway_sign_in_sessions_total{gateway_resource=\"users\",gateway_outcome=\"refreshed\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    site.0.signal("TERM");
    assert_eq!(site.0.wait(), Some(0));
    let mut found = site.0.whole_log().into_bytes();
    for entry in std::fs::read_dir(site.0.folder().join("data")).unwrap() {
        found.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let has = |text: &str| found.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("ada@example.com"), "the database was read");
    let secrets = [&*session.refresh, &next.refresh, &session.access, &next.access, PASSWORD];
    for secret in secrets.into_iter().chain(["a-wrong-password-as-canary", "a-new-password-as-canary"]) {
        assert!(!has(secret), "{secret}");
    }
}

#[test]
fn a_user_without_a_password_cannot_sign_in() {
    let site = Site::start(&plain().replace(
        "password: { type: password, required: true, min: 8 }",
        "password: { type: password, nullable: true }",
    ));
    let user = json!({ "email": "ada@example.com", "name": "Ada" });
    assert_eq!(site.post("/users", &user).status, 201);
    for password in ["", "null", "x"] {
        assert_eq!(site.log_in_as("ada@example.com", password).status, 401);
    }
    let null = json!({ "email": "ada@example.com", "password": Value::Null });
    assert_eq!(site.post("/auth/login", &null).status, 400);
}
