//! Masks secret parameters in queries for telemetry.

mod credentials;

pub(super) use credentials::holds_credentials;

use aho_corasick::AhoCorasick;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// A word of at least this length marks a parameter as secret anywhere in its name: `mytokens` as well as `token`.
/// Shorter ones occur in too many others (`monkey`, `shipping`), so they count only as a whole word.
const UNMISTAKABLE: usize = 5;

/// The maximum number of times a text is decoded.
const LAYERS: usize = 4;

/// The words that mark a parameter as secret.
#[derive(Debug, Clone)]
pub(super) struct Words(Option<AhoCorasick>);

/// A query in which some values are written as `***`.
pub(super) struct Query<'a> {
    pub query: &'a str,
    pub words: &'a Words,
}

/// A parsed parameter name: its letters and digits in lower case, and where words begin.
struct Name {
    letters: String,
    words: Vec<usize>,
}

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        let words = words.iter().map(|word| Name::new(word).letters).filter(|word| !word.is_empty());
        // Fails only for more words than fit into memory.
        Self(AhoCorasick::new(words).ok())
    }

    /// Whether the parameter `name` contains a secret.
    fn hide(&self, name: &str) -> bool {
        let Some(words) = &self.0 else { return true };
        let name = Name::new(name);
        words
            .find_overlapping_iter(&name.letters)
            .any(|found| found.len() >= UNMISTAKABLE || name.is_word(found.start(), found.end()))
    }

    /// Whether `text` is masked as a whole: it contains a secret itself, or a parameter, member or field with a secret
    /// name: `{"token":"…"}`, `/back?code=…`.
    fn hide_within(&self, text: &str) -> bool {
        let mut parts = text.split(['?', '#', '&', ';', ',', '{', '}', '\n']);
        let names = |part: &str| {
            part.rsplit_once(['=', ':']).is_some_and(|(names, _)| names.split(['=', ':']).any(|name| self.hide(name)))
        };
        holds_credentials(text) || parts.any(names)
    }
}

impl Name {
    /// Words end at anything other than a letter or digit, between letters and digits, and at capitals: `authToken`,
    /// `SAMLResponse`, `x-amz-signature`, `user[password]`, `key2`.
    fn new(text: &str) -> Self {
        let mut name = Self { letters: String::with_capacity(text.len()), words: Vec::new() };
        let mut characters = text.chars().peekable();
        let mut former = ' ';
        while let Some(character) = characters.next() {
            let begins = !former.is_alphanumeric()
                || former.is_numeric() != character.is_numeric()
                || character.is_uppercase()
                    && (!former.is_uppercase() || characters.peek().is_some_and(|next| next.is_lowercase()));
            former = character;
            if !character.is_alphanumeric() {
                continue;
            }
            if begins {
                name.words.push(name.letters.len());
            }
            name.letters.extend(character.to_lowercase());
        }
        name
    }

    /// Whether `start` to `end` is one or more whole words, singular or plural.
    fn is_word(&self, start: usize, end: usize) -> bool {
        let ends = |at: usize| at == self.letters.len() || self.words.contains(&at);
        let plural = || self.letters.as_bytes().get(end) == Some(&b's') && ends(end + 1);
        self.words.contains(&start) && (ends(end) || plural())
    }
}

impl Query<'_> {
    /// The index in `part` where a masked value begins.
    fn masked(&self, part: &str) -> Option<usize> {
        let (name, value) = match part.find('=') {
            Some(end) => part.split_at_checked(end)?,
            None => ("", part),
        };
        if !name.is_empty() {
            // For a URL without a name, the name is the part before its first `=`.
            if layers(name).any(|name| holds_credentials(&name)) {
                return Some(0);
            }
            if layers(name).any(|name| self.words.hide(&name)) {
                return Some(name.len() + 1);
            }
        }
        let hidden = layers(value.strip_prefix('=').unwrap_or(value)).any(|value| self.words.hide_within(&value));
        hidden.then(|| name.len() + usize::from(value.starts_with('=')))
    }
}

