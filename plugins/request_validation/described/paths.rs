//! Finds what is described at a path: a tree of segments.

use percent_encoding::{percent_decode, percent_decode_str};
use std::borrow::Cow;
use std::collections::HashMap;

/// What is at paths with parameters.
pub struct Paths<T>(Node<T>);

struct Node<T> {
    /// By their text, decoded.
    fixed: HashMap<String, Node<T>>,
    /// Segments such as `{name}.json`.
    mixed: Vec<(Vec<Piece>, Node<T>)>,
    /// `{name}`.
    any: Option<Box<Node<T>>>,
    here: Option<T>,
}

#[derive(PartialEq)]
enum Piece {
    Text(String),
    Parameter,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { fixed: HashMap::new(), mixed: Vec::new(), any: None, here: None }
    }
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self(Node::default())
    }
}

fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

/// Whether servers read a path differently, so that the description of another path may apply: it has an empty segment, a `;` or an
/// encoded slash, or is encoded twice or not in UTF-8. A listener may allow such paths.
pub fn is_ambiguous(path: &str) -> bool {
    if path.contains("//") {
        return true;
    }
    if !path.contains(['%', ';']) {
        return false;
    }
    let decoded = |segment: &str| {
        let once: Vec<u8> = percent_decode_str(segment).collect();
        is_encoded(&once) || once.iter().any(|byte| matches!(byte, b'/' | b';')) || std::str::from_utf8(&once).is_err()
    };
    path.split('/').any(decoded)
}

/// Why no request comes to a path of a description, whose parameters have no names, and what to do about it.
pub fn unreachable(path: &str) -> Option<(&'static str, &'static str)> {
    const ELSEWHERE: &str = "describe another path, or serve this one by a route without this plugin";
    let segments = || path.split('/').map(|segment| percent_decode_str(segment).collect::<Vec<u8>>());
    let is_refused = |byte: &u8| byte.is_ascii_control() || *byte == b'\\';
    if path.contains('?') {
        return Some(("a path ends in front of a `?`", "describe what follows as parameters, with `in: query`"));
    }
    if path.contains('#') {
        return Some(("clients do not send what follows a `#`", "remove it from the path"));
    }
    if segments().any(|segment| matches!(&*segment, b"." | b"..")) {
        return Some(("paths with a segment `.` or `..` get 400", "describe the path that it leads to"));
    }
    if segments().flatten().any(|byte| is_refused(&byte)) {
        return Some(("paths with a backslash or a control character get 400", ELSEWHERE));
    }
    if path.contains("}{") {
        return Some(("nothing says where the first of two parameters ends", "write a text between them"));
    }
    is_ambiguous(path).then_some((
        "paths with `;`, an encoded slash or an empty segment get 400, because servers read them differently",
        ELSEWHERE,
    ))
}

/// Whether a text has an escape of a character that needs none, or that would change the path. `%20` may be what it says.
fn is_encoded(text: &[u8]) -> bool {
    let meant = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/;%\\".contains(&byte);
    text.windows(3).filter(|three| three.starts_with(b"%")).any(|three| {
        let mut decoded = percent_decode(three);
        matches!((decoded.next(), decoded.next()), (Some(byte), None) if meant(byte))
    })
}

impl<T> Paths<T> {
    /// Adds what is at `path`, which begins with a slash.
    pub fn add(&mut self, path: &str, here: T) {
        let mut node = &mut self.0;
        for segment in path.split('/').skip(1) {
            node = match pieces(segment).as_slice() {
                [Piece::Parameter] => node.any.get_or_insert_default(),
                [] => node.fixed.entry(String::new()).or_default(),
                [Piece::Text(text)] => node.fixed.entry(decoded(text).into_owned()).or_default(),
                _ => mixed(&mut node.mixed, pieces(segment)),
            };
        }
        node.here = Some(here);
    }

    /// What is at `path`, and its parameters, decoded, in order. Fixed segments take precedence.
    pub fn find(&self, path: &str) -> Option<(&T, Vec<String>)> {
        let mut parameters = Vec::new();
        let found = find(&self.0, path.strip_prefix('/'), &mut parameters)?;
        Some((found, parameters))
    }
}

fn mixed<T>(known: &mut Vec<(Vec<Piece>, Node<T>)>, pieces: Vec<Piece>) -> &mut Node<T> {
    let index = known.iter().position(|(other, _)| *other == pieces).unwrap_or_else(|| {
        known.push((pieces, Node::default()));
        known.len() - 1
    });
    &mut known.get_mut(index).expect("it was found or added").1
}

