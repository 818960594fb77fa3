//! Rejects requests whose body does not match a JSON Schema.

mod json;
mod keywords;
mod references;
#[cfg(test)]
mod tests;

use gatewright_sdk::{
    ByteSize, CheckContext, Code, Compiled, Contract, Detail, Fault, Filter, NamedFile, Plugin, Problem, Request,
    RequestMethod, Traits, Verdict, WholeBody,
};
use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rejects requests whose JSON body does not match a schema with 400, and lists what is wrong with it. Bodies of other
/// media types get 415. The whole body is read before the request goes on.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestValidation {
    /// The body that requests must have.
    body: BodySchema,
    /// The methods of requests that must have a body, unless `required` is `false`. A body is validated whatever the method
    /// is.
    #[serde(default = "writing")]
    methods: Vec<RequestMethod>,
}

/// The body that requests must have.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodySchema {
    /// A JSON Schema (draft 2020-12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    /// A JSON file with the schema; instead of `schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema_file: Option<NamedFile>,
    /// Whether a request without a body is rejected.
    #[serde(default = "yes")]
    required: bool,
    /// The largest body that is read. Larger ones get 413.
    #[serde(default = "one_mebibyte")]
    max: ByteSize,
}

const fn yes() -> bool {
    true
}

const fn one_mebibyte() -> ByteSize {
    ByteSize::mib(1)
}

fn writing() -> Vec<RequestMethod> {
    ["POST", "PUT", "PATCH"].into_iter().filter_map(|method| method.parse().ok()).collect()
}

/// The largest automaton of one `pattern`.
const PATTERN_SIZE: usize = 1 << 20;

/// How many faults of a body are reported.
const MOST: usize = 20;

impl Plugin for RequestValidation {
    const NAME: &'static str = "request_validation";

    fn compile(self, check: &CheckContext<'_>) -> Compiled {
        let contract = Contract::rejects(&[400, 413, 415]);
        let traits = Traits { restricts: true, contract, ..Traits::default() };
        let compiled = match self.schema(check) {
            Ok((schema, warnings)) => Compiled::filter(Validates {
                schema,
                methods: self.methods.iter().map(|method| Method::clone(method)).collect(),
                required: self.body.required,
                max: self.body.max,
            })
            .warnings(warnings),
            Err(fault) => fault.into(),
        };
        compiled.traits(traits).faults(self.faults())
    }
}

impl RequestValidation {
    fn faults(&self) -> impl Iterator<Item = Fault> {
        let zero = self.body.max.0 == 0;
        let zero = zero.then(|| {
            let fault = Fault::new("body.max", "a limit of zero rejects every body").code(Code::ZERO);
            fault.help("write a size such as `1MiB`")
        });
        zero.into_iter()
    }

    /// The schema, and warnings about it.
    fn schema(&self, check: &CheckContext<'_>) -> Result<(Validator, Vec<Fault>), Fault> {
        let one = |message: &str, help: &str| Err(Fault::new("body", message).code(Code::VALIDATION_SCHEMA).help(help));
        let (at, named, schema) = match (&self.body.schema, &self.body.schema_file) {
            (Some(schema), None) => ("body.schema", "`schema`".to_owned(), schema.clone()),
            (None, Some(file)) => {
                let at = "body.schema_file";
                let help = "write a JSON file with a schema, such as `{ \"type\": \"object\" }`";
                let fault = |message: String| Fault::new(at, message).code(Code::VALIDATION_SCHEMA).help(help);
                let content = check.read(file).map_err(fault)?;
                let schema =
                    json::read(&content).map_err(|error| fault(format!("`{file}` is not valid JSON: {error}")))?;
                (at, format!("`{file}`"), schema)
            }
            (None, None) => {
                return one(
                    "there is no schema",
                    "add `schema: { type: object }` or `schema_file: schemas/order.json`",
                );
            }
            (Some(_), Some(_)) => {
                return one("there are two schemas, `schema` and `schema_file`", "remove one of them");
            }
        };
        references::check(&schema).map_err(|message| {
            let fault = Fault::new(at, format!("{named}: {message}")).code(Code::VALIDATION_SCHEMA);
            fault.help("write `#/$defs/NAME`, and no reference that leads back to itself")
        })?;
        // Nothing is fetched, and patterns take linear time.
        let patterns = PatternOptions::regex().size_limit(PATTERN_SIZE);
        let options = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(patterns).offline();
        let ignored = keywords::unknown(&schema).into_iter().map(|keywords::Unknown { path, help }| {
            let message =
                format!("{named}: `{}` is not a keyword of JSON Schema, and has no effect", path.escape_debug());
            let inline = self.body.schema.is_some();
            let place = if inline { format!("{at}.{path}") } else { at.to_owned() };
            Fault::new(place, message).code(Code::VALIDATION_SCHEMA).help(help)
        });
        let ignored = ignored.collect();
        let built = options.build(&schema).map_err(|error| {
            let place = error.instance_path().as_str();
            let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
            Fault::new(at, format!("{named} is not a valid JSON Schema{place}: {error}"))
                .code(Code::VALIDATION_SCHEMA)
                .help("write draft 2020-12; patterns have no look-around and no back-references")
        })?;
        Ok((built, ignored))
    }
}

struct Validates {
    schema: Validator,
    methods: Vec<Method>,
    required: bool,
    max: ByteSize,
}

impl Filter for Validates {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn reads_body(&self) -> Option<ByteSize> {
        Some(self.max)
    }

    fn wants_body(&self, request: &Request) -> bool {
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
        let details: Vec<_> = self.schema.iter_errors(&value).take(MOST).map(|error| detail(&error)).collect();
        let problem = Problem::validation("The body does not match the schema").details(details);
        Err(problem.log_reason("schema").into())
    }
}

/// One fault, without the value that was sent.
fn detail(error: &ValidationError<'_>) -> Detail {
    let pointer = error.instance_path().as_str();
    if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
        // The member that is missing, rather than the object that lacks it.
        let name = name.replace('~', "~0").replace('/', "~1");
        return Detail::at(&format!("{pointer}/{name}"), "required", "is required");
    }
    let message: String = error.masked().to_string().chars().take(256).collect();
    Detail::at(pointer, error.kind().keyword().to_owned(), message)
}

/// Why the body is not JSON in UTF-8 that everyone reads alike. The media type is `application/json`, or another one with the
/// suffix `+json` (RFC 6839 section 3.1); its charset, if it has one, is UTF-8 (RFC 8259 section 8.1).
fn media_problem(request: &Request) -> Option<&'static str> {
    const MEDIA: &str = "Content-Type must be application/json";
    let headers = request.headers();
    if headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Some("Content-Encoding must be identity, or absent");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return Some(MEDIA) };
    let Ok(text) = only.to_str() else { return Some(MEDIA) };
    let mut parts = text.to_ascii_lowercase();
    parts.retain(|letter| letter != ' ' && letter != '"');
    let mut parts = parts.split(';');
    let essence = parts.next().unwrap_or_default();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        return Some(MEDIA);
    }
    let foreign = |part: &str| part.strip_prefix("charset=").is_some_and(|charset| charset != "utf-8");
    parts.any(foreign).then_some("The charset of JSON must be UTF-8")
}
