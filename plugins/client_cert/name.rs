//! Names in certificates, and the entries of lists that they are compared with.

use super::wrong;
use gatewright_sdk::Fault;

/// An entry of a list.
pub(super) enum Pattern {
    Exact(Box<str>),
    /// Compared without regard to case.
    Host(Box<str>),
    /// Every name below this one, which begins with a dot. Compared without regard to case.
    Below(Box<str>),
    /// Every text that begins so.
    Beginning(Box<str>),
}

impl Pattern {
    pub fn exact(text: &str) -> Result<Self, Fault> {
        not_empty(text).map(|()| Self::Exact(text.into()))
    }

    pub fn dns(text: &str) -> Result<Self, Fault> {
        not_empty(text)?;
        match text.strip_prefix('*') {
            None if !text.contains('*') => Ok(Self::Host(text.into())),
            Some(below) if below.len() > 1 && below.starts_with('.') && !below.contains('*') => {
                Ok(Self::Below(below.into()))
            }
            _ => Err(wrong(
                format!("`{text}` is not a valid DNS name"),
                "write `*` only as the first label: `*.internal`",
            )),
        }
    }

    pub fn uri(text: &str) -> Result<Self, Fault> {
        not_empty(text)?;
        let (beginning, is_prefix) = text.strip_suffix('*').map_or((text, false), |beginning| (beginning, true));
        if !beginning.contains(':') || beginning.contains('*') || (is_prefix && !beginning.ends_with('/')) {
            let help = "write a whole URI, or `*` as its last segment: `spiffe://example/*`";
            return Err(wrong(format!("`{text}` is not a valid URI"), help));
        }
        Ok(if is_prefix { Self::Beginning(beginning.into()) } else { Self::Exact(text.into()) })
    }

    pub fn fingerprint(text: &str) -> Result<Self, Fault> {
        let digits = text.replace(':', "").to_ascii_lowercase();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let help =
                "write 64 hexadecimal digits, as `openssl x509 -in client.crt -noout -fingerprint -sha256` prints";
            return Err(wrong(format!("`{text}` is not a SHA-256 fingerprint"), help));
        }
        Ok(Self::Exact(digits.into()))
    }

    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *text,
            Self::Host(wanted) => wanted.eq_ignore_ascii_case(text),
            Self::Below(end) => {
                let start = text.len().checked_sub(end.len());
                start
                    .filter(|start| *start > 0)
                    .and_then(|start| text.get(start..))
                    .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
            }
            Self::Beginning(beginning) => {
                // `..` would lead out of it.
                text.strip_prefix(&**beginning)
                    .is_some_and(|rest| !rest.is_empty() && rest.split('/').all(|segment| segment != ".."))
            }
        }
    }
}

fn not_empty(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        Err(wrong("the entry is empty".to_owned(), "write a name, or remove the entry"))
    } else {
        Ok(())
    }
}

/// The first common name of a subject (RFC 4514), without escapes.
pub(super) fn common_name(subject: &str) -> Option<String> {
    let mut rest = subject;
    while !rest.is_empty() {
        let (name, after) = value(rest);
        if let Some(name) = name {
            return Some(name);
        }
        rest = after;
    }
    None
}

/// The value of the first attribute of `subject` if it is a common name, and what follows the attribute.
fn value(subject: &str) -> (Option<String>, &str) {
    let (mut text, mut bytes, mut characters) = (String::new(), Vec::new(), subject.char_indices());
    let mut end = (subject.len(), subject.len());
    while let Some((at, character)) = characters.next() {
        match character {
            ',' | '+' => {
                end = (at, at + 1);
                break;
            }
            '\\' => {
                let Some((_, escaped)) = characters.next() else { break };
                let digit = |character: char| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let low = characters.clone().next().and_then(|(_, low)| digit(low));
                match (digit(escaped), low) {
                    (Some(high), Some(low)) => {
                        characters.next();
                        bytes.push(high << 4 | low);
                        continue;
                    }
                    _ => text.push(escaped),
                }
            }
            character => {
                text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut bytes)));
                text.push(character);
            }
        }
    }
    text.push_str(&String::from_utf8_lossy(&bytes));
    let name = text.split_once('=').filter(|(kind, _)| kind.eq_ignore_ascii_case("CN"));
    (name.map(|(_, name)| name.to_owned()), subject.get(end.1..).unwrap_or_default())
}
