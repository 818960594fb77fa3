//! Error responses: `{"error", "message", "details"?}`, or RFC 9457 if the client asks for it.

use crate::detail::{Detail, Named};
use crate::{ByteSize, Facts, Response};
use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// An error response. It becomes a response through [`IntoResponse`]; the engine rewrites it as
/// `application/problem+json` (RFC 9457) if the client asked for that.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    message: Cow<'static, str>,
    details: Box<[Detail]>,
    headers: Vec<(HeaderName, HeaderValue)>,
    reason: Option<Cow<'static, str>>,
    public: bool,
    cause: Option<Box<Cause>>,
}

/// What failed. In a box of its own, so that a problem stays small.
#[derive(Debug, Clone)]
struct Cause(String);

/// What rejected a request and why, attached to the response for spans, logs and metrics. The client sees the reason
/// only if the problem allows it: see [`Problem::reason`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The place of the plugin; `None` if the engine or a target rejected the request.
    pub plugin: Option<Arc<str>>,
    pub reason: Cow<'static, str>,
}

impl Refusal {
    /// Records `place` as the plugin that decided, if `response` is a refusal without a plugin. Filters need not call
    /// it.
    pub fn sign(response: &mut Response, place: &Arc<str>) {
        if let Some(refusal) = response.extensions_mut().get_mut::<Self>() {
            refusal.plugin.get_or_insert_with(|| Arc::clone(place));
        }
    }
}

/// The place of a plugin that responded to a request without rejecting it, such as a CORS preflight. Attached to the
/// response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered(pub Arc<str>);

impl Answered {
    /// Records `place` as the plugin that made `response`: that rejected the request if it is a refusal, or else
    /// responded to it. Filters need not call it.
    pub fn sign(response: &mut Response, place: &Arc<str>) {
        if response.extensions().get::<Refusal>().is_some() {
            Refusal::sign(response, place);
        } else {
            response.extensions_mut().insert(Self(Arc::clone(place)));
        }
    }
}

/// The access rule of a resource that allowed or denied a request, by its key: `access.read`. Attached to the response for
/// the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedRule(pub &'static str);

/// Links from an error body to more information about its request.
#[derive(Debug, Clone, Copy, Default)]
pub struct References<'a> {
    /// The request id, if any.
    pub request_id: Option<&'a str>,
    /// The trace id in hex, if the request is traced.
    pub trace_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Brief<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    details: &'a [Detail],
}

#[derive(Serialize)]
struct Rfc9457<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Pointed<'a>>,
}

#[derive(Serialize)]
struct Pointed<'a> {
    /// A JSON pointer into the body (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl<'a> Pointed<'a> {
    fn of(detail: &'a Detail) -> Self {
        let parameter = (detail.names == Named::Parameter).then_some(&*detail.field);
        let pointer = match &detail.names {
            Named::Parameter => None,
            Named::Pointer(pointer) => Some(pointer.to_string()),
            Named::Member if detail.field.is_empty() => detail.index.map(|index| format!("/{index}")),
            Named::Member => {
                let escaped = detail.field.replace('~', "~0").replace('/', "~1");
                Some(detail.index.map_or(format!("/{escaped}"), |index| format!("/{index}/{escaped}")))
            }
        };
        Self { pointer, parameter, code: &detail.code, detail: &detail.message, help: detail.help.as_deref() }
    }
}

