//! The faults of a request, as its client sees them.

use serde::Serialize;
use std::borrow::Cow;

/// One fault in a request, by field of its body or by parameter.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Detail {
    pub field: String,
    /// A code for programs: `required`, `format`, `unique`.
    pub code: Cow<'static, str>,
    pub message: String,
    /// What to send instead, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<Box<str>>,
    /// The index of the element in a list request, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What `field` names.
    #[serde(skip)]
    pub names: Named,
}

/// What the field of a fault names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A member of the body.
    Member,
    /// A parameter of the query or the path.
    Parameter,
    /// The place in the body with this JSON pointer (RFC 6901).
    Pointer(Box<str>),
}

impl Detail {
    /// A fault in a member of the body.
    pub fn new(field: impl Into<String>, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let (field, code, message) = (field.into(), code.into(), message.into());
        Self { field, code, message, help: None, index: None, names: Named::Member }
    }

    /// A fault in a parameter of the query or the path.
    pub fn parameter(name: impl Into<String>, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { names: Named::Parameter, ..Self::new(name, code, message) }
    }

    /// A fault at a JSON pointer into the body; its field is written `items[0].name`.
    pub fn at(pointer: &str, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let mut field = String::new();
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
                field = format!("{field}[{name}]");
            } else {
                let dot = if field.is_empty() { "" } else { "." };
                field = field + dot + &name;
            }
        }
        Self { names: Named::Pointer(pointer.into()), ..Self::new(field, code, message) }
    }

    /// Adds what to send instead.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into().into_boxed_str()), ..self }
    }
}
