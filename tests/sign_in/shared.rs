//! Wrong passwords that several gateways count together, with a real redis-server.

mod at_once;
use super::{PASSWORD, Session, Site, plain, whole};
use crate::harness::Answer;
use crate::metrics::Scraped;
use crate::shared_limits::server::Server;
use serde_json::{Value, json};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::panicking;

const ADA: &str = "ada@example.com";
const GUESSER: &str = "10.0.0.7";
const STRICT: &str = "client_and_account: { burst: 3, every: 1h }";

/// Sign-in with these limits, and `store` as the other settings of the store.
fn yaml(url: &str, limits: &str, store: &str) -> String {
    let limits = format!("resource: users, wrong_passwords: {{ store: counters, {limits} }}, token");
    plain()
        .replace("stores: {", &format!("stores: {{ counters: {{ url: \"{url}\"{store} }},"))
        .replace("resource: users, token", &limits)
}

thread_local! {
    /// Whether a gateway has counted alone although the store was there.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Runs a scenario, and again if it failed on a machine so busy that Redis seemed to hang.
fn calmly(scenario: impl Fn()) {
    for _ in 0..5 {
        BUSY.set(false);
        match catch_unwind(AssertUnwindSafe(&scenario)) {
            Ok(()) => return,
            Err(_) if BUSY.get() => {}
            Err(failure) => resume_unwind(failure),
        }
    }
    panic!("the machine is too busy: Redis does not respond within 40ms");
}

/// A gateway that should count in the store.
struct Shared {
    site: Site,
    /// How many attempts it may have counted alone; `None` while the store is away.
    alone: Cell<Option<f64>>,
}

impl Deref for Shared {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if panicking() && self.alone.get().is_some_and(|alone| fallbacks(self) > alone) {
            BUSY.set(true);
        }
    }
}

impl Shared {
    fn new(yaml: &str) -> Self {
        Self { site: Site::start(yaml), alone: Cell::new(Some(0.0)) }
    }

    /// Waits until the store can be reached.
    fn connected(&mut self) {
        self.site.0.wait_for_log(|line| says(line, "store connected") || says(line, "store reachable again"));
    }

    fn reload(&self, yaml: &str) {
        std::fs::write(self.0.file(), whole(yaml)).unwrap();
        assert_eq!(self.0.admin("POST", "/reload").status, 200);
    }

    /// The store is about to leave.
    fn before_outage(&self) {
        assert_eq!(Some(fallbacks(self)), self.alone.get());
        self.alone.set(None);
    }

    /// Waits until the store is back.
    fn after_outage(&mut self) {
        self.site.0.wait_for_log(|line| says(line, "store reachable again"));
        self.alone.set(Some(fallbacks(self)));
    }
}

/// A gateway with Ada, once it is connected.
fn start(server: &Server, limits: &str) -> Shared {
    let mut site = Shared::new(&yaml(&server.url(), limits, ""));
    site.connected();
    site.sign_up(ADA);
    site
}

fn says(line: &Value, message: &str) -> bool {
    line["message"] == *message
}

fn log_in(site: &Site, client: &str, email: &str, password: &str) -> Answer {
    site.from(client, "POST", "/auth/login", None, &json!({ "email": email, "password": password }))
}

fn right(site: &Site, client: &str) -> u16 {
    log_in(site, client, ADA, PASSWORD).status
}

fn wrong(site: &Site, client: &str) -> u16 {
    log_in(site, client, ADA, "guess").status
}

/// The statuses of `count` guesses.
fn guess(site: &Site, count: usize) -> Vec<u16> {
    (0..count).map(|_| wrong(site, GUESSER)).collect()
}

fn fallbacks(site: &Site) -> f64 {
    Scraped::of(&site.0).sum("gateway_sign_in_fallbacks_total", &[])
}

