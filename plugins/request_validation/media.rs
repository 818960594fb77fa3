//! Media types of requests, and the ranges of them that a description lists.

use gatewright_sdk::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// What is wrong with JSON that is not in UTF-8.
pub const CHARSET: &str = "The charset of JSON must be UTF-8";

/// `application/json`, or another type of JSON with the suffix `+json` (RFC 6839 section 3.1).
pub fn is_json(essence: &str) -> bool {
    let essence = essence.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The media type of a request in lower case, and whether it is in a charset other than UTF-8 (RFC 8259 section 8.1).
pub struct Media {
    pub essence: String,
    pub foreign: bool,
}

/// The media type of a request. Servers would read several differently.
///
/// # Errors
/// Why there is none that everyone reads alike.
pub fn of(request: &Request, expected: &'static str) -> Result<Media, &'static str> {
    let headers = request.headers();
    if headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err("Content-Encoding must be identity, or absent");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return Err(expected) };
    let Ok(text) = only.to_str() else { return Err(expected) };
    let mut parts = text.to_ascii_lowercase();
    parts.retain(|letter| letter != ' ' && letter != '"');
    let mut parts = parts.split(';');
    let essence = parts.next().unwrap_or_default().to_owned();
    let foreign = parts.any(|part| part.strip_prefix("charset=").is_some_and(|charset| charset != "utf-8"));
    Ok(Media { essence, foreign })
}

/// How well a range such as `text/*` fits a type: the higher, the better.
pub fn fit(range: &str, essence: &str) -> Option<u8> {
    let range = range.split(';').next().unwrap_or_default().trim();
    if range == "*/*" {
        return Some(0);
    }
    if let Some(kind) = range.strip_suffix("/*") {
        return essence.split_once('/').is_some_and(|(known, _)| known == kind).then_some(1);
    }
    (range == essence).then_some(2)
}
