//! Settings of a route: the requests it accepts and its one target.

mod mirror;
mod openapi;
mod retry;
mod rewrite;
mod sign_in;
mod split;

use super::chain::ChainEntry;
use super::fields::Fields;
use super::host::HostPattern;
use super::paths::Paths;
use super::redirect_to::RedirectTo;
use super::upgrade::UpgradeProtocol;
use crate::path::{PathPrefix, PathTemplate};
use gatewright_sdk::{NamedFile, RequestMethod, RouteLimits};
pub use mirror::Mirror;
pub use openapi::{OpenApi, OpenApiKey, Show};
pub use retry::{Backoff, Retry, RetryMethods, RetryOn};
pub use rewrite::Rewrite;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
pub use sign_in::{SignIn, WrongPasswordLimit, WrongPasswords};
pub use split::{Share, Sticky};

/// Which requests go to which target. A route has exactly one of `path` and `path_prefix`, and exactly one target.
// There may be many thousands, so unset keys are not serialized at all.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The listeners whose requests the route accepts. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub listeners: Vec<String>,
    /// The hosts to match: `api.example.com`, `*.example.com`. Default: all. An exact host wins over `*.`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub hosts: Vec<HostPattern>,
    /// The whole path, with parameters in braces: `/orders/{id}`, `/files/{*rest}`. `/` matches the root only. A route to
    /// a resource also matches the paths of its items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathTemplate>,
    /// The beginning of the path, in whole segments: `/api` matches `/api` and `/api/orders`, but not `/apis`. `/`
    /// matches everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<PathPrefix>,
    /// Which ambiguous spellings of a path are accepted. Replaces `paths` of the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,
    /// The methods to match: `[GET, POST]`. GET includes HEAD. Default: all. If the route with the best path does not
    /// match the method or headers of a request, the next best route is tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), extend("examples" = [["GET"], ["GET", "POST"]]))]
    pub methods: Vec<RequestMethod>,
    /// Header fields that a request must have, with their exact values. Values are secrets and never shown.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub headers: Fields,
    /// The chain that runs for requests of this route, after the chain of the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Plugins for this route only. They run after its chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<ChainEntry>,
    /// Plugins of its chains that do not run for this route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Limits for requests of this route. They replace those of the listener and of the plugins in its chains.
    #[serde(default)]
    pub limits: RouteLimits,
    /// How the path is changed before the request is forwarded, and how responses are changed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Target: a resource, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// For a `resource`: only its items that belong to one of another resource. Names the field of `type: ref` that refers to
    /// that one, and the parameter of the path with its id: `list_id` in `/lists/{list_id}/items`. If the caller may not
    /// read it, the response is 404. New items refer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
    /// Target: an upstream, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Target: several upstreams, by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<Share>>,
    /// Keeps each client of `split` at one upstream: `{ cookie: canary }`. Default: each request is assigned by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Target: a fixed response, such as `{ status: 200, json: { service: shop } }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,
    /// Target: a redirect, such as `{ to: "/new{rest}", status: 308 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Target: sign-in for the users of a resource, such as `{ resource: users, token: { plugin: login } }`. It serves
    /// `login`, `refresh`, `logout`, `password`, `me` and `jwks.json` below `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<Box<SignIn>>,
    /// Target: a service that is compiled into the program, by the name it is registered under. This needs a program with
    /// its own `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Target: a description of the API that the listener serves, as OpenAPI 3.1: `{}` for the document, `{ show: page }` for
    /// a page where people read about the API and try it. With `upstream` or `split`, the file with the API of the upstream,
    /// as OpenAPI 3.0 or 3.1 in JSON or YAML, which becomes part of that description: `specs/orders.yaml`. It is watched like
    /// the configuration itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openapi: Option<OpenApiKey>,
    /// An upstream that receives copies of the requests. Its responses are discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// When a request is sent to the upstream again. Without it, only a request that no target has received is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The protocols that a connection may switch to. Default: all, except versions of HTTP and TLS. With an empty list,
    /// requests for another protocol are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [["websocket"], []]))]
    pub upgrades: Option<Vec<UpgradeProtocol>>,
}

