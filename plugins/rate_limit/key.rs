//! The key that requests are counted by: an address, a user, or the value of a header.

use gatewright_sdk::{ClientAddress, Facts};
use http::{HeaderName, Request};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use tower_governor::GovernorError;
use tower_governor::key_extractor::KeyExtractor;

/// The setting `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitKey {
    Client,
    Subject,
    Header(HeaderName),
}

impl<'de> Deserialize<'de> for RateLimitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match &*text {
            "client.ip" => Ok(Self::Client),
            "auth.subject" => Ok(Self::Subject),
            other => {
                let name = other.strip_prefix("header.").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
                name.map(Self::Header).ok_or_else(|| {
                    de::Error::custom(format!("unknown key `{other}`, expected client.ip, auth.subject or header.NAME"))
                })
            }
        }
    }
}

impl Serialize for RateLimitKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client => serializer.serialize_str("client.ip"),
            Self::Subject => serializer.serialize_str("auth.subject"),
            Self::Header(name) => serializer.collect_str(&format_args!("header.{name}")),
        }
    }
}

impl JsonSchema for RateLimitKey {
    fn schema_name() -> Cow<'static, str> {
        "RateLimitKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(client\\.ip|auth\\.subject|header\\..+)$",
            "examples": ["client.ip", "auth.subject", "header.x-api-key"]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Computes the key of a request as 128 bits, so that buckets are small however long names are.
#[derive(Clone)]
pub struct By {
    key: RateLimitKey,
    ipv6_mask: u128,
    /// Two secret seeds, so that no client can construct two names with the same key.
    seeds: [RandomState; 2],
}

impl By {
    pub fn new(key: RateLimitKey, ipv6_prefix: u8) -> Self {
        let ipv6_mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix.into())).unwrap_or(0);
        Self { key, ipv6_mask, seeds: [RandomState::new(), RandomState::new()] }
    }

    fn address(&self, client: ClientAddress) -> u128 {
        match client.to_canonical() {
            ClientAddress::Ip(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
            ClientAddress::Ip(IpAddr::V6(ip)) => ip.to_bits() & self.ipv6_mask,
            // The unspecified address is not the address of a client.
            ClientAddress::Unix => 0,
        }
    }

    fn name(&self, name: &[u8]) -> u128 {
        let [high, low] = &self.seeds;
        u128::from(high.hash_one(name)) << 64 | u128::from(low.hash_one(name))
    }
}

impl KeyExtractor for By {
    type Key = u128;

    fn extract<T>(&self, request: &Request<T>) -> Result<u128, GovernorError> {
        let facts = Facts::of(request);
        let named = match &self.key {
            RateLimitKey::Client => None,
            RateLimitKey::Subject => facts.identity.as_ref().map(|identity| self.name(identity.subject.as_bytes())),
            RateLimitKey::Header(name) => request.headers().get(name).map(|value| self.name(value.as_bytes())),
        };
        Ok(named.unwrap_or_else(|| self.address(facts.client.ip)))
    }
}
