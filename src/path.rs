//! What a path means: its normal form, and the spellings that servers do not agree about.
//!
//! Two spellings of one path must take the same route: a guard in front of `/admin` that `/%61dmin` passes is none. So
//! admission puts the path into the normal form of RFC 3986 section 6.2.2, routes compare what its segments stand for, and
//! what servers read in different ways is refused unless the configuration allows it.

mod doubt;
mod written;

pub use doubt::{Doubt, Doubts};
pub use written::{OwnPath, PathPrefix, PathTemplate, TemplateSegment, refused, segments};

use std::borrow::Cow;

/// How a path in normal form is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spelling {
    pub doubts: Doubts,
    /// Whether its segments must be read before they are compared. Most paths are what they say.
    pub escaped: bool,
}

/// A path that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its normal form (RFC 3986 section 6.2.2), where it came in another one.
    pub normal: Option<String>,
    pub spelling: Spelling,
}

/// What a byte of a path is to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Slash,
    /// Ends the name in a segment: what follows are parameters to some servers (RFC 3986 section 3.3).
    Semicolon,
    Percent,
    Wrong,
}

/// The compiler makes a table of it.
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
const ESCAPE: &str = "path: has an escape that is not valid, or stands for a byte that is not allowed";
const BYTE: &str = "path: has a byte that must be escaped";

/// How the segment that is read began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    /// One dot or two, and nothing else so far.
    Dots(u8),
    Named,
    /// The name is over, parameters follow.
    Parameters,
}

/// Reads a path as it came, in one pass. `Err` tells the client what no server may be asked to make sense of.
///
/// # Errors
/// A path that cannot be trusted in any configuration: `.` and `..` segments in any spelling, invalid escapes, bytes that
/// control or separate.
pub fn read(path: &str) -> Result<Reading, &'static str> {
    let [b'/', rest @ ..] = path.as_bytes() else { return Err(SLASH) };
    let mut rest = rest;
    let mut segment = Segment::Empty;
    let mut spelling = Spelling::default();
    let (mut foreign, mut differs) = (false, false);
    while let [byte, after @ ..] = rest {
        rest = after;
        let class = match class(*byte) {
            Class::Percent => {
                let Some((byte, remaining)) = unescape(after) else { return Err(ESCAPE) };
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
                    b'%' if decode(remaining).is_some_and(|(byte, _)| is_unreserved(byte)) => {
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
            return Err(ESCAPE);
        }
        spelling.doubts = spelling.doubts.with(Doubt::NonUtf8);
    }
    let normal = differs.then(|| rewritten(path));
    // What an escape stands for may belong to another one: `%25%32%66` is `%252f`, which is judged like it.
    if let Some(normal) = &normal {
        spelling = read(normal)?.spelling;
    }
    Ok(Reading { normal, spelling })
}

/// The normal form of `path`; one that cannot be read stays as it is, to be reported.
pub fn normal(path: &str) -> Cow<'_, str> {
    match read(path) {
        Ok(Reading { normal: Some(normal), .. }) => Cow::Owned(normal),
        _ => Cow::Borrowed(path),
    }
}

/// The byte that the escape before `after` stands for, and what follows. `None` when it is not an escape, when it stands for
/// a byte that controls or separates, or when decoding it twice would bring one about.
fn unescape(after: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, remaining) = decode(after)?;
    let twice = || {
        decode(remaining).is_some_and(|(byte, _)| matches!(byte, b'/' | b'\\' | b'.' | b'%' | b';' | 0..0x20 | 0x7f))
    };
    match byte {
        b'\\' | 0..0x20 | 0x7f => None,
        b'%' if twice() => None,
        _ => Some((byte, remaining)),
    }
}

/// Two hexadecimal digits, as the byte they stand for.
fn decode(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, remaining @ ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, remaining))
}

/// RFC 3986 section 2.3: an escape of such a byte makes no difference.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a byte is written with more bytes than UTF-8 needs: a careless decoder makes a slash or a dot of it.
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

/// Escapes of unreserved bytes are decoded, the digits of the others become upper case.
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

/// The first segment, and what follows the slash behind it.
pub fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (rest, None),
    }
}

/// What a segment stands for: decoded, without its parameters.
pub fn name(segment: &str) -> Cow<'_, [u8]> {
    let raw = segment.split(';').next().unwrap_or_default();
    let raw = raw.find("%3B").and_then(|end| raw.get(..end)).unwrap_or(raw);
    percent_encoding::percent_decode_str(raw).into()
}

/// What follows the beginning `prefix` of `path`, taken off by whole segments, however they are spelled: nothing, or a
/// text that begins with a slash. `prefix` ends without one.
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

/// What a server sees of `path` once the beginning `prefix` is taken off, if it begins so.
pub fn without<'a>(path: &'a str, prefix: &str) -> &'a str {
    match strip(path, prefix) {
        Some("") => "/",
        Some(rest) => rest,
        None => path,
    }
}

/// Whether the segments of two paths stand for the same, however they are spelled.
pub fn same(path: &str, other: &str) -> bool {
    strip(path, other) == Some("")
}

/// The paths that servers may take a doubtful one for, if it is one.
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
