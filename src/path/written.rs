//! Paths in the configuration: of a route, a prefix, and of the gateway itself.

mod literal;
#[cfg(test)]
mod tests;

use super::{Doubts, normal};
use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use literal::judge;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// The whole path of a route, with parameters: `/orders/{id}`, `/files/{*rest}`. In normal form, however it was
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Judged);

/// A path prefix of whole segments: `/api`. In normal form, however it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPrefix(Judged);

/// A path that the gateway itself serves. In normal form, however it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPath(Judged);

/// A path in normal form that requests can have, apart from its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    text: String,
    doubts: Doubts,
}

/// A segment of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateSegment<'a> {
    Text(&'a str),
    /// `{name}`: one segment.
    Parameter(&'a str),
    /// `{*name}`: the rest of the path.
    Rest(&'a str),
}

/// The segments of a valid template.
pub fn segments(template: &str) -> impl Iterator<Item = TemplateSegment<'_>> {
    template.split('/').skip(1).map(|segment| {
        match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            None => TemplateSegment::Text(segment),
            Some(inner) => inner.strip_prefix('*').map_or(TemplateSegment::Parameter(inner), TemplateSegment::Rest),
        }
    })
}

impl PathTemplate {
    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        segments(self).filter_map(|segment| match segment {
            TemplateSegment::Text(_) => None,
            TemplateSegment::Parameter(name) | TemplateSegment::Rest(name) => Some(name),
        })
    }

    /// Whether it matches everything below a path.
    pub fn takes_rest(&self) -> bool {
        segments(self).any(|segment| matches!(segment, TemplateSegment::Rest(_)))
    }
}

impl OwnPath {
    /// A path chosen by the program itself.
    pub fn of(path: &'static str) -> Self {
        path.parse().expect("it is in order")
    }
}

impl FromStr for PathTemplate {
    type Err = Fault;

    fn from_str(written: &str) -> Result<Self, Fault> {
        let judged = judge(written)?;
        let mut names: Vec<&str> = Vec::new();
        let mut segments = judged.text.split('/').peekable();
        while let Some(segment) = segments.next() {
            if !segment.contains(['{', '}', '*']) {
                continue;
            }
            let fault = |message: &str, help: &str| {
                Err(Fault::new("", format!("`{}` {message}", shown(segment))).code(Code::INVALID_PATH).help(help))
            };
            let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                return fault(
                    "mixes a parameter with other text",
                    "make the parameter a whole segment: `/orders/{id}`",
                );
            };
            let rest = inner.strip_prefix('*');
            if rest.is_some() && segments.peek().is_some() {
                return fault("must be the last segment", "move it to the end: `{*rest}` matches the rest of the path");
            }
            let name = rest.unwrap_or(inner);
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return fault("does not have a valid parameter name", "use letters, digits and `_`: `{id}`, `{*rest}`");
            }
            if names.contains(&name) {
                return fault("appears twice", "use a different name for each parameter");
            }
            names.push(name);
        }
        Ok(Self(judged))
    }
}

impl FromStr for PathPrefix {
    type Err = Fault;

    fn from_str(written: &str) -> Result<Self, Fault> {
        let judged = judge(written)?;
        let path = &judged.text;
        if path.contains(['{', '}']) {
            return Err(Fault::new("", format!("a prefix must not contain a parameter: `{}`", shown(path)))
                .code(Code::INVALID_PATH)
                .help("of a route, use `path` with `{*rest}` at the end; in `rewrite`, use `replace`"));
        }
        match path.strip_suffix('/').filter(|trimmed| !trimmed.is_empty()) {
            Some(trimmed) => {
                Err(Fault::new("", format!("`{}` ends with `/`", shown(path))).code(Code::INVALID_PATH).help(format!(
                    "write `{}`: a prefix has no slash at its end, and the rest of the path begins with one",
                    shown(trimmed)
                )))
            }
            None => Ok(Self(judged)),
        }
    }
}

impl FromStr for OwnPath {
    type Err = Fault;

    fn from_str(written: &str) -> Result<Self, Fault> {
        let judged = judge(written)?;
        match refused(&judged.text, judged.doubts) {
            Some(message) => Err(Fault::new("", message).code(Code::REFUSED_PATH).help("choose another path")),
            None => Ok(Self(judged)),
        }
    }
}

/// The message about a path whose requests are rejected for these doubts, if any.
pub fn refused(path: &str, doubts: Doubts) -> Option<String> {
    let why = doubts.iter().next()?.message().trim_start_matches("path: ");
    Some(format!("requests for `{}` are rejected: a path {why}", shown(path)))
}

macro_rules! path {
    ($kind:ty, $format:literal, $stand_in:literal) => {
        impl $kind {
            /// Its doubtful spellings.
            pub const fn doubts(&self) -> Doubts {
                self.0.doubts
            }
        }

        impl Deref for $kind {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0.text
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self)
            }
        }

        impl Written for $kind {
            const FORMAT: &'static str = $format;
            const STAND_IN: Option<&'static str> = Some($stand_in);
        }

        written!($kind, "pattern": "^/");
    };
}

path!(PathTemplate, "path-template", "/");
path!(PathPrefix, "path-prefix", "/");
path!(OwnPath, "own-path", "/");
