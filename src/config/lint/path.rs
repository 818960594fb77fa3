//! Judges paths and hosts of routes as they are written.

use crate::path::{self, Doubts};
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::Ipv6Addr;

/// The longest path of a route, in bytes.
const LONGEST: usize = 4096;

/// A fault and the way out.
pub type Fault = (String, String);

/// What is wrong with a path without parameters.
pub fn literal(path: &str) -> Option<Fault> {
    let fault = |message: &str, help: &str| Some((format!("`{}` {message}", shown(path)), help.to_owned()));
    if path.is_empty() {
        return Some(("the path is empty".to_owned(), "write `/` for the root".to_owned()));
    }
    if !path.starts_with('/') {
        return fault("does not begin with `/`", &format!("write `/{}`", shown(path)));
    }
    if path.len() > LONGEST {
        return Some((format!("the path is longer than {LONGEST} bytes"), "shorten it".to_owned()));
    }
    if path.contains('?') {
        return fault("holds a query", "a path ends before the `?`");
    }
    if path.contains('#') {
        return fault("holds a fragment", "a path ends before the `#`");
    }
    if path.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        return fault(
            "holds a space, backslash or control character",
            "write it as requests carry it: percent-encoded",
        );
    }
    if !path.is_ascii() {
        return fault("holds letters that requests carry percent-encoded", "write `%C3%A9` for `é`");
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return fault("holds `.` or `..`", "write the path that is meant");
    }
    if path.split('/').any(|segment| segment.starts_with(':')) {
        return fault("holds a parameter of another router", "write `{id}` for `:id`");
    }
    if path.contains('*') && !path.contains("{*") {
        return fault("holds `*`", "write `{*rest}` at the end of `path`, or use `path_prefix`");
    }
    let percent =
        |(at, _): (usize, _)| path.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !path.match_indices('%').all(percent) {
        return fault("holds a `%` without two hexadecimal digits", "write `%25` for a plain `%`");
    }
    // hyper refuses the target of such a request, and clients know it.
    if let Some(wrong) = path.chars().find(|c| PathAndQuery::try_from(format!("/{c}")).is_err()) {
        let escaped =
            path.replace(wrong, &utf8_percent_encode(wrong.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string());
        return fault(
            &format!("holds `{wrong}`, which no request holds as it is"),
            &format!("write `{}`", shown(&escaped)),
        );
    }
    if path.contains(';') || path.contains("%3B") {
        return fault("holds a `;`", "parameters behind a `;` are not compared: write the path without them");
    }
    match path::read(path) {
        Ok(_) => None,
        Err(why) => {
            let why = why.trim_start_matches("path: ");
            fault("is a path that no request may have", &format!("a path {why}"))
        }
    }
}

/// What is doubtful about a path that is in order.
pub fn doubts(path: &str) -> Doubts {
    path::read(path).map(|reading| reading.spelling.doubts).unwrap_or_default()
}

/// What is wrong with a path that is refused for its `doubts`.
pub fn refused(path: &str, doubts: Doubts, way_out: String) -> Option<Fault> {
    let why = doubts.iter().next()?.message().trim_start_matches("path: ");
    Some((format!("requests for `{}` are refused: a path {why}", shown(path)), way_out))
}

/// What is wrong with a path of the gateway itself.
pub fn own(path: &str) -> Option<Fault> {
    literal(path).or_else(|| refused(path, doubts(path), "write another path".to_owned()))
}

/// What is wrong with the beginning of a path.
pub fn prefix(path: &str) -> Option<Fault> {
    literal(path).or_else(|| {
        if path.contains(['{', '}']) {
            return Some((
                format!("`{}` holds a parameter", shown(path)),
                "a prefix is taken as it is; `path` takes parameters".to_owned(),
            ));
        }
        let trimmed = path.strip_suffix('/').filter(|trimmed| !trimmed.is_empty())?;
        Some((
            format!("`{}` ends with `/`", shown(path)),
            format!("a prefix is whole segments: write `{}`", shown(trimmed)),
        ))
    })
}

/// What is wrong with a path that may have parameters: `/a/{id}`, `/files/{*rest}`.
pub fn template(path: &str) -> Option<Fault> {
    literal(path).or_else(|| {
        let mut names: Vec<&str> = Vec::new();
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            if !segment.contains(['{', '}', '*']) {
                continue;
            }
            let fault = |message: &str, help: &str| Some((format!("`{}` {message}", shown(segment)), help.to_owned()));
            let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                return fault("mixes a parameter with other text", "a parameter is a whole segment: `/orders/{id}`");
            };
            let rest = inner.strip_prefix('*');
            if rest.is_some() && segments.peek().is_some() {
                return fault("is not the last segment", "`{*rest}` takes everything to the end");
            }
            let name = rest.unwrap_or(inner);
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return fault("has no name of letters, digits and `_`", "write `{id}` or `{*rest}`");
            }
            if names.contains(&name) {
                return fault("is there twice", "give each parameter its own name");
            }
            names.push(name);
        }
        None
    })
}

/// The names of the parameters of a path that is in order.
pub fn parameters(path: &str) -> impl Iterator<Item = &str> {
    let inner = |segment: &'_ str| segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some();
    path.split('/').filter(move |segment| inner(segment)).map(|segment| segment.trim_matches(['{', '}', '*']))
}

/// What is wrong with a host.
pub fn host(host: &str) -> Option<Fault> {
    let fault = |message: &str, help: &str| Some((format!("`{}` {message}", shown(host)), help.to_owned()));
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return if address.is_some() { None } else { fault("is not an IPv6 address", "write `[::1]`, without a port") };
    }
    if host.contains(':') {
        return fault("holds a port or scheme", "write the name alone: the listener decides about ports");
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.contains('*') {
        return fault("holds `*` in the middle", "`*` stands in front, for one or more names: `*.example.com`");
    }
    if !name.is_ascii() {
        return fault("is not written as requests carry it", "write the `xn--` form");
    }
    let label = |label: &str| {
        let in_names = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| in_names(b) || b == b'-')
            && label.bytes().any(in_names)
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return fault("is not a valid host", "write a name such as `api.example.com` or `*.example.com`");
    }
    None
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    short.escape_debug().to_string()
}
