//! Error responses, in the formats that clients get, with the texts that the gateway sends.

use super::Components;
use super::added::added_fields;
use crate::config::document::process::ErrorFormat;
use gatewright_sdk::{AddedField, ByteSize, Detail, Problem, References};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

/// The response with this error. It refers to a shared one.
pub(super) fn problem(status: u16, is_foreign: bool, adds: &[AddedField], components: &mut Components) -> Value {
    let example = example(status);
    let code = StatusCode::from_u16(status).unwrap_or_default();
    let reason = code.canonical_reason().unwrap_or("Error");
    let mut headers = added_fields(adds, components);
    let own = match status {
        401 => {
            Some(("WWW-Authenticate", "What credentials are accepted.", json!({ "type": "string" }), json!("Bearer")))
        }
        412 => Some((
            "ETag",
            "The entity tag of the item as it is now.",
            json!({ "type": "string" }),
            json!("\"1.abcdef\""),
        )),
        429 | 503 => {
            let text = "After how many seconds a retry makes sense.";
            Some(("Retry-After", text, json!({ "type": "integer", "minimum": 0 }), json!(1)))
        }
        _ => None,
    };
    if status == 415 {
        for name in ["Accept-Post", "Accept-Patch", "Accept-Encoding"] {
            let text = "What is accepted instead, if that is what is wrong.";
            let reference = components.header(name, json!({ "description": text, "schema": { "type": "string" } }));
            headers.insert(name.to_owned(), reference);
        }
    }
    if let Some((name, description, schema, example)) = own {
        let header = json!({ "description": description, "schema": schema, "example": example });
        let key = if status == 412 { "CurrentETag" } else { name };
        let reference = components.header(key, header);
        headers.insert(name.to_owned(), reference);
    }
    let mut response = super::object([("description", meaning(status).into())]);
    if !headers.is_empty() {
        response.insert("headers".to_owned(), headers.into());
    }
    let content = if is_foreign { json!({ "*/*": {} }) } else { content(&example, components) };
    response.insert("content".to_owned(), content);
    let name: String = reason.split(|letter: char| !letter.is_ascii_alphabetic()).collect();
    components.response(&name, response.into())
}

/// The response for every other error.
pub(super) fn any_other(is_foreign: bool, components: &mut Components) -> Value {
    let content = if is_foreign { json!({ "*/*": {} }) } else { content(&Problem::internal(), components) };
    let description = "Any other error, such as 408, 431 or 500.";
    components.response("Error", json!({ "description": description, "content": content }))
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is not valid. `details` lists everything that is wrong with it.",
        401 => "Credentials are required, or those that were sent are not valid.",
        403 => "The caller may not do this.",
        404 => "There is no such item, or the caller may not see it.",
        406 => "The client does not accept JSON.",
        409 => "It conflicts with another item: a unique value is taken, or an item is in use.",
        412 => "The item was changed: `If-Match` has another entity tag, or `If-None-Match` has this one.",
        413 => "The body is too large.",
        415 => "The body has another media type, or a content coding.",
        422 => "The key of the request was used for another one.",
        428 => "`If-Match` with the entity tag of the item is required.",
        429 => "Too many requests.",
        502 => "The server behind the gateway could not be reached, or did not send a valid response.",
        503 => "The service is temporarily unavailable.",
        504 => "The response took too long. What was requested may have been done all the same.",
        _ => "An error.",
    }
}

/// An error with this status, as the gateway sends it.
fn example(status: u16) -> Problem {
    match status {
        400 => Problem::validation("name: is required").details(vec![Detail::new("name", "required", "is required")]),
        401 => Problem::unauthorized(false),
        403 => Problem::forbidden(),
        404 => Problem::not_found(),
        405 => Problem::method_not_allowed(HeaderValue::from_static("GET")),
        406 => Problem::not_acceptable("application/json"),
        408 => Problem::request_timeout(),
        409 => Problem::conflict("Id is already taken"),
        412 => {
            let text = "The resource was changed by someone else";
            Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", text)
        }
        413 => Problem::payload_too_large(ByteSize::kib(256)),
        415 => Problem::unsupported_media_type("Content-Type must be application/json"),
        422 => {
            let text = "Idempotency-Key was used with a different request";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", text)
        }
        428 => {
            let text = "If-Match with the ETag of the resource is required";
            Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", text)
        }
        429 => Problem::too_many_requests(1),
        502 => Problem::bad_gateway(),
        503 => Problem::unavailable(1),
        504 => Problem::gateway_timeout(),
        _ => Problem::internal(),
    }
}

/// The bodies in which a client can get an error.
fn content(example: &Problem, components: &mut Components) -> Value {
    let mut content = Map::new();
    let parsed = |body: Vec<u8>| serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if components.errors != ErrorFormat::Problem {
        let schema = components.schema_once("Error", |_| brief());
        let body = json!({ "schema": schema, "example": parsed(example.brief()) });
        content.insert("application/json".to_owned(), body);
    }
    if components.errors != ErrorFormat::Brief {
        let schema = components.schema_once("Problem", |_| rfc9457());
        let body = json!({ "schema": schema, "example": parsed(example.rfc9457("/", References::default())) });
        content.insert("application/problem+json".to_owned(), body);
    }
    content.into()
}

/// The schema of [`Problem::brief`].
fn brief() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What is wrong with a request.",
        "properties": {
            "error": text("The kind of error, for programs: `validation_error`, `not_found`."),
            "message": text("What is wrong, for people."),
            "details": {
                "type": "array",
                "description": "Each fault in the request.",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": text("The field of the body, or the parameter."),
                        "code": text("The rule that is broken, for programs: `required`, `format`, `unique`."),
                        "message": text("What is wrong with it, for people."),
                        "help": text("What to send instead, for people."),
                        "index": { "type": "integer", "description": "The position of the item in a list." }
                    },
                    "required": ["field", "code", "message"],
                    "additionalProperties": false
                }
            }
        },
        "required": ["error", "message"],
        "additionalProperties": false
    })
}

/// The schema of [`Problem::rfc9457`].
fn rfc9457() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What is wrong with a request (RFC 9457).",
        "properties": {
            "type": text("The kind of error, for programs: `/problems/not-found`."),
            "title": text("The kind of error, for people."),
            "status": { "type": "integer", "description": "The status code." },
            "detail": text("What is wrong, for people."),
            "instance": text("The path of the request."),
            "reason": text("The reason as one word, for programs."),
            "request_id": text("The id of the request."),
            "trace_id": text("The id of its trace."),
            "errors": {
                "type": "array",
                "description": "Each fault in the request.",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": text("The place in the body (RFC 6901)."),
                        "parameter": text("The parameter."),
                        "code": text("The rule that is broken, for programs."),
                        "detail": text("What is wrong with it, for people."),
                        "help": text("What to send instead, for people.")
                    },
                    "required": ["code", "detail"],
                    "additionalProperties": false
                }
            }
        },
        "required": ["type", "title", "status", "detail", "instance"],
        "additionalProperties": false
    })
}
