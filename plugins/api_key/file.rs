//! Reads files with API keys.

use super::{ApiKey, Plugin};
use gatewright_sdk::{CheckContext, Code, Fault, Identity, NamedFile};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The keys of a file, by their SHA-256.
pub type FileKeys = HashMap<[u8; 32], Key>;

/// A key.
pub struct Key {
    pub identity: Arc<Identity>,
    /// The first moment at which it is not valid.
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Option<String>,
    owner: String,
    hash: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    expires: Option<String>,
}

/// The bytes of a hash that is written as `sha256:` and 64 hex digits.
pub fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A time (RFC 3339), or the start of a day in UTC.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let read = |text: &str| {
        text.parse::<Timestamp>().ok().or_else(|| {
            let day: Date = text.parse().ok()?;
            Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })
    };
    // A `Timestamp` ends before the last day of the year 9999, which stands for never. The year before has the same days.
    let never = || read(&format!("9998{}", text.strip_prefix("9999")?)).map(|_| Timestamp::MAX);
    read(text).or_else(never)
}

/// The claims of a key: `key_id`, `scope` and `roles` in addition to its own.
pub fn claims(
    id: Option<Value>,
    scopes: &[String],
    roles: &[String],
    mut claims: Map<String, Value>,
) -> Map<String, Value> {
    // The owner is the subject; a claim of the key must not say otherwise.
    claims.remove("sub");
    claims.extend(id.map(|id| ("key_id".to_owned(), id)));
    if !scopes.is_empty() {
        claims.insert("scope".to_owned(), scopes.join(" ").into());
    }
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), roles.into());
    }
    claims
}

/// The keys in `file`, or everything that is wrong with it. No fault shows a hash.
pub fn read(check: &CheckContext<'_>, file: &NamedFile) -> Result<FileKeys, Vec<Fault>> {
    let fault = |message: String, help: &str| Fault::new("keys.file", message).code(Code::KEY_FILE).help(help);
    let form = "write a list of `{ owner: NAME, hash: \"sha256:…\" }`; `gatewright api-key` prints a hash";
    let content = check.read(file).map_err(|message| vec![fault(message, form)])?;
    // `[]` is a list; an empty file was probably not written to its end.
    if content.trim_ascii().is_empty() {
        return Err(vec![fault(format!("{file} is empty"), "write a list of keys, or `[]` for none")]);
    }
    let entries: Vec<Entry> = serde_yaml::from_slice(&content).map_err(|error| {
        let at = error.location().map(|at| format!(", line {}", at.line())).unwrap_or_default();
        // The message of the library could show a value.
        let what = error.to_string();
        let what = ["missing field", "unknown field"].iter().find(|known| what.contains(**known)).map_or_else(
            || "not a list of keys".to_owned(),
            |_| what.split(" at line").next().unwrap_or_default().rsplit(": ").next().unwrap_or_default().to_owned(),
        );
        vec![fault(format!("{file}{at}: {what}"), form)]
    })?;
    let (mut keys, mut faults, mut ids) = (FileKeys::new(), Vec::new(), HashMap::new());
    for (number, entry) in (1_usize..).zip(entries) {
        let mut refuse = |why: &str, help: &str| {
            let who = entry.id.as_deref().unwrap_or(&entry.owner);
            faults.push(fault(format!("{file}, key {number} (`{}`): {why}", who.escape_debug()), help));
        };
        if let Some(before) = entry.id.as_ref().and_then(|id| ids.insert(id.clone(), number)) {
            refuse(&format!("key {before} has the same `id`"), "give each key its own `id`, or none");
            continue;
        }
        if entry.owner.trim().is_empty() {
            refuse("`owner` is empty", "name who uses the key");
            continue;
        }
        let Some(hash) = parse_hash(&entry.hash) else {
            refuse(
                "`hash` is not `sha256:` and 64 hex digits; a key itself must not be stored",
                "`gatewright api-key` prints a key and its hash",
            );
            continue;
        };
        let expires = entry.expires.as_deref().map(parse_time);
        if expires == Some(None) {
            refuse("`expires` is not a date or time", "write `2027-01-01`, or `2027-01-01T12:00:00Z`");
            continue;
        }
        let known = claims(entry.id.clone().map(Value::from), &entry.scopes, &entry.roles, entry.claims.clone());
        let identity = Arc::new(Identity::of(ApiKey::NAME, &entry.owner, known));
        if keys.insert(hash, Key { identity, expires: expires.flatten() }).is_some() {
            refuse("the same key is listed before", "remove one of the entries");
        }
    }
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}
