//! Authenticates clients by an API key.

mod check;
mod file;
#[cfg(test)]
mod tests;

use check::{ApiKeys, Source};
use gatewright_sdk::fields::{self, Use};
use gatewright_sdk::items::{Becomes, LookedUp, Lookup, NamedSetting};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Contract, Credentials, Fault, IDENTITY, NamedFile, Plugin, Scope, Traits,
};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Authenticates clients by an API key in a header. Only SHA-256 hashes of keys are stored, in a file or in a resource;
/// `gatewright api-key` makes a key and its hash. The owner of the key becomes the subject of the identity.
///
/// A fast hash is enough, because keys are long random texts that no one can guess: use at least 128 random bits.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The request header that contains the key, and nothing else.
    #[serde(default = "header")]
    header: String,
    /// Where the hashes of the keys are: `{ file: api-keys.yaml }`, or `{ resource: api_keys, field: key_hash, owner: owner }`.
    keys: Keys,
    /// What happens to requests without a key. With `continue` they proceed without an identity. A key that is not valid
    /// is always rejected.
    #[serde(default)]
    on_missing: OnMissing,
    /// Whether upstreams receive the header with the key. Otherwise it is removed.
    #[serde(default)]
    forward: bool,
}

/// Where API keys are: in a file, or in a resource.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKeySource")]
struct Keys {
    /// A YAML or JSON file with a list of keys: `{ owner: acme, hash: "sha256:…" }`, optionally with `id`, `scopes`, `roles`,
    /// `claims` and `expires`. The path is relative to the configuration; the file is watched.
    file: Option<NamedFile>,
    /// The resource whose items are keys. A key that is deleted or changed there is rejected at once.
    resource: Option<String>,
    /// Its field with the hash of the key: text such as `sha256:9f86…`. It must be `unique`.
    field: Option<String>,
    /// Its field with the owner, who becomes the subject.
    owner: Option<String>,
    /// Its field with the scopes: text with spaces between them, or `json` with a list.
    scopes: Option<String>,
    /// Its field with the roles: text with spaces between them, or `json` with a list.
    roles: Option<String>,
    /// Its field with the time from which the key is not valid, of type `datetime`. Keys without a value do not expire.
    expires: Option<String>,
    /// Its field of type `datetime` that is set when the key is used, at most once a minute.
    last_used: Option<String>,
    /// Fields that become claims of the identity.
    claims: Vec<String>,
}

/// `reject` answers 401, `continue` lets the request go on without an identity.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnMissingKey")]
enum OnMissing {
    /// The request is rejected with 401.
    #[default]
    Reject,
    /// The request proceeds without an identity.
    Continue,
}

fn header() -> String {
    "x-api-key".to_owned()
}

impl Plugin for ApiKey {
    const NAME: &'static str = "api_key";

    fn compile(self, check: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let header = fields::named(&self.header, Use::Read, "header").map_err(|fault| faults.push(fault)).ok();
        let rejects = self.on_missing == OnMissing::Reject;
        let lookup = self.keys.lookup();
        let traits = Traits {
            provides: &[IDENTITY],
            admits_strangers: !rejects,
            refuses_strangers: rejects.then_some("set `on_missing: continue`"),
            credentials: header.as_ref().map(|field| field.name.clone()),
            contract: header
                .as_ref()
                .map(|field| Contract::accepts(Credentials::Key(field.name.clone())))
                .unwrap_or_default(),
            fields: header.iter().cloned().collect(),
            lookup: lookup.clone(),
            ..Traits::default()
        };
        faults.extend(self.keys.faults());
        let file = self.keys.file.as_ref().map(|file| file::read(check, file));
        let file = file.transpose().map_err(|found| faults.extend(found)).ok().flatten();
        let (Some(header), true) = (header, faults.is_empty()) else {
            return Compiled::from(faults).traits(traits);
        };
        let (name, forward): (HeaderName, bool) = (header.name, self.forward);
        let file = file.map(Arc::new);
        let none = file.as_ref().is_some_and(|keys| keys.is_empty()).then(|| {
            let fault = Fault::new("keys.file", "the file has no keys: every key is rejected").code(Code::KEY_FILE);
            fault.help("add a key; `gatewright api-key` prints one with its hash")
        });
        let compiled = Compiled::identity(move |place| {
            let source = match (&file, &lookup) {
                (Some(keys), _) => Source::File(Arc::clone(keys)),
                (None, Some(lookup)) => Source::Resource {
                    items: place.resources.items(lookup),
                    names: Arc::new(lookup.clone()),
                    used: place.keep(Scope::Plugin, "used keys", check::used),
                },
                (None, None) => Source::File(Arc::default()),
            };
            Arc::new(ApiKeys { header: name.clone(), source, rejects, forward, challenge: check::challenge(&name) })
        });
        compiled.traits(traits).warnings(none)
    }
}

