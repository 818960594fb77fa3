//! Parses paths: their normal form, and the spellings that servers read differently.
//!
//! Two spellings of one path must take the same route: a guard in front of `/admin` is useless if `/%61dmin` bypasses
//! it. So admission puts the path into the normal form of RFC 3986 section 6.2.2, routes compare decoded segments, and
//! spellings that servers read differently are rejected unless the configuration allows them.

mod doubt;
mod written;

pub use doubt::{Doubt, Doubts};
pub use written::{OwnPath, PathPrefix, PathTemplate, TemplateSegment, refused, segments};

use std::borrow::Cow;

/// How a path in normal form is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spelling {
    pub doubts: Doubts,
    /// Whether its segments must be decoded before they are compared. Most paths need no decoding.
    pub escaped: bool,
}

/// A parsed path.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its normal form (RFC 3986 section 6.2.2), if it was written differently.
    pub normal: Option<String>,
    pub spelling: Spelling,
}

/// The role of a byte in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Slash,
    /// Ends the name in a segment: some servers treat the rest as parameters (RFC 3986 section 3.3).
    Semicolon,
    Percent,
    Wrong,
}

/// Compiled into a table.
const fn class(byte: u8) -> Class {
    match byte {
        b'.' => Class::Dot,
        b'/' => Class::Slash,
        b';' => Class::Semicolon,
        b'%' => Class::Percent,
        b'\\' => Class::Wrong,
        0x21..0x7f => Class::Plain,
        _ => Class::Wrong,
    }
}

const SLASH: &str = "path: must begin with a slash";
const SEGMENT: &str = "path: must not have `.` or `..` segments";
const ESCAPE: &str = "path: has a `%` that is not followed by two hex digits";
const CONTROL: &str = "path: must not have an encoded control character (%00 to %1F, %7F)";
const BACKSLASH: &str = "path: must not have an encoded backslash (%5C)";
const TWICE: &str = "path: must not have a separator or control character that is percent-encoded twice";
const OVERLONG: &str = "path: must not have overlong UTF-8 (%C0%AF)";
const BYTE: &str = "path: has a byte that must be percent-encoded";

/// What the current segment consists of so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    /// One or two dots, and nothing else so far.
    Dots(u8),
    Named,
    /// The name has ended; these are its parameters.
    Parameters,
}

/// Parses a path as received, in one pass. `Err` is the message for the client.
///
/// # Errors
/// A path that no configuration may allow: `.` and `..` segments in any spelling, invalid escapes, control characters
/// and separators.
pub fn read(path: &str) -> Result<Reading, &'static str> {
    let [b'/', rest @ ..] = path.as_bytes() else { return Err(SLASH) };
    let mut rest = rest;
    let mut segment = Segment::Empty;
    let mut spelling = Spelling::default();
    let (mut foreign, mut differs) = (false, false);
    loop {
        // Most bytes of a path continue a name.
        if segment == Segment::Named {
            let name = rest.iter().take_while(|byte| matches!(class(**byte), Class::Plain | Class::Dot)).count();
            rest = rest.get(name..).unwrap_or_default();
        }
        let [byte, after @ ..] = rest else { break };
        rest = after;
        let class = match class(*byte) {
            Class::Percent => {
                let (byte, remaining) = unescape(after)?;
                differs |= is_unreserved(byte) || after.iter().take(2).any(u8::is_ascii_lowercase);
                foreign |= !byte.is_ascii();
                spelling.escaped = true;
                rest = remaining;
                match byte {
                    b'.' => Class::Dot,
                    b'/' => {
                        spelling.doubts = spelling.doubts.with(Doubt::EncodedSlash);
                        Class::Slash
                    }
                    b';' => Class::Semicolon,
                    b'%' if decode(remaining).is_some_and(|(byte, _)| is_literal(byte)) => {
                        spelling.doubts = spelling.doubts.with(Doubt::DoubleEncoding);
                        Class::Plain
                    }
                    _ => Class::Plain,
                }
            }
            class => class,
        };
        if class == Class::Semicolon {
            spelling.doubts = spelling.doubts.with(Doubt::Parameters);
            spelling.escaped = true;
        }
        segment = match (class, segment) {
            (Class::Percent | Class::Wrong, _) => return Err(BYTE),
            (Class::Slash | Class::Semicolon, Segment::Dots(_)) => return Err(SEGMENT),
            (Class::Slash | Class::Semicolon, Segment::Empty) => {
                spelling.doubts = spelling.doubts.with(Doubt::EmptySegments);
                if class == Class::Slash { Segment::Empty } else { Segment::Parameters }
            }
            (Class::Slash, _) => Segment::Empty,
            (Class::Semicolon, _) | (_, Segment::Parameters) => Segment::Parameters,
            (Class::Plain, _) => Segment::Named,
            (Class::Dot, Segment::Empty) => Segment::Dots(1),
            (Class::Dot, Segment::Dots(1)) => Segment::Dots(2),
            (Class::Dot, _) => Segment::Named,
        };
    }
    if matches!(segment, Segment::Dots(_)) {
        return Err(SEGMENT);
    }
    if foreign && percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        if is_overlong(path) {
            return Err(OVERLONG);
        }
        spelling.doubts = spelling.doubts.with(Doubt::NonUtf8);
    }
    let normal = differs.then(|| rewritten(path));
    // A decoded byte may complete another escape: `%25%32%66` becomes `%252f`, which is then checked too.
    if let Some(normal) = &normal {
        spelling = read(normal)?.spelling;
    }
    Ok(Reading { normal, spelling })
}

