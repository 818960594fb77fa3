//! The health responses: whether the process is running, and whether it can serve.

use bytes::Bytes;
use gatewright_sdk::{Body, Problem, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

const SUMMARY: &str = concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
const OK: &str = r#"{"status":"ok"}"#;
const DRAINING: &str = r#"{"status":"draining"}"#;

/// What readiness depends on.
#[derive(Debug, Clone, Copy)]
pub struct Readiness<'a> {
    /// Whether the process is shutting down.
    pub draining: bool,
    /// Each store by name, and whether it responds.
    pub stores: &'a [(&'a str, bool)],
    /// The plugins that cannot serve, each with a word for what is missing.
    pub plugins: &'a [(String, &'static str)],
}

/// `{"status", "version"}`.
pub fn summary(method: &Method) -> Response {
    fixed(method, StatusCode::OK, SUMMARY)
}

/// 200 while the process runs.
pub fn live(method: &Method) -> Response {
    fixed(method, StatusCode::OK, OK)
}

/// 200 while requests can be served; 503 while draining, or while stores are down or plugins cannot serve, with
/// their names.
pub fn ready(method: &Method, health: &Readiness<'_>) -> Response {
    if health.draining {
        return fixed(method, StatusCode::SERVICE_UNAVAILABLE, DRAINING);
    }
    if health.plugins.is_empty() && health.stores.iter().all(|(_, answers)| *answers) {
        return fixed(method, StatusCode::OK, OK);
    }
    let body = serde_json::to_vec(&Unavailable {
        status: "unavailable",
        stores: Down(health.stores),
        plugins: Missing(health.plugins),
    });
    answer(method, StatusCode::SERVICE_UNAVAILABLE, Bytes::from(body.unwrap_or_default()))
}

#[derive(Serialize)]
struct Unavailable<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Down::is_empty")]
    stores: Down<'a>,
    #[serde(skip_serializing_if = "Missing::is_empty")]
    plugins: Missing<'a>,
}

struct Down<'a>(&'a [(&'a str, bool)]);

impl Down<'_> {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, answers)| *answers)
    }
}

impl Serialize for Down<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, _) in self.0.iter().filter(|(_, answers)| !answers) {
            map.serialize_entry(name, "down")?;
        }
        map.end()
    }
}

struct Missing<'a>(&'a [(String, &'static str)]);

impl Missing<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Missing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(plugin, word)| (plugin, word)))
    }
}

fn fixed(method: &Method, status: StatusCode, body: &'static str) -> Response {
    answer(method, status, Bytes::from_static(body.as_bytes()))
}

/// The server omits the body for HEAD, and keeps its length.
fn answer(method: &Method, status: StatusCode, body: Bytes) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD")).into();
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn told(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_summary_contains_the_version() {
        let summary = told(summary(&Method::GET)).await;
        assert_eq!(summary, (200, format!(r#"{{"status":"ok","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))));
    }

    #[tokio::test]
    async fn readiness_depends_on_drain_and_stores_and_liveness_does_not() {
        for (draining, stores, expected) in [
            (false, &[][..], (200, r#"{"status":"ok"}"#)),
            (false, &[("main", true)][..], (200, r#"{"status":"ok"}"#)),
            (true, &[("main", false)][..], (503, r#"{"status":"draining"}"#)),
            (
                false,
                &[("main", false), ("limits", true)][..],
                (503, r#"{"status":"unavailable","stores":{"main":"down"}}"#),
            ),
        ] {
            let health = Readiness { draining, stores, plugins: &[] };
            let (status, body) = told(ready(&Method::GET, &health)).await;
            assert_eq!((status, body.as_str()), expected);
            assert_eq!(told(live(&Method::HEAD)).await.0, 200);
        }
    }

    #[tokio::test]
    async fn plugins_that_cannot_serve_are_named() {
        let plugins = [("login".to_owned(), "no_keys")];
        let health = Readiness { draining: false, stores: &[("main", true)], plugins: &plugins };
        let body = r#"{"status":"unavailable","plugins":{"login":"no_keys"}}"#;
        assert_eq!(told(ready(&Method::GET, &health)).await, (503, body.to_owned()));
        let health = Readiness { stores: &[("main", false)], ..health };
        let body = r#"{"status":"unavailable","stores":{"main":"down"},"plugins":{"login":"no_keys"}}"#;
        assert_eq!(told(ready(&Method::GET, &health)).await, (503, body.to_owned()));
    }

    #[test]
    fn other_methods_are_rejected_with_the_allowed_ones() {
        for response in [summary(&Method::POST), live(&Method::DELETE)] {
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers().get("allow").unwrap(), "GET, HEAD");
            assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
        }
    }
}