#[test]
fn guesses_at_several_gateways_count_together_and_a_restart_forgives_none() {
    calmly(|| {
        let server = Server::start();
        let (mut one, mut other) = (start(&server, STRICT), start(&server, STRICT));
        assert_eq!((guess(&one, 2), guess(&other, 2), guess(&one, 1)), (vec![401, 401], vec![401, 429], vec![429]));
        assert_eq!((right(&one, GUESSER), right(&other, GUESSER)), (429, 429), "whatever the password");
        assert_eq!(right(&other, "10.0.0.9"), 200, "the owner, from another place");
        let slowed = log_in(&one, GUESSER, ADA, "guess");
        let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3600).contains(&wait), "{wait}");
        // One of them reports it, the one that refused first.
        let record = other.0.wait_for_log(|line| line["event"] == "sign_in_slowed");
        assert_eq!((&record["slowed"], &record["client_ip"]), (&json!("client_and_account"), &json!(GUESSER)));
        one.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "too_many_wrong_passwords");
        assert!(!one.0.log().contains("sign_in_slowed"));

        let restarted = start(&server, STRICT);
        assert_eq!(right(&restarted, GUESSER), 429, "it forgives nothing");
        let session = Session::of(&log_in(&restarted, "10.0.0.9", ADA, PASSWORD)).unwrap();
        let body = json!({ "current_password": PASSWORD, "new_password": "battery staple" });
        let change =
            |client: &str| restarted.from(client, "POST", "/auth/password", Some(&session.access), &body).status;
        assert_eq!((change(GUESSER), change("10.0.0.9")), (429, 204), "also for who has stolen a token");
        assert_eq!((fallbacks(&one), fallbacks(&other), fallbacks(&restarted)), (0.0, 0.0, 0.0));
    });
}

#[test]
fn the_status_and_an_explanation_show_where_wrong_passwords_are_counted() {
    let mut server = Server::start();
    let mut site = start(&server, STRICT);
    let store = |site: &Shared| site.0.admin("GET", "/status").json()["counters"]["counters"].clone();
    assert_eq!(store(&site)["used_by"], json!(["routes.auth.sign_in"]));
    let explained = site.0.admin("GET", "/explain?method=POST&url=/auth/login");
    assert_eq!(explained.json()["outcome"]["target"]["counts_in"], "counters");
    server.stop();
    guess(&site, 1);
    site.0.wait_for_log(|line| says(line, "store unreachable"));
    assert_eq!(store(&site)["reachable"], false);
}

#[test]
fn neither_accounts_nor_passwords_are_in_the_store_and_everything_in_it_expires() {
    calmly(|| {
        let server = Server::start();
        let site = start(&server, STRICT);
        assert_eq!((wrong(&site, GUESSER), right(&site, "10.0.0.9")), (401, 200));
        let keys = server.strings(&["KEYS", "gatewright:sign-in:*"]);
        assert_eq!(keys.len(), 4, "three buckets of the guesser, and the clients of the account: {keys:?}");
        for key in &keys {
            assert!(key.starts_with("gatewright:sign-in:{main/users}:"), "{key}");
            assert!(server.number(&["PTTL", key]) > 0, "{key} stays for ever");
            let read = if key.contains(":signed-in&") { vec!["ZRANGE", key, "0", "-1"] } else { vec!["GET", key] };
            let value = server.command(&read);
            for secret in ["ada@", "example", "guess", PASSWORD] {
                assert!(!key.contains(secret) && !value.contains(secret), "{key}: {value}");
            }
        }
    });
}

#[test]
fn a_right_password_clears_what_the_client_has_used_up_at_all_gateways() {
    calmly(|| {
        let server = Server::start();
        let (one, other) = (start(&server, STRICT), start(&server, STRICT));
        for _ in 0..2 {
            assert_eq!(guess(&one, 2), [401, 401]);
            assert_eq!(right(&other, GUESSER), 200);
        }
        assert_eq!(guess(&one, 2), [401, 401]);
        assert_eq!(guess(&other, 2), [401, 429]);
        for _ in 0..5 {
            assert_eq!(right(&other, "10.0.0.9"), 200, "right ones do not count");
        }
    });
}

#[test]
fn who_has_signed_in_before_is_known_to_all_gateways_while_an_account_is_attacked() {
    calmly(|| {
        let server = Server::start();
        let limits = "client_and_account: { burst: 1, every: 1h }, account: { burst: 4, every: 30m }";
        let (one, other) = (start(&server, limits), start(&server, limits));
        assert_eq!(right(&one, "10.0.0.9"), 200);
        let attack: Vec<u16> =
            (1..=6).map(|n| wrong(if n % 2 == 0 { &one } else { &other }, &format!("10.1.0.{n}"))).collect();
        assert_eq!(attack, [401, 401, 401, 401, 429, 429]);
        assert_eq!(right(&other, "10.2.0.1"), 429, "from a new place");
        assert_eq!(right(&other, "10.0.0.9"), 200, "from where the owner has signed in at another gateway");
        assert_eq!(right(&start(&server, limits), "10.0.0.9"), 200, "also after a restart");
        let stranger = log_in(&other, "10.2.0.1", "eve@example.com", "guess");
        assert_eq!(stranger.status, 401, "the buckets of accounts are apart");
    });
}

