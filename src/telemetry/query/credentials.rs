//! Values that are secrets whatever they are called: signed tokens, and URLs with a user and a password.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Whether `text` holds one.
pub(in crate::telemetry) fn holds_credentials(text: &str) -> bool {
    text.split("//").skip(1).any(has_user) || text.contains('.') && holds_token(text)
}

/// Whether the authority at the start of a URL, behind its `//`, names a user (RFC 3986 section 3.2.1).
fn has_user(rest: &str) -> bool {
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Whether there is the head of a token, in its compact form: a JSON object with `alg`, in base64url and with a dot behind it
/// (RFC 7515 section 7.1, RFC 7516). What follows may have been cut off.
fn holds_token(text: &str) -> bool {
    let parts = text.split_inclusive(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')));
    // An object begins with a brace, and so its encoding with an `e`.
    let heads = parts.filter_map(|part| part.strip_suffix('.').filter(|head| head.starts_with('e')));
    heads.into_iter().any(|head| {
        let decoded = URL_SAFE_NO_PAD.decode(head).ok();
        let object = decoded.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
        object.is_some_and(|object| object.contains_key("alg"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"alg":"HS256","typ":"JWT"}`, `{"sub":"1"}`, and a signature.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

    #[test]
    fn a_token_is_known_by_its_head() {
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
        for text in ["https://user:pw@host/", "//u@host", "a https://u:p@h", "redis://:pw@h:1?x", "u://a:p;q@h"] {
            assert!(holds_credentials(text), "{text}");
        }
        for text in
            ["https://host/@ada", "https://host?to=a@b.c", "ada@x.com", "mailto:a@b.c", "https://host#a@b", "//"]
        {
            assert!(!holds_credentials(text), "{text}");
        }
    }
}
