//! One operation of a description: its parameters and its body.

use super::names::Names;
use super::parameter::{Parameter, Sent};
use super::schema::Schemas;
use crate::request_validation::{MOST, faults, json, media};
use gatewright_openapi::Spec;
use gatewright_sdk::{ByteSize, Problem, Request, WholeBody};
use http::header::CONTENT_TYPE;
use jsonschema::Validator;
use serde_json::{Map, Value};
use std::sync::Arc;

/// An operation, ready for requests.
pub struct Operation {
    parameters: Vec<Parameter>,
    /// Those of the query.
    names: Names,
    /// `None` if it takes no body.
    body: Option<Body>,
}

struct Body {
    required: bool,
    /// The media types or ranges in lower case, each with the schema if it is JSON and has one.
    content: Vec<(Box<str>, Option<Arc<Validator>>)>,
}

impl Operation {
    /// `names` are the parameters of the path, in order.
    ///
    /// # Errors
    /// The place in the operation that cannot be used, and why.
    pub fn new(
        spec: &Spec,
        (item, operation): (&Map<String, Value>, &Map<String, Value>),
        names: &[&str],
        schemas: &mut Schemas<'_>,
    ) -> Result<Self, (String, String)> {
        let mut parameters = Vec::new();
        for given in spec.parameters(item, operation) {
            let name = spec.resolved(given).get("name").and_then(Value::as_str).unwrap_or_default();
            let parameter = Parameter::new(spec, given, names, schemas);
            let parameter = parameter
                .map_err(|why| ("/parameters".to_owned(), format!("parameter `{}`: {why}", name.escape_debug())));
            parameters.extend(parameter?);
        }
        let mut query = Names::default();
        parameters.iter().for_each(|parameter| parameter.name(&mut query));
        let body = operation.get("requestBody").map(|body| spec.resolved(body));
        let body = body.map(|body| Body::new(body, schemas)).transpose();
        let body =
            body.map_err(|(media, why)| ("/requestBody".to_owned(), format!("`{}`: {why}", media.escape_debug())))?;
        Ok(Self { parameters, names: query, body })
    }

    /// Whether it decides by the body of this request. A body that is announced may be empty, which is known when it was read.
    pub fn reads_body(&self, request: &Request) -> bool {
        let Some(body) = &self.body else { return true };
        if !request.headers().contains_key(CONTENT_TYPE) {
            return true;
        }
        let Ok(media) = media::of(request, "") else { return false };
        !media.foreign && body.of(&media.essence).is_some_and(|(_, schema)| schema.is_some())
    }

    /// # Errors
    /// What is wrong with a request.
    pub fn check(&self, request: &Request, sent: &Sent<'_>, max: ByteSize) -> Result<(), Box<Problem>> {
        let mut found: Vec<_> = sent.names().filter_map(|name| self.names.misspelled(name)).take(MOST).collect();
        for parameter in &self.parameters {
            if found.len() >= MOST {
                break;
            }
            parameter.check(request, sent, &mut found);
        }
        let value = self.body(request, max);
        // What is wrong with parameters is reported, too, if the body is only missing or not as described.
        match value {
            Ok(Some((schema, value))) if !schema.is_valid(&value) => {
                found.extend(faults(schema, &value).take(MOST.saturating_sub(found.len())));
            }
            Err(problem) if found.is_empty() => return Err(problem),
            _ => {}
        }
        if found.is_empty() {
            return Ok(());
        }
        let problem = Problem::validation("The request does not match the description of the API");
        Err(problem.details(found).log_reason("schema").into())
    }

    /// The body of a request and its schema, if it is validated.
    fn body(&self, request: &Request, max: ByteSize) -> Result<Option<(&Validator, Value)>, Box<Problem>> {
        let has_body = !http_body::Body::is_end_stream(request.body());
        match &self.body {
            None if has_body => {
                Err(Problem::validation("This operation takes no body").log_reason("body_unexpected").into())
            }
            Some(body) if body.required && !has_body => {
                Err(Problem::validation("A request body is required").log_reason("body_missing").into())
            }
            Some(body) if has_body => body.read(request, max),
            _ => Ok(None),
        }
    }
}

impl Body {
    fn new(body: &Value, schemas: &mut Schemas<'_>) -> Result<Self, (String, String)> {
        let required = body.get("required") == Some(&Value::Bool(true));
        let mut content = Vec::new();
        for (media, described) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
            let lower = media.to_ascii_lowercase();
            let range = lower.split(';').next().unwrap_or_default().trim();
            // Whether a range is JSON is known when the request is there.
            let schema = described.get("schema").filter(|_| media::has_json(range));
            let schema = schema.map(|schema| schemas.validator(schema)).transpose();
            content.push((range.into(), schema.map_err(|why| (media.clone(), why))?));
        }
        Ok(Self { required, content })
    }

    /// What is described for a media type; a range has a schema only for JSON.
    fn of(&self, essence: &str) -> Option<(&str, Option<&Validator>)> {
        let fitting = self.content.iter().filter_map(|one| Some((media::fit(&one.0, essence)?, one)));
        let (_, (range, schema)) = fitting.max_by_key(|(fit, _)| *fit)?;
        Some((range, schema.as_deref().filter(|_| media::is_json(essence))))
    }

    fn read(&self, request: &Request, max: ByteSize) -> Result<Option<(&Validator, Value)>, Box<Problem>> {
        let refuse = |message: String| Problem::unsupported_media_type(message).log_reason("media_type");
        let media = media::of(request, "Content-Type must be one that this operation takes");
        let media = media.map_err(|message| refuse(message.to_owned()))?;
        let Some((_, schema)) = self.of(&media.essence) else {
            let known = self.content.iter().map(|(range, _)| &**range).collect::<Vec<_>>().join(", ");
            return Err(refuse(format!("Content-Type must be one of: {known}")).into());
        };
        let Some(schema) = schema else { return Ok(None) };
        if media.foreign {
            return Err(refuse(media::CHARSET.to_owned()).into());
        }
        let body = WholeBody::of(request);
        if u64::try_from(body.len()).is_ok_and(|length| length > max.0) {
            return Err(Problem::payload_too_large(max).into());
        }
        let invalid = |error: String| {
            let problem = Problem::validation(format!("The body is not valid JSON: {error}"));
            problem.log_reason("body_not_json")
        };
        Ok(Some((schema, json::read(body).map_err(invalid)?)))
    }
}
