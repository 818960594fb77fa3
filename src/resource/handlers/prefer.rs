//! Preferences of clients (RFC 7240): `return=minimal` confirms a write without the item, `handling=lenient` writes the items of a
//! list one by one.

use gatewright_sdk::{Body, Request, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};

const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Whether the request is a write that prefers a response without the item. Other preferences, and malformed ones, are
/// ignored, as section 2 says.
pub(super) fn minimal(request: &Request) -> bool {
    let writes = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    writes && preferred(request, "return").is_some_and(|value| value.eq_ignore_ascii_case("minimal"))
}

/// Whether the items of a list should be written one by one, whatever happens to others (section 4.4).
pub(super) fn lenient(request: &Request) -> bool {
    preferred(request, "handling").is_some_and(|value| value.eq_ignore_ascii_case("lenient"))
}

/// The value of a preference. The first one counts.
fn preferred<'a>(request: &'a Request, wanted: &str) -> Option<&'a str> {
    let fields = request.headers().get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// Takes the item out of the response to a write that worked. `ETag` and `Location` stay.
pub(super) fn apply(response: &mut Response) {
    if response.status() != StatusCode::OK && response.status() != StatusCode::CREATED {
        return;
    }
    *response.body_mut() = Body::empty();
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    let created = response.status() == StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
    if created {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers.insert(APPLIED, HeaderValue::from_static("return=minimal"));
}
