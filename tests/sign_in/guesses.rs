//! Guessers of passwords.

use super::{PASSWORD, Site, plain};
use serde_json::json;

/// The statuses of logins that are sent at once, sorted, each with an address, an e-mail address and a password.
pub fn at_once(site: &Site, logins: &[(&str, &str, &str)]) -> Vec<u16> {
    let to = site.0.address;
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let logins = logins.iter().map(|(client, email, password)| {
            let body = json!({ "email": email, "password": password }).to_string();
            scope.spawn(move || {
                let headers = [("x-forwarded-for", *client), ("content-type", "application/json")];
                crate::harness::send(to, "POST", "/auth/login", &headers, &body).status
            })
        });
        let all: Vec<_> = logins.collect();
        all.into_iter().map(|login| login.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    statuses
}

#[test]
fn right_passwords_at_once_are_all_accepted_and_guesses_at_once_are_not() {
    let mut site = Site::start(&plain());
    let ada = "ada@example.com";
    site.sign_up(ada);
    assert_eq!(at_once(&site, &[("10.0.0.7", ada, PASSWORD); 24]), [200; 24], "one client, one account");
    let many: Vec<String> = (0..60).map(|number| format!("10.0.1.{number}")).collect();
    let many: Vec<_> = many.iter().map(|client| (&**client, ada, PASSWORD)).collect();
    assert_eq!(at_once(&site, &many), [200; 60], "more clients than guesses of the account");
    assert!(!site.0.log().contains("sign_in_slowed"));
    let guessed = at_once(&site, &[("10.0.0.8", ada, "guess"); 40]);
    assert_eq!(guessed, [[401; 10].to_vec(), [429; 30].to_vec()].concat());
    site.0.wait_for_log(|line| line["event"] == "sign_in_slowed");
}

impl Site {
    fn guess(&self, client: &str, email: &str, password: &str) -> crate::harness::Answer {
        self.from(client, "POST", "/auth/login", None, &json!({ "email": email, "password": password }))
    }
}

#[test]
fn a_guesser_is_slowed_and_no_one_else() {
    let mut site = Site::start(&plain());
    site.sign_up("ada@example.com");
    site.sign_up("bob@example.com");
    let tried = |email: &str, client: &str| {
        let answers: Vec<_> = (0..12).map(|number| site.guess(client, email, &format!("guess {number}"))).collect();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        (statuses, answers.last().unwrap().body.clone(), answers.last().unwrap().header("retry-after").is_some())
    };
    let known = tried("ada@example.com", "10.0.0.7");
    assert_eq!(known.0, [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(known, tried("eve@example.com", "10.0.0.8"), "an account that does not exist is slowed alike");
    assert!(known.2, "Retry-After says when to try again");
    assert_eq!(site.guess("10.0.0.7", "ADA@example.com", PASSWORD).status, 429, "in any spelling, with any password");
    assert_eq!(site.guess("10.0.0.9", "ada@example.com", PASSWORD).status, 200, "the owner, from another place");
    assert_eq!(site.guess("10.0.0.7", "bob@example.com", PASSWORD).status, 200, "another user at the same place");
    let reloaded = site.0.reload(&plain().replace("ttl: 15m", "ttl: 10m"));
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(site.guess("10.0.0.7", "ada@example.com", PASSWORD).status, 429, "it survives a reload");
    let record = site.0.wait_for_log(|line| line["event"] == "sign_in_slowed");
    assert_eq!((&record["slowed"], &record["client_ip"]), (&json!("client_and_account"), &json!("10.0.0.7")));
    site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "too_many_wrong_passwords");
}

#[test]
fn the_old_password_cannot_be_guessed_with_a_stolen_token() {
    let site = Site::start(&plain());
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    let statuses: Vec<u16> = (0..12)
        .map(|number| {
            let body = json!({ "current_password": format!("guess {number}"), "new_password": "battery staple" });
            site.from("10.0.0.7", "POST", "/auth/password", Some(&session.access), &body).status
        })
        .collect();
    assert_eq!(statuses, [400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 429, 429]);
}

#[test]
fn the_limits_can_be_set_and_what_was_tried_survives_an_edit() {
    let limits = "wrong_passwords: { client_and_account: { burst: 2, every: 1h } }";
    let strict = plain().replace("resource: users, token", &format!("resource: users, {limits}, token"));
    let site = Site::start(&strict);
    site.sign_up("ada@example.com");
    let tried: Vec<_> = (0..3).map(|_| site.guess("10.0.0.7", "ada@example.com", "guess")).collect();
    assert_eq!(tried.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 401, 429]);
    let wait: u64 = tried[2].header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    let removed: String =
        plain().lines().filter(|line| !line.starts_with("  auth:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(site.0.reload(&removed).status, 200);
    assert_eq!(site.guess("10.0.0.7", "ada@example.com", "guess").status, 404, "the route is taken out and put back");
    assert_eq!(site.0.reload(&plain()).status, 200);
    let tried: Vec<u16> = (0..9).map(|_| site.guess("10.0.0.7", "ada@example.com", "guess").status).collect();
    assert_eq!(tried, [401, 401, 401, 401, 401, 401, 401, 401, 429], "two were tried before");
}

#[test]
fn the_admin_api_shows_how_far_the_limits_are_used_and_names_no_one() {
    let site = Site::start(&plain());
    for client in ["10.0.0.7", "10.0.0.8"] {
        for number in 0..if client == "10.0.0.7" { 11 } else { 3 } {
            site.guess(client, "ada@example.com", &format!("guess {number}"));
        }
    }
    let limits = site.0.admin("GET", "/limits").json();
    let used = &limits["limits"]["auth/sign_in"];
    let expected = json!({
        "type": "wrong_passwords", "resource": "users", "counted": "local",
        "client_and_account": { "burst": 10, "every": "5m", "keys": 2, "limited": 1 },
        "client": { "burst": 50, "every": "30s", "keys": 2, "limited": 0 },
        "account": { "burst": 50, "every": "2m", "keys": 1, "limited": 0 },
    });
    assert_eq!(*used, expected, "{limits}");
}
