//! An issuer of tokens as it is configured, with its keys or where they come from.

use super::keys::Algorithm;
use super::source::{Source, Unusable};
use gatewright_sdk::{Code, Fault, HumanDuration, NamedFile, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One of several issuers. Its keys verify only tokens whose `iss` claim is `issuer`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JwtIssuer")]
pub struct Issuer {
    /// The `iss` claim of its tokens.
    pub issuer: String,
    /// The audiences accepted from this issuer. Default: `audiences` of the plugin.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The signature algorithms accepted from this issuer. Default: `algorithms` of the plugin.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// The secret shared with this issuer, for HS256, HS384 and HS512: at least 32, 48 or 64 random bytes.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A PEM file with the public key of this issuer, for the other algorithms. The path is relative to the
    /// configuration; the file is watched.
    #[serde(default)]
    pub public_key_file: Option<NamedFile>,
    /// The JSON Web Key Set of this issuer, from a URL or a file.
    #[serde(default)]
    pub jwks: Option<Jwks>,
    /// PEM files with private keys (PKCS #8), if this issuer is this gateway: see `sign_in` of routes. The first key signs, and
    /// tokens of all of them are accepted. The files are watched.
    #[serde(default)]
    pub private_key_files: Vec<NamedFile>,
}

/// A JSON Web Key Set, from a URL or a file.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwks {
    /// Where the issuer publishes its keys: an https URL, or http on this machine. Redirects are not followed. Until the
    /// keys have been fetched, requests with a token get 503.
    #[serde(default)]
    url: Option<String>,
    /// A file with the keys. The path is relative to the configuration; the file is watched.
    #[serde(default)]
    pub file: Option<NamedFile>,
    /// Reads the URL of the keys from the issuer's metadata, at `/.well-known/openid-configuration` below `issuer`
    /// (OpenID Connect Discovery). `issuer` must be an https URL, or http on this machine.
    #[serde(default)]
    discovery: bool,
    /// How often the keys are fetched. A token signed with an unknown key also triggers a fetch, but no more often than
    /// this interval or every 30s, whichever is shorter.
    #[serde(default = "ten_minutes")]
    refresh: HumanDuration,
    /// How long keys are used after the last successful fetch.
    #[serde(default = "one_day")]
    stale: HumanDuration,
    /// Whether names may resolve to this machine, to link-local addresses or to the metadata services of clouds. By
    /// default such addresses are refused, unless the URL names `localhost` or a loopback address.
    #[serde(default)]
    allow_local: bool,
}

fn ten_minutes() -> HumanDuration {
    HumanDuration::from_secs(600)
}

fn one_day() -> HumanDuration {
    HumanDuration::from_secs(24 * 3600)
}

impl Issuer {
    /// What is wrong with the issuer, apart from its keys.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let issuer = self.issuer.is_empty().then(|| {
            Fault::new("issuer", "`issuer` is empty")
                .code(Code::TOKEN_CHECK)
                .help("use the value of the `iss` claim in your tokens")
        });
        let audiences = self.audiences.is_empty() || self.audiences.iter().any(String::is_empty);
        let audiences = audiences.then(|| {
            let fault = Fault::new("audiences", "without an audience, tokens for any service would be accepted");
            fault.code(Code::TOKEN_CHECK).help("use the value of the `aud` claim in your tokens")
        });
        [issuer, audiences, self.jwks.as_ref().and_then(Jwks::fault)].into_iter().flatten()
    }
}

impl Jwks {
    fn fault(&self) -> Option<Fault> {
        let (refresh, stale) = (self.refresh, self.stale);
        if refresh < HumanDuration::from_secs(1) {
            return Some(
                Fault::new("jwks.refresh", "`refresh` is too short")
                    .code(Code::KEY_SET)
                    .help("use at least 1s, such as 10m"),
            );
        }
        let short = stale < refresh;
        short.then(|| {
            Fault::new("jwks.stale", format!("keys would expire before the next fetch, after {refresh}"))
                .code(Code::KEY_SET)
                .help("use a longer time than `refresh`")
        })
    }

    /// The refresh interval, and how long keys are used without a successful fetch.
    pub fn times(&self) -> (Duration, Duration) {
        (self.refresh.get(), self.stale.get())
    }

    /// The file with the keys, if they come from nowhere else.
    pub fn only_file(&self) -> Option<&NamedFile> {
        self.file.as_ref().filter(|_| self.url.is_none() && !self.discovery)
    }

    /// Where `issuer` publishes the keys.
    pub fn source(&self, issuer: &str) -> Result<Source, Fault> {
        match (&self.url, &self.file, self.discovery) {
            (Some(url), None, false) => Source::keys(url, self.allow_local).map_err(|why| {
                let (message, help) = match why {
                    Unusable::User => ("the URL must not contain a username or password", None),
                    Unusable::Insecure => (
                        "keys must be fetched over HTTPS",
                        Some("write `https://`; http is allowed only for localhost"),
                    ),
                    Unusable::Local => (
                        "the URL names a link-local address or a metadata service",
                        Some("use the address of the issuer, or add `allow_local: true`"),
                    ),
                };
                let fault = Fault::new("jwks.url", message).code(Code::KEY_SET);
                match help {
                    Some(help) => fault.help(help),
                    None => fault,
                }
            }),
            (None, None, true) => Source::metadata(issuer, self.allow_local).map_err(|_| {
                Fault::new("jwks.discovery", "discovery requires an `issuer` that is an https URL")
                    .code(Code::KEY_SET)
                    .help("use `jwks: { url: \"https://…\" }`, or the issuer as its metadata names it")
            }),
            (None, None, false) => Err(Fault::new("jwks", "one of `url`, `file` and `discovery` is required")
                .code(Code::KEY_SET)
                .help("add `discovery: true`, or `url` or `file`")),
            _ => Err(Fault::new("jwks", "more than one of `url`, `file` and `discovery` is set")
                .code(Code::KEY_SET)
                .help("keep only one of them")),
        }
    }
}