/// The target of a route.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    Resource(&'a str),
    Upstream(&'a str),
    Split(&'a [Share]),
    Respond(&'a Respond),
    Redirect(&'a Redirect),
    SignIn(&'a SignIn),
    Service(&'a str),
    OpenApi(&'a OpenApi),
}

impl Target<'_> {
    /// The keys of all targets, in the order in which they are suggested.
    pub const KEYS: [&'static str; 8] =
        ["resource", "upstream", "split", "respond", "redirect", "sign_in", "service", "openapi"];

    /// Its key in YAML.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Resource(_) => "resource",
            Self::Upstream(_) => "upstream",
            Self::Split(_) => "split",
            Self::Respond(_) => "respond",
            Self::Redirect(_) => "redirect",
            Self::SignIn(_) => "sign_in",
            Self::Service(_) => "service",
            Self::OpenApi(_) => "openapi",
        }
    }
}

impl<'a> Target<'a> {
    /// The upstreams it names.
    pub fn upstreams(self) -> Vec<&'a str> {
        match self {
            Self::Upstream(name) => vec![name],
            Self::Split(shares) => shares.iter().map(|share| &*share.upstream).collect(),
            Self::Resource(_)
            | Self::Respond(_)
            | Self::Redirect(_)
            | Self::SignIn(_)
            | Self::Service(_)
            | Self::OpenApi(_) => Vec::new(),
        }
    }
}

impl Route {
    /// The file that describes the API of its upstream.
    pub fn described_by(&self) -> Option<&NamedFile> {
        self.openapi.as_ref().and_then(OpenApiKey::file)
    }

    /// The targets that are set: exactly one if the file has no fault.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let given = [
            self.resource.as_deref().map(Target::Resource),
            self.upstream.as_deref().map(Target::Upstream),
            self.split.as_deref().map(Target::Split),
            self.respond.as_ref().map(Target::Respond),
            self.redirect.as_ref().map(Target::Redirect),
            self.sign_in.as_deref().map(Target::SignIn),
            self.service.as_deref().map(Target::Service),
            self.openapi.as_ref().and_then(OpenApiKey::served).map(Target::OpenApi),
        ];
        given.into_iter().flatten()
    }
}

/// A fixed response. It has at most one of `json`, `text` and `body_file`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status code.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// A JSON body, which may be `null`. Integers of up to 64 bits are sent as written; all other numbers are doubles.
    #[serde(default, deserialize_with = "present")]
    pub json: Option<serde_json::Value>,
    /// A plain text body.
    #[serde(default)]
    pub text: Option<String>,
    /// A file whose content is the body. It is watched like the configuration itself.
    #[serde(default)]
    pub body_file: Option<NamedFile>,
    /// Header fields of the response. Values are secrets and never shown. Fields that the gateway sets itself are not
    /// allowed, such as `content-length`, `date` and the header of a `request_id` plugin in its chain.
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

/// A redirect to another address.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// A path or an http(s) URL. `{rest}` is the part of the path after `path_prefix`, `{name}` a parameter of `path`.
    /// Parameters are allowed in the path, query and fragment, never in the host: `https://files.example.com/{rest}`.
    ///
    /// The rest of a path always starts a new segment: a slash is inserted before it if there is none. Slashes in it are
    /// kept, except at the start of a path, where `//name` would be another host. The query of the request is appended to
    /// the query of `to`, before its fragment.
    pub to: RedirectTo,
    /// The scheme of the new address, which keeps the host of the request: `{ to: "/{rest}", scheme: https }`. `to` must be a
    /// path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<RedirectScheme>,
    /// The port of the new address, with `scheme`. Default: that of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The status code.
    #[serde(default = "temporary")]
    #[schemars(extend("x-values" = [
        [301, "Moved Permanently. Clients may change POST to GET."],
        [302, "Found. Clients may change POST to GET."],
        [303, "See Other. Clients change the method to GET."],
        [307, "Temporary Redirect. The method is kept."],
        [308, "Permanent Redirect. The method is kept."]
    ]))]
    pub status: u16,
}

/// The scheme of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedirectScheme {
    Http,
    Https,
}

impl RedirectScheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

const fn temporary() -> u16 {
    307
}
