//! Media types of requests, and the ranges of them that a description lists.

use gatewright_sdk::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// What is wrong with a body that is compressed: it is not unpacked here.
pub const ENCODING: &str = "Content-Encoding must be identity, or absent";

/// What is wrong with JSON that is not in UTF-8.
pub const CHARSET: &str = "The charset of JSON must be UTF-8";

/// `application/json` and its other spellings, `text/json` and `application/x-json`, or a type of JSON with the suffix `+json`
/// (RFC 6839 section 3.1): a server may read any of them as JSON.
pub fn is_json(essence: &str) -> bool {
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    matches!(subtype, "json" | "x-json") || subtype.ends_with("+json")
}

/// Whether a range such as `text/*` has types of JSON.
pub fn has_json(range: &str) -> bool {
    is_json(range) || range.ends_with("/*")
}

/// The media type of a request in lower case, and whether it is in a charset other than UTF-8 (RFC 8259 section 8.1).
pub struct Media {
    pub essence: String,
    pub foreign: bool,
}

/// The media type of a request. Servers would read several differently.
///
/// # Errors
/// Why there is none that everyone reads alike: `expected` says which one there must be.
pub fn of(request: &Request, expected: impl Fn() -> String) -> Result<Media, String> {
    let headers = request.headers();
    if headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ENCODING.to_owned());
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return Err(expected()) };
    let text = only.to_str().map_err(|_| expected())?.to_ascii_lowercase();
    // A comma separates several types, of which some servers take the last one.
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let essence = essence.trim_matches([' ', '\t']);
    if !is_type(essence) || parameters.contains(',') {
        return Err(expected());
    }
    let foreign = parameters.split(';').any(is_foreign);
    Ok(Media { essence: essence.to_owned(), foreign })
}

/// Whether a text is `type/subtype` (RFC 9110 section 8.3.1), and not a range.
fn is_type(essence: &str) -> bool {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte))
    };
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Whether a parameter is a charset other than UTF-8, however it is spelled.
fn is_foreign(parameter: &str) -> bool {
    let plain: String = parameter.chars().filter(|letter| !matches!(letter, ' ' | '\t' | '"')).collect();
    plain.strip_prefix("charset").is_some_and(|rest| rest.starts_with(['=', '*']) && rest != "=utf-8")
}

/// How well a range such as `text/*` or `application/*+json` fits a type: the higher, the better.
pub fn fit(range: &str, essence: &str) -> Option<u8> {
    let range = range.split(';').next().unwrap_or_default().trim();
    let ((wanted, pattern), (kind, subtype)) = (range.split_once('/')?, essence.split_once('/')?);
    let kind = match wanted {
        "*" => 0,
        _ if wanted == kind => 3,
        _ => return None,
    };
    let subtype = match pattern.strip_prefix('*') {
        Some("") => 0,
        Some(suffix) if subtype.len() > suffix.len() && subtype.ends_with(suffix) => 1,
        None if pattern == subtype => 2,
        _ => return None,
    };
    Some(kind + subtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_range_fits_best() {
        let ranges = ["*/*", "*/json", "application/*", "application/*+json", "application/vnd.a+json", "text/*"];
        for (essence, best) in [
            ("application/vnd.a+json", "application/vnd.a+json"),
            ("application/vnd.b+json", "application/*+json"),
            ("application/json", "application/*"),
            ("text/json", "text/*"),
            ("image/json", "*/json"),
            ("image/png", "*/*"),
        ] {
            let found = ranges.iter().filter_map(|range| Some((fit(range, essence)?, *range))).max();
            assert_eq!(found.map(|(_, range)| range), Some(best), "{essence}");
        }
        assert_eq!((fit("a/b", "a/c"), fit("a/*+json", "a/+json"), fit("a", "a/b")), (None, None, None));
    }

    #[test]
    fn a_content_type_is_one_type_that_everyone_reads_alike() {
        let read = |value: &str| {
            let request = http::Request::builder().header(CONTENT_TYPE, value);
            let request = request.body(gatewright_sdk::Body::empty()).unwrap();
            of(&request, String::new).map(|media| (media.essence, media.foreign)).ok()
        };
        for value in [
            "",
            " ",
            "/",
            "*/*",
            "text/*",
            "text",
            "text/",
            "/json",
            "text/a b",
            "text/a/b",
            "application/\"json\"",
            "application/json, text/plain",
            "application/json,",
            "text/plain; charset=utf-8, application/json",
            "text/plain; a=\"b, application/json",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        for (value, essence, foreign) in [
            ("Application/JSON", "application/json", false),
            ("application/json\t;\tcharset=\"UTF-8\";", "application/json", false),
            ("application/json;\tcharset=utf-7", "application/json", true),
            ("application/json; charset*=utf-8''utf-7", "application/json", true),
            ("application/json; charset=utf-8; charset=utf-16", "application/json", true),
            ("multipart/form-data; boundary=\"a b/c\"", "multipart/form-data", false),
        ] {
            assert_eq!(read(value), Some((essence.to_owned(), foreign)), "{value}");
        }
    }
}
