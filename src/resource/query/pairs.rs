//! Parses a query string strictly: input that two parsers read differently is a security hole.

use super::hints;
use crate::resource::refusal::Faults;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::borrow::Cow;

/// One parameter, decoded and as it was sent.
pub struct Pair<'a> {
    pub key: Cow<'a, str>,
    pub value: Cow<'a, str>,
    /// Whether there was a `=`.
    pub has_value: bool,
    raw: &'a str,
}

/// Characters that are not allowed between `<` and `>` of a Link header, but may occur in a query.
const IN_LINK: &AsciiSet =
    &CONTROLS.add(b'<').add(b'>').add(b'"').add(b' ').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

impl Pair<'_> {
    /// Appends it, as it was sent, to the query that links repeat.
    pub fn keep(&self, kept: &mut String) {
        kept.extend(utf8_percent_encode(self.raw, IN_LINK));
        kept.push('&');
    }
}

/// The parameters of a query. One that cannot be decoded is a fault and left out.
pub fn of<'a>(query: &'a str, faults: &mut Faults) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for raw in query.split('&').filter(|raw| !raw.is_empty()) {
        let (key, value, has_value) = raw.split_once('=').map_or((raw, "", false), |(key, value)| (key, value, true));
        let help = || hints::ENCODING.to_owned();
        match (decode(key), decode(value)) {
            (Some(key), Some(value)) => pairs.push(Pair { key, value, has_value, raw }),
            (Some(key), None) => faults.teach(&key, "encoding", "is not percent-encoded UTF-8", help),
            (None, _) => faults.teach("query", "encoding", "is not percent-encoded UTF-8", help),
        }
    }
    pairs
}

/// Decodes `%41` and `+`; rejects a `%` without two hex digits, bytes that are not UTF-8, and NUL.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return (!text.contains('\0')).then_some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_strict() {
        assert_eq!(decode("a%20b+c").as_deref(), Some("a b c"));
        assert_eq!(decode("%C3%BC").as_deref(), Some("ü"));
        for bad in ["%", "%4", "%zz", "%ff", "%00", "%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
