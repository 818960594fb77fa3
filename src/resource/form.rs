//! The form in which a field's texts are stored, so that equal values are equal texts.

use serde::{Deserialize, Serialize};

/// What is done to a text before it is stored. Filters, access rules and unique indexes compare with the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// Without spaces at its ends.
    pub trim: bool,
    pub lowercase: bool,
    /// In the [normal form](super::email::normal) of e-mail addresses.
    pub email: bool,
    /// The digits a decimal has after its point.
    pub scale: Option<u32>,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scale = self.scale.map(|scale| format!("scale: {scale}"));
        let keys = [
            self.email.then_some("type: email"),
            self.trim.then_some("trim: true"),
            self.lowercase.then_some("lowercase: true"),
            scale.as_deref(),
        ];
        let keys: Vec<_> = keys.into_iter().flatten().map(|key| format!("`{key}`")).collect();
        if keys.is_empty() { f.write_str("as they were sent") } else { write!(f, "with {}", keys.join(", ")) }
    }
}
