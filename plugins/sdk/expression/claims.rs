//! Whom a checked expression is about: the claims that it reads, whether it tells subjects apart, and the issuers it admits.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use std::collections::BTreeSet;

/// Shows `see` each name in `part`, as the checker writes them: `?` in front of one asks whether it is there, and `~` makes it optional.
fn each_name(part: &IdedExpr, see: &mut dyn FnMut(&str)) {
    match &part.expr {
        Expr::Ident(name) => see(name),
        Expr::Select(select) => each_name(&select.operand, see),
        Expr::Call(call) => {
            call.target.iter().for_each(|target| each_name(target, see));
            call.args.iter().for_each(|argument| each_name(argument, see));
        }
        Expr::List(list) => list.elements.iter().for_each(|element| each_name(element, see)),
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        each_name(&entry.key, see);
                        each_name(&entry.value, see);
                    }
                    EntryExpr::StructField(field) => each_name(&field.value, see),
                }
            }
        }
        Expr::Comprehension(inner) => {
            let parts = [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result];
            parts.into_iter().for_each(|part| each_name(part, see));
        }
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// Adds the names of the claims of the caller that `part` reads. Those that it computes are not known.
pub fn add(part: &IdedExpr, names: &mut BTreeSet<String>) {
    each_name(part, &mut |name| {
        let name = name.trim_start_matches(['?', '~']);
        names.extend(name.strip_prefix("auth.claims.").map(str::to_owned));
    });
}

/// Whether the value of `part` depends on the subject of the caller, and not only on whether there is one.
pub fn reads_subject(part: &IdedExpr) -> bool {
    let mut reads = false;
    each_name(part, &mut |name| {
        reads |= matches!(name.trim_start_matches('~'), "auth.subject" | "auth.claims.sub");
    });
    reads
}

/// The issuers for whose callers the condition `part` can hold, if it names them.
pub fn issuers(part: &IdedExpr) -> Option<BTreeSet<String>> {
    let Expr::Call(call) = &part.expr else { return None };
    match call.func_name.as_str() {
        operators::LOGICAL_AND => call.args.iter().filter_map(issuers).reduce(|one, other| &one & &other),
        operators::LOGICAL_OR => {
            let each: Option<Vec<_>> = call.args.iter().map(issuers).collect();
            Some(each?.into_iter().flatten().collect())
        }
        operators::EQUALS | "@in" => named(call),
        _ => None,
    }
}

/// The issuers of `auth.claims.iss == 'a'` and `auth.claims.iss in ['a', 'b']`.
fn named(call: &CallExpr) -> Option<BTreeSet<String>> {
    let is_issuer = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == "auth.claims.iss");
    let text = |part: &IdedExpr| match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    };
    let [left, right] = call.args.as_slice() else { return None };
    match (&left.expr, &right.expr) {
        (_, Expr::List(list)) if is_issuer(left) => list.elements.iter().map(text).collect(),
        _ if is_issuer(left) => text(right).map(|one| BTreeSet::from([one])),
        _ if is_issuer(right) => text(left).map(|one| BTreeSet::from([one])),
        _ => None,
    }
}