#[test]
fn without_the_store_guessers_are_still_limited_and_what_was_tried_meanwhile_is_brought_back() {
    calmly(|| {
        let mut server = Server::start();
        let (mut one, mut other) = (start(&server, STRICT), start(&server, STRICT));
        assert_eq!((guess(&one, 1), guess(&other, 1)), (vec![401], vec![401]));
        let of_bob = |site: &Site| log_in(site, GUESSER, "bob@example.com", "guess").status;
        assert_eq!([&one, &one, &one, &one].map(|site| of_bob(site)), [401, 401, 401, 429]);
        one.before_outage();
        other.before_outage();
        server.stop();
        assert_eq!(guess(&one, 3), [401, 401, 429], "it saw one, and goes on from there");
        assert_eq!(guess(&other, 2), [401, 429], "it saw two");
        assert_eq!((right(&one, GUESSER), of_bob(&one)), (429, 429));
        assert_eq!(right(&one, "10.0.0.9"), 200, "others sign in");
        for site in [&mut one, &mut other] {
            site.0.wait_for_log(|line| says(line, "store unreachable"));
            assert_eq!(site.0.get("/health/ready").status, 200, "passwords can be counted without the store");
        }
        assert!(fallbacks(&one) > 0.0);
        // It has lost everything.
        server.run();
        one.after_outage();
        other.after_outage();
        let before = fallbacks(&one);
        assert_eq!(guess(&one, 1), [429], "what it has counted alone still counts");
        assert_eq!((of_bob(&one), of_bob(&other)), (429, 429), "and what it has refused");
        assert_eq!(guess(&start(&server, STRICT), 1), [429], "for all gateways");
        assert_eq!(fallbacks(&one), before);
    });
}

#[test]
fn a_password_that_was_right_without_the_store_clears_there_too() {
    calmly(|| {
        let server = Server::start();
        let mut site = start(&server, STRICT);
        assert_eq!(guess(&site, 2), [401, 401]);
        site.before_outage();
        server.signal("STOP");
        assert_eq!(right(&site, GUESSER), 200, "it is not waited for");
        assert_eq!(guess(&site, 2), [401, 401]);
        site.0.wait_for_log(|line| says(line, "store unreachable"));
        assert_eq!(guess(&site, 2), [401, 429], "a limit is never open");
        assert_eq!(right(&site, "10.0.0.9"), 200);
        assert_eq!(right(&site, "10.0.0.8"), 200);
        assert_eq!(wrong(&site, "10.0.0.8"), 401);
        server.signal("CONT");
        site.after_outage();
        assert_eq!(guess(&site, 1), [429], "three were wrong since");
        let other = start(&server, STRICT);
        assert_eq!(guess(&other, 1), [429]);
    });
}

#[test]
fn edits_forgive_nothing_nor_does_the_store_that_they_add() {
    calmly(|| {
        let server = Server::start();
        let url = server.url();
        let mut site = Shared::new(
            &plain()
                .replace("resource: users, token", &format!("resource: users, wrong_passwords: {{ {STRICT} }}, token")),
        );
        site.sign_up(ADA);
        assert_eq!(guess(&site, 2), [401, 401]);
        site.reload(&yaml(&url, STRICT, ""));
        site.connected();
        assert_eq!(guess(&site, 2), [401, 429], "what it has counted without the store counts in it");
        assert_eq!(guess(&start(&server, STRICT), 1), [429]);
        let more = "client_and_account: { burst: 5, every: 24h }, account: { burst: 50, every: 2m }";
        site.reload(&yaml(&url, more, ""));
        assert_eq!(guess(&site, 3), [401, 401, 429], "three of five were used");
        let fewer = "client_and_account: { burst: 2, every: 24h }, account: { burst: 50, every: 2m }";
        site.reload(&yaml(&url, fewer, ""));
        let slowed = log_in(&site, GUESSER, ADA, "guess");
        let days: u64 = slowed.header("retry-after").unwrap().parse::<u64>().unwrap().div_ceil(24 * 3600);
        assert_eq!((slowed.status, days), (429, 4), "five are used, and one must be left");
        site.reload(&plain());
        assert_eq!(guess(&site, 6), [401, 401, 401, 401, 401, 429], "without the store it goes on from what it saw");
    });
}