/// The types of fields that hold a text.
const TEXT: &[&str] = &["string", "text", "enum", "email", "uuid", "url"];
const LIST: &[&str] = &["string", "text", "json"];
const TIME: &[&str] = &["datetime"];
const HASH: &[&str] = &["string", "text"];

impl Keys {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let own = [
            ("field", &self.field),
            ("owner", &self.owner),
            ("scopes", &self.scopes),
            ("roles", &self.roles),
            ("expires", &self.expires),
            ("last_used", &self.last_used),
        ];
        match (&self.file, &self.resource) {
            (None, None) => faults.push(
                Fault::new("keys", "no keys")
                    .code(Code::MISSING_KEY)
                    .help("write `file: api-keys.yaml`, or `resource`, `field` and `owner`"),
            ),
            (Some(_), Some(_)) => faults.push(
                Fault::new("keys", "`file` and `resource` are both set")
                    .code(Code::KEY_FILE)
                    .help("remove one of them, or use two plugins and `any_of`"),
            ),
            (Some(_), None) => {
                let claims = (!self.claims.is_empty()).then_some("claims");
                let names = own.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).chain(claims);
                faults.extend(names.map(|name| {
                    Fault::new(format!("keys.{name}"), format!("`{name}` applies only to a `resource`"))
                        .code(Code::KEY_FILE)
                        .help("remove it; entries of the file have their own keys")
                }));
            }
            (None, Some(_)) => {
                for (name, _) in own.iter().take(2).filter(|(_, value)| value.is_none()) {
                    faults.push(
                        Fault::new("keys", format!("`{name}` is required with `resource`"))
                            .code(Code::MISSING_KEY)
                            .help(format!("write `{name}:` and the name of a field")),
                    );
                }
            }
        }
        faults
    }

    fn lookup(&self) -> Option<Lookup> {
        let named = |path: &str, name: &String| NamedSetting { path: format!("keys.{path}"), name: name.clone() };
        let field = |path: &str, name: &Option<String>, types: &'static [&'static str]| {
            name.as_ref().map(|name| LookedUp { setting: named(path, name), types, becomes: None })
        };
        let part = |path: &str, name: &Option<String>, types: &'static [&'static str], becomes: Becomes| {
            field(path, name, types).map(|field| LookedUp { becomes: Some(becomes), ..field })
        };
        let claim = |name: &str| Becomes::Claim(name.to_owned());
        let mut reads: Vec<LookedUp> = [
            part("owner", &self.owner, TEXT, Becomes::Subject),
            part("scopes", &self.scopes, LIST, claim("scope")),
            part("roles", &self.roles, LIST, claim("roles")),
            field("expires", &self.expires, TIME),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (index, name) in self.claims.iter().enumerate() {
            let setting = named(&format!("claims[{index}]"), name);
            reads.push(LookedUp { setting, types: &[], becomes: Some(claim(name)) });
        }
        Some(Lookup {
            resource: named("resource", self.resource.as_ref()?),
            key: field("field", &self.field, HASH)?,
            reads,
            touches: field("last_used", &self.last_used, TIME),
        })
    }
}
