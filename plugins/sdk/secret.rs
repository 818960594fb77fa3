//! A setting that must never be printed: no Debug, no Display, wiped when dropped.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Parts of secrets from tutorials, templates and generators, without case and punctuation.
const FAMOUS: [&str; 36] = [
    "256bitsecret",
    "384bitsecret",
    "512bitsecret",
    "stringsecret",
    "secretkey",
    "secretstring",
    "secretvalue",
    "supersecret",
    "verysecret",
    "topsecret",
    "jwtsecret",
    "mysecret",
    "yoursecret",
    "thesecret",
    "oursecret",
    "appsecret",
    "devsecret",
    "testsecret",
    "secretsecret",
    "secret123",
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "donotuse",
    "notsecure",
    "insecure",
    "development",
    "forproduction",
    "password",
    "passphrase",
    "letmein",
    "correcthorse",
    "qwertyuiop",
    "abcdefghijkl",
    "0123456789",
];

/// A secret string. It can be read only with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is from a tutorial or template, or repeats a short piece, such as `changemechangeme` or `aaaa`.
    pub fn is_guessable(&self) -> bool {
        let plain: String =
            self.0.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
        let bytes = self.0.as_bytes();
        let repeats = |period: usize| bytes.iter().zip(bytes.iter().skip(period)).all(|(one, other)| one == other);
        FAMOUS.iter().any(|famous| plain.contains(famous)) || (1..=bytes.len() / 2).any(repeats)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message would quote the value.
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom("not a string; quote it"))?;
        Ok(Self::new(text))
    }
}

/// Shows that there is a secret, but not its value.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// `writeOnly` in the schema marks values to mask when configuration is shown.
impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true })
    }

    fn inline_schema() -> bool {
        true
    }
}
