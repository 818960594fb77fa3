//! Rejects request bodies above a maximum size.

use gatewright_sdk::body::BodyTooLarge;
use gatewright_sdk::limits::{Bound, Limit};
use gatewright_sdk::{
    Body, ByteSize, CheckContext, Code, Compiled, Contract, Facts, Fault, Filter, Plugin, Problem, Request, Traits,
    Verdict,
};
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tower::BoxError;

/// Rejects requests whose body exceeds `max` with 413: at once if `Content-Length` exceeds it, otherwise as soon as
/// the body does.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BodyLimit {
    /// Maximum size of a request body. The listener's `limits.body_bytes` also applies; `limits.body_bytes` of a route
    /// replaces both.
    max: ByteSize,
}

impl Default for BodyLimit {
    fn default() -> Self {
        Self { max: ByteSize::mib(1) }
    }
}

impl Plugin for BodyLimit {
    const NAME: &'static str = "body_limit";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let zero = || {
            Fault::new("max", "a limit of zero rejects every body").code(Code::ZERO).help("write a size such as `1MiB`")
        };
        let bounds = vec![Bound { path: "max", limit: Limit::Body(self.max) }];
        let compiled = Compiled::filter(Scale { max: self.max }).traits(Traits {
            bounds,
            contract: Contract::rejects(&[413]),
            ..Traits::default()
        });
        compiled.faults((self.max.0 == 0).then(zero))
    }
}

struct Scale {
    max: ByteSize,
}

impl Filter for Scale {
    /// The limit, if the body must be counted.
    type Ticket = Option<ByteSize>;
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<Option<ByteSize>> {
        let limit = Facts::of(request).limits.as_ref().and_then(|limits| limits.body_bytes).unwrap_or(self.max);
        let max = limit.0;
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let known = request.body().size_hint();
        if announced.unwrap_or(0) > max || known.lower() > max {
            return Verdict::refuse(Problem::payload_too_large(limit));
        }
        // The server enforces a declared length; only a body without one must be counted.
        Verdict::Continue(known.upper().is_none_or(|most| most > max).then_some(limit))
    }

    fn admit(&self, counted: &mut Option<ByteSize>, request: &mut Request) {
        if let Some(limit) = *counted {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Limited::new(body, limit.get()).map_err(move |e| too_large(e, limit.0)));
        }
    }
}

/// Turns the error into the gateway's own "too large" error, from which the response is made.
fn too_large(error: BoxError, max: u64) -> BoxError {
    if error.is::<LengthLimitError>() { Box::new(BodyTooLarge(max)) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use gatewright_sdk::testing::{faults, install, request};
    use gatewright_sdk::{HttpService, RouteLimits};
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::Arc;

    /// Reads the whole body, as a resource does.
    fn reader() -> HttpService {
        HttpService::from_fn(|request: Request| async {
            match request.into_body().collect().await {
                Ok(body) => body.to_bytes().len().to_string().into_response(),
                Err(error) => gatewright_sdk::body::problem(&error).into_response(),
            }
        })
    }
    use axum::response::IntoResponse;

    async fn status(body: Body, length: Option<&str>) -> u16 {
        let service = install::<BodyLimit>(json!({ "max": "4B" }), reader());
        let headers = length.map(|length| ("content-length", length));
        let mut request = request("POST", headers.as_slice());
        *request.body_mut() = body;
        service.call(request).await.status().as_u16()
    }

    fn chunks(number: usize) -> Body {
        Body::from_stream(stream::iter(vec![Ok::<_, Infallible>("ab"); number]))
    }

    #[tokio::test]
    async fn bodies_with_a_length_are_limited_by_it() {
        assert_eq!(status(Body::from("abcd"), Some("4")).await, 200);
        assert_eq!(status(Body::from("abcde"), None).await, 413);
        // A body that never arrives: the response does not wait for it.
        assert_eq!(status(Body::from_stream(stream::pending::<Result<&str, Infallible>>()), Some("5")).await, 413);
    }

    #[tokio::test]
    async fn bodies_of_unknown_length_are_counted() {
        assert_eq!(status(chunks(2), None).await, 200);
        assert_eq!(status(chunks(3), None).await, 413);
    }

    #[tokio::test]
    async fn the_limits_of_a_route_replace_those_around_it() {
        let service = install::<BodyLimit>(json!({ "max": "4B" }), reader());
        for (limit, length, status) in [(8, 4, 200), (3, 2, 413), (4, 2, 200)] {
            let mut request = request("POST", &[]);
            let limits = RouteLimits { body_bytes: Some(ByteSize(limit)), ..RouteLimits::default() };
            Facts::of_mut(&mut request).limits = Some(Arc::new(limits));
            *request.body_mut() = chunks(length);
            assert_eq!(service.call(request).await.status(), status, "{limit}");
        }
    }

    #[test]
    fn a_limit_of_zero_is_a_fault() {
        assert!(faults::<BodyLimit>(json!({ "max": "0B" }), false)[0].starts_with("max: "));
        assert!(faults::<BodyLimit>(json!({}), false).is_empty());
    }
}
