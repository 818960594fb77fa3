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
        match (decode(key), decode(value)) {
            (Ok(key), Ok(value)) => pairs.push(Pair { key, value, has_value, raw }),
            (Ok(key), Err(wrong)) => wrong.report(&key, faults),
            (Err(wrong), _) => wrong.report("query", faults),
        }
    }
    pairs
}

/// Why a text cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Encoding,
    /// NUL, which no field can contain.
    Nul,
}

impl Wrong {
    fn report(self, name: &str, faults: &mut Faults) {
        match self {
            Self::Encoding => {
                faults.teach(name, "encoding", "is not percent-encoded UTF-8", || hints::ENCODING.to_owned());
            }
            Self::Nul => faults.teach(name, "nul", "must not contain NUL", || hints::NUL.to_owned()),
        }
    }
}

/// Decodes `%41` and `+`; rejects a `%` without two hex digits, bytes that are not UTF-8, and NUL.
fn decode(text: &str) -> Result<Cow<'_, str>, Wrong> {
    let text =
        if text.contains(['%', '+']) { Cow::Owned(decoded(text).ok_or(Wrong::Encoding)?) } else { Cow::Borrowed(text) };
    if text.contains('\0') { Err(Wrong::Nul) } else { Ok(text) }
}

fn decoded(text: &str) -> Option<String> {
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
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_strict() {
        assert_eq!(decode("a%20b+c").as_deref(), Ok("a b c"));
        assert_eq!(decode("%C3%BC").as_deref(), Ok("ü"));
        for bad in ["%", "%4", "%zz", "%ff", "%+1", "%00%"] {
            assert_eq!(decode(bad), Err(Wrong::Encoding), "{bad}");
        }
        assert_eq!(decode("a%00"), Err(Wrong::Nul));
    }
}
