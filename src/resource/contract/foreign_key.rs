//! A foreign key that was not satisfied, and whose it is.

/// A foreign key that was not satisfied; empty as far as the database does not tell which one it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that refers to another one.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that it refers to.
    pub parent: Box<str>,
    /// The version that the row was to get whose statement failed.
    pub version: Option<i64>,
    pub side: Side,
}

/// Which part a written row has in a foreign key that is not satisfied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Side {
    /// The database does not tell.
    #[default]
    Unknown,
    /// It refers to what does not exist.
    Refers,
    /// Others refer to it.
    Referred,
    /// None: a trigger has written something else.
    Neither,
}

impl ForeignKey {
    /// The part of a row of `table`.
    pub fn side(&self, table: &str) -> Side {
        match (self.side, self.table == table, &*self.parent == table) {
            (Side::Unknown, ..) if self.table.is_empty() || self.parent.is_empty() => Side::Unknown,
            (Side::Unknown, true, _) => Side::Refers,
            (Side::Unknown, false, true) => Side::Referred,
            (Side::Unknown, false, false) => Side::Neither,
            (side, ..) => side,
        }
    }
}
