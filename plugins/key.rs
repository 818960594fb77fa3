//! What requests are counted by: an address, a user, the value of a header or of an expression, or several of them
//! together.

use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::{ClientAddress, Facts, Fault, IDENTITY, TextExpression, hex};
use http::{HeaderName, Request};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use tower_governor::GovernorError;
use tower_governor::key_extractor::KeyExtractor;

/// One thing that requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    Client,
    Subject,
    Header(HeaderName),
    /// The value of an expression.
    Cel(TextExpression),
}

/// A part that is written as a map.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    cel: TextExpression,
}

/// The setting `key`: one part, or several that are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Vec<KeyPart>);

/// The maximum number of parts.
const MOST_PARTS: usize = 4;

impl KeyPart {
    fn of(text: &str) -> Result<Self, String> {
        match text {
            "client.ip" => Ok(Self::Client),
            "auth.subject" => Ok(Self::Subject),
            other => {
                let name = other.strip_prefix("header.").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
                name.map(Self::Header)
                    .ok_or_else(|| format!("unknown key `{other}`, expected client.ip, auth.subject or header.NAME"))
            }
        }
    }

    /// As it is written in settings.
    fn written(&self) -> Cow<'static, str> {
        match self {
            Self::Client => "client.ip".into(),
            Self::Subject => "auth.subject".into(),
            Self::Header(name) => format!("header.{name}").into(),
            Self::Cel(expression) => expression.to_string().into(),
        }
    }

    fn read(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::of(&text),
            Value::Object(map) => {
                let expression = Expression::deserialize(Value::Object(map)).map_err(|error| error.to_string())?;
                Ok(Self::Cel(expression.cel))
            }
            _ => Err("expected a name such as `client.ip`, or `{ cel: … }`".to_owned()),
        }
    }
}

impl Serialize for KeyPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Cel(expression) => Expression { cel: expression.clone() }.serialize(serializer),
            other => other.written().serialize(serializer),
        }
    }
}

impl Key {
    pub fn has(&self, part: &KeyPart) -> bool {
        self.0.contains(part)
    }

    /// What an earlier plugin must provide.
    pub fn requires(&self) -> &'static [&'static str] {
        let needs = |part: &KeyPart| match part {
            KeyPart::Subject => true,
            KeyPart::Cel(expression) => expression.uses_identity(),
            KeyPart::Client | KeyPart::Header(_) => false,
        };
        if self.0.iter().any(needs) { &[IDENTITY] } else { &[] }
    }

    /// The header fields among its parts.
    pub fn fields(&self) -> (Vec<NamedField>, Vec<Fault>) {
        let (mut named, mut faults) = (Vec::new(), Vec::new());
        for (index, part) in self.0.iter().enumerate() {
            let KeyPart::Header(name) = part else { continue };
            let path = if self.0.len() == 1 { "key".to_owned() } else { format!("key[{index}]") };
            match fields::named(name.as_str(), Use::Read, &path) {
                Ok(field) => named.push(field),
                Err(fault) => faults.push(fault),
            }
        }
        (named, faults)
    }

    /// As it is written in settings, for admin and diagnostics.
    pub fn written(&self) -> Vec<Cow<'static, str>> {
        self.0.iter().map(KeyPart::written).collect()
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = match Value::deserialize(deserializer)? {
            Value::Array(many) => many,
            one => vec![one],
        };
        if values.is_empty() || values.len() > MOST_PARTS {
            return Err(D::Error::custom(format!("expected 1 to {MOST_PARTS} keys, found {}", values.len())));
        }
        let mut parts: Vec<KeyPart> = Vec::with_capacity(values.len());
        for value in values {
            let part = KeyPart::read(value).map_err(D::Error::custom)?;
            if parts.contains(&part) {
                return Err(D::Error::custom(format!("`{}` is listed twice", part.written())));
            }
            parts.push(part);
        }
        Ok(Self(parts))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = json_schema!({
            "type": "string",
            "pattern": "^(client\\.ip|auth\\.subject|header\\..+)$",
            "examples": ["client.ip", "auth.subject", "header.x-api-key"]
        });
        let expression = json_schema!({
            "type": "object",
            "properties": { "cel": generator.subschema_for::<TextExpression>() },
            "required": ["cel"],
            "additionalProperties": false
        });
        let part = json_schema!({ "anyOf": [named, expression] });
        let list = json_schema!({ "type": "array", "items": part, "minItems": 1, "maxItems": MOST_PARTS });
        let examples = ["client.ip", "auth.subject", "header.x-api-key"];
        json_schema!({ "examples": examples, "anyOf": [named, expression, list] })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Computes the key of a request as 128 bits, so that its state is small however long names are.
#[derive(Clone)]
pub struct By {
    key: Key,
    ipv6_prefix: u8,
    /// Two secret seeds, so that no client can construct two names with the same key.
    seeds: [RandomState; 2],
}

