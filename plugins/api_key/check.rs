//! Finds the key of a request, and its owner.

use super::file::{self, FileKeys};
use super::{ApiKey, Plugin};
use gatewright_sdk::items::{Finding, Found, Items, LookedUp, Lookup};
use gatewright_sdk::{Authenticate, Identity, Problem, Proof, Request, Verdict, hex};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use moka::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// The maximum length of a key, in bytes.
const LONGEST: usize = 512;

/// How long a request waits for the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the use of a key is written, and for how many keys that is remembered.
const USED_EVERY: Duration = Duration::from_secs(60);
const USED: u64 = 100_000;

pub struct ApiKeys {
    pub header: HeaderName,
    pub source: Source,
    pub rejects: bool,
    pub forward: bool,
    pub challenge: HeaderValue,
}

/// Where keys are.
pub enum Source {
    File(Arc<FileKeys>),
    Resource {
        /// `None` if the resource does not exist; then the configuration was rejected.
        items: Option<Arc<dyn Items>>,
        names: Arc<Lookup>,
        used: Arc<Used>,
    },
}

/// The keys whose use was written within the last minute.
pub type Used = Cache<[u8; 32], ()>;

pub fn used() -> Used {
    Cache::builder().max_capacity(USED).time_to_live(USED_EVERY).build()
}

/// No scheme is registered for API keys, but a 401 must name one (RFC 9110 section 15.5.2).
pub fn challenge(header: &HeaderName) -> HeaderValue {
    HeaderValue::try_from(format!("ApiKey header=\"{header}\"")).unwrap_or(HeaderValue::from_static("ApiKey"))
}

impl ApiKeys {
    fn problem(&self, reason: &'static str) -> Problem {
        Problem::challenge(self.challenge.clone()).log_reason(reason)
    }
}

impl Authenticate for ApiKeys {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        let mut values = request.headers().get_all(&self.header).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => return Verdict::Continue(None),
            (Some(key), None) => key.as_bytes(),
            (Some(_), Some(_)) => {
                let problem = Problem::validation(format!("{}: must be sent once", self.header));
                return Verdict::refuse(problem.log_reason("several_credentials"));
            }
        };
        if key.is_empty() || key.len() > LONGEST {
            return Verdict::refuse(self.problem("malformed"));
        }
        let hash: [u8; 32] = Sha256::digest(key).into();
        match &self.source {
            Source::File(keys) => match keys.get(&hash) {
                None => Verdict::refuse(self.problem("unknown_key")),
                Some(key) if has_passed(key.expires) => Verdict::refuse(self.problem("expired")),
                Some(key) => Verdict::Continue(Some(Arc::clone(&key.identity).into())),
            },
            Source::Resource { items, names, used } => {
                let unavailable = || Problem::unavailable(1).log_reason("keys_unavailable");
                let Some(items) = items else { return Verdict::refuse(unavailable()) };
                let text = written(&hash);
                match items.find(&text) {
                    Finding::Ready(found) => match read(found, names) {
                        Ok(identity) => {
                            touch(items, names, used, hash, &text);
                            Verdict::Continue(Some(identity.into()))
                        }
                        Err(None) => Verdict::refuse(unavailable()),
                        Err(Some(reason)) => Verdict::refuse(self.problem(reason)),
                    },
                    Finding::Pending(finding) => {
                        let (items, names, used) = (Arc::clone(items), Arc::clone(names), Arc::clone(used));
                        let challenge = self.challenge.clone();
                        Verdict::later(PATIENCE, unavailable(), async move {
                            match read(finding.await, &names) {
                                Ok(identity) => {
                                    touch(&items, &names, &used, hash, &text);
                                    ControlFlow::Continue(Some(identity.into()))
                                }
                                Err(None) => ControlFlow::Break(unavailable().into()),
                                Err(Some(reason)) => {
                                    ControlFlow::Break(Problem::challenge(challenge).log_reason(reason).into())
                                }
                            }
                        })
                    }
                }
            }
        }
    }

    fn missing(&self) -> Option<Problem> {
        self.rejects.then(|| self.problem("missing"))
    }

    fn reads(&self) -> &str {
        self.header.as_str()
    }

    fn field(&self) -> Option<HeaderName> {
        Some(self.header.clone())
    }

    fn forwards(&self) -> bool {
        self.forward
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(self.challenge.clone())
    }
}

fn has_passed(expires: Option<Timestamp>) -> bool {
    expires.is_some_and(|expires| expires <= now())
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// `sha256:` and the hash in hex, as it is stored.
pub fn written(hash: &[u8; 32]) -> String {
    format!("sha256:{}", hex(hash))
}

/// The identity of an item. The error is a word for the operator, or `None` if the items cannot be read.
fn read(found: Found, names: &Lookup) -> Result<Arc<Identity>, Option<&'static str>> {
    let mut item = match found {
        Ok(Some(item)) => item,
        Ok(None) => return Err(Some("unknown_key")),
        Err(error) => {
            tracing::warn!(resource = names.resource.name, %error, "cannot read API keys");
            return Err(None);
        }
    };
    let at = |key: &str| names.reads.iter().find(|field| field.setting.path.strip_prefix("keys.") == Some(key));
    let value = |item: &Map<String, Value>, key| at(key).and_then(|field| item.get(&field.setting.name).cloned());
    match value(&item, "expires") {
        Some(Value::String(time)) if file::parse_time(&time).is_some_and(|time| !has_passed(Some(time))) => {}
        Some(_) => return Err(Some("expired")),
        None => {}
    }
    let owner = match value(&item, "owner") {
        Some(Value::String(owner)) if !owner.trim().is_empty() => owner,
        _ => return Err(Some("no_owner")),
    };
    let (scopes, roles) = (words(value(&item, "scopes")), words(value(&item, "roles")));
    let is_claim = |field: &&LookedUp| field.setting.path.starts_with("keys.claims[");
    let own = names.reads.iter().filter(is_claim);
    let own =
        own.filter_map(|field| Some((field.setting.name.clone(), item.get(&field.setting.name)?.clone()))).collect();
    let claims = file::claims(item.remove("id"), &scopes, &roles, own);
    Ok(Arc::new(Identity::of(ApiKey::NAME, &owner, claims)))
}

/// The words of a text, or the texts of a list.
fn words(value: Option<Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Notes the use of a key, at most once a minute.
fn touch(items: &Arc<dyn Items>, names: &Lookup, used: &Used, hash: [u8; 32], text: &str) {
    if names.touches.is_some() && !used.contains_key(&hash) {
        used.insert(hash, ());
        items.touch(text);
    }
}