/// The normal form of `path`; an invalid path is returned unchanged, to be reported.
pub fn normal(path: &str) -> Cow<'_, str> {
    match read(path) {
        Ok(Reading { normal: Some(normal), .. }) => Cow::Owned(normal),
        _ => Cow::Borrowed(path),
    }
}

/// Decodes the escape in front of `after`: its byte, and the remaining bytes. An error if it is not a valid escape, or if
/// it stands for a control character or separator, including after decoding twice.
fn unescape(after: &[u8]) -> Result<(u8, &[u8]), &'static str> {
    let (byte, remaining) = decode(after).ok_or(ESCAPE)?;
    let twice = || {
        decode(remaining).is_some_and(|(byte, _)| matches!(byte, b'/' | b'\\' | b'.' | b'%' | b';' | 0..0x20 | 0x7f))
    };
    match byte {
        b'\\' => Err(BACKSLASH),
        0..0x20 | 0x7f => Err(CONTROL),
        b'%' if twice() => Err(TWICE),
        _ => Ok((byte, remaining)),
    }
}

/// Parses two hexadecimal digits.
fn decode(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, remaining @ ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, remaining))
}

/// RFC 3986 section 2.3: escaping such a byte changes nothing.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 section 3.3: such a byte needs no escape in a segment, although `:`, `@` and the like may have one.
const fn is_literal(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&'..=b',' | b'=' | b':' | b'@')
}

/// Whether the path contains overlong UTF-8, which a careless decoder turns into a slash or a dot.
#[cold]
fn is_overlong(path: &str) -> bool {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    bytes.windows(2).any(|pair| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xf8..=0xfd, 0x80..=0xbf]
        )
    })
}

/// Decodes escapes of unreserved bytes, and writes the digits of all others in upper case.
#[cold]
fn rewritten(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    normal.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (digits, text) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match decode(digits.as_bytes()) {
            Some((byte, _)) if is_unreserved(byte) => normal.push(char::from(byte)),
            _ => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
            }
        }
        normal.push_str(text);
    }
    normal
}

/// The first segment, and the part after its slash.
pub fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (rest, None),
    }
}

/// The name of a segment: decoded, without its parameters.
pub fn name(segment: &str) -> Cow<'_, [u8]> {
    let raw = segment.split(';').next().unwrap_or_default();
    let raw = raw.find("%3B").and_then(|end| raw.get(..end)).unwrap_or(raw);
    percent_encoding::percent_decode_str(raw).into()
}

/// What follows `prefix` in `path`, compared by whole segments in any spelling: nothing, or text that begins with a
/// slash. `prefix` has no trailing slash.
pub fn strip<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if let Some(rest) = path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Some(rest);
    }
    if !path.contains(['%', ';']) {
        return None;
    }
    let mut rest = path.strip_prefix('/');
    for wanted in prefix.split('/').skip(1) {
        let (segment, after) = split(rest?);
        if name(segment) != name(wanted) {
            return None;
        }
        rest = after;
    }
    Some(rest.map_or("", |rest| path.get(path.len() - rest.len() - 1..).unwrap_or_default()))
}

/// Whether two paths have the same segments, in any spelling.
pub fn same(path: &str, other: &str) -> bool {
    strip(path, other) == Some("")
}

/// The other paths that servers may read an ambiguous path as.
pub fn other_readings(path: &str, doubts: Doubts) -> Vec<String> {
    let merged = |path: &str| {
        let mut merged = String::with_capacity(path.len());
        let empty = |segment: &str| name(segment).is_empty();
        let last = path.split('/').count() - 1;
        for (position, segment) in path.split('/').enumerate().skip(1) {
            if position == last || !empty(segment) {
                merged.push('/');
                merged.push_str(if empty(segment) { "" } else { segment });
            }
        }
        merged
    };
    let mut readings = vec![path.to_owned()];
    let mut add = |doubt, read: &dyn Fn(&str) -> String| {
        if doubts.has(doubt) {
            readings.extend(readings.iter().map(|path| read(path)).collect::<Vec<_>>());
        }
    };
    add(Doubt::DoubleEncoding, &|path| rewritten(&path.replace("%25", "%")));
    add(Doubt::EncodedSlash, &|path| path.replace("%2F", "/"));
    add(Doubt::EmptySegments, &merged);
    readings.split_off(1)
}

#[cfg(test)]
mod tests;
