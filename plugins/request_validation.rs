//! Rejects requests that do not match a JSON Schema, or the description of an API.

mod body;
mod branches;
mod described;
mod formats;
mod invalid;
mod json;
mod keywords;
mod media;
mod references;
#[cfg(test)]
mod tests;

use self::body::Validates;
use self::described::Described;
use self::described::kinds::Kinds;
use self::formats::Formats;
use self::invalid::Unusable;
use gatewright_openapi::parts;
use gatewright_sdk::{
    ByteSize, CheckContext, Code, Compiled, Contract, Detail, Fault, NamedFile, Plugin, RequestMethod, Traits,
};
use http::Method;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rejects requests that do not match a description with 400, and lists what is wrong with them: `body` has a schema for JSON bodies,
/// `openapi` names a file that describes the whole API. Bodies of other media types get 415. The whole body is read before the
/// request goes on.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestValidation {
    /// The body that requests must have; or `openapi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<BodySchema>,
    /// The description of the API that requests must match: their path, method, parameters, header fields and body; instead of
    /// `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openapi: Option<Described>,
    /// The methods of requests that must have a `body`, unless `required` is `false`. A body is validated whatever the method
    /// is.
    #[serde(default = "writing")]
    methods: Vec<RequestMethod>,
    /// Whether `format` in schemas is checked.
    #[serde(default)]
    formats: Formats,
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

/// How many faults of a body are reported.
const MOST: usize = 20;

impl Plugin for RequestValidation {
    const NAME: &'static str = "request_validation";

    fn compile(self, check: &CheckContext<'_>) -> Compiled {
        const HELP: &str = "write `body: { schema: { type: object } }`, or `openapi: { file: specs/orders.yaml }`";
        let one = |message: &str, help: &str| {
            Compiled::from(Fault::new("", message).code(Code::VALIDATION_SCHEMA).help(help))
        };
        let (compiled, contract) = match (&self.body, self.openapi) {
            (Some(body), None) => {
                (body.compile((self.methods, self.formats), check), Contract::rejects(&[400, 413, 415]))
            }
            (None, Some(described)) => {
                let mut compiled = described.compile(self.formats, check);
                if self.methods != writing() {
                    let fault = Fault::new("methods", "`methods` applies only to `body`").code(Code::VALIDATION_SCHEMA);
                    compiled.faults.push(fault.help("remove it: the description says which operations need a body"));
                }
                (compiled, Contract::rejects(&[400, 404, 405, 413, 415]))
            }
            (None, None) => (one("there is neither `body` nor `openapi`", HELP), Contract::default()),
            (Some(_), Some(_)) => (
                one("there are both `body` and `openapi`", "remove one of them: they are two plugins"),
                Contract::default(),
            ),
        };
        compiled.traits(Traits { restricts: true, contract, ..Traits::default() })
    }
}

/// A limit that rejects every body.
fn zero(at: &str, max: ByteSize) -> Option<Fault> {
    let fault =
        || Fault::new(at, "a limit of zero rejects every body").code(Code::ZERO).help("write a size such as `1MiB`");
    (max.0 == 0).then(fault)
}

impl BodySchema {
    fn compile(&self, (methods, formats): (Vec<RequestMethod>, Formats), check: &CheckContext<'_>) -> Compiled {
        let compiled = match self.schema(formats, check) {
            Ok((schema, warnings)) => Compiled::filter(Validates {
                schema,
                methods: methods.iter().map(|method| Method::clone(method)).collect(),
                required: self.required,
                max: self.max,
            })
            .warnings(warnings),
            Err(fault) => fault.into(),
        };
        compiled.faults(zero("body.max", self.max))
    }

    /// The schema, and warnings about it.
    fn schema(&self, formats: Formats, check: &CheckContext<'_>) -> Result<(Validator, Vec<Fault>), Fault> {
        let one = |message: &str, help: &str| Err(Fault::new("body", message).code(Code::VALIDATION_SCHEMA).help(help));
        let (at, named, schema) = match (&self.schema, &self.schema_file) {
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
        let target = |name: &str| schema.pointer(name.strip_prefix('#')?);
        references::check(&schema).and_then(|()| described::ways::check(&schema, &target)).map_err(|message| {
            let fault = Fault::new(at, format!("{named}: {message}")).code(Code::VALIDATION_SCHEMA);
            fault.help("write `#/$defs/NAME`, and no reference that leads back to itself")
        })?;
        let ignored = keywords::ignored(&schema, formats).into_iter().map(|keywords::Ignored { path, why, help }| {
            let inline = self.schema.is_some();
            let place = if inline { format!("{at}.{path}") } else { at.to_owned() };
            Fault::new(place, format!("{named}: {why}")).code(Code::VALIDATION_SCHEMA).help(help)
        });
        let ignored = ignored.collect();
        let mut schema = schema;
        parts::each(&mut schema, &mut |part| formats::bound(part, formats));
        let kinds = |part: &Value| Kinds::inside(&schema, part);
        let built = branches::validator(&schema, formats, &kinds).map_err(|Unusable { why, help }| {
            let fault =
                Fault::new(at, format!("{named} is not a valid JSON Schema{why}")).code(Code::VALIDATION_SCHEMA);
            fault.help(help.unwrap_or_else(|| "write it as draft 2020-12 of JSON Schema defines it".to_owned()))
        })?;
        Ok((built, ignored))
    }
}

/// How many parts a value may have for all its faults to be reported.
const SMALL: usize = 1000;

/// What is wrong with a value, without the value itself. The library makes all faults at once, some kilobytes for each part of the value
/// and alternative of the schema: of a large value, only the first one is reported.
fn faults(schema: &Validator, value: &Value) -> impl Iterator<Item = Detail> {
    let details: Vec<Detail> = if count(value, SMALL) < SMALL {
        schema.iter_errors(value).take(MOST).map(|error| detail(&error)).collect()
    } else {
        schema.validate(value).err().iter().map(detail).collect()
    };
    details.into_iter()
}

/// How many parts a value has, or `most`.
fn count(value: &Value, most: usize) -> usize {
    let (mut open, mut found) = (vec![value], 0_usize);
    while let Some(value) = open.pop() {
        found += 1;
        if found + open.len() >= most {
            return most;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().take(most)),
            Value::Object(members) => open.extend(members.values().take(most)),
            _ => {}
        }
    }
    found
}

/// One fault, without the value that was sent.
fn detail(error: &ValidationError<'_>) -> Detail {
    let pointer = error.instance_path().as_str();
    if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
        // The member that is missing, rather than the object that lacks it.
        let name = name.replace('~', "~0").replace('/', "~1");
        return Detail::at(&format!("{pointer}/{name}"), "required", "is required");
    }
    let format = |format: &str| Detail::at(pointer, "format", format!("value does not have the format {format}"));
    match error.kind() {
        ValidationErrorKind::Format { format: name } => format(name),
        // The only keyword of the gateway.
        ValidationErrorKind::Custom { message: name, .. } => format(name),
        _ => {
            let message: String = error.masked().to_string().chars().take(256).collect();
            Detail::at(pointer, error.kind().keyword().to_owned(), message)
        }
    }
}
