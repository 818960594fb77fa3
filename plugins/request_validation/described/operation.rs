//! One operation of a description: its parameters and its body.

use super::form::{FORM, Form};
use super::names::Names;
use super::parameter::{Parameter, Sent};
use super::schema::Schemas;
use crate::request_validation::invalid::Unusable;
use crate::request_validation::{MOST, faults, json, media};
use gatewright_openapi::Spec;
use gatewright_sdk::{ByteSize, Detail, Problem, Request, WholeBody};
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
    content: Vec<Content>,
}

/// What is described for a media type.
struct Content {
    /// The media type or range, in lower case.
    range: Box<str>,
    /// If it has a schema, and can be JSON or a form.
    schema: Option<Arc<Validator>>,
    /// How forms are read, if it can be one.
    form: Option<Form>,
}

/// What validates the body of a request.
enum Reading<'a> {
    Json(&'a Validator),
    Form(&'a Validator, &'a Form),
}

/// What is wrong with forms that are not in UTF-8.
const CHARSET: &str = "The charset of a form must be UTF-8";

/// Places in an operation, each with the reason why what is there is not validated.
pub type Unread = Vec<(String, String)>;

impl Operation {
    /// The operation, and what of it is not validated. `names` are the parameters of the path, in order.
    ///
    /// # Errors
    /// The place in the operation that cannot be used, and why.
    pub fn new(
        spec: &Spec,
        (item, operation): (&Map<String, Value>, &Map<String, Value>),
        names: &[&str],
        schemas: &mut Schemas<'_>,
    ) -> Result<(Self, Unread), (String, Unusable)> {
        let mut parameters = Vec::new();
        for given in spec.parameters(item, operation) {
            let name = spec.resolved(given).get("name").and_then(Value::as_str).unwrap_or_default();
            let parameter = Parameter::new(spec, given, names, schemas);
            let at = |Unusable { why, help }| {
                let why = format!("parameter `{}`: {why}", name.escape_debug());
                ("/parameters".to_owned(), Unusable { why, help })
            };
            parameters.extend(parameter.map_err(at)?);
        }
        let mut query = Names::default();
        parameters.iter().for_each(|parameter| parameter.name(&mut query));
        let body = operation.get("requestBody").map(|body| spec.resolved(body));
        let mut unread = Vec::new();
        let body = body.map(|body| Body::new(spec, body, schemas, &mut unread)).transpose();
        let at =
            |(media, why): (String, String)| ("/requestBody".to_owned(), format!("`{}`: {why}", media.escape_debug()));
        let body = body.map_err(|(media, Unusable { why, help })| {
            let (place, why) = at((media, why));
            (place, Unusable { why, help })
        })?;
        Ok((Self { parameters, names: query, body }, unread.into_iter().map(at).collect()))
    }

    /// Whether it decides by the body of this request. A body that is announced may be empty, which is known when it was read.
    pub fn reads_body(&self, request: &Request) -> bool {
        let Some(body) = &self.body else { return true };
        if !request.headers().contains_key(CONTENT_TYPE) {
            return true;
        }
        let Ok(media) = media::of(request, String::new) else { return false };
        !media.foreign && body.of(&media.essence).is_some_and(|content| content.reading(&media.essence).is_some())
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
        // What is wrong with parameters is reported, too, if the body is only missing or not as described.
        match self.body(request, max) {
            Ok(wrong) => found.extend(wrong.into_iter().take(MOST.saturating_sub(found.len()))),
            Err(problem) if found.is_empty() => return Err(problem),
            Err(_) => {}
        }
        if found.is_empty() {
            return Ok(());
        }
        let problem = Problem::validation("The request does not match the description of the API");
        Err(problem.details(found).log_reason("schema").into())
    }

    /// What is wrong with the body of a request, if it is validated.
    fn body(&self, request: &Request, max: ByteSize) -> Result<Vec<Detail>, Box<Problem>> {
        let has_body = !http_body::Body::is_end_stream(request.body());
        match &self.body {
            None if has_body => {
                Err(Problem::validation("This operation takes no body").log_reason("body_unexpected").into())
            }
            Some(body) if body.required && !has_body => {
                Err(Problem::validation("A request body is required").log_reason("body_missing").into())
            }
            Some(body) if has_body => body.check(request, max),
            _ => Ok(Vec::new()),
        }
    }
}

