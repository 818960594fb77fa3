//! The interface between the admin API and the engine, and the types it reports.

use crate::config::diagnostic::{Diagnostics, Severity};
use crate::engine::explain::Question;
use crate::telemetry::Counters;
use crate::telemetry::metrics::TextFormat;
use crate::upstream::UpstreamState;
use axum::extract::FromRequestParts;
use futures_util::future::BoxFuture;
use gatewright_sdk::accept::{self, Wanted};
use gatewright_sdk::{ClientAddress, Facts};
use http::request::Parts;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;

/// The running gateway, as seen by the admin API.
pub trait AdminState: Send + Sync + 'static {
    /// The current state.
    fn status(&self) -> Status;

    /// The current configuration, with defaults and without secrets. May take time if there are many routes.
    fn config(&self) -> Value;

    /// Explains where a request goes in the current configuration, or what is wrong with the question.
    fn explain(&self, question: &Question<'_>) -> Result<Value, String>;

    /// How far the limits of each place are used.
    fn limits(&self) -> BTreeMap<String, Value>;

    /// All metrics as text.
    fn metrics(&self, format: TextFormat) -> String;

    /// Reloads the files; this completes even if the future is dropped. Returns the current generation, or why the
    /// files were rejected; `None` if the process is ending and no longer reloads.
    fn reload(&self, client: ClientAddress) -> BoxFuture<'_, Option<Result<AppliedReload, RefusedReload>>>;
}

/// Where a gateway listens.
#[derive(Debug, Clone, Serialize)]
pub struct ListeningOn {
    pub name: String,
    pub address: String,
}

/// What a reload applied.
#[derive(Debug, Clone)]
pub struct AppliedReload {
    pub generation: u64,
    /// Whether the files differ from those of the generation before.
    pub changed: bool,
    pub warnings: Diagnostics,
    /// The warnings as the text that `check` prints.
    pub report: String,
}

/// Why a reload was rejected.
#[derive(Debug, Clone)]
pub struct RefusedReload {
    pub diagnostics: Diagnostics,
    /// The text that `check` prints.
    pub report: String,
}

/// The current state.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub version: &'static str,
    /// When the process started, RFC 3339.
    pub started: String,
    /// The current generation, counted from 1.
    pub generation: u64,
    /// When it was applied, RFC 3339.
    pub since: String,
    /// A hash of the files it was read from.
    pub hash: String,
    /// The files that its settings name, each with the SHA-256 of its content.
    pub files: BTreeMap<String, String>,
    /// Where each store is: the absolute path of its file, or `null` for a store in memory.
    pub stores: BTreeMap<String, Option<PathBuf>>,
    /// The Redis stores, in which several gateways count together.
    pub counters: BTreeMap<String, CounterStore>,
    /// The upstreams: which of their targets get requests.
    pub upstreams: BTreeMap<String, UpstreamState>,
    /// The warnings of this generation.
    #[serde(serialize_with = "serialize_listed")]
    pub warnings: Diagnostics,
    /// The last reload that was rejected after this generation was applied.
    pub last_refused: Option<LastRefused>,
    /// The listeners, with the addresses that they are bound to.
    pub listeners: Vec<ListeningOn>,
    /// Open client connections.
    pub connections: u64,
    /// Whether the process is shutting down.
    pub draining: bool,
    /// Whether the maintenance mode is active.
    pub maintenance: bool,
    pub telemetry: Counters,
}

/// A store in which several gateways count together.
#[derive(Debug, Clone, Serialize)]
pub struct CounterStore {
    /// Where it is, without credentials.
    pub address: String,
    /// Whether it responds. If not, each gateway counts on its own, or requests are rejected.
    pub reachable: bool,
    /// What counts in it, by its path in the configuration.
    pub used_by: BTreeSet<String>,
}

/// A rejected reload.
#[derive(Debug, Clone, Serialize)]
pub struct LastRefused {
    /// When, RFC 3339.
    pub at: String,
    #[serde(flatten)]
    pub refused: RefusedReload,
}

impl Serialize for RefusedReload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({ "diagnostics": listed(&self.diagnostics), "report": self.report }).serialize(serializer)
    }
}

/// Diagnostics as JSON, errors first: `severity`, `code`, `path`, `message`, `help`, `file`, `line`, `column`, each if
/// known.
fn listed(diagnostics: &Diagnostics) -> Vec<Value> {
    let one = |diagnostic: &crate::config::diagnostic::Diagnostic| {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut value = json!({
            "severity": severity, "code": diagnostic.code.id(), "path": diagnostic.path, "message": diagnostic.message,
        });
        if let (Some(help), Some(object)) = (&diagnostic.help, value.as_object_mut()) {
            object.insert("help".to_owned(), json!(help));
        }
        if let (Some(at), Some(object)) = (&diagnostic.at, value.as_object_mut()) {
            object.insert("file".to_owned(), json!(at.file.display().to_string()));
            if at.line > 0 {
                object.insert("line".to_owned(), json!(at.line));
                object.insert("column".to_owned(), json!(at.column));
            }
        }
        value
    };
    let mut ordered: Vec<_> = diagnostics.iter().collect();
    ordered.sort_by_key(|diagnostic| diagnostic.severity);
    ordered.into_iter().map(one).collect()
}

fn serialize_listed<S: Serializer>(diagnostics: &Diagnostics, serializer: S) -> Result<S::Ok, S::Error> {
    listed(diagnostics).serialize(serializer)
}

/// The body for a reload that was applied.
pub(super) fn applied_body(applied: &AppliedReload) -> Value {
    let AppliedReload { generation, changed, warnings, report } = applied;
    json!({ "generation": generation, "changed": changed, "warnings": listed(warnings), "report": report })
}

/// The body for a rejected reload: a problem, with the diagnostics.
pub(super) fn refused_body(refused: &RefusedReload) -> Value {
    json!({
        "error": "reload_refused",
        "message": "The configuration was rejected; the previous generation keeps serving",
        "diagnostics": listed(&refused.diagnostics),
        "report": refused.report,
    })
}

/// The format of a response: YAML if `?format=yaml` or an Accept field asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    Json,
    Yaml,
}

impl<S: Sync> FromRequestParts<S> for AnswerFormat {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let named = || matches!(accept::wanted(&parts.headers, "application/yaml"), Wanted::Named(1..));
        let yaml = query.split('&').any(|pair| pair == "format=yaml") || named();
        Ok(if yaml { Self::Yaml } else { Self::Json })
    }
}

/// The address of the client, for the audit log.
pub(super) struct Caller(pub(super) ClientAddress);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let facts = parts.extensions.get::<Facts>();
        Ok(Self(facts.map_or_else(|| Facts::default().client.ip, |facts| facts.client.ip)))
    }
}
