//! Settings of logs and of the access log.

use super::Otlp;
use crate::config::document::field_name::FieldName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logs on standard output and, if `otlp` is configured, to an OTLP receiver.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// The format of log lines. Default: `human` if standard output is a terminal, otherwise `json`.
    pub format: LogFormat,
    /// The least severe level that is written. The variable `RUST_LOG` takes precedence.
    pub level: LogLevel,
    /// The access log: one line per request. Without this section there are lines only if standard output is a terminal.
    pub access: Option<AccessLog>,
    /// An OTLP receiver that gets every line as a record. `OTEL_EXPORTER_OTLP_*` variables take precedence.
    pub otlp: Option<Otlp>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `human` if standard output is a terminal, otherwise `json`.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// Short lines for people, colored on a terminal.
    Human,
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Details for debugging.
    Debug,
    /// Normal events.
    #[default]
    Info,
    /// Events that need attention.
    Warn,
    /// Failures.
    Error,
}

/// The access log: one line per request.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// The fields of a line, in this order. Fields without a value are omitted.
    pub fields: Vec<AccessField>,
    /// Request headers to log in the field `headers`.
    pub headers: Vec<FieldName>,
    /// Headers whose value is logged as `***`.
    pub redact_headers: Vec<FieldName>,
    /// Words that identify query parameters with secrets. Their values are written as `***` in logs and spans. What you
    /// write here replaces the default list.
    ///
    /// A parameter name is split into words at `-`, `_`, `.`, brackets, digits and capitals: `key` masks `api_key`,
    /// `apiKey` and `user[key]`, but not `monkey`. A word of five letters or more matches anywhere in a name: `token`
    /// masks `mytokens` too. A value that itself contains such a parameter, in a URL or an object, is masked completely.
    /// Masking too much (`country_code`) is preferred to masking too little. JSON Web Tokens, and URLs with a user or a
    /// password, are masked whatever the name of the parameter.
    pub redact_query: Vec<String>,
    /// The share of requests to log, 0 to 1. Responses of 500 and above, responses that were cut short and requests whose
    /// client left are always logged.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

/// Words in the names of secret parameters.
const SECRETS: [&str; 43] = [
    "access_key",
    "api_key",
    "assertion",
    "auth",
    "auth_code",
    "auth_key",
    "authorization",
    "bearer",
    "code",
    "cookie",
    "cred",
    "credential",
    "csrf",
    "hmac",
    "jwt",
    "key",
    "oauth",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "private_key",
    "pwd",
    "relay_state",
    "saml_art",
    "saml_request",
    "saml_response",
    "secret",
    "sessid",
    "session",
    "sid",
    "sig",
    "sign",
    "signature",
    "ticket",
    "token",
    "totp",
    "verifier",
    "wresult",
    "xsrf",
];

impl Default for AccessLog {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            fields: AccessField::USUAL.to_vec(),
            headers: Vec::new(),
            redact_headers: ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"]
                .map(FieldName::of)
                .to_vec(),
            redact_query: words(&SECRETS),
            sample: 1.0,
        }
    }
}

/// A field of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessField {
    /// The request method.
    Method,
    /// The request path.
    Path,
    /// The query, with the values of `redact_query` as `***`.
    Query,
    /// The requested host, with its port if there is one.
    Host,
    /// The HTTP version: `1.1`, `2`.
    Protocol,
    /// The response status.
    Status,
    /// The status of a gRPC call: `OK`, `UNAVAILABLE`.
    GrpcStatus,
    /// Milliseconds from the request head to the end of the response.
    DurationMs,
    /// Milliseconds from the request head to the response head.
    ResponseMs,
    /// Number of bytes sent of the response body.
    Bytes,
    /// Size of the request body in bytes: as announced, otherwise as read.
    RequestBytes,
    /// The client address.
    ClientIp,
    /// The subject of the authenticated client, such as the `sub` claim of its token. This is personal data, so it is not
    /// a default field.
    Subject,
    /// How the client was authenticated: the type of the plugin, such as `jwt` or `api_key`.
    AuthMethod,
    /// The listener.
    Listener,
    /// The route that matched.
    Route,
    /// The generation of the configuration.
    Generation,
    /// The request id.
    RequestId,
    /// The trace id.
    TraceId,
    /// The id of the server span.
    SpanId,
    /// Whether the request `passed`, was `refused`, or was `answered` by a plugin.
    Outcome,
    /// The place of the plugin that rejected the request or responded.
    Plugin,
    /// Why the request was rejected.
    Reason,
    /// What plugins with `mode: observe` would have rejected the request for: `PLACE:REASON`, separated by `, `.
    Observed,
    /// The access rule of the resource that allowed or denied the request: `access.read`. Not for public operations.
    Rule,
    /// The upstream to which the request was proxied.
    Upstream,
    /// The target of the upstream: `HOST:PORT`.
    UpstreamTarget,
    /// The IP address that was used, if the host of the target is a name that was looked up.
    Peer,
    /// Milliseconds from the start of the last attempt to the upstream's response head, including connecting.
    UpstreamMs,
    /// How many attempts were made to reach a target, including refused connections, if more than one.
    Attempts,
    /// Why the upstream gave no response or did not finish it, or the database failed.
    Error,
    /// The `User-Agent` header.
    UserAgent,
    /// The request headers listed in `headers`.
    Headers,
    /// How the request ended, if not normally: `client_left` or `response_cut_short`.
    End,
}

impl AccessField {
    /// The default fields.
    const USUAL: [Self; 27] = [
        Self::Method,
        Self::Path,
        Self::Query,
        Self::Status,
        Self::GrpcStatus,
        Self::DurationMs,
        Self::Bytes,
        Self::ClientIp,
        Self::Listener,
        Self::Route,
        Self::Generation,
        Self::RequestId,
        Self::TraceId,
        Self::SpanId,
        Self::Outcome,
        Self::Plugin,
        Self::Reason,
        Self::Observed,
        Self::Rule,
        Self::Upstream,
        Self::UpstreamTarget,
        Self::Peer,
        Self::UpstreamMs,
        Self::Attempts,
        Self::Error,
        Self::Headers,
        Self::End,
    ];
}