#[test]
fn a_store_that_refuses_rejects_all_accounts_alike() {
    calmly(|| {
        let mut server = Server::start();
        let mut site = Shared::new(&yaml(&server.url(), STRICT, ", on_error: refuse"));
        site.connected();
        site.sign_up(ADA);
        assert_eq!(right(&site, GUESSER), 200);
        site.before_outage();
        server.stop();
        let answers = [ADA, "eve@example.com"].map(|email| log_in(&site, GUESSER, email, PASSWORD));
        for answer in &answers {
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        }
        site.0.wait_for_log(|line| line["message"] == "request" && line["reason"] == "store");
        server.run();
        site.after_outage();
        assert_eq!(right(&site, GUESSER), 200);
    });
}

#[test]
fn keys_that_hold_something_else_are_replaced_and_lost_connections_fail_no_one() {
    for refuses in ["", ", on_error: refuse"] {
        calmly(|| {
            let server = Server::start();
            let mut site = Shared::new(&yaml(&server.url(), STRICT, refuses));
            site.connected();
            site.sign_up(ADA);
            assert_eq!((guess(&site, 1), right(&site, "10.0.0.9")), (vec![401], 200));
            let keys = server.strings(&["KEYS", "gatewright:sign-in:*"]);
            assert_eq!(keys.len(), 4, "{keys:?}");
            let foreign = [
                &["LPUSH", "1"][..],
                &["HSET", "a", "b"],
                &["SET", "some thing"],
                &["SET", "inf 1"],
                &["SET", "9e99 1"],
            ];
            for words in foreign {
                for key in &keys {
                    server.command(&["DEL", key]);
                    server.command(&[&[words[0], &**key], &words[1..]].concat());
                }
                assert_eq!(guess(&site, 4), [401, 401, 401, 429], "{words:?}");
                assert_eq!(right(&site, "10.0.0.9"), 200, "{words:?}");
                let held: Vec<_> = keys.iter().map(|key| server.command(&["TYPE", key])).collect();
                assert!(held.iter().all(|held| ["+string\r\n", "+zset\r\n"].contains(&&**held)), "{words:?}: {held:?}");
                assert!(keys.iter().all(|key| server.number(&["PTTL", key]) > 0), "{words:?}");
            }
            assert_eq!(fallbacks(&site), 0.0, "all were counted in the store");
            let line = site.0.wait_for_log(|line| says(line, "replaced a key of another program"));
            assert_eq!((&line["keys"], &line["held"]), (&json!("gatewright:sign-in:{main/users}:*"), &json!("list")));
            server.command(&["SCRIPT", "FLUSH"]);
            assert_eq!(guess(&site, 1), [429]);
            site.before_outage();
            server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            assert!([429, 503].contains(&guess(&site, 1)[0]));
            site.0.wait_for_log(|line| says(line, "store reachable again"));
            assert_eq!((guess(&site, 1), right(&site, "10.0.0.9")), (vec![429], 200));
        });
    }
}

#[test]
fn many_guesses_at_once_at_two_gateways_get_what_one_would_give() {
    let server = Server::start();
    let limits = "client_and_account: { burst: 20, every: 1h }";
    let sites = [start(&server, limits), start(&server, limits)];
    let tried: usize = std::thread::scope(|scope| {
        let client = |index: usize| {
            let to = sites[index % 2].0.address;
            let body = json!({ "email": ADA, "password": "guess" }).to_string();
            scope.spawn(move || {
                let headers = [("x-forwarded-for", GUESSER), ("content-type", "application/json")];
                (0..3)
                    .filter(|_| crate::harness::send(to, "POST", "/auth/login", &headers, &body).status == 401)
                    .count()
            })
        };
        let clients: Vec<_> = (0..12).map(client).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    // On a machine so busy that Redis seems to hang, each gateway goes on alone for a moment.
    let alone = fallbacks(&sites[0]) + fallbacks(&sites[1]) > 0.0;
    assert!(tried == 20 || alone && (20..=40).contains(&tried), "{tried} were tried");
}
