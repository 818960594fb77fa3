//! Items that are equal under a unique rule.

use serde::Serialize;

/// Items with equal values in the columns of a unique index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// One of the spellings; `None` if clients cannot see the field.
    pub values: Option<Vec<String>>,
    pub items: u64,
}

/// Items with equal values that were kept when a unique rule came back, which holds for new writes only until they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDuplicates {
    pub table: String,
    /// The columns that are unique together.
    pub columns: Vec<String>,
    /// Some of the values.
    pub found: Vec<Duplicate>,
    /// The statement that shows all of them, with the ids of the items.
    pub sql: String,
}