/// A text, decoded repeatedly: a value may be a URL within a URL, encoded each time.
fn layers(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let first = decoded(text);
    let deeper = |outer: &Cow<'_, str>| outer.contains('%').then(|| Cow::Owned(decoded(outer).into_owned()));
    std::iter::successors(Some(first), deeper).take(LAYERS)
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.query.split('&').enumerate() {
            if place > 0 {
                f.write_char('&')?;
            }
            // Some servers also separate parameters by semicolons, but a password may contain one.
            let most = if pair.contains(';') && holds_credentials(&decoded(pair)) { 1 } else { usize::MAX };
            for (place, part) in pair.splitn(most, ';').enumerate() {
                if place > 0 {
                    f.write_char(';')?;
                }
                match self.masked(part) {
                    // What follows may be part of the secret.
                    Some(value) => {
                        write!(f, "{}***", part.get(..value).unwrap_or_default())?;
                        break;
                    }
                    None => f.write_str(part)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::telemetry::AccessLog;

    fn shown(query: &str) -> String {
        let words = Words::new(&AccessLog::default().redact_query);
        Query { query, words: &words }.to_string()
    }

    #[test]
    fn a_parameter_is_masked_by_any_word_of_its_name_however_the_name_is_written() {
        for name in [
            "token",
            "TOKEN",
            "auth_token",
            "authToken",
            "AuthToken",
            "authtoken",
            "authcode",
            "x-auth-token",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Goog-Signature",
            "X-Goog-Credential",
            "AWSAccessKeyId",
            "tokens",
            "token2",
            "user[password]",
            "password[0]",
            "u[passwd][]",
            "pwd",
            "oldPwd",
            "passwd",
            "new_password",
            "newpassword",
            "userPassword",
            "passphrase",
            "pass",
            "secret",
            "secret_key",
            "secretKey",
            "client-secret",
            "key",
            "api_key",
            "apikey",
            "apiKey",
            "api.key",
            "APIKey",
            "API_KEYS",
            "accesskey",
            "privateKey",
            "auth",
            "authorization",
            "Authorization",
            "oauth_verifier",
            "jwt",
            "userJWT",
            "id_token_hint",
            "session",
            "sessionId",
            "PHPSESSID",
            "jsessionid",
            "sid",
            "connect.sid",
            "SID",
            "sig",
            "sigs",
            "signature",
            "hmac",
            "credential",
            "credentials",
            "code",
            "code_verifier",
            "authCode",
            "client_assertion",
            "SAMLResponse",
            "saml_response",
            "SAMLart",
            "SAMLRequest",
            "RelayState",
            "relay_state",
            "otp",
            "totp",
            "user-otp",
            "OTPCode",
            "pin",
            "userPin",
            "bearer",
            "csrf_token",
            "xsrf",
            "cookie",
            "%74oken",
            "tok%65n",
            "%20secret",
            "+key",
            "filter.token",
            "a:token",
            "pass%20word",
            "pass_word",
            "PASSWORD",
            "To\u{212a}en",
            "ticket",
        ] {
            assert_eq!(shown(&format!("a=1&{name}=S3CRET&b=2")), format!("a=1&{name}=***&b=2"));
        }
    }

    #[test]
    fn a_parameter_without_such_a_word_is_shown() {
        for query in [
            "page=2&per_page=20",
            "monkey=1&keyboard=2&keyword=x",
            "author=ada",
            "shipping=fast&spin=1",
            "design=a",
            "sort=-created_at",
            "zipcode=12345&barcode=9",
            "assigned=me&sidebar=1",
            "filter[name][contains]=a:b",
            "pinned=true&opinion=x",
            "state=open",
            "q=a=b&r=12:30",
            "",
            "a",
            "&&",
            "=x",
            "é=1",
            "to=https%3A%2F%2Fa%2Fb",
            "passage=1&compass=2&bypass=3",
            "decode=1&encoded=2",
            "side=left&residual=1",
        ] {
            assert_eq!(shown(query), query);
        }
    }

    #[test]
    fn a_secret_within_another_value_is_masked_with_it() {
        for (query, expected) in [
            ("to=/back?code=S3CRET&a=1", "to=***&a=1"),
            ("to=https%3A%2F%2Fa%2Fb%3Ftoken%3DS3CRET", "to=***"),
            ("to=https%253A%252F%252Fa%253Ftoken%253DS3CRET", "to=***"),
            ("filter={\"password\":\"S3CRET\"}", "filter=***"),
            ("filter=%7B%22apiKey%22%3A%22S3CRET%22%7D", "filter=***"),
            ("token%3DS3CRET&a=1", "***&a=1"),
            ("a=1;key=S3CRET;S3CRET&b=2", "a=1;key=***&b=2"),
            ("to=https://a/b%23access_token=S3CRET", "to=***"),
            ("to=https%25253A%25252F%25252Fa%25253Ftoken%25253DS3CRET", "to=***"),
            ("%2574oken=S3CRET", "%2574oken=***"),
            ("x%3Dtoken%3DS3CRET", "***"),
        ] {
            assert_eq!(shown(query), expected, "{query}");
        }
    }

    #[test]
    fn a_token_and_a_url_with_a_user_are_secrets_under_any_name() {
        const TOKEN: &str = "eyJhbGciOiJub25lIn0.S3CRET.S3CRET";
        for (query, expected) in [
            (format!("a=1&b={TOKEN}&c=2"), "a=1&b=***&c=2"),
            (TOKEN.to_owned(), "***"),
            (format!("q=Bearer+{TOKEN}"), "q=***"),
            (format!("q=Bearer%20{TOKEN}"), "q=***"),
            (format!("to=%2Freset%252F{TOKEN}"), "to=***"),
            (TOKEN.replace('.', "%2E"), "***"),
            ("next=https://user:S3CRET@host/&a=1".into(), "next=***&a=1"),
            ("next=https%3A%2F%2FS3CRET%40host".into(), "next=***"),
            ("next=https%253A%252F%252Fuser%253AS3CRET%2540host".into(), "next=***"),
            ("next=https://user:S3;CRET@host/&a=1".into(), "next=***&a=1"),
            ("https://user:S3CRET@host/a?x=1&b=2".into(), "***&b=2"),
            (format!("{TOKEN}=1"), "***"),
            (format!("a[{TOKEN}]=1&b=2"), "***&b=2"),
            ("https%3A%2F%2Fuser%3AS3CRET%40host%2F=1".into(), "***"),
            (r#"x={"u":"https:\/\/user:S3CRET@host\/"}"#.into(), "x=***"),
            ("next=https://user:S3/CRET@host/&a=1".into(), "next=***&a=1"),
        ] {
            assert_eq!(shown(&query), expected, "{query}");
        }
    }

    #[test]
    fn words_in_the_file_match_like_names() {
        let words = Words::new(&["X-Badge".to_owned(), "k8s".to_owned(), "*".to_owned()]);
        let query = "x_badge=1&xBadge=2&badge=3&my.k8s=4&k8so=5&token=6";
        assert_eq!(
            Query { query, words: &words }.to_string(),
            "x_badge=***&xBadge=***&badge=3&my.k8s=***&k8so=5&token=6"
        );
    }
}
