//! Rules that let anyone in: writes that were not meant to be public, and claims that anonymous callers do not have.

use super::{named, word};
use crate::config::document::resource::{Access, Operation, Resource, Rule as Written};
use crate::config::words;
use crate::resource::access::Rule;
use crate::resource::model::Rules;
use crate::resource::model::fields::values::asks_claims;
use gatewright_sdk::{Code, Fault};

/// A field that takes its value from a claim needs a caller with an identity.
pub(super) fn public_claims(spec: &Resource, rules: &Rules, faults: &mut Vec<Fault>) {
    if !matches!(*rules.create, Rule::Always) {
        return;
    }
    for (name, field) in spec.fields.iter() {
        if let Some(key) = asks_claims(field) {
            let text = format!(
                "`{name}` gets its value from a claim, but `create` is public: anonymous requests have no claims"
            );
            let fault = Fault::new(format!("fields.{name}.{key}"), text).code(Code::PUBLIC_CLAIM);
            faults.push(fault.help("write `create: authenticated`"));
        }
    }
}

/// `create: public` is explicit; `default: public` may be intended for reads only. `operations` are those that requests reach.
pub(super) fn public_writes(
    access: &Access,
    operations: &[Operation],
    production: bool,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) {
    let by_default =
        |operation: &Operation| named(access, *operation).is_none() && access.default == Some(Written::Public);
    let writes = [Operation::Create, Operation::Update, Operation::Delete, Operation::Restore];
    let implied = writes.into_iter().filter(|operation| operations.contains(operation)).filter(by_default);
    let words: Vec<_> = implied.map(word).collect();
    if production {
        for word in words {
            let fault = Fault::new("access.default", format!("anyone can {word} items without a token"));
            let help = format!("in production, write `{word}: public` explicitly to allow it");
            faults.push(fault.code(Code::PUBLIC_WRITES).help(help));
        }
    } else if !words.is_empty() {
        let fault = Fault::new("access.default", format!("anyone can {} items without a token", words::and(&words)));
        let said: Vec<_> = words.iter().map(|word| format!("{word}: public")).collect();
        let help =
            format!("if this is intended, write `{}`; otherwise require a role or `authenticated`", said.join(", "));
        warnings.push(fault.code(Code::PUBLIC_WRITES).help(help));
    }
}
