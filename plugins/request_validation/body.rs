//! Validates the bodies of requests with one schema, whatever they are for.

use super::{faults, json, media};
use gatewright_sdk::{ByteSize, Filter, Note, Problem, Request, Verdict, WholeBody};
use http::Method;
use jsonschema::Validator;

/// The schema of all bodies.
pub struct Validates {
    pub schema: Validator,
    pub methods: Vec<Method>,
    pub required: bool,
    pub max: ByteSize,
}

impl Filter for Validates {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn reads_body(&self) -> Option<ByteSize> {
        Some(self.max)
    }

    fn wants_body(&self, request: &Request, _: &mut Note) -> bool {
        media_problem(request).is_none()
    }

    fn decide(&self, request: &Request) -> Verdict<()> {
        let has_body = !http_body::Body::is_end_stream(request.body());
        match self.judge(request, has_body) {
            Ok(()) => Verdict::Continue(()),
            Err(problem) => Verdict::refuse(*problem),
        }
    }
}

impl Validates {
    fn judge(&self, request: &Request, has_body: bool) -> Result<(), Box<Problem>> {
        if !has_body {
            let missing = || Problem::validation("A request body is required").log_reason("body_missing");
            let required = self.required && self.methods.contains(request.method());
            return if required { Err(missing().into()) } else { Ok(()) };
        }
        if let Some(message) = media_problem(request) {
            return Err(Problem::unsupported_media_type(message).log_reason("media_type").into());
        }
        let body = WholeBody::of(request);
        if u64::try_from(body.len()).is_ok_and(|length| length > self.max.0) {
            return Err(Problem::payload_too_large(self.max).into());
        }
        let invalid = |error: String| {
            let problem = Problem::validation(format!("The body is not valid JSON: {error}"));
            problem.log_reason("body_not_json")
        };
        let value = json::read(body).map_err(invalid)?;
        if self.schema.is_valid(&value) {
            return Ok(());
        }
        let details = faults(&self.schema, &value).collect();
        let problem = Problem::validation("The body does not match the schema").details(details);
        Err(problem.log_reason("schema").into())
    }
}

/// Why the body is not JSON in UTF-8 that everyone reads alike.
fn media_problem(request: &Request) -> Option<String> {
    let expected = || "Content-Type must be application/json, or end with +json".to_owned();
    match media::of(request, expected) {
        Err(message) => Some(message),
        Ok(media) if !media::is_json(&media.essence) => Some(expected()),
        Ok(media) => media.foreign.then(|| media::CHARSET.to_owned()),
    }
}
