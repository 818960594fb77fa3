//! The admin API: status, rejected reloads, metrics and reloading, for holders of the token.
//!
//! An [`axum::Router`] with tower-http layers. Other layers are not needed, because every address has their function
//! already: the server limits heads, bodies and times, an exchange catches panics, and no header field is logged.

mod api;
mod asked;
mod guard;
pub mod health;

pub use api::{AdminState, AppliedReload, CounterStore, LastRefused, ListeningOn, RefusedReload, Status};

use crate::config::document::process::Admin;
use crate::config::document::telemetry::Prometheus;
use crate::config::yaml;
use crate::telemetry::metrics::TextFormat;
use api::{AnswerFormat, Caller, applied_body, refused_body};
use asked::AskedRequest;
use axum::Router;
use axum::extract::{MatchedPath, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatewright_sdk::{Body, Facts, HttpService, Problem, Refusal, Request, Response, Secret};
use guard::Guard;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;
use tower_http::set_header::SetResponseHeaderLayer;

type Shared = Arc<dyn AdminState>;

/// A generated token: 32 random bytes, base64url.
pub fn random_token() -> Secret {
    // Three version 4 UUIDs contain 366 random bits from the operating system, stretched by a CSPRNG.
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    Secret::new(URL_SAFE_NO_PAD.encode(hash.finalize()))
}

/// The admin API of one generation, protected by `token`. Metrics are served at the path in `prometheus`, if any.
pub fn service(state: Shared, token: &Secret, settings: &Admin, prometheus: Option<&Prometheus>) -> HttpService {
    let guard = Arc::new(Guard::new(token, settings));
    let guarded = from_fn_with_state(Arc::clone(&guard), with_token);
    let mut router = Router::new()
        .route("/status", get(status).fallback(reads_alone))
        .route("/config", get(config).fallback(reads_alone))
        .route("/limits", get(limits).fallback(reads_alone))
        .route("/explain", get(explain).fallback(reads_alone))
        .route("/reload", post(reload).fallback(posts_alone))
        .route_layer(guarded.clone())
        .route("/", index(prometheus, Arc::clone(&guard)));
    if let Some(prometheus) = prometheus {
        // The path is literal, not a pattern.
        let path = prometheus.path.replace('{', "{{").replace('}', "}}");
        let metrics = get(metrics).fallback(reads_alone);
        let metrics = match prometheus.open {
            true => metrics.layer(from_fn_with_state(guard, from_anyone)),
            false => metrics.layer(guarded.clone()),
        };
        router = router.without_v07_checks().route(&path, metrics);
    }
    let router = router
        .fallback(nothing.layer(guarded))
        .with_state(state)
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    HttpService::new(router)
}

/// Lists the endpoints, for anyone: a person who opens the address sees what it is and how to go on.
fn index(prometheus: Option<&Prometheus>, guard: Arc<Guard>) -> MethodRouter<Shared> {
    let endpoint = |method: &str, path: &str, about: &str| json!({ "method": method, "path": path, "about": about });
    let mut endpoints = vec![
        endpoint("GET", "/status", "generation, its warnings, files, the last rejected reload, connections, telemetry"),
        endpoint("GET", "/config", "the running configuration, secrets masked; ?format=yaml for YAML"),
        endpoint("GET", "/limits", "how far the limits of each place are used, and by whom"),
        endpoint("GET", "/explain?method=GET&url=/", "which route and plugins handle a request, and why"),
        endpoint(
            "POST",
            "/reload",
            "read the files again; 200 with the warnings, or 422 with the errors if they are rejected",
        ),
    ];
    endpoints.extend(prometheus.map(|prometheus| endpoint("GET", &prometheus.path, "metrics for Prometheus")));
    let index = json!({
        "service": "gatewright admin API",
        "version": env!("CARGO_PKG_VERSION"),
        "authorization": "Bearer TOKEN: `admin.token`, or the token that the gateway reported when it started",
        "endpoints": endpoints,
    });
    let list = get(move |form: AnswerFormat| async move { written(StatusCode::OK, &index, form) });
    list.fallback(reads_alone).layer(from_fn_with_state(guard, from_anyone))
}

async fn nothing() -> Problem {
    Problem::not_found()
}

async fn reads_alone() -> Problem {
    Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD"))
}

async fn posts_alone() -> Problem {
    Problem::method_not_allowed(HeaderValue::from_static("POST"))
}

async fn with_token(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit(&request, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(problem) => denied(&request, problem),
    }
}

/// What the audit record has instead of a path that does not exist: people write the token there.
const NO_PATH: &str = "***";

/// Rejects a request, with an audit record.
fn denied(request: &Request, problem: Problem) -> Response {
    let response = problem.into_response();
    let reason = response.extensions().get::<Refusal>().map_or("", |refusal| &*refusal.reason);
    let path = request.extensions().get::<MatchedPath>().map_or(NO_PATH, |_| request.uri().path());
    let (client_ip, method) = (Facts::of(request).client.ip, request.method());
    let human = format!("{method} {path} on the admin API denied to {client_ip}: {reason}");
    tracing::warn!(
        target: "gatewright::audit", event = "admin_denied", %client_ip, %method, path, reason, human,
        "admin request denied"
    );
    response
}

async fn from_anyone(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit_anyone(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => denied(&request, problem),
    }
}

async fn status(State(state): State<Shared>, form: AnswerFormat) -> Response {
    written(StatusCode::OK, &serde_json::to_value(state.status()).unwrap_or_default(), form)
}

/// Runs on a blocking thread, because rendering takes time.
async fn config(State(state): State<Shared>, form: AnswerFormat) -> Response {
    let shown = tokio::task::spawn_blocking(move || written(StatusCode::OK, &state.config(), form)).await;
    shown.unwrap_or_else(|_| Problem::internal().into())
}

/// Runs on a blocking thread, because there may be many limits.
async fn limits(State(state): State<Shared>, form: AnswerFormat) -> Response {
    let shown = move || written(StatusCode::OK, &json!({ "limits": state.limits() }), form);
    tokio::task::spawn_blocking(shown).await.unwrap_or_else(|_| Problem::internal().into())
}

async fn explain(State(state): State<Shared>, AskedRequest(asked): AskedRequest, form: AnswerFormat) -> Response {
    let explained = asked.and_then(|asked| state.explain(&asked.question()));
    match explained {
        Ok(explanation) => written(StatusCode::OK, &explanation, form),
        Err(message) => Problem::validation(message).into_response(),
    }
}

async fn metrics(State(state): State<Shared>, headers: HeaderMap) -> Response {
    let format = TextFormat::of(&headers);
    ([(CONTENT_TYPE, HeaderValue::from_static(format.media_type()))], state.metrics(format)).into_response()
}

/// 200 with the generation and its warnings, or 422 with the diagnostics: the files were read and rejected, and the current
/// configuration keeps serving.
async fn reload(State(state): State<Shared>, Caller(client): Caller) -> Response {
    match state.reload(client).await {
        Some(Ok(applied)) => written(StatusCode::OK, &applied_body(&applied), AnswerFormat::Json),
        Some(Err(refused)) => written(StatusCode::UNPROCESSABLE_ENTITY, &refused_body(&refused), AnswerFormat::Json),
        None => Problem::unavailable(1).log_reason("draining").into(),
    }
}

fn written(status: StatusCode, value: &Value, form: AnswerFormat) -> Response {
    let yaml = (form == AnswerFormat::Yaml).then(|| yaml::write::write(value));
    let (text, kind) = match yaml {
        Some(Ok(text)) => (text, "application/yaml"),
        _ => (format!("{value:#}\n"), "application/json"),
    };
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests;
