//! The claims that a checked expression reads.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use std::collections::BTreeSet;

/// Adds the names of the claims of the caller that `part` reads. Those that it computes are not known.
pub fn add(part: &IdedExpr, names: &mut BTreeSet<String>) {
    match &part.expr {
        Expr::Ident(name) => {
            let name = name.trim_start_matches(['?', '~']);
            names.extend(name.strip_prefix("auth.claims.").map(str::to_owned));
        }
        Expr::Select(select) => add(&select.operand, names),
        Expr::Call(call) => {
            call.target.iter().for_each(|target| add(target, names));
            call.args.iter().for_each(|argument| add(argument, names));
        }
        Expr::List(list) => list.elements.iter().for_each(|element| add(element, names)),
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        add(&entry.key, names);
                        add(&entry.value, names);
                    }
                    EntryExpr::StructField(field) => add(&field.value, names),
                }
            }
        }
        Expr::Comprehension(inner) => {
            let parts = [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result];
            parts.into_iter().for_each(|part| add(part, names));
        }
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}