impl Body {
    fn new(
        spec: &Spec,
        body: &Value,
        schemas: &mut Schemas<'_>,
        unread: &mut Unread,
    ) -> Result<Self, (String, Unusable)> {
        let required = match body.get("required") {
            None => false,
            Some(Value::Bool(required)) => *required,
            Some(_) => {
                let why = "must be `true` or `false`, without quotes".to_owned();
                return Err(("required".to_owned(), why.into()));
            }
        };
        let mut content = Vec::new();
        for (media, described) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
            let lower = media.to_ascii_lowercase();
            let range = lower.split(';').next().unwrap_or_default().trim();
            let form = (media::fit(range, FORM).is_some() && described.get("schema").is_some())
                .then(|| Form::new(spec, described));
            let form = match form.transpose() {
                Ok(form) => form,
                Err(why) => {
                    // Under a range, it need not be meant for forms.
                    unread.extend((range == FORM).then(|| (media.clone(), format!("forms are not validated: {why}"))));
                    None
                }
            };
            // Whether a range is JSON or a form is known when the request is there.
            let schema = described.get("schema").filter(|_| media::has_json(range) || form.is_some());
            let schema = schema.map(|schema| schemas.validator(schema)).transpose();
            content.push(Content { range: range.into(), schema: schema.map_err(|why| (media.clone(), why))?, form });
        }
        Ok(Self { required, content })
    }

    /// What is described for a media type.
    fn of(&self, essence: &str) -> Option<&Content> {
        let fitting = self.content.iter().filter_map(|content| Some((media::fit(&content.range, essence)?, content)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, content)| content)
    }

    /// The media types that it can have, for a client that sent another one.
    fn expected(&self) -> String {
        let known: Vec<&str> = self.content.iter().map(|content| &*content.range).collect();
        match known.as_slice() {
            [] => "This operation takes no media type".to_owned(),
            [only] => format!("Content-Type must be {only}"),
            _ => format!("Content-Type must be one of: {}", known.join(", ")),
        }
    }

    fn check(&self, request: &Request, max: ByteSize) -> Result<Vec<Detail>, Box<Problem>> {
        let refuse = |message: String| Problem::unsupported_media_type(message).log_reason("media_type");
        let media = media::of(request, || self.expected()).map_err(refuse)?;
        let Some(content) = self.of(&media.essence) else { return Err(refuse(self.expected()).into()) };
        let Some(reading) = content.reading(&media.essence) else { return Ok(Vec::new()) };
        if media.foreign {
            let charset = if matches!(reading, Reading::Json(_)) { media::CHARSET } else { CHARSET };
            return Err(refuse(charset.to_owned()).into());
        }
        let body = WholeBody::of(request);
        if u64::try_from(body.len()).is_ok_and(|length| length > max.0) {
            return Err(Problem::payload_too_large(max).into());
        }
        let invalid = |error: String| {
            let problem = Problem::validation(format!("The body is not valid JSON: {error}"));
            problem.log_reason("body_not_json")
        };
        let (schema, values) = match reading {
            Reading::Json(schema) => (schema, vec![json::read(body).map_err(invalid)?]),
            Reading::Form(schema, form) => match form.values(body) {
                Ok(values) => (schema, values),
                Err(wrong) => return Ok(wrong),
            },
        };
        let first = values.first().filter(|_| !values.iter().any(|value| schema.is_valid(value)));
        Ok(first.into_iter().flat_map(|value| faults(schema, value)).collect())
    }
}

impl Content {
    /// How bodies of a media type are validated. A range has a schema only for JSON and forms.
    fn reading(&self, essence: &str) -> Option<Reading<'_>> {
        let schema = self.schema.as_deref()?;
        match &self.form {
            _ if media::is_json(essence) => Some(Reading::Json(schema)),
            Some(form) if essence == FORM => Some(Reading::Form(schema, form)),
            _ => None,
        }
    }
}
