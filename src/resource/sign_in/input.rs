//! Reads the bodies of sign-in requests: JSON objects of a few texts.

use crate::resource::body;
use crate::resource::json::Json;
use crate::resource::media;
use crate::resource::query;
use crate::resource::refusal::refusal;
use gatewright_sdk::{ByteSize, Detail, Problem, Request};
use zeroize::Zeroizing;

/// The maximum size of a body.
const LARGEST: ByteSize = ByteSize::kib(16);
/// The maximum length of a password in bytes, as for new ones.
const LONGEST_PASSWORD: usize = 1024;

/// The texts in the body, by these names. All are required, and no others are allowed.
pub async fn texts<const N: usize>(request: Request, names: [&str; N]) -> Result<[Zeroizing<String>; N], Problem> {
    let headers = request.headers();
    if !media::sends_json(headers) {
        // It also keeps forms of other sites from signing a browser in.
        return Err(Problem::unsupported_media_type("Content-Type must be application/json"));
    }
    media::check_coding(headers)?;
    if !media::takes_json(headers) {
        return Err(Problem::not_acceptable("application/json"));
    }
    // Secrets in an address end up in logs.
    query::none(request.uri().query())?;
    if body::announced_too_long(request.body(), LARGEST) {
        return Err(Problem::payload_too_large(LARGEST));
    }
    let bytes = body::read(request.into_body(), LARGEST).await?;
    let owned = names.map(str::to_owned);
    let entries = body::parse(&bytes, &owned)?;
    let mut faults = Vec::new();
    let mut known = entries.known.into_iter();
    let texts = names.map(|name| {
        let (code, message) = match known.next().flatten() {
            Some(Json::String(text)) if text.contains('\0') => ("nul", "must not contain NUL"),
            Some(Json::String(text)) => return Zeroizing::new(text),
            Some(Json::Null) => ("null", "must not be null"),
            Some(_) => ("type", "must be a string"),
            None => ("required", "is required"),
        };
        faults.push(Detail::new(name, code, message));
        Zeroizing::default()
    });
    let id = entries.id.map(|_| "id".to_owned());
    faults.extend(entries.unknown.into_iter().chain(id).map(|name| Detail::new(name, "unknown", "unknown field")));
    if faults.is_empty() { Ok(texts) } else { Err(refusal(faults)) }
}

/// Rejects a password that no account can have, before it is hashed.
pub fn check_length(name: &str, password: &str) -> Result<(), Problem> {
    if password.len() <= LONGEST_PASSWORD {
        return Ok(());
    }
    Err(refusal(vec![Detail::new(name, "max", "must be at most 1024 bytes")]))
}
