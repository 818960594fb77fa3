//! How the gateway reads JSON Schemas.

use jsonschema::{Draft, PatternOptions, Retrieve, Uri, ValidationOptions};
use serde_json::Value;
use std::error::Error;

/// The largest automaton of one `pattern`, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Options for validators: schemas are of JSON Schema 2020-12 unless they name another draft, patterns take linear time, and nothing is
/// fetched.
#[must_use]
pub fn json_schema() -> ValidationOptions<'static> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_SIZE);
    jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(patterns).with_retriever(Offline)
}

/// Without it, a plugin that turns on a feature of `jsonschema` would let every schema of the gateway fetch others.
struct Offline;

impl Retrieve for Offline {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        Err(format!("the gateway does not fetch schemas: {uri}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_elsewhere_is_not_fetched() {
        for address in ["https://example.com/schema.json", "http://127.0.0.1:1/", "file:///etc/hostname"] {
            let error = json_schema().build(&json!({ "$ref": address })).unwrap_err().to_string();
            assert!(error.contains("does not fetch"), "{error}");
        }
    }
}
