//! Conditions on the accounts that may sign in.

use super::{PASSWORD, Session, Site, yaml};
use serde_json::{Value, json};

/// Users whose field `active` decides. They can change it themselves, for the sake of the test.
fn only_active() -> String {
    let yaml = yaml("ttl: 15m", "active: { type: boolean, default: true }");
    yaml.replace("resource: users, token", "resource: users, where: { active: true }, token")
}

impl Site {
    fn set_active(&self, id: &str, session: &Session, active: bool) {
        let body = json!({ "active": active });
        let answer = self.from("10.0.0.1", "PATCH", &format!("/own/{id}"), Some(&session.access), &body);
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(active)));
    }

    /// What a client sees of a login, without the fields that differ in each response.
    fn seen(&self, email: &str, password: &str) -> (u16, Vec<(String, String)>, String) {
        let mut answer = self.log_in_as(email, password);
        answer.headers.retain(|(name, _)| name != "date" && name != "x-request-id");
        (answer.status, answer.headers, answer.body)
    }
}

#[test]
fn an_account_that_may_not_sign_in_looks_like_a_wrong_password() {
    let mut site = Site::start(&only_active());
    let id = site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    site.set_active(&id, &session, false);
    let refused = site.seen("ada@example.com", PASSWORD);
    assert_eq!(refused.0, 401);
    assert_eq!(refused, site.seen("ada@example.com", "wrong password"));
    assert_eq!(refused, site.seen("eve@example.com", PASSWORD));
    site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "account_refused");
    let again = (0..10).map(|_| site.log_in_as("ada@example.com", PASSWORD).status).collect::<Vec<_>>();
    assert_eq!(again, [401, 401, 401, 401, 401, 401, 401, 401, 429, 429], "the right password is slowed, too");
}

#[test]
fn a_refresh_and_a_new_password_check_the_account_again() {
    let mut site = Site::start(&only_active());
    let id = site.sign_up("ada@example.com");
    let (session, other) = (site.log_in("ada@example.com"), site.log_in("ada@example.com"));
    let session = Session::of(&site.refresh(&session)).unwrap();
    site.set_active(&id, &session, false);
    assert_eq!(site.refresh(&session).status, 401);
    site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "account_refused");
    let body = json!({ "current_password": PASSWORD, "new_password": "battery staple" });
    assert_eq!(site.from("10.0.0.1", "POST", "/auth/password", Some(&session.access), &body).status, 401);
    assert_eq!(site.me(&session.access), 200, "an access token lives until it expires");

    site.set_active(&id, &session, true);
    assert_eq!(site.refresh(&session).status, 401, "its session has ended");
    assert_eq!(site.refresh(&other).status, 200, "this one was not used in the meantime");
    assert_eq!(site.log_in_as("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn conditions_compare_as_access_rules_do_and_apply_after_a_reload() {
    let more = "plan: { type: string, nullable: true }\n      level: { type: integer, default: 3 }";
    let plain = yaml("ttl: 15m", more);
    let only = |condition: &str| {
        plain.replace("resource: users, token", &format!("resource: users, where: {condition}, token"))
    };
    let site = Site::start(&plain);
    let user = json!({ "email": "ada@example.com", "name": "Ada", "password": PASSWORD, "plan": "pro" });
    assert_eq!(site.post("/users", &user).status, 201);
    site.sign_up("bob@example.com");
    for (condition, ada, bob) in [
        ("{ plan: pro }", 200, 401),
        ("{ plan: { in: [pro, team] }, level: { gte: 3 } }", 200, 401),
        ("{ plan: pro, level: { gt: 3 } }", 401, 401),
        // As in SQL, nothing is compared with null.
        ("{ plan: { ne: free } }", 200, 401),
        ("{ plan: { \"null\": true } }", 401, 200),
        ("{}", 200, 200),
    ] {
        assert_eq!(site.0.reload(&only(condition)).status, 200, "{condition}");
        let status = |email: &str| site.log_in_as(email, PASSWORD).status;
        assert_eq!((status("ada@example.com"), status("bob@example.com")), (ada, bob), "{condition}");
    }
    assert_eq!(site.0.reload(&only("{ plan: $claims.plan }")).status, 422);
    assert_eq!(site.from("10.0.0.1", "GET", "/own", None, &Value::Null).status, 401);
}
