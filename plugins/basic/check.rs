//! Finds the name and the password of a request, and verifies them.

use super::htpasswd::Entry;
use super::{Basic, Plugin};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gatewright_sdk::{Authenticate, ClientKey, Facts, Identity, Problem, Proof, Request, Services, Verdict};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;
use serde_json::Map;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The maximum length of a name with its password, in base64.
const LONGEST: usize = 4 * 1024;

/// How long a request waits for its turn and the hash.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a verified password is known, and how many are.
const KNOWN_FOR: Duration = Duration::from_secs(600);
const KNOWN: u64 = 1024;

/// Padding is optional: some clients omit it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The users of one file.
pub struct Users {
    entries: Vec<(Entry, Arc<Identity>)>,
    by_name: HashMap<String, usize>,
    /// Chooses the hash that is computed for a name that does not exist.
    seed: RandomState,
}

impl Users {
    /// `entries` is not empty.
    pub fn new(entries: Vec<Entry>) -> Self {
        let by_name = entries.iter().enumerate().map(|(at, entry)| (entry.name.clone(), at)).collect();
        let identified = |entry: Entry| {
            let identity = Identity::of(Basic::NAME, &entry.name, Map::new());
            (entry, Arc::new(identity))
        };
        Self { entries: entries.into_iter().map(identified).collect(), by_name, seed: RandomState::new() }
    }

    /// The user with this name, if there is one, and the entry whose hash decides how long the answer takes.
    fn find(&self, name: &str) -> (Option<&Arc<Identity>>, Option<&Entry>) {
        if let Some((entry, identity)) = self.by_name.get(name).and_then(|at| self.entries.get(*at)) {
            return (Some(identity), Some(entry));
        }
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX).max(1);
        let other = usize::try_from(self.seed.hash_one(name) % count).unwrap_or(0);
        (None, self.entries.get(other).map(|(entry, _)| entry))
    }
}

/// Passwords that were verified, as digests.
pub struct Verified {
    known: Cache<[u8; 32], ()>,
    /// Without it, no one can tell what a digest stands for.
    secret: [u8; 32],
}

pub fn verified() -> Verified {
    let mut secret = [0; 32];
    let random = [Uuid::new_v4(), Uuid::new_v4()];
    secret.iter_mut().zip(random.iter().flat_map(|half| half.as_bytes())).for_each(|(to, from)| *to = *from);
    Verified { known: Cache::builder().max_capacity(KNOWN).time_to_live(KNOWN_FOR).build(), secret }
}

impl Verified {
    fn digest(&self, entry: &Entry, password: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.secret, entry.name.as_bytes(), entry.hash.text().as_bytes(), password] {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

pub struct Passwords {
    pub users: Arc<Users>,
    pub verified: Arc<Verified>,
    pub services: Arc<dyn Services>,
    pub challenge: HeaderValue,
    pub rejects: bool,
    pub forward: bool,
}

/// A name and a password; `None` without the scheme `Basic`, `Err` if they cannot be read.
type Credentials = Option<Result<(String, Zeroizing<String>), &'static str>>;

fn credentials(headers: &HeaderMap) -> Credentials {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, more) = (values.next()?.as_bytes(), values.next());
    let is_basic = |value: &[u8]| {
        value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Basic"))
            && value.get(5).is_none_or(|byte| *byte == b' ')
    };
    if more.is_some() {
        let any = headers.get_all(AUTHORIZATION).iter().any(|value| is_basic(value.as_bytes()));
        return any.then_some(Err("several_credentials"));
    }
    is_basic(value).then(|| parse(value.get(5..).unwrap_or_default().trim_ascii()))
}

fn parse(encoded: &[u8]) -> Result<(String, Zeroizing<String>), &'static str> {
    if encoded.len() > LONGEST {
        return Err("too_long");
    }
    let decoded = Zeroizing::new(BASE64.decode(encoded).map_err(|_| "malformed")?);
    let text = std::str::from_utf8(&decoded).map_err(|_| "not_utf8")?;
    // The password may contain colons (RFC 7617 section 2).
    let (name, password) = text.split_once(':').ok_or("malformed")?;
    if text.chars().any(char::is_control) {
        return Err("malformed");
    }
    Ok((name.to_owned(), Zeroizing::new(password.to_owned())))
}

impl Passwords {
    fn problem(&self, reason: &'static str) -> Problem {
        Problem::challenge(self.challenge.clone()).log_reason(reason)
    }
}

impl Authenticate for Passwords {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        let (name, password) = match credentials(request.headers()) {
            None => return Verdict::Continue(None),
            Some(Ok(credentials)) => credentials,
            Some(Err("several_credentials")) => {
                let problem = Problem::validation("Authorization: must be sent once");
                return Verdict::refuse(problem.log_reason("several_credentials"));
            }
            Some(Err(reason)) => return Verdict::refuse(self.problem(reason)),
        };
        let (identity, Some(entry)) = self.users.find(&name) else {
            return Verdict::refuse(self.problem("wrong_password"));
        };
        let digest = self.verified.digest(entry, password.as_bytes());
        if let Some(identity) = identity.filter(|_| self.verified.known.contains_key(&digest)) {
            return Verdict::Continue(Some(Arc::clone(identity).into()));
        }
        let (proof, verified) =
            (identity.map(|identity| Proof::from(Arc::clone(identity))), Arc::clone(&self.verified));
        let (hash, wrong) = (entry.hash.clone(), self.problem("wrong_password"));
        let busy = || Problem::unavailable(1).log_reason("passwords_busy");
        let client = ClientKey::of(Facts::of(request).client.ip);
        let computed = self.services.compute(client, Box::new(move || hash.verify(password.as_bytes())));
        Verdict::later(PATIENCE, busy(), async move {
            match (computed.await, proof) {
                (Ok(true), Some(proof)) => {
                    verified.known.insert(digest, ());
                    ControlFlow::Continue(Some(proof))
                }
                (Ok(_), _) => ControlFlow::Break(wrong.into()),
                (Err(_), _) => ControlFlow::Break(busy().into()),
            }
        })
    }

    fn missing(&self) -> Option<Problem> {
        self.rejects.then(|| self.problem("missing"))
    }

    fn reads(&self) -> &str {
        "Basic"
    }

    fn field(&self) -> Option<HeaderName> {
        Some(AUTHORIZATION)
    }

    fn forwards(&self) -> bool {
        self.forward
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(self.challenge.clone())
    }
}