/// The value of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    Address(ClientAddress),
    Subject(&'a str),
    Header(&'a HeaderName, &'a [u8]),
    /// Whether it may be shown, and the value.
    Value(bool, String),
}

impl By {
    pub fn new(key: Key, ipv6_prefix: u8) -> Self {
        Self { key, ipv6_prefix, seeds: [RandomState::new(), RandomState::new()] }
    }

    /// The values of the parts of a request's key. The address of the client is used for what the request does not have.
    pub fn parts<'a, T>(&'a self, request: &'a Request<T>) -> Vec<Part<'a>> {
        let facts = Facts::of(request);
        let value = |part: &'a KeyPart| {
            let named = match part {
                KeyPart::Client => None,
                KeyPart::Subject => facts.identity.as_ref().map(|identity| Part::Subject(&identity.subject)),
                KeyPart::Header(name) => request.headers().get(name).map(|value| Part::Header(name, value.as_bytes())),
                KeyPart::Cel(expression) => {
                    // What a header or a query contains may be a secret.
                    let is_open = !expression.uses_request();
                    expression.text(request).ok().map(|text| Part::Value(is_open, text))
                }
            };
            named.unwrap_or(Part::Address(facts.client.ip.to_canonical()))
        };
        self.key.0.iter().map(value).collect()
    }

    /// The network that an address is counted by. IPv4 clients behind a translator are counted one by one, too.
    fn network(&self, ip: IpAddr) -> IpNet {
        let is_translated = || ClientAddress::Ip(ip).translated().is_some();
        let length = match ip {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) if is_translated() => 128,
            IpAddr::V6(_) => self.ipv6_prefix.min(128),
        };
        IpNet::new(ip, length).map_or(IpNet::from(ip), |network| network.trunc())
    }

    fn address(&self, client: ClientAddress) -> u128 {
        match client.ip().map(|ip| self.network(ip).addr()) {
            Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
            Some(IpAddr::V6(ip)) => ip.to_bits(),
            // The unspecified address is not the address of a client.
            None => 0,
        }
    }

    /// The key of a request.
    pub fn of<T>(&self, request: &Request<T>) -> u128 {
        if matches!(*self.key.0, [KeyPart::Client]) {
            return self.address(Facts::of(request).client.ip.to_canonical());
        }
        self.number(&self.parts(request))
    }

    /// The key with these parts.
    pub fn number(&self, parts: &[Part<'_>]) -> u128 {
        if let [Part::Address(client)] = parts
            && matches!(*self.key.0, [KeyPart::Client])
        {
            return self.address(*client);
        }
        let mut hashers = self.seeds.each_ref().map(BuildHasher::build_hasher);
        for part in parts {
            for hasher in &mut hashers {
                match part {
                    Part::Address(client) => (0_u8, self.address(*client)).hash(hasher),
                    Part::Subject(name) => (1_u8, name.as_bytes()).hash(hasher),
                    Part::Header(_, value) => (2_u8, value).hash(hasher),
                    Part::Value(_, text) => (3_u8, text.as_bytes()).hash(hasher),
                }
            }
        }
        let [high, low] = hashers.map(|hasher| hasher.finish());
        u128::from(high) << 64 | u128::from(low)
    }

    /// The key with these parts as text: the same in every gateway, and without the values of headers, which may be secret.
    pub fn name(&self, parts: &[Part<'_>]) -> String {
        let mut name = String::new();
        for part in parts {
            if !name.is_empty() {
                name.push('&');
            }
            let _ = match part {
                Part::Address(client) => match client.ip().map(|ip| self.network(ip)) {
                    Some(network) if network.prefix_len() == network.max_prefix_len() => {
                        write!(name, "client.ip={}", network.addr())
                    }
                    Some(network) => write!(name, "client.ip={network}"),
                    None => write!(name, "client.ip={client}"),
                },
                Part::Subject(subject) if is_plain(subject) => write!(name, "auth.subject={subject}"),
                Part::Subject(subject) => write!(name, "auth.subject=sha256:{}", digest(subject.as_bytes())),
                Part::Header(header, value) => write!(name, "header.{header}=sha256:{}", digest(value)),
                Part::Value(true, text) if is_plain(text) => write!(name, "cel={text}"),
                Part::Value(_, text) => write!(name, "cel=sha256:{}", digest(text.as_bytes())),
            };
        }
        name
    }
}

/// Whether a subject can be written as it is: short, and without characters that have a meaning in a name.
fn is_plain(subject: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+/|:".contains(&byte);
    subject.len() <= 100 && !subject.starts_with("sha256:") && subject.bytes().all(plain)
}

/// The first 128 bits of a SHA-256, in hex.
fn digest(value: &[u8]) -> String {
    let mut text = hex(Sha256::digest(value));
    text.truncate(32);
    text
}

impl KeyExtractor for By {
    type Key = u128;

    fn extract<T>(&self, request: &Request<T>) -> Result<u128, GovernorError> {
        Ok(self.of(request))
    }
}

#[cfg(test)]
mod tests;
