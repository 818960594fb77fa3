//! Finds comparisons with texts that a name never has: conditions that are always false, or with `!=` always true.

use super::parse::fault;
use crate::written::shown;
use crate::{ClientAddress, Fault};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

/// Why `text` is never the value of a name, and what to write.
fn misfit(name: &str, text: &str) -> Option<(&'static str, String)> {
    let example = |text: &str| format!("write `{}`", shown(text));
    match name {
        "request.method" if text.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            Some(("methods are compared as they are sent, in upper case", example(&text.to_ascii_uppercase())))
        }
        "request.scheme" if !matches!(text, "http" | "https") => Some((
            "it is `http` or `https`",
            example(if text.to_ascii_lowercase().contains('s') { "https" } else { "http" }),
        )),
        "request.host" if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some(("it is in lower case", example(&text.to_ascii_lowercase())))
        }
        "request.host" if text.contains('/') => {
            Some(("it is only the name", "write a name such as `example.com`".to_owned()))
        }
        "request.host" if has_port(text) => {
            Some(("it has no port", example(text.rsplit_once(':').map_or(text, |(host, _)| host))))
        }
        "request.path" if !text.starts_with(['/', '*']) => {
            Some(("it begins with a slash", example(&format!("/{text}"))))
        }
        "client.ip" if text.contains('/') => {
            Some(("it is an address, not a network", format!("write `client.ip.inNetwork('{}')`", shown(text))))
        }
        "client.ip" => match text.parse::<ClientAddress>() {
            Ok(address) if address.to_canonical().to_string() == text => None,
            Ok(address) => Some(("it is written in its shortest form", example(&address.to_canonical().to_string()))),
            Err(_) => Some(("it is an address", "write an address such as `10.0.0.1`".to_owned())),
        },
        _ => None,
    }
}

/// Whether it is a name or an IPv4 address, and a port. IPv6 addresses have several colons.
fn has_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let one = !host.contains(':') || host.ends_with(']');
        one && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Checks `==` and `!=` of a name and a literal.
pub fn compared(call: &CallExpr) -> Result<(), Fault> {
    match call.args.as_slice() {
        [left, right] => pair(left, right).and_then(|()| pair(right, left)),
        _ => Ok(()),
    }
}

/// Checks `in` with a list of literals.
pub fn listed(call: &CallExpr) -> Result<(), Fault> {
    match call.args.as_slice() {
        [name, IdedExpr { expr: Expr::List(list), .. }] => list.elements.iter().try_for_each(|item| pair(name, item)),
        _ => Ok(()),
    }
}

fn pair(name: &IdedExpr, literal: &IdedExpr) -> Result<(), Fault> {
    let (Expr::Ident(name), Expr::Literal(LiteralValue::String(text))) = (&name.expr, &literal.expr) else {
        return Ok(());
    };
    match misfit(name, text.inner()) {
        None => Ok(()),
        Some((why, help)) => {
            let message = format!("`{name}` is never `{}`: {why}", shown(text.inner()));
            Err(fault(message).help(help))
        }
    }
}
