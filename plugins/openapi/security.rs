//! Security requirements: each names schemes that the file describes.

use crate::{Flaw, Place};
use serde_json::Value;

const SHAPE: &str = "write a list such as `security: [{ token: [] }]`, with the names of `components.securitySchemes`";

/// The requirements in `around`, an operation or the whole document.
pub(crate) fn check(document: &Value, security: &Value, at: &Place<'_>) -> Result<(), Flaw> {
    let schemes = document.get("components").and_then(|components| components.get("securitySchemes"));
    let wrong = |at: &Place<'_>, what: &str| Err(Flaw::new(format!("`{at}` {what}"), SHAPE));
    let Some(alternatives) = security.as_array() else { return wrong(at, "is not a list") };
    for (index, alternative) in alternatives.iter().enumerate() {
        let at = at.index(index);
        let Some(required) = alternative.as_object() else { return wrong(&at, "is not an object") };
        for (name, scopes) in required {
            let at = at.key(name);
            if !schemes.and_then(|schemes| schemes.get(name)).is_some_and(Value::is_object) {
                let name = name.escape_debug();
                let message = format!("`{at}` requires the security scheme `{name}`, which the file does not describe");
                let help = "add it to `components.securitySchemes`, or correct the name";
                return Err(Flaw::new(message, help));
            }
            if !scopes.as_array().is_some_and(|scopes| scopes.iter().all(Value::is_string)) {
                return wrong(&at, "is not a list of scopes");
            }
        }
    }
    Ok(())
}
