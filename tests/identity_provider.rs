//! A gateway whose identity provider is down at the start, and its keys are discovered later.

use crate::harness::{Gateway, HEAD, PATIENCE, head_of};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::json;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KEYS: &str = include_str!("../plugins/jwt/fixtures/jwks.json");

/// A provider with this key set, which fails until it is healthy. Returns its issuer.
fn provider(healthy: Arc<AtomicBool>, keys: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let (status, body) = match head.split(' ').nth(1) {
                _ if !healthy.load(Ordering::Relaxed) => ("500 Internal Server Error", ""),
                Some("/.well-known/openid-configuration") => ("200 OK", &*metadata),
                Some("/keys") => ("200 OK", keys),
                _ => ("404 Not Found", ""),
            };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    issuer
}

#[test]
fn a_gateway_without_keys_serves_other_routes_and_is_not_ready() {
    let healthy = Arc::new(AtomicBool::new(false));
    let issuer = provider(Arc::clone(&healthy), KEYS);
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let gateway = Gateway::start_whole(&format!(
        "{head}listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
plugins:
  login:
    jwt:
      audiences: [api]
      algorithms: [ES256]
      issuers:
        - {{ issuer: own, algorithms: [HS256], secret: k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu }}
        - {{ issuer: \"{issuer}\", jwks: {{ discovery: true, refresh: 1s }} }}
routes:
  guarded: {{ path: /guarded, plugins: [login], respond: {{ text: in }} }}
  public: {{ path: /public, respond: {{ text: open }} }}\n"
    ));
    let claims =
        |issuer: &str| json!({ "iss": issuer, "aud": "api", "sub": "u1", "exp": get_current_timestamp() + 300 });
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("one".to_owned());
    let key = EncodingKey::from_ec_pem(include_bytes!("../plugins/jwt/fixtures/p256.key.pem")).unwrap();
    let theirs = format!("Bearer {}", encode(&header, &claims(&issuer), &key).unwrap());
    let key = EncodingKey::from_secret(crate::harness::SECRET.as_bytes());
    let ours = format!("Bearer {}", encode(&Header::default(), &claims("own"), &key).unwrap());
    let guarded = |token: &str| gateway.send("GET", "/guarded", &[("authorization", token)], "").status;
    assert_eq!((guarded(&theirs), guarded(&ours), gateway.get("/public").status), (503, 200, 200));
    assert_eq!((gateway.get("/guarded").status, gateway.get("/health/live").status), (401, 200));
    let ready = gateway.get("/health/ready");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json(), json!({ "status": "unavailable", "plugins": { "login": "no_keys" } }));
    let series = |name: &str| format!("gateway_jwt_key_set_{name}\"login\",gateway_issuer=\"{issuer}\"");
    let metrics = gateway.admin("GET", "/metrics").body;
    assert!(!metrics.contains(&series("age_seconds{gateway_plugin=")), "there are no keys: {metrics}");
    healthy.store(true, Ordering::Relaxed);
    let start = Instant::now();
    while gateway.get("/health/ready").status != 200 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((guarded(&theirs), guarded(&ours)), (200, 200));
    let metrics = gateway.admin("GET", "/metrics").body;
    let value = |name: &str, outcome: &str| -> f64 {
        let start = format!("{}{outcome}}} ", series(name));
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start}: {metrics}")).parse().unwrap()
    };
    for outcome in ["succeeded", "failed"] {
        assert!(value("fetches_total{gateway_plugin=", &format!(",gateway_outcome=\"{outcome}\"")) >= 1.0);
    }
    let age = value("age_seconds{gateway_plugin=", "");
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn the_log_names_the_url_of_a_key_set_that_cannot_be_used_and_not_that_of_the_metadata() {
    let issuer = provider(Arc::new(AtomicBool::new(true)), r#"{"keys":[]}"#);
    let mut gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
plugins: {{ login: {{ jwt: {{ issuer: \"{issuer}\", audiences: [api], algorithms: [ES256], jwks: {{ discovery: true }} }} }} }}
routes: {{ guarded: {{ path: /guarded, plugins: [login], respond: {{ text: in }} }} }}\n"
    ));
    let line = gateway.wait_for_log(|line| line["message"] == "cannot fetch the issuer's keys");
    assert_eq!(line["error"], format!("{issuer}/keys: the response has no keys"), "{line}");
}
