//! Settings of logs and of the access log.

use super::Otlp;
use crate::config::document::field_name::FieldName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logs, on standard output and, where `otlp` is given, to an OTLP receiver too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// The format of a line. By default, `human` if standard output is a terminal, else `json`.
    pub format: LogFormat,
    /// The least important level that is written. `RUST_LOG` wins.
    pub level: LogLevel,
    /// One line per request. Without this key there are lines only if standard output is a terminal.
    pub access: Option<AccessLog>,
    /// Where every line is sent too, as a record. `OTEL_EXPORTER_OTLP_*` variables win.
    pub otlp: Option<Otlp>,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `human` if standard output is a terminal, else `json`.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// Short, for people. Colored on a terminal.
    Human,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For looking into a fault.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What should be looked at.
    Warn,
    /// What must be looked at.
    Error,
}

/// One log line per request.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// What a line says, in this order. What is not known of a request is left out of its line.
    pub fields: Vec<AccessField>,
    /// Request header fields that `headers` says.
    pub headers: Vec<FieldName>,
    /// Of those, the ones whose value is written as `***`.
    pub redact_headers: Vec<FieldName>,
    /// Words that say a query parameter holds a secret: its value is written as `***`, here and in spans. A name is
    /// read as words, which end at `-`, `_`, `.`, brackets, digits and capitals: `key` masks `api_key`, `apiKey` and
    /// `user[key]`, but not `monkey`. A word of five letters or more counts wherever it stands: `token` masks
    /// `mytokens`, too. A value that holds such a parameter itself, as a URL or an object, is masked as a whole. Rather
    /// one value too many is masked (`country_code`) than one too few. What is written here replaces the usual list. A
    /// JSON Web Token, and a URL with a user or a password in it, are masked whatever their name is.
    pub redact_query: Vec<String>,
    /// The share of requests that is written, 0 to 1. Answers of 500 and above always are, and requests whose client
    /// left or whose answer was cut short.
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

/// What a line of the access log can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessField {
    /// The request's method.
    Method,
    /// The path that was asked for.
    Path,
    /// The query, with the values of `redact_query` as `***`.
    Query,
    /// The host that was asked for, with its port where one was given.
    Host,
    /// The version of HTTP: `1.1`, `2`.
    Protocol,
    /// The status of the answer.
    Status,
    /// Milliseconds from the request's head to the end of the answer.
    DurationMs,
    /// Milliseconds from the request's head to the answer's.
    ResponseMs,
    /// Bytes of the answer's body that were sent.
    Bytes,
    /// Bytes of the request's body: those announced, else those read.
    RequestBytes,
    /// The client's address.
    ClientIp,
    /// The listener.
    Listener,
    /// The route that took the request.
    Route,
    /// The generation of the configuration.
    Generation,
    /// The id of the request.
    RequestId,
    /// The id of its trace.
    TraceId,
    /// The id of its server span.
    SpanId,
    /// Whether it `passed`, was `refused`, or was `answered` by a plugin.
    Outcome,
    /// The place of the plugin that refused or answered.
    Plugin,
    /// Why it was refused.
    Reason,
    /// The upstream that it was proxied to.
    Upstream,
    /// The target of the upstream: `HOST:PORT`.
    Target,
    /// Why the upstream gave no response.
    Error,
    /// The field `User-Agent`.
    UserAgent,
    /// The fields of `headers`.
    Headers,
    /// How it ended, unless as it should: `client_left` or `response_cut_short`.
    End,
}

impl AccessField {
    /// The default fields.
    const USUAL: [Self; 21] = [
        Self::Method,
        Self::Path,
        Self::Query,
        Self::Status,
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
        Self::Upstream,
        Self::Target,
        Self::Error,
        Self::Headers,
        Self::End,
    ];
}
