//! Settings of a route: the requests it accepts and its one target.

use super::chain::ChainEntry;
use super::fields::Fields;
use super::host::HostPattern;
use super::method::RouteMethod;
use super::paths::Paths;
use super::redirect_to::RedirectTo;
use crate::path::{PathPrefix, PathTemplate};
use gatewright_sdk::{HumanDuration, NamedFile, RouteLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Which requests go to which target. Exactly one of `resource`, `upstream`, `split`, `respond`, `redirect`, `service` is
/// given, and exactly one of `path` and `path_prefix`.
// There may be many thousands, so unset keys are not serialized at all.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The listeners whose requests it takes. Without it: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub listeners: Vec<String>,
    /// Hosts it takes: `api.example.com`, `*.example.com`. Without it: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub hosts: Vec<HostPattern>,
    /// The whole path, with templates: `/orders/{id}`, `/files/{*rest}`. A resource takes its items below it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathTemplate>,
    /// The beginning of the path, by whole segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<PathPrefix>,
    /// Which doubtful spellings of a path are taken, instead of those that the listener takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,
    /// Methods it takes; HEAD goes with GET. Without it: all. Where the best path does not take a request's method or header
    /// fields, the next best route that takes the request gets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub methods: Vec<RouteMethod>,
    /// Header fields a request must carry, with their exact value. Values are secrets: nothing shows them.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub headers: Fields,
    /// The chain that runs for its requests, inside the listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Plugins of this route alone, after its chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<ChainEntry>,
    /// Plugins of its chain that do not run for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What its requests may use, in place of what the listener and the plugins of its chains say.
    #[serde(default)]
    pub limits: RouteLimits,
    /// How the path is changed before it goes upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// A resource that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// An upstream that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Several upstreams, by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<Share>>,
    /// A fixed answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,
    /// Another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// A service that is compiled into the program, by the name it is registered under. A gateway with services has a `main`
    /// of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// An upstream that is sent copies of the requests; its answers are thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// When a request is sent once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// The target of a route.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    Resource(&'a str),
    Upstream(&'a str),
    Split(&'a [Share]),
    Respond(&'a Respond),
    Redirect(&'a Redirect),
    Service(&'a str),
}

impl Target<'_> {
    /// The keys of all targets, in the order in which they are suggested.
    pub const KEYS: [&'static str; 6] = ["resource", "upstream", "split", "respond", "redirect", "service"];

    /// Its key in YAML.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Resource(_) => "resource",
            Self::Upstream(_) => "upstream",
            Self::Split(_) => "split",
            Self::Respond(_) => "respond",
            Self::Redirect(_) => "redirect",
            Self::Service(_) => "service",
        }
    }
}

impl<'a> Target<'a> {
    /// The upstreams it names.
    pub fn upstreams(self) -> Vec<&'a str> {
        match self {
            Self::Upstream(name) => vec![name],
            Self::Split(shares) => shares.iter().map(|share| &*share.upstream).collect(),
            Self::Resource(_) | Self::Respond(_) | Self::Redirect(_) | Self::Service(_) => Vec::new(),
        }
    }
}

impl Route {
    /// The targets that are set: exactly one if the file has no fault.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let given = [
            self.resource.as_deref().map(Target::Resource),
            self.upstream.as_deref().map(Target::Upstream),
            self.split.as_deref().map(Target::Split),
            self.respond.as_ref().map(Target::Respond),
            self.redirect.as_ref().map(Target::Redirect),
            self.service.as_deref().map(Target::Service),
        ];
        given.into_iter().flatten()
    }
}

/// How the path is changed before it goes upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// A beginning of the path that is taken off, by whole segments. What follows it goes on as it came: `/nc` makes `//a` of
    /// `/nc//a`, where `paths.allow` takes empty segments.
    pub strip_prefix: PathPrefix,
}

/// One upstream of a split.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The upstream.
    pub upstream: String,
    /// Its share, relative to the others.
    pub weight: u32,
}

/// A fixed answer. At most one of `json`, `text` and `body_file` is given.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status code.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// A JSON body; `null` is one, too. Whole numbers stay as written, as far as 64 bits reach; others are doubles, as
    /// to most readers of JSON.
    #[serde(default, deserialize_with = "present")]
    pub json: Option<serde_json::Value>,
    /// A plain text body.
    #[serde(default)]
    pub text: Option<String>,
    /// A file whose content is the body. It is watched like the configuration itself.
    #[serde(default)]
    pub body_file: Option<NamedFile>,
    /// Header fields. Values are secrets: nothing shows them. What the gateway itself decides on is refused, such as
    /// `content-length`, `date`, and the field of a `request_id` plugin around it.
    #[serde(default)]
    pub headers: Fields,
}

/// Any written value counts, including `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

const fn ok() -> u16 {
    200
}

/// Another address.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// A path, or an http(s) URL. `{rest}` stands for what follows `path_prefix`, `{name}` for a parameter of `path`.
    /// Parameters go into the path, query or fragment, never into the host: `https://files.example.com/{rest}`. What
    /// stands for the rest of a path begins a segment: a slash is put before it where there is none, and its own slashes
    /// stay, but at the beginning of a path, where `//name` would be another host. The query of the request is kept, after
    /// the query of `to` if it has one, and before its fragment.
    pub to: RedirectTo,
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "temporary")]
    pub status: u16,
}

const fn temporary() -> u16 {
    307
}

/// An upstream that is sent copies.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The upstream.
    pub upstream: String,
    /// The share of requests, in percent.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: u32,
}

const fn all() -> u32 {
    100
}

/// When a request is sent once more.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most times it is sent again.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// On what: `connect_failure`, `reset`, `timeout`, or a status code such as `"502"`.
    #[schemars(inner(regex(pattern = "^(connect_failure|reset|timeout|[45][0-9][0-9])$")))]
    pub retry_on: Vec<String>,
    /// How long each try may take.
    #[serde(default)]
    pub per_try_timeout: Option<HumanDuration>,
    /// The most retries, in percent of the requests.
    #[serde(default)]
    #[schemars(regex(pattern = "^(100|[1-9]?[0-9])%$"))]
    pub budget: Option<String>,
    /// Which methods are sent again.
    #[serde(default)]
    pub methods: Option<RetryMethods>,
}

/// Which methods are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryMethods {
    /// Those that may be repeated (RFC 9110 section 9.2.2).
    Idempotent,
    /// All.
    All,
}
