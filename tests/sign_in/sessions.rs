//! How sessions end: everywhere at once, and by time.

use super::{Session, Site, plain};
use crate::moved_data::server;
use serde_json::{Value, json};
use std::time::Duration;

impl Site {
    fn sign_out_everywhere(&self, token: &str) -> u16 {
        self.post("/auth/logout", &json!({ "refresh_token": token, "everywhere": true })).status
    }
}

#[test]
fn a_user_signs_out_everywhere_and_others_stay() {
    let mut site = Site::start(&plain());
    let id = site.sign_up("ada@example.com");
    site.sign_up("bob@example.com");
    let sessions = [(); 3].map(|()| site.log_in("ada@example.com"));
    let bob = site.log_in("bob@example.com");
    let body = json!({ "refresh_token": sessions[0].refresh, "everywhere": "yes" });
    let answer = site.post("/auth/logout", &body);
    assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some("everywhere: must be true or false")));
    let body = json!({ "refresh_token": sessions[0].refresh, "everywhere": false });
    assert_eq!(site.post("/auth/logout", &body).status, 204);
    assert_eq!(site.sign_out_everywhere(&sessions[0].refresh), 401, "it is signed out, and the others would go on");
    assert_eq!(site.sign_out_everywhere("nonsense"), 401);
    let second = Session::of(&site.refresh(&sessions[1])).unwrap();

    assert_eq!(site.sign_out_everywhere(&second.refresh), 204);
    for session in [&second, &sessions[2]] {
        assert_eq!(site.refresh(session).status, 401);
    }
    assert_eq!(site.refresh(&bob).status, 200);
    let record = site.0.wait_for_log(|line| line["event"] == "signed_out_everywhere");
    assert_eq!((&record["account"], &record["sessions_ended"]), (&json!(id), &json!(2)));
    assert_eq!(record["target"], "gatewright::audit");
    assert_eq!(site.log_in_as("ada@example.com", super::PASSWORD).status, 200);
}

#[test]
fn an_earlier_token_of_a_session_signs_out_everywhere_too() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let (first, other) = (site.log_in("ada@example.com"), site.log_in("ada@example.com"));
    let next = Session::of(&site.refresh(&first)).unwrap();
    assert_eq!(site.sign_out_everywhere(&first.refresh), 204);
    assert_eq!((site.refresh(&next).status, site.refresh(&other).status), (401, 401));
}

#[test]
fn sessions_end_by_time() {
    let with = |refresh: &str| plain().replace("ttl: 15m }", &format!("ttl: 1s }}, refresh: {refresh}"));
    let mut unused = Site::start(&with("{ ttl: 2s }"));
    let mut capped = Site::start(&with("{ ttl: 2s, max_session: 3s }"));
    let [one, mut other] = [&unused, &capped].map(|site| {
        site.sign_up("ada@example.com");
        site.log_in("ada@example.com")
    });
    // A session that is refreshed all the time ends anyway.
    let refused = loop {
        std::thread::sleep(Duration::from_millis(300));
        let answer = capped.refresh(&other);
        match Session::of(&answer) {
            Some(session) => other = session,
            None => break answer,
        }
    };
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_grant")));
    assert_eq!(unused.refresh(&one).status, 401, "more than 3 seconds have passed");
    for site in [&mut unused, &mut capped] {
        site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "session_expired");
    }
    assert_eq!(unused.from("10.0.0.1", "GET", "/auth/me", None, &Value::Null).status, 401);
}

/// A trigger that discards the writes of one kind to the table of sessions.
fn discard(store: &str, event: &str) {
    let sqlite = format!("CREATE TRIGGER t BEFORE {event} ON _gw_sessions BEGIN SELECT RAISE(IGNORE); END");
    let postgres = format!(
        "CREATE OR REPLACE FUNCTION ignored() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER t BEFORE {event} ON _gw_sessions FOR EACH ROW EXECUTE FUNCTION ignored()"
    );
    server::run(store, if store.starts_with("sqlite") { &sqlite } else { &postgres });
}

fn allow(store: &str) {
    server::run(store, if store.starts_with("sqlite") { "DROP TRIGGER t" } else { "DROP TRIGGER t ON _gw_sessions" });
}

#[test]
fn a_session_that_the_database_keeps_is_not_reported_as_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = server::empty(folder.path());
    let settings = "ttl: 15m }, refresh: { reuse_grace: 0s }";
    let site = Site::start(&plain().replace("sqlite://data/users.db", &store).replace("ttl: 15m }", settings));
    site.sign_up("ada@example.com");
    let [replaced, second] = [(); 2].map(|()| site.log_in("ada@example.com"));
    let first = Session::of(&site.refresh(&replaced)).unwrap();
    let sign_out = |session: &Session, everywhere: bool| {
        site.post("/auth/logout", &json!({ "refresh_token": session.refresh, "everywhere": everywhere })).status
    };
    let passwords = json!({ "current_password": super::PASSWORD, "new_password": "battery staple" });
    let change = || site.from("10.0.0.1", "POST", "/auth/password", Some(&second.access), &passwords).status;

    discard(&store, "DELETE");
    assert_eq!([sign_out(&first, false), sign_out(&first, true), change()], [500; 3]);
    assert_eq!(site.refresh(&replaced).status, 500, "the session of a token that was stolen goes on");
    allow(&store);
    // Nor is one that was not renewed, or did not start.
    discard(&store, "UPDATE");
    assert_eq!(site.refresh(&first).status, 500);
    allow(&store);
    discard(&store, "INSERT");
    assert_eq!(site.log_in_as("ada@example.com", super::PASSWORD).status, 500);
    allow(&store);

    let first = Session::of(&site.refresh(&first)).expect("it is still signed in");
    assert_eq!((sign_out(&first, false), site.refresh(&first).status), (204, 401));
    assert_eq!(change(), 204);
    assert_eq!((sign_out(&second, true), site.refresh(&second).status), (204, 401));
}

#[test]
fn expired_sessions_that_the_database_keeps_are_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let store = server::empty(folder.path());
    let mut site = Site::start(&plain().replace("sqlite://data/users.db", &store));
    site.sign_up("ada@example.com");
    let expired = "INSERT INTO _gw_sessions VALUES ('x', 'users', 'u', '', '1', 1, 1, 1, 1)";
    server::run(&store, expired);
    site.log_in("ada@example.com");
    // It was removed, so that it can be put back.
    server::run(&store, expired);
    discard(&store, "DELETE");
    for _ in 0..4 {
        site.log_in("ada@example.com");
    }
    site.0.signal("TERM");
    site.0.wait();
    let log = site.0.whole_log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("cannot remove expired sessions")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let told: Value = serde_json::from_str(warnings[0]).unwrap();
    assert_eq!((&told["store"], &told["level"]), (&json!("main"), &json!("WARN")), "{told}");
    assert!(told["error"].as_str().unwrap().ends_with("a trigger or a rule of the database prevents it"), "{told}");
}
