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
    read(request, names, None).await.map(|(texts, _)| texts)
}

/// The same with a switch, which is off unless it is there and `true`.
pub async fn texts_and_switch<const N: usize>(
    request: Request,
    names: [&str; N],
    switch: &str,
) -> Result<([Zeroizing<String>; N], bool), Problem> {
    read(request, names, Some(switch)).await
}

async fn read<const N: usize>(
    request: Request,
    names: [&str; N],
    switch: Option<&str>,
) -> Result<([Zeroizing<String>; N], bool), Problem> {
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
    let owned: Vec<String> = names.into_iter().chain(switch).map(str::to_owned).collect();
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
    let switched = match (switch, known.next().flatten()) {
        (Some(name), Some(value)) => match value {
            Json::Bool(switched) => switched,
            _ => {
                faults.push(Detail::new(name, "type", "must be true or false"));
                false
            }
        },
        _ => false,
    };
    let id = entries.id.map(|_| "id".to_owned());
    faults.extend(entries.unknown.into_iter().chain(id).map(|name| Detail::new(name, "unknown", "unknown field")));
    if faults.is_empty() { Ok((texts, switched)) } else { Err(refusal(faults)) }
}

/// Rejects a password that no account can have, before it is hashed.
pub fn check_length(name: &str, password: &str) -> Result<(), Problem> {
    if password.len() <= LONGEST_PASSWORD {
        return Ok(());
    }
    Err(refusal(vec![Detail::new(name, "max", "must be at most 1024 bytes")]))
}
