//! What to write instead of an unknown name or function.

use super::check::Kind;
use super::functions::{FUNCTIONS, Function};
use super::model::NAMES;
use super::parse::fault;
use crate::Fault;
use crate::nearest::nearest;
use crate::written::shown;

pub fn unknown(name: &str) -> Fault {
    let group = name.split('.').next().unwrap_or_default();
    let names = || NAMES.iter().map(|known| known.name);
    let of_group: Vec<_> = names().filter(|known| known.split('.').next() == Some(group)).collect();
    let help = match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if !of_group.is_empty() => format!("available: `{}`", of_group.join("`, `")),
        None if name.contains('.') => format!("available: `{}`", names().collect::<Vec<_>>().join("`, `")),
        None => {
            format!("for a string, write `'{name}'`; available: `{}`", names().collect::<Vec<_>>().join("`, `"))
        }
    };
    if name == group && !of_group.is_empty() {
        return fault(format!("`{name}` alone is not a value"))
            .help(format!("write one of `{}`", of_group.join("`, `")));
    }
    fault(format!("unknown name `{}`", shown(name))).help(help)
}

pub fn unknown_function(name: &str, on_value: bool) -> Fault {
    let elsewhere = FUNCTIONS.iter().find(|known| known.name == name);
    let known = FUNCTIONS.iter().filter(|known| known.of.is_some() == on_value).map(|Function { name, .. }| *name);
    let help = match (elsewhere, nearest(name, FUNCTIONS.iter().map(|known| known.name))) {
        (Some(_), _) if on_value => format!("write `{name}(value)`"),
        (Some(_), _) => format!("write `value.{name}(…)`"),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("available: `{}`", known.collect::<Vec<_>>().join("`, `")),
    };
    fault(format!("unknown function `{}`", shown(name))).help(help)
}

pub fn not_on(kind: Kind) -> &'static str {
    match kind {
        Kind::List | Kind::Map => "to test what it contains, write `'name' in …`",
        Kind::Number | Kind::Bool => "convert it: `string(…)`",
        _ => "use a value of another type",
    }
}
