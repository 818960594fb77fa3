//! The admin API: what runs, what was refused, what is measured, and a way to reload, for whoever holds the token.

mod api;
mod guard;
pub mod health;

pub use api::{AdminState, LastRefused, Refused, Status};

use crate::config::document::process::Admin;
use crate::config::document::telemetry::Prometheus;
use crate::telemetry::metrics::Dialect;
use api::{refused_body, yaml_wanted};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatewright_sdk::{Body, Facts, HttpService, Problem, Request, Response, Secret};
use guard::Guard;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;

/// A token for a process that was given none: 32 random bytes, base64url.
pub fn random_token() -> Secret {
    // Three version 4 UUIDs are 366 bits of the operating system's randomness, stretched by a CSPRNG.
    let mut hash = Sha256::new();
    for _ in 0..3 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    Secret::new(URL_SAFE_NO_PAD.encode(hash.finalize()))
}

/// The admin API, opened by `token`. Whether and where metrics are read is asked of `state` for each request, so that it
/// holds from the moment of a swap.
pub fn service(state: Arc<dyn AdminState>, token: &Secret, settings: &Admin) -> HttpService {
    let guard = Arc::new(Guard::new(token, settings));
    HttpService::from_fn(move |request: Request| {
        let (state, guard) = (Arc::clone(&state), Arc::clone(&guard));
        // No request here has a body that means anything.
        let request = request.map(drop);
        async move {
            let metrics = state.prometheus().filter(|metrics| *metrics.path == *request.uri().path());
            let admitted = match &metrics {
                Some(Prometheus { open: true, .. }) => guard.admit_anyone(&request),
                _ => guard.admit(&request, Instant::now()),
            };
            let mut response = match (admitted, metrics) {
                (Ok(()), Some(_)) => measured(&*state, &request),
                (Ok(()), None) => answer(&*state, &request).await,
                (Err(problem), _) => problem.into(),
            };
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    })
}

fn reads(request: &http::Request<()>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn measured(state: &dyn AdminState, request: &http::Request<()>) -> Response {
    if !reads(request) {
        return Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD")).into();
    }
    let dialect = Dialect::of(request.headers());
    let mut response = Response::new(Body::from(state.metrics(dialect)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(dialect.media_type()));
    response
}

async fn answer(state: &dyn AdminState, request: &http::Request<()>) -> Response {
    let reads = reads(request);
    match (request.uri().path(), request.method()) {
        ("/status", _) if reads => written(StatusCode::OK, &status(state), yaml_wanted(request)),
        ("/config", _) if reads => written(StatusCode::OK, &state.config(), yaml_wanted(request)),
        ("/status" | "/config", _) => Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD")).into(),
        ("/reload", &Method::POST) => reload(state, request).await,
        ("/reload", _) => Problem::method_not_allowed(HeaderValue::from_static("POST")).into(),
        _ => Problem::not_found().into(),
    }
}

fn status(state: &dyn AdminState) -> Value {
    serde_json::to_value(state.status()).unwrap_or_default()
}

/// 200 with the generation, or 422 with what is wrong: the files were understood and refused, what runs still runs.
async fn reload(state: &dyn AdminState, request: &http::Request<()>) -> Response {
    match state.reload(Facts::of(request).client.ip).await {
        Some(Ok(generation)) => written(StatusCode::OK, &json!({ "generation": generation }), false),
        Some(Err(refused)) => written(StatusCode::UNPROCESSABLE_ENTITY, &refused_body(&refused), false),
        None => Problem::unavailable(1).reason("draining").into(),
    }
}

fn written(status: StatusCode, value: &Value, yaml: bool) -> Response {
    let (text, kind) = match yaml.then(|| serde_yaml::to_string(value)) {
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
