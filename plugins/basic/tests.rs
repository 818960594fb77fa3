//! `basic`: who gets in, and which files are refused.

use super::*;
use argon2::{Argon2, Params, PasswordHasher, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewright_sdk::testing::{answers, compile, header, install_act, request};
use gatewright_sdk::{
    Busy, ClientKey, Computing, Facts, FetchError, Fetching, HttpService, Keep, Refusal, Request, Response, Services,
};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Computes at once, or not at all.
#[derive(Default)]
struct Inline {
    computed: AtomicUsize,
    busy: bool,
}

impl Services for Inline {
    fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Fetching {
        Box::pin(std::future::ready(Err(FetchError("there is no network".to_owned()))))
    }

    fn compute(&self, _: ClientKey, work: Box<dyn FnOnce() -> bool + Send>) -> Computing {
        self.computed.fetch_add(1, Relaxed);
        let outcome = if self.busy { Err(Busy) } else { Ok(work()) };
        Box::pin(std::future::ready(outcome))
    }
}

fn argon(password: &str) -> String {
    let argon = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    argon.hash_password(password.as_bytes()).unwrap().to_string()
}

fn bcrypt(password: &str) -> String {
    bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY)
}

/// A file with this content; removed when dropped.
struct File(PathBuf);

impl File {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("htpasswd-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn users() -> String {
    format!("# staff\n\nada:{}\nbob:{}\nzoë:{}\n", argon("pass:word"), bcrypt("hunter2"), argon("pässword"))
}

struct Door {
    service: HttpService,
    inline: Arc<Inline>,
}

fn door(content: &str, more: serde_json::Value, busy: bool) -> Door {
    let file = File::new(content);
    let mut settings = json!({ "htpasswd_file": file.0 });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let compiled = compile::<Basic>(settings, true);
    assert_eq!(compiled.faults, []);
    let inline = Arc::new(Inline { busy, ..Inline::default() });
    let services: Arc<dyn Services> = Arc::clone(&inline) as Arc<dyn Services>;
    let echo = answers(|request: Request| {
        let subject = Facts::of(&request).identity.as_ref().map_or("no one".to_owned(), |id| {
            assert_eq!((id.method, id.claims.get("sub").unwrap()), ("basic", &id.subject.clone().into()));
            id.subject.clone()
        });
        format!("{subject} {}", request.headers().contains_key(AUTHORIZATION))
    });
    Door { service: install_act(&compiled, "basic", &Keep::default(), &services, echo), inline }
}

fn credentials(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

impl Door {
    async fn ask(&self, authorization: &[&str]) -> Response {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        self.service.call(request("GET", &headers)).await
    }

    /// The status, and who was let in or why not.
    async fn outcome(&self, authorization: &[&str]) -> (u16, String) {
        let response = self.ask(authorization).await;
        let status = response.status().as_u16();
        assert_eq!(status == 401, !header(&response, "www-authenticate").is_empty());
        let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
        let body = gatewright_sdk::testing::bytes(response).await;
        (status, reason.unwrap_or_else(|| String::from_utf8(body).unwrap()))
    }
}

#[tokio::test]
async fn the_right_password_gets_in_and_no_other() {
    let door = door(&users(), json!({}), false);
    let long = "x".repeat(5000);
    let cases = [
        (credentials("ada", "pass:word"), 200, "ada false"),
        (credentials("bob", "hunter2"), 200, "bob false"),
        (credentials("zoë", "pässword"), 200, "zoë false"),
        (credentials("ada", "pass:word").replace("Basic", "bAsIc"), 200, "ada false"),
        (credentials("ada", "pass:word").trim_end_matches('=').to_owned(), 200, "ada false"),
        (credentials("ada", "pass"), 401, "wrong_password"),
        (credentials("ada", ""), 401, "wrong_password"),
        (credentials("ADA", "pass:word"), 401, "wrong_password"),
        (credentials("bob", "hunter2\u{7f}"), 401, "malformed"),
        (credentials("eve", "hunter2"), 401, "wrong_password"),
        (credentials("", ""), 401, "wrong_password"),
        (credentials("ada", &long), 401, "too_long"),
        (format!("Basic {}", STANDARD.encode("ada")), 401, "malformed"),
        (format!("Basic {}", STANDARD.encode(b"ada:\xff")), 401, "not_utf8"),
        ("Basic ###".to_owned(), 401, "malformed"),
        ("Basic".to_owned(), 401, "malformed"),
        ("Basically".to_owned(), 401, "missing"),
        ("Bearer token".to_owned(), 401, "missing"),
    ];
    for (authorization, status, outcome) in &cases {
        assert_eq!(door.outcome(&[authorization]).await, (*status, (*outcome).to_owned()), "{authorization}");
    }
    assert_eq!(door.outcome(&[]).await, (401, "missing".to_owned()));
    let twice = [credentials("ada", "pass:word"), credentials("bob", "hunter2")];
    assert_eq!(door.outcome(&[&twice[0], &twice[1]]).await.0, 400);
    assert_eq!(header(&door.ask(&[]).await, "www-authenticate"), "Basic realm=\"gatewright\", charset=\"UTF-8\"");
}

#[tokio::test]
async fn bcrypt_reads_72_bytes_and_a_longer_password_does_not_match() {
    let long = "p".repeat(72);
    let door = door(&format!("bob:{}\n", bcrypt(&long)), json!({}), false);
    assert_eq!(door.outcome(&[&credentials("bob", &long)]).await.0, 200);
    assert_eq!(door.outcome(&[&credentials("bob", &(long + "q"))]).await.0, 401);
}

#[tokio::test]
async fn a_verified_password_is_not_hashed_again_and_a_wrong_or_unknown_one_is() {
    let door = door(&users(), json!({}), false);
    let computed = || door.inline.computed.load(Relaxed);
    for (authorization, expected) in [
        (credentials("ada", "pass:word"), 1),
        (credentials("ada", "pass:word"), 1),
        (credentials("ada", "wrong"), 2),
        (credentials("ada", "wrong"), 3),
        (credentials("eve", "pass:word"), 4),
        (credentials("ada", "pass:word"), 4),
    ] {
        door.ask(&[&authorization]).await;
        assert_eq!(computed(), expected, "{authorization}");
    }
}

#[tokio::test]
async fn a_full_queue_is_503_and_lets_no_one_in() {
    let door = door(&users(), json!({}), true);
    for password in ["pass:word", "wrong"] {
        let found = door.outcome(&[&credentials("ada", password)]).await;
        assert_eq!(found, (503, "passwords_busy".to_owned()));
    }
}

#[tokio::test]
async fn other_credentials_may_continue_and_the_header_may_be_forwarded() {
    let door = door(&users(), json!({ "on_missing": "continue", "forward": true, "realm": "Staff" }), false);
    assert_eq!(door.outcome(&["Bearer token"]).await, (200, "no one true".to_owned()));
    assert_eq!(door.outcome(&[&credentials("ada", "pass:word")]).await, (200, "ada true".to_owned()));
    assert_eq!(door.outcome(&[&credentials("ada", "no")]).await.0, 401);
}

#[test]
fn lines_that_cannot_be_used_are_reported_with_their_number_and_without_their_hash() {
    let secret = "SeCrEtHaSh";
    let line = |hash: &str| format!("ada:{}\neve:{hash}{secret}\n", bcrypt("x"));
    for (content, message) in [
        (line("$apr1$salt$"), "line 2: MD5 hashes are not secure"),
        (line("{SHA}"), "line 2: SHA-1 hashes are not secure"),
        (line("$6$salt$"), "line 2: SHA-crypt hashes are not supported"),
        (line("$argon2i$v=19$m=8,t=1,p=1$"), "line 2: only the variant Argon2id is supported"),
        (line("$argon2id$v=19$"), "line 2: the Argon2id hash is not valid"),
        (
            line("$argon2id$v=19$m=4000000,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaa"),
            "line 2: the Argon2id hash is too expensive",
        ),
        (
            line("$argon2id$v=19$m=262144,t=5,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaa"),
            "line 2: the Argon2id hash is too expensive",
        ),
        (line("$2y$05$"), "line 2: the bcrypt hash is not valid"),
        (line(""), "line 2: neither an Argon2id nor a bcrypt hash"),
        (format!("ada:{}\n", bcrypt("x").replace("$04$", "$31$")), "line 1: the cost of the bcrypt hash"),
        (format!("ada:{0}\nada:{0}\n", bcrypt("x")), "line 2: the name is already on line 1"),
        (format!("{secret}\n"), "line 1: not a name, a colon and a hash"),
        (format!(":{}\n", bcrypt("x")), "line 1: not a valid name"),
        ("ada:\n".to_owned(), "line 1: there is no hash after the name"),
        ("# no one\n".to_owned(), "has no users: no one could sign in"),
    ] {
        let file = File::new(&content);
        let found = compile::<Basic>(json!({ "htpasswd_file": file.0 }), false).faults;
        assert_eq!(found.len(), 1, "{content}: {found:?}");
        assert!(found[0].message.contains(message) && found[0].help.is_some(), "{content}: {}", found[0].message);
        assert!(!format!("{:?}", found[0]).contains(secret), "{:?}", found[0]);
    }
    let file = File::new("ada:x\n".repeat(30).replace("ada", "a"));
    assert_eq!(compile::<Basic>(json!({ "htpasswd_file": file.0 }), false).faults.len(), 11);
    let found = compile::<Basic>(json!({ "htpasswd_file": "no/such/file", "realm": "a\"b" }), false).faults;
    assert_eq!(found.len(), 2, "{found:?}");
}
