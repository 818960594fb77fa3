//! Entity tags: `"<version>.<form>"`, and the request headers that name them (RFC 9110 sections 8.8.3 and 13.1).

use gatewright_sdk::Problem;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

/// The form of an item that a tag is about: six letters derived from the schema and the requested fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form([u8; 6]);

const ALPHABET: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";

impl Form {
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        let mut form = [0; 6];
        for (letter, byte) in form.iter_mut().zip(hash) {
            *letter = ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
        }
        Self(form)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The tag of a version in a form.
pub fn tag(version: i64, form: Form) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}.{}\"", form.as_str())).expect("digits and letters are visible ASCII")
}

/// Entity tags named by a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any that exists.
    Any,
    List(Vec<Tag>),
}

/// One entity tag of a request, without quotes and without the suffix that a compressor added.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    pub weak: bool,
    opaque: String,
}

impl Tag {
    /// The version it names, if it is one of ours.
    fn version(&self) -> Option<i64> {
        let number = self.opaque.split_once('.')?.0;
        // One spelling per number: tags are equal letter by letter.
        let canonical = number == "0" || number.starts_with(|first: char| matches!(first, '1'..='9'));
        number.parse().ok().filter(|_| canonical)
    }

    fn is(&self, version: i64, form: Form) -> bool {
        let form_is = self.opaque.split_once('.').is_some_and(|(_, named)| named == form.as_str());
        form_is && self.version() == Some(version)
    }
}

/// The result of `If-Match` for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Yes,
    No,
    /// It would match, but a proxy made the tag weak, and the comparison must be strong (RFC 9110 section 13.1.1).
    Weakened,
}

impl Tags {
    /// The tags of a header; `None` if it is absent, and an error when it is malformed.
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let mut tags = None;
        for value in headers.get_all(name) {
            let malformed = || {
                let name = if *name == http::header::IF_MATCH { "If-Match" } else { "If-None-Match" };
                Problem::validation(format!("{name}: malformed entity-tag"))
            };
            match (Self::parse(value.as_bytes()).ok_or_else(malformed)?, &mut tags) {
                (Self::List(more), Some(Self::List(list))) => list.extend(more),
                (_, Some(_)) => return Err(malformed()),
                (first, none) => *none = Some(first),
            }
        }
        Ok(tags)
    }

    /// `*`, or a list of entity tags; elements that are empty do not count (RFC 9110 section 5.6.1).
    fn parse(value: &[u8]) -> Option<Self> {
        let mut rest = value.trim_ascii();
        if rest == b"*" {
            return Some(Self::Any);
        }
        let mut list = Vec::new();
        loop {
            while let Some(more) = rest.strip_prefix(b",") {
                rest = more.trim_ascii_start();
            }
            if rest.is_empty() {
                return Some(Self::List(list));
            }
            let (weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |rest| (true, rest));
            let inside = quoted.strip_prefix(b"\"")?;
            let end = inside.iter().position(|byte| *byte == b'"')?;
            let (opaque, after) = inside.split_at(end);
            if opaque.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
                return None;
            }
            // Bytes beyond ASCII are allowed, in tags that are not ours.
            let opaque = String::from_utf8_lossy(opaque);
            let opaque = opaque.split('+').next().unwrap_or_default().to_owned();
            list.push(Tag { weak, opaque });
            rest = after.get(1..)?.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return None;
            }
        }
    }

    /// `If-None-Match` on a safe request: weak comparison of version and form.
    pub fn names(&self, version: i64, form: Form) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|tag| tag.is(version, form)),
        }
    }

    /// `If-None-Match` on a list: weak comparison with its tag, which is weak itself (RFC 9110 section 8.8.3.2).
    pub fn have(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|tag| tag.opaque == opaque),
        }
    }

    /// `If-Match` on a write: only the version counts, whatever form of the item the client had seen.
    pub fn covers(&self, version: i64) -> Match {
        self.strongly(|tag| tag.version() == Some(version))
    }

    /// `If-Match` on a read: strong comparison of version and form.
    pub fn selects(&self, version: i64, form: Form) -> Match {
        self.strongly(|tag| tag.is(version, form))
    }

    fn strongly(&self, fits: impl Fn(&Tag) -> bool) -> Match {
        let Self::List(list) = self else { return Match::Yes };
        let mut named = list.iter().filter(|tag| fits(tag)).peekable();
        match (named.peek().is_some(), named.any(|tag| !tag.weak)) {
            (_, true) => Match::Yes,
            (true, false) => Match::Weakened,
            (false, false) => Match::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_rfc_9110_writes_them() {
        let parse = |text: &str| Tags::parse(text.as_bytes());
        let form = Form::of(&[b"x"]);
        let own = tag(7, form);
        let tags = parse(&format!("\"0.x\" , W/{}", own.to_str().unwrap())).unwrap();
        assert!(tags.names(7, form) && !tags.names(8, form) && !tags.names(7, Form::of(&[b"y"])));
        assert_eq!(tags.covers(7), Match::Weakened);
        assert_eq!(tags.covers(0), Match::Yes);
        assert_eq!(tags.covers(8), Match::No);
        assert_eq!(parse("\"7.other+gzip\"").unwrap().covers(7), Match::Yes);
        assert_eq!(parse(" * "), Some(Tags::Any));
        for (list, count) in
            [("", 0), (",", 0), (" , ,", 0), ("\"a\",", 1), (",\"a\"", 1), ("\"a\" ,\t,W/\"b\",,\"\"", 3)]
        {
            assert!(matches!(parse(list), Some(Tags::List(tags)) if tags.len() == count), "{list}");
        }
        assert!(matches!(Tags::parse(b"\"\xff\", \"a\""), Some(Tags::List(tags)) if tags.len() == 2));
        for bad in [
            "abc",
            "\"",
            "\"a",
            "\"a\"b",
            "\"a\" \"b\"",
            "w/\"a\"",
            "W/ \"a\"",
            "\"a b\"",
            "\"\u{7f}\"",
            "*, \"a\"",
            "\"a\", *",
            "*,",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for other in ["\"07.x\"", "\"+7.x\"", "\"-7.x\"", "\"7\"", "\" 7.x\""] {
            assert_ne!(parse(other).map(|tags| tags.covers(7)), Some(Match::Yes), "{other}");
        }
        assert_eq!(parse(own.to_str().unwrap()).unwrap().selects(7, form), Match::Yes);
        assert_eq!(parse("\"7.other\"").unwrap().selects(7, form), Match::No);
    }
}