fn find<'a, T>(node: &'a Node<T>, rest: Option<&str>, parameters: &mut Vec<String>) -> Option<&'a T> {
    let Some(rest) = rest else { return node.here.as_ref() };
    let (segment, after) = rest.split_once('/').map_or((rest, None), |(segment, after)| (segment, Some(after)));
    let text = decoded(segment);
    if let Some(found) = node.fixed.get(&*text).and_then(|next| find(next, after, parameters)) {
        return Some(found);
    }
    let known = parameters.len();
    for (pieces, next) in &node.mixed {
        if matches(pieces, &text, parameters)
            && let Some(found) = find(next, after, parameters)
        {
            return Some(found);
        }
        parameters.truncate(known);
    }
    // A parameter is never empty: another resource would be at that path.
    let next = node.any.as_ref().filter(|_| !text.is_empty())?;
    parameters.push(text.into_owned());
    let found = find(next, after, parameters);
    if found.is_none() {
        parameters.truncate(known);
    }
    found
}

fn pieces(segment: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = segment;
    while let Some((before, (_, after))) =
        rest.split_once('{').and_then(|(before, inner)| Some((before, inner.split_once('}')?)))
    {
        if !before.is_empty() {
            found.push(Piece::Text(before.to_owned()));
        }
        found.push(Piece::Parameter);
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.to_owned()));
    }
    found
}

/// Whether a segment is as `pieces` describe it. A parameter ends where the next text begins for the first time; one at the end of the
/// segment has the rest.
fn matches(pieces: &[Piece], text: &str, parameters: &mut Vec<String>) -> bool {
    let (mut rest, mut pieces) = (text, pieces);
    while let [piece, more @ ..] = pieces {
        let (value, after, used) = match (piece, more) {
            (Piece::Text(wanted), _) => match rest.strip_prefix(&*decoded(wanted)) {
                Some(after) => (None, after, 1),
                None => return false,
            },
            (Piece::Parameter, [Piece::Text(end)]) => match rest.strip_suffix(&*decoded(end)) {
                Some(value) => (Some(value), "", 2),
                None => return false,
            },
            (Piece::Parameter, [Piece::Text(next), ..]) => match rest.split_once(&*decoded(next)) {
                Some((value, after)) => (Some(value), after, 2),
                None => return false,
            },
            (Piece::Parameter, _) => (Some(rest), "", 1),
        };
        if value == Some("") {
            return false;
        }
        parameters.extend(value.map(str::to_owned));
        rest = after;
        pieces = pieces.get(used..).unwrap_or_default();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ambiguous_if_servers_split_it_differently() {
        for path in [
            "//a", "/a//b", "/a//", "/a;b", "/a%3Bb", "/a;/b", "/a%2Fb", "/a%2f", "/%2561", "/a%257Eb", "/a%252Fb",
            "/caf%E9",
        ] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in ["", "/", "/a/", "/a%20b", "/caf%C3%A9", "/100%25", "/a%2520b", "/a%3Ab", "/%25zz"] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }

    #[test]
    fn fixed_segments_come_first_and_parameters_are_decoded() {
        let mut paths = Paths::default();
        for path in
            ["/", "/a", "/a/{id}", "/a/new", "/a/{id}/x", "/a/new/y", "/f/{name}.json", "/f/{from}-{to}", "/caf%C3%A9"]
        {
            paths.add(path, path);
        }
        for (path, found, parameters) in [
            ("/", "/", &[][..]),
            ("/a", "/a", &[]),
            ("/a/5", "/a/{id}", &["5"]),
            ("/a/%C3%A9%2Fb", "/a/{id}", &["é/b"]),
            ("/a/new", "/a/new", &[]),
            ("/a/%6Eew", "/a/new", &[]),
            ("/a/new/x", "/a/{id}/x", &["new"]),
            ("/a/new/y", "/a/new/y", &[]),
            ("/f/a.b.json", "/f/{name}.json", &["a.b"]),
            ("/f/1-2-3", "/f/{from}-{to}", &["1", "2-3"]),
            ("/café", "/caf%C3%A9", &[]),
        ] {
            let (here, values) = paths.find(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(
                (*here, values.iter().map(String::as_str).collect::<Vec<_>>()),
                (found, parameters.to_vec()),
                "{path}"
            );
        }
        for path in ["/a/", "/a/5/", "/b", "/a/5/y", "/f/.json", "/f/-", "/A"] {
            assert!(paths.find(path).is_none(), "{path}");
        }
    }
}
