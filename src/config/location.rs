//! Where a redirect leads: an address with parameters of the request's path in it, which can never choose the host.

use super::document::route::Route;
use crate::path::{self, TemplateSegment};
use http::uri::Authority;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// A fault and the way out.
pub type Fault = (String, String);

/// What a value may not bring into a path as it is: the end of the path, and what RFC 3986 knows only as an escape. A
/// backslash is a slash to browsers.
const UNSAFE: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'\\').add(b'^').add(b'`');
const PATH: AsciiSet = UNSAFE.add(b'{').add(b'|').add(b'}');

/// In a query, also what would begin another parameter or mean a space.
const QUERY: AsciiSet = PATH.add(b'&').add(b'+').add(b';').add(b'=');

/// A redirect's `to`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `https://host:port`; empty where the redirect stays on the host of the request.
    origin: String,
    path: Vec<Piece>,
    query: Option<Vec<Piece>>,
    fragment: Option<Vec<Piece>>,
}

/// A piece of a [`Location`]: text as written, or a parameter of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter {
        /// Its position among the parameters of the route's path.
        index: usize,
        /// Whether it stands for whole segments, which begin after a slash.
        is_rest: bool,
    },
}

/// A parameter of a route's path: its name, and whether it stands for the rest of the path.
type Parameter<'a> = (&'a str, bool);

impl Location {
    /// Reads the `to` of a redirect of `route`.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn new(to: &str, route: &Route) -> Result<Self, Fault> {
        check_characters(to)?;
        let (origin, rest) = split_origin(to)?;
        let known = parameters(route);
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        Ok(Self {
            origin: origin.to_owned(),
            path: pieces(path, &known)?,
            query: query.map(|query| pieces(query, &known)).transpose()?,
            fragment: fragment.map(|fragment| pieces(fragment, &known)).transpose()?,
        })
    }

    /// The address for a request with these `values` of its path's parameters and this `query`.
    pub fn render<'a>(&self, value: impl Fn(usize) -> &'a str, query: Option<&str>) -> String {
        let mut text = String::with_capacity(128);
        text.push_str(&self.origin);
        for piece in &self.path {
            match piece {
                Piece::Text(piece) => push_path(&mut text, piece),
                Piece::Parameter { index, is_rest } => {
                    let value = value(*index);
                    if *is_rest && !value.is_empty() && !text.ends_with('/') {
                        text.push('/');
                    }
                    // `//evil.example` is another host; behind something, slashes stay as they came.
                    let value = if text == "/" { value.trim_start_matches('/') } else { value };
                    text.extend(utf8_percent_encode(value, &PATH));
                }
            }
        }
        let fill = |text: &mut String, pieces: &[Piece], set| {
            for piece in pieces {
                match piece {
                    Piece::Text(piece) => text.push_str(piece),
                    Piece::Parameter { index, .. } => text.extend(utf8_percent_encode(value(*index), set)),
                }
            }
        };
        if let Some(pieces) = &self.query {
            text.push('?');
            fill(&mut text, pieces, &QUERY);
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            match &self.query {
                None => text.push('?'),
                Some(_) if text.ends_with(['?', '&']) => {}
                Some(_) => text.push('&'),
            }
            text.push_str(query);
        }
        if let Some(pieces) = &self.fragment {
            text.push('#');
            fill(&mut text, pieces, &PATH);
        }
        text
    }
}

/// Where text follows a value, their slashes become one: a value may be empty, or end with a slash.
fn push_path(path: &mut String, piece: &str) {
    let piece = if path.ends_with('/') { piece.trim_start_matches('/') } else { piece };
    path.push_str(piece);
}

fn parameters(route: &Route) -> Vec<Parameter<'_>> {
    let Some(path) = &route.path else { return vec![("rest", true)] };
    let parameter = |segment| match segment {
        TemplateSegment::Text(_) => None,
        TemplateSegment::Parameter(name) => Some((name, false)),
        TemplateSegment::Rest(name) => Some((name, true)),
    };
    path::segments(path).filter_map(parameter).collect()
}

fn check_characters(to: &str) -> Result<(), Fault> {
    let encoded = || "write it percent-encoded".to_owned();
    if to.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(("`to` holds a space or control character".to_owned(), encoded()));
    }
    if let Some(wrong) = to.chars().find(|c| !c.is_ascii() || "\\\"<>^`|".contains(*c)) {
        return Err((format!("`to` holds `{wrong}`, which is not allowed in a URL"), encoded()));
    }
    let is_escape = |(at, _): (usize, _)| {
        to.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !to.match_indices('%').all(is_escape) {
        let message = "`to` holds a `%` without two hexadecimal digits".to_owned();
        return Err((message, "write `%25` for a plain `%`".to_owned()));
    }
    Ok(())
}

/// Parts `to` into the origin, which is empty for a path alone, and what follows it.
fn split_origin(to: &str) -> Result<(&str, &str), Fault> {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| to.get(..scheme.len()).is_some_and(|written| written.eq_ignore_ascii_case(scheme)));
    let Some(scheme) = scheme else {
        if to.starts_with('/') && !to.starts_with("//") {
            return Ok(("", to));
        }
        let message = "`to` is neither a path nor an http URL".to_owned();
        return Err((message, "write `/path` or `https://host/path`".to_owned()));
    };
    let end = to.get(scheme.len()..).and_then(|rest| rest.find(['/', '?', '#'])).map(|end| scheme.len() + end);
    let (origin, rest) = to.split_at_checked(end.unwrap_or(to.len())).unwrap_or((to, ""));
    let authority = origin.get(scheme.len()..).unwrap_or_default();
    if let Some((host, parameter)) = authority.split_once('{') {
        let message =
            "a parameter of `to` is part of the host, so that a request could choose where it leads".to_owned();
        let help = match is_authority(host) {
            true => format!("put a slash before it: `{scheme}{host}/{{{parameter}`"),
            false => "write the host out; parameters can follow in the path".to_owned(),
        };
        return Err((message, help));
    }
    if !is_authority(authority) {
        let message = format!("`{authority}` is not a valid host in `to`");
        return Err((message, "write `https://host/path` or `https://host:port/path`, without a user".to_owned()));
    }
    Ok((origin, rest))
}

/// A host, and a port if need be. No user: RFC 9110, section 4.2.4.
fn is_authority(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let has_port = text.len() > authority.host().len();
    !authority.host().is_empty() && !text.contains(['@', '%']) && (!has_port || authority.port_u16().is_some())
}

fn pieces(text: &str, known: &[Parameter<'_>]) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at_checked(brace).unwrap_or((rest, ""));
        let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) else {
            let message = "`to` holds a brace without its other half".to_owned();
            return Err((message, "write `{name}` for a parameter, `%7B` and `%7D` for plain braces".to_owned()));
        };
        let Some(index) = known.iter().position(|(known, _)| *known == name) else {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{{{name}}}`")).collect();
            let help = match names.as_slice() {
                [] => "the route's `path` has no parameter".to_owned(),
                names => format!("known: {}", names.join(", ")),
            };
            return Err((format!("`{{{}}}` stands for nothing here", name.escape_debug()), help));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Parameter { index, is_rest: known.get(index).is_some_and(|(_, is_rest)| *is_rest) });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
