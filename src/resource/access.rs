//! Who may do what: rules compiled to a decision about the caller and a condition on rows.

mod columns;
mod judge;
mod rule;
mod shown;
#[cfg(test)]
mod tests;

pub use columns::Columns;
pub use rule::{Demand, Operand, Rule, Where};