impl Problem {
    /// A problem of type `kind`, which clients can switch on.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let (details, headers) = (Box::default(), Vec::new());
        Self { status, kind, message: message.into(), details, headers, reason: None, public: false, cause: None }
    }

    /// 400: the request itself is invalid.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_error", message).reason("validation_error")
    }

    /// 401 with the challenge of RFC 6750 section 3; `presented` if the request had a token that was not accepted.
    pub fn unauthorized(presented: bool) -> Self {
        let challenge = if presented { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 401 that asks for other credentials than a token (RFC 9110 section 11.6.1).
    pub fn challenge(challenge: HeaderValue) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized").header(WWW_AUTHENTICATE, challenge)
    }

    /// 401 for a request without an identity. It asks for the credentials that an earlier plugin accepts, or for a token;
    /// `presented` if the request had a token that was not accepted.
    pub fn without_identity(facts: &Facts, presented: bool) -> Self {
        match facts.challenges.as_deref() {
            Some(challenges @ [_, ..]) => {
                let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized");
                challenges.iter().fold(problem, |problem, one| problem.header(WWW_AUTHENTICATE, one.clone()))
            }
            _ => Self::unauthorized(presented),
        }
    }

    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden")
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Resource not found")
    }

    /// 405; the caller knows the methods and provides the `Allow` value.
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            .header(http::header::ALLOW, allow)
            .reason("method_not_allowed")
    }

    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 408: the client was too slow.
    pub fn request_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request took too long to arrive")
            .header(http::header::CONNECTION, HeaderValue::from_static("close"))
            .reason("request_timeout")
    }

    /// 413: the rest of the body is not read, so an HTTP/1 connection closes.
    pub fn payload_too_large(limit: ByteSize) -> Self {
        let message = format!("Request body exceeds {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
            .header(http::header::CONNECTION, HeaderValue::from_static("close"))
            .reason("payload_too_large")
    }

    pub fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// 406; `available` is the media type that the client would get.
    pub fn not_acceptable(available: &str) -> Self {
        let message = format!("The response is available only as {available}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }

    /// 429 with `Retry-After` in whole seconds, at least 1 (RFC 9110 section 10.2.3).
    pub fn too_many_requests(retry_after_secs: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests")
            .header(RETRY_AFTER, HeaderValue::from(retry_after_secs.max(1)))
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "An internal error occurred")
    }

    pub fn bad_gateway() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", "The upstream did not send a valid response")
    }

    /// 503 with `Retry-After` in whole seconds.
    pub fn unavailable(retry_after_secs: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service temporarily unavailable")
            .header(RETRY_AFTER, HeaderValue::from(retry_after_secs.max(1)))
    }

    pub fn gateway_timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", "The server did not respond in time")
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What is wrong with each field.
    pub fn faults(&self) -> &[Detail] {
        &self.details
    }

    /// The same about the element at `index` of a list.
    #[must_use]
    pub fn in_list(mut self, index: usize) -> Self {
        if self.details.is_empty() {
            self.details = Box::new([Detail::new("", self.kind, self.message.clone())]);
        }
        let number = u32::try_from(index).ok();
        self.details.iter_mut().for_each(|detail| detail.index = number);
        self.message = format!("[{index}]: {}", self.message).into();
        self
    }

    #[must_use]
    pub fn details(mut self, details: Vec<Detail>) -> Self {
        self.details = details.into_boxed_slice();
        self
    }

    /// The reason for the operator: a short word such as `expired`, for the span, log and metric. The client never sees
    /// it.
    #[must_use]
    pub fn log_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        (self.reason, self.public) = (Some(reason.into()), false);
        self
    }

    /// The reason for the operator and the client: as [`Problem::log_reason`], and the `reason` member of the RFC 9457
    /// form. Only for what the client may know: its own mistake, or a limit it exceeded. Never for why a token or role
    /// was insufficient, or for anything about upstreams.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        (self.reason, self.public) = (Some(reason.into()), true);
        self
    }

    /// What failed, in the words of a database or another server: `error` in the access log. The client never sees it.
    #[must_use]
    pub fn log_error(mut self, error: impl Into<String>) -> Self {
        self.cause = Some(Box::new(Cause(error.into())));
        self
    }

    /// What failed, for the access log.
    pub fn error(&self) -> Option<&str> {
        self.cause.as_deref().map(|cause| &*cause.0)
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// `{"error", "message", "details"?}`, always these keys.
    pub fn brief(&self) -> Vec<u8> {
        let brief = Brief { error: self.kind, message: &self.message, details: &self.details };
        serde_json::to_vec(&brief).unwrap_or_default()
    }

    /// The RFC 9457 body for a request to `instance`. In addition to the members of the RFC, it contains `reason` if
    /// the client may know it, `request_id`, `trace_id`, and `errors`.
    pub fn rfc9457(&self, instance: &str, references: References<'_>) -> Vec<u8> {
        let title = match self.kind {
            "validation_error" => "Validation failed",
            _ => self.status.canonical_reason().unwrap_or("Error"),
        };
        let errors = self.details.iter().map(Pointed::of).collect();
        let r#type = format!("/problems/{}", self.kind.replace('_', "-"));
        let (status, detail) = (self.status.as_u16(), &*self.message);
        let reason = self.reason.as_deref().filter(|_| self.public);
        let References { request_id, trace_id } = references;
        let body = Rfc9457 { r#type, title, status, detail, instance, reason, request_id, trace_id, errors };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.brief();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        *response.body_mut() = Body::from(body);
        let reason = self.reason.clone().unwrap_or(Cow::Borrowed(self.kind));
        response.extensions_mut().insert(Refusal { plugin: None, reason });
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_fault_in_the_body_has_a_pointer_and_one_in_a_parameter_has_its_name() {
        let details = vec![
            Detail::new("a/b", "min", "is too short"),
            Detail { index: Some(2), ..Detail::new("name", "required", "is required") },
            Detail::parameter("filter[a]", "format", "must be an integer").help("send a whole number"),
        ];
        let problem = Problem::validation("no").details(details);
        let body: Value = serde_json::from_slice(&problem.rfc9457("/a", References::default())).unwrap();
        let errors = json!([
            { "pointer": "/a~1b", "code": "min", "detail": "is too short" },
            { "pointer": "/2/name", "code": "required", "detail": "is required" },
            { "parameter": "filter[a]", "code": "format", "detail": "must be an integer", "help": "send a whole number" },
        ]);
        assert_eq!(body["errors"], errors);
        let brief: Value = serde_json::from_slice(&problem.brief()).unwrap();
        assert_eq!(
            brief["details"][2].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["field", "code", "message", "help"]
        );
    }
}
