//! The middleware chain in front of a fixed response, and the token check.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

#[derive(Serialize)]
struct Hello {
    hello: &'static str,
}

pub async fn hello() -> impl IntoResponse {
    Json(Hello { hello: "world" })
}

#[derive(Clone, Copy)]
struct UuidV7;

impl MakeRequestId for UuidV7 {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let mut text = uuid::Uuid::encode_buffer();
        let id = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(id).ok().map(RequestId::new)
    }
}

/// Request id, CORS, timeout, compression and rate limit, like `edge` in `benches/gateway.yaml`.
pub fn chain(router: Router) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list([HeaderValue::from_static("https://app.example.com")]))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([HeaderName::from_static("x-request-id")])
        .allow_credentials(true)
        .max_age(Duration::from_secs(600));
    let limit = GovernorConfigBuilder::default()
        .per_nanosecond(1000)
        .burst_size(1_000_000)
        .use_headers()
        .finish()
        .expect("neither period nor burst is zero");
    let limiter = limit.limiter().clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            limiter.retain_recent();
        }
    });
    router.layer(
        ServiceBuilder::new()
            .layer(SetRequestIdLayer::x_request_id(UuidV7))
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(cors)
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
            .layer(CompressionLayer::new())
            .layer(GovernorLayer::new(limit)),
    )
}

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
}

/// The authenticated subject, for handlers behind [`jwt`].
#[derive(Clone)]
#[expect(dead_code, reason = "the fixed answer does not depend on who asks")]
struct Subject(Arc<str>);

struct Login {
    key: DecodingKey,
    validation: Validation,
}

/// Admits only requests with a valid HS256 token.
pub fn jwt(router: Router, secret: &str) -> Router {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&["iss"]);
    validation.set_audience(&["api"]);
    validation.leeway = 30;
    validation.validate_nbf = true;
    let login = Login { key: DecodingKey::from_secret(secret.as_bytes()), validation };
    router.layer(from_fn_with_state(Arc::new(login), check))
}

async fn check(State(login): State<Arc<Login>>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claims = header.and_then(|value| value.strip_prefix("Bearer ")).and_then(|token| {
        jsonwebtoken::decode::<Claims>(token, &login.key, &login.validation).ok().map(|token| token.claims)
    });
    let Some(claims) = claims else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    request.extensions_mut().insert(Subject(claims.sub.into()));
    next.run(request).await
}
