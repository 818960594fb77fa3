//! Values that are secrets whatever their name: signed tokens, and URLs with a user and password.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// As tolerant as lenient readers: accepts padding, and trailing bits that are not zero.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The maximum number of positions in one word that are tried as the start of a token.
const PLACES: usize = 16;

/// Whether `text` contains such a value.
pub(in crate::telemetry) fn holds_credentials(text: &str) -> bool {
    // JSON may escape slashes, and browsers treat backslashes as slashes. Most texts have none and are not copied.
    let slashes = if text.contains('\\') { Cow::Owned(text.replace('\\', "/")) } else { Cow::Borrowed(text) };
    slashes.split("//").skip(1).any(has_user) || text.contains('.') && holds_token(text)
}

/// Whether the authority at the start of a URL, after `//`, names a user (RFC 3986 section 3.2.1). An invalid port is
/// the start of a password that contains `/` or another delimiter.
fn has_user(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(']').map_or(authority, |(_, port)| port);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    authority.contains('@') || rest.contains('@') && host.rsplit_once(':').is_some_and(|(_, port)| !is_port(port))
}

/// Whether there is the head of a token in compact form: a JSON object with `alg`, in base64url and followed by a dot
/// (RFC 7515 section 7.1, RFC 7516). The rest may be truncated, and a prefix may come before it.
fn holds_token(text: &str) -> bool {
    let parts =
        text.split_inclusive(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '=')));
    let mut heads = parts.filter_map(|part| part.strip_suffix('.'));
    heads.any(|head| {
        // The encoding of a brace, with white space or a quotation mark after it.
        let places = head.match_indices('e').filter_map(|(at, _)| head.get(at..));
        places.filter(|head| head.starts_with("ey") || head.starts_with("ew")).take(PLACES).any(is_head)
    })
}

fn is_head(encoded: &str) -> bool {
    let decoded = TOLERANT.decode(encoded).ok();
    let object = decoded.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    object.is_some_and(|object| object.contains_key("alg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"alg":"HS256","typ":"JWT"}`, `{"sub":"1"}`, and a signature.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

    #[test]
    fn a_token_is_recognized_by_its_head() {
        let (head, _) = TOKEN.split_once('.').unwrap();
        for text in [
            TOKEN,
            &format!("Bearer {TOKEN}"),
            &format!("[\"{TOKEN}\"]"),
            &format!("v1.{TOKEN}"),
            &format!("https://a.example/{TOKEN}"),
            &format!("{head}..c2ln"),
            &format!("{head}.a.b.c.d"),
            &format!("{head}.eyJz"),
            "eyAiYWxnIjogIm5vbmUiIH0.e30.",
            &format!("jwt_{TOKEN}"),
            &format!("session-{TOKEN}"),
            &format!("Bearer{TOKEN}"),
            "eyJhbGciOiJub25lIn0=.e30.x",
            "eyJhbGciOiJub25lIn1.e30.x",
        ] {
            assert!(holds_credentials(text), "{text}");
        }
        for text in
            ["", head, "example.com", "eye.e.ear", "eyJhIjoxfQ.eyJhIjoxfQ.x", "e30.e30.e30", "1.2.3", "e.", "é."]
        {
            assert!(!holds_credentials(text), "{text}");
        }
    }

    #[test]
    fn a_url_with_a_user_holds_a_secret() {
        for text in [
            "https://user:pw@host/",
            "//u@host",
            "a https://u:p@h",
            "redis://:pw@h:1?x",
            "u://a:p;q@h",
            "https://u:p/w@h/",
            "https://u:p?w@h/",
            "https://u:p#w@h",
            r"https:\/\/u:p@h",
            r"https:\\u:p@h",
        ] {
            assert!(holds_credentials(text), "{text}");
        }
        for text in [
            "https://host/@ada",
            "https://host?to=a@b.c",
            "ada@x.com",
            "mailto:a@b.c",
            "https://host#a@b",
            "//",
            "https://host:80/@ada",
            "https://[::1]:80/a@b",
            "https://[::1]/a@b",
        ] {
            assert!(!holds_credentials(text), "{text}");
        }
    }
}
