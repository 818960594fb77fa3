//! The target of a redirect, as written.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use http::uri::Authority;
use std::fmt;
use std::str::FromStr;

/// A path, or an http(s) URL, with parameters after its host: `https://files.example.com/{rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTo {
    written: String,
    /// `https://host:port`; empty if the redirect stays on the host of the request.
    pub origin: String,
    pub path: Vec<RedirectPiece>,
    pub query: Option<Vec<RedirectPiece>>,
    pub fragment: Option<Vec<RedirectPiece>>,
}

/// A piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectPiece {
    Text(String),
    /// The name of a parameter of the route's path.
    Parameter(String),
}

impl FromStr for RedirectTo {
    type Err = Fault;

    fn from_str(to: &str) -> Result<Self, Fault> {
        check_characters(to)?;
        let (origin, rest) = split_origin(to)?;
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        Ok(Self {
            written: to.to_owned(),
            origin: origin.to_owned(),
            path: pieces(path)?,
            query: query.map(pieces).transpose()?,
            fragment: fragment.map(pieces).transpose()?,
        })
    }
}

fn fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault::new("", message).code(Code::REDIRECT).help(help)
}

fn check_characters(to: &str) -> Result<(), Fault> {
    const ENCODED: &str = "percent-encode it";
    if to.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(fault("`to` must not contain a space or control character", ENCODED));
    }
    if let Some(wrong) = to.chars().find(|c| !c.is_ascii() || "\\\"<>^`|".contains(*c)) {
        return Err(fault(format!("`{wrong}` is not allowed in the URL `to`"), ENCODED));
    }
    let is_escape = |(at, _): (usize, _)| {
        to.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !to.match_indices('%').all(is_escape) {
        return Err(fault("`to` contains an invalid percent-encoding", "write `%25` for a literal `%`"));
    }
    Ok(())
}

/// Splits `to` into the origin, which is empty for a path, and the rest.
fn split_origin(to: &str) -> Result<(&str, &str), Fault> {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| to.get(..scheme.len()).is_some_and(|written| written.eq_ignore_ascii_case(scheme)));
    let Some(scheme) = scheme else {
        if to.starts_with('/') && !to.starts_with("//") {
            return Ok(("", to));
        }
        return Err(fault("`to` must be a path or an http or https URL", "write `/path` or `https://host/path`"));
    };
    let end = to.get(scheme.len()..).and_then(|rest| rest.find(['/', '?', '#'])).map(|end| scheme.len() + end);
    let (origin, rest) = to.split_at_checked(end.unwrap_or(to.len())).unwrap_or((to, ""));
    let authority = origin.get(scheme.len()..).unwrap_or_default();
    if let Some((host, parameter)) = authority.split_once('{') {
        let help = match is_authority(host) {
            true => format!("add a slash before it: `{scheme}{host}/{{{parameter}`"),
            false => "write a literal host; use parameters only in the path".to_owned(),
        };
        let message = "a parameter is not allowed in the host of `to`: clients could choose where it redirects";
        return Err(fault(message, help));
    }
    if !is_authority(authority) {
        let help = "write `https://host/path` or `https://host:port/path`, without a username";
        return Err(fault(format!("`{}` is not a valid host in `to`", shown(authority)), help));
    }
    Ok((origin, rest))
}

/// A host, optionally with a port. No user: RFC 9110, section 4.2.4.
fn is_authority(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let has_port = text.len() > authority.host().len();
    !authority.host().is_empty() && !text.contains(['@', '%']) && (!has_port || authority.port_u16().is_some())
}

fn pieces(text: &str) -> Result<Vec<RedirectPiece>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at_checked(brace).unwrap_or((rest, ""));
        let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) else {
            let help = "write `{name}` for a parameter, `%7B` and `%7D` for literal braces";
            return Err(fault("`to` has an unmatched brace", help));
        };
        if !before.is_empty() {
            pieces.push(RedirectPiece::Text(before.to_owned()));
        }
        pieces.push(RedirectPiece::Parameter(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(RedirectPiece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

impl fmt::Display for RedirectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Written for RedirectTo {
    const FORMAT: &'static str = "redirect-location";
    const STAND_IN: Option<&'static str> = Some("/");
}

written!(RedirectTo);

#[cfg(test)]
mod tests;
