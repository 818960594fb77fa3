//! Response header fields that name the target or its paths: they get the client's origin and paths.

use super::backend::Backend;
use super::headers::Outside;
use crate::config::rewriting::Rewriting;
use http::header::{CONTENT_LOCATION, HeaderName, LOCATION, SET_COOKIE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};

/// The origin of a target, and how paths were rewritten for it.
pub(super) struct Inside<'a> {
    pub backend: &'a Backend,
    /// Whether the target received the client's `Host`.
    pub has_clients_host: bool,
    pub rewriting: &'a Rewriting,
}

/// Rewrites `Location`, `Content-Location` and the attributes of cookies.
pub(super) fn expose(headers: &mut HeaderMap, inside: &Inside<'_>, outside: &Outside) {
    if !headers.keys().any(|name| [LOCATION, CONTENT_LOCATION, SET_COOKIE].contains(name)) {
        return;
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(value) = headers.get(&name)
            && let Some(value) = value.to_str().ok().and_then(|value| inside.location(value, outside))
        {
            insert(headers, name, value);
        }
    }
    if headers.contains_key(SET_COOKIE) {
        for (_, value) in headers.iter_mut().filter(|(name, _)| **name == SET_COOKIE) {
            let changed = value.to_str().ok().and_then(|value| inside.cookie(value));
            if let Some(changed) = changed.and_then(|changed| HeaderValue::try_from(changed).ok()) {
                *value = changed;
            }
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

impl Inside<'_> {
    /// The URI reference `value` as the client must see it, if that differs.
    fn location(&self, value: &str, outside: &Outside) -> Option<String> {
        let scheme = self.backend.scheme.as_str();
        let (scheme, after) = match value.strip_prefix("//") {
            Some(after) => (scheme, after),
            None if value.starts_with('/') => return self.restored(value),
            None => value.split_once("://").filter(|(scheme, _)| is_http(scheme))?,
        };
        let end = after.find(['/', '?', '#', '\\']).unwrap_or(after.len());
        let (authority, rest) = after.split_at_checked(end)?;
        let client = outside.host.as_ref().and_then(|host| host.to_str().ok());
        let client = client.filter(|host| host.parse::<Authority>().is_ok())?;
        if self.has_clients_host && is_same(scheme, authority, client) {
            // The scheme stays: a redirect from HTTP to HTTPS must not become one to itself.
            let restored = self.restored(rest)?;
            return Some(format!("{}{restored}", value.strip_suffix(rest)?));
        }
        let is_own = scheme.eq_ignore_ascii_case(self.backend.scheme.as_str())
            && self.own_authorities().any(|own| is_same(scheme, authority, own));
        is_own.then(|| {
            let restored = self.restored(rest);
            format!("{}://{client}{}", outside.scheme.as_str(), restored.as_deref().unwrap_or(rest))
        })
    }

    /// How the target may name itself: by its address, and by the `Host` that it received.
    fn own_authorities(&self) -> impl Iterator<Item = &str> {
        let host = self.backend.host.to_str().ok().filter(|_| !self.has_clients_host);
        host.into_iter().chain(self.backend.authority.to_str().ok())
    }

    /// `reference`, which is a path with an optional query and fragment, under the removed prefix.
    fn restored(&self, reference: &str) -> Option<String> {
        let end = reference.find(['?', '#']).unwrap_or(reference.len());
        let (path, rest) = reference.split_at_checked(end)?;
        Some(format!("{}{rest}", self.rewriting.restore(path)?))
    }

    /// The cookie without the host of the target, and under the removed prefix, if that differs.
    fn cookie(&self, value: &str) -> Option<String> {
        let mut parts = value.split(';');
        let mut made = parts.next()?.to_owned();
        let mut changed = false;
        for part in parts {
            let (name, of) = part.split_once('=').unwrap_or((part, ""));
            let (name, of) = (name.trim(), of.trim());
            if name.eq_ignore_ascii_case("domain") && self.is_own_name(of.trim_start_matches('.')) {
                changed = true;
                continue;
            }
            // A cookie for all paths stays one. What does not begin with a slash is no path (RFC 6265 section 5.2.4).
            let is_path = name.eq_ignore_ascii_case("path") && of.starts_with('/') && of.len() > 1;
            let restored = is_path.then(|| self.rewriting.restore(of));
            made.push(';');
            match restored.flatten() {
                Some(restored) => {
                    changed = true;
                    made.push_str(" Path=");
                    made.push_str(&restored);
                }
                None => made.push_str(part),
            }
        }
        changed.then_some(made)
    }

    fn is_own_name(&self, name: &str) -> bool {
        self.own_authorities()
            .any(|own| own.parse::<Authority>().is_ok_and(|own| own.host().eq_ignore_ascii_case(name)))
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Whether both name the same host and port, which is that of `scheme` by default.
fn is_same(scheme: &str, one: &str, other: &str) -> bool {
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let read = |text: &str| {
        let authority = text.parse::<Authority>().ok().filter(|_| !text.contains('@'))?;
        Some((authority.host().trim_end_matches('.').to_ascii_lowercase(), authority.port_u16().unwrap_or(default)))
    };
    read(one).is_some_and(|one| read(other) == Some(one))
}
