//! The `Location` of a redirect: an address with parameters from the request's path, which can never change the host.

use super::document::redirect_to::{RedirectPiece, RedirectTo};
use super::document::route::Route;
use crate::path::{self, TemplateSegment};
use gatewright_sdk::{Code, Fault};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Characters that a value must not insert into a path literally: those that end the path, and those that RFC 3986
/// allows only escaped. Browsers treat a backslash as a slash.
const UNSAFE: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'\\').add(b'^').add(b'`');
const PATH: AsciiSet = UNSAFE.add(b'{').add(b'|').add(b'}');

/// In a query, also those that start another parameter or mean a space.
const QUERY: AsciiSet = PATH.add(b'&').add(b'+').add(b';').add(b'=');

/// A redirect's `to`, combined with the path of its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `https://host:port`; empty if the redirect stays on the host of the request.
    origin: String,
    path: Template,
    query: Option<Vec<Piece>>,
    fragment: Option<Vec<Piece>>,
}

/// A path with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A piece of a [`Location`]: literal text, or a parameter of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter {
        /// Its index among the parameters of the route's path.
        index: usize,
        /// Whether it stands for whole segments, which start after a slash.
        is_rest: bool,
    },
}

/// A parameter of a route's path: its name, and whether it stands for the rest of the path.
pub type Parameter<'a> = (&'a str, bool);

impl Location {
    /// The redirect of `route`.
    ///
    /// # Errors
    /// A parameter that is not in the path of the route.
    pub fn new(to: &RedirectTo, route: &Route) -> Result<Self, Fault> {
        let known = parameters(route);
        let pieces = |written: &Vec<RedirectPiece>| pieces(written, &known);
        Ok(Self {
            origin: to.origin.clone(),
            path: Template(pieces(&to.path)?),
            query: to.query.as_ref().map(pieces).transpose()?,
            fragment: to.fragment.as_ref().map(pieces).transpose()?,
        })
    }

    /// The address for a request for this `path`, with these values of its parameters and this `query`.
    pub fn render<'a>(&self, path: &str, value: impl Fn(usize) -> &'a str, query: Option<&str>) -> String {
        let mut text = String::with_capacity(128);
        text.push_str(&self.origin);
        self.path.push_to(&mut text, path.ends_with('/'), &value);
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

impl Template {
    /// A path whose parameters are among `known`.
    ///
    /// # Errors
    /// A parameter that is not.
    pub fn new(written: &[RedirectPiece], known: &[Parameter<'_>]) -> Result<Self, Fault> {
        pieces(written, known).map(Self)
    }

    /// A path with the parameters of the path of `route`.
    ///
    /// # Errors
    /// A parameter that is not in the path of the route.
    pub fn of_route(written: &[RedirectPiece], route: &Route) -> Result<Self, Fault> {
        Self::new(written, &parameters(route))
    }

    /// The path for a request for `path`, with these values of its parameters.
    pub fn render<'a>(&self, path: &str, value: impl Fn(usize) -> &'a str) -> String {
        let mut text = String::with_capacity(64);
        self.push_to(&mut text, path.ends_with('/'), &value);
        text
    }

    /// Its pieces: literal text, and parameters with their index and whether they stand for whole segments.
    pub fn pieces<T>(&self, text: impl Fn(&str) -> T, parameter: impl Fn(usize, bool) -> T) -> Vec<T> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(piece) => text(piece),
            Piece::Parameter { index, is_rest } => parameter(*index, *is_rest),
        };
        self.0.iter().map(piece).collect()
    }

    /// `slash` is whether the path of the request ends with a slash. An empty rest does not show that, but keeps it at the end.
    fn push_to<'a>(&self, text: &mut String, slash: bool, value: &impl Fn(usize) -> &'a str) {
        let last = self.0.len().saturating_sub(1);
        for (position, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(piece) => push_path(text, piece),
                Piece::Parameter { index, is_rest } => {
                    let value = value(*index);
                    let begins = !value.is_empty() || (slash && position == last);
                    if *is_rest && begins && !text.ends_with('/') {
                        text.push('/');
                    }
                    // `//evil.example` is another host; after other text, slashes are kept.
                    let value = if text == "/" { value.trim_start_matches('/') } else { value };
                    text.extend(utf8_percent_encode(value, &PATH));
                }
            }
        }
    }
}

/// Before literal text, merges the slashes at the boundary: a value may be empty, or end with a slash.
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

fn pieces(written: &[RedirectPiece], known: &[Parameter<'_>]) -> Result<Vec<Piece>, Fault> {
    let piece = |piece: &RedirectPiece| match piece {
        RedirectPiece::Text(text) => Ok(Piece::Text(text.clone())),
        RedirectPiece::Parameter(name) => {
            let found = known.iter().enumerate().find(|(_, (known, _))| known == name);
            let parameter = found.map(|(index, (_, is_rest))| Piece::Parameter { index, is_rest: *is_rest });
            parameter.ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|(name, _)| format!("`{{{name}}}`")).collect();
                let help = match names.as_slice() {
                    [] => "the `path` of this route has no parameters".to_owned(),
                    names => format!("available: {}", names.join(", ")),
                };
                Fault::new("", format!("unknown placeholder `{{{}}}`", name.escape_debug()))
                    .code(Code::UNKNOWN_PLACEHOLDER)
                    .help(help)
            })
        }
    };
    written.iter().map(piece).collect()
}

#[cfg(test)]
mod tests;
