//! Authenticates users by name and password.

mod check;
mod htpasswd;
#[cfg(test)]
mod tests;

use check::{Passwords, Users};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Contract, Credentials, Fault, IDENTITY, NamedFile, Plugin, Scope, Traits,
};
use htpasswd::Entry;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Authenticates users by name and password in the header `Authorization: Basic` (RFC 7617), with the users of an
/// htpasswd file. The name becomes the subject of the identity. Passwords are hashed with Argon2id or bcrypt; other
/// entries are rejected when the file is read. Clients that use this without TLS send their password in plain text.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The file with the users: `htpasswd -B -c FILE NAME` creates it. Each line is a name, a colon, and a hash. The path is
    /// relative to the configuration; the file is watched.
    htpasswd_file: NamedFile,
    /// What browsers show when they ask for the password, and for which they remember it.
    #[serde(default = "realm")]
    realm: String,
    /// What happens to requests without a name and password. With `continue` they proceed without an identity. A wrong
    /// name or password is always rejected.
    #[serde(default)]
    on_missing: OnMissing,
    /// Whether upstreams receive the header with the password. Otherwise it is removed.
    #[serde(default)]
    forward: bool,
}

/// `reject` answers 401, `continue` lets the request go on without an identity.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnMissingPassword")]
enum OnMissing {
    /// The request is rejected with 401.
    #[default]
    Reject,
    /// The request proceeds without an identity.
    Continue,
}

fn realm() -> String {
    "gatewright".to_owned()
}

impl Plugin for Basic {
    const NAME: &'static str = "basic";

    fn compile(self, check: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let challenge = challenge(&self.realm).map_err(|fault| faults.push(fault)).ok();
        let rejects = self.on_missing == OnMissing::Reject;
        let users = match check.read(&self.htpasswd_file) {
            Ok(content) => htpasswd::read(&content, &self.htpasswd_file),
            Err(message) => {
                let help = "create it with `htpasswd -B -c FILE NAME`";
                Err(vec![Fault::new("htpasswd_file", message).code(Code::PASSWORD_FILE).help(help)])
            }
        };
        let users: Option<Vec<Entry>> = users.map_err(|found| faults.extend(found)).ok();
        let traits = Traits {
            provides: &[IDENTITY],
            admits_strangers: !rejects,
            refuses_strangers: rejects.then_some("set `on_missing: continue`"),
            credentials: Some(AUTHORIZATION),
            contract: Contract::accepts(Credentials::Basic),
            ..Traits::default()
        };
        let (Some(users), Some(challenge)) = (users, challenge) else {
            return Compiled::from(faults).traits(traits);
        };
        let (users, shape) = (Arc::new(Users::new(users)), htpasswd::digest(check.read(&self.htpasswd_file)));
        let forward = self.forward;
        let compiled = Compiled::identity(move |place| {
            Arc::new(Passwords {
                users: Arc::clone(&users),
                // The verified passwords are forgotten when the file changes.
                verified: place.keep(Scope::Plugin, format!("passwords of {shape}"), check::verified),
                services: Arc::clone(place.services),
                challenge: challenge.clone(),
                rejects,
                forward,
            })
        });
        compiled.traits(traits).faults(faults)
    }
}

/// The challenge, which says that names and passwords are in UTF-8.
fn challenge(realm: &str) -> Result<HeaderValue, Fault> {
    let fault = || {
        let fault = Fault::new("realm", "a realm must be visible ASCII text, without `\"` and `\\`");
        fault.code(Code::INVALID_HEADER_VALUE).help("write a short name, such as `Staff`")
    };
    if realm.is_empty() || !realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        return Err(fault());
    }
    HeaderValue::try_from(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")).map_err(|_| fault())
}
