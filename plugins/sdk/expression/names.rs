//! Dotted names, and the lookups that replace them.

use super::check::Kind;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::CelString;

pub fn index(id: u64, of: Expr, field: &str) -> Expr {
    let key = Expr::Literal(LiteralValue::String(CelString::from(field.to_owned())));
    let args = [of, key].into_iter().map(|expr| IdedExpr { id, expr }).collect();
    Expr::Call(CallExpr { func_name: operators::INDEX.to_owned(), target: None, args })
}

/// The type of the values of a map.
pub fn values_of(map: &str) -> Kind {
    if map == "auth.claims" { Kind::Any } else { Kind::Text }
}

/// Header names are case-insensitive.
pub fn key_of(map: &str, key: &str) -> String {
    if map == "request.headers" { key.to_ascii_lowercase() } else { key.to_owned() }
}

/// The parts of a dotted name: `a.b.c`, also in `has(a.b.c)`.
pub fn segments(mut expr: &Expr) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    loop {
        match expr {
            Expr::Ident(name) => {
                segments.push(name.clone());
                segments.reverse();
                return Some(segments);
            }
            Expr::Select(select) if !select.test || segments.is_empty() => {
                segments.push(select.field.clone());
                expr = &select.operand.expr;
            }
            _ => return None,
        }
    }
}
