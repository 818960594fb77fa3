//! The functions of expressions, and the values that are compiled with an expression: regular expressions, networks.

use super::check::Kind;
use crate::Network;
use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError, extensions};
use regex::Regex;
use std::any::Any;
use std::net::IpAddr;

/// A function that expressions may call.
pub struct Function {
    pub name: &'static str,
    /// The type that it is called on, as in `text.contains('a')`; `None` if it is not called on a value.
    pub of: Option<Kind>,
    /// The minimum and maximum number of arguments.
    pub arguments: (usize, usize),
    pub result: Kind,
}

const fn on(of: Kind, name: &'static str, arguments: (usize, usize), result: Kind) -> Function {
    Function { name, of: Some(of), arguments, result }
}

const fn free(name: &'static str, result: Kind) -> Function {
    Function { name, of: None, arguments: (1, 1), result }
}

/// All functions. Macros such as `has` and `exists` are not among them: they are expanded when an expression is parsed.
pub const FUNCTIONS: &[Function] = &[
    on(Kind::Text, "contains", (1, 1), Kind::Bool),
    on(Kind::Text, "startsWith", (1, 1), Kind::Bool),
    on(Kind::Text, "endsWith", (1, 1), Kind::Bool),
    on(Kind::Text, MATCHES, (1, 1), Kind::Bool),
    on(Kind::Text, IN_NETWORK, (1, 1), Kind::Bool),
    on(Kind::Text, "charAt", (1, 1), Kind::Text),
    on(Kind::Text, "indexOf", (1, 2), Kind::Number),
    on(Kind::Text, "lastIndexOf", (1, 2), Kind::Number),
    on(Kind::Text, "lowerAscii", (0, 0), Kind::Text),
    on(Kind::Text, "upperAscii", (0, 0), Kind::Text),
    on(Kind::Text, "split", (1, 2), Kind::List),
    on(Kind::Text, "substring", (1, 2), Kind::Text),
    on(Kind::Text, "trim", (0, 0), Kind::Text),
    on(Kind::Any, "size", (0, 0), Kind::Number),
    on(Kind::Optional, "orValue", (1, 1), Kind::Any),
    on(Kind::Optional, "hasValue", (0, 0), Kind::Bool),
    free("size", Kind::Number),
    free("int", Kind::Number),
    free("uint", Kind::Number),
    free("double", Kind::Number),
    free("string", Kind::Text),
    free("type", Kind::Any),
];

pub const MATCHES: &str = "matches";
pub const IN_NETWORK: &str = "inNetwork";

/// A literal that was compiled with its expression.
#[derive(Debug, Clone)]
pub enum Compiled {
    Pattern(Regex),
    Network(Network),
}

static PATTERN: Type = Type::new_unspecified_type("pattern");
static NETWORK: Type = Type::new_unspecified_type("network");

impl Val for Compiled {
    fn get_type(&self) -> &Type {
        match self {
            Self::Pattern(_) => &PATTERN,
            Self::Network(_) => &NETWORK,
        }
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Compiled {}

/// The functions that expressions are evaluated with.
pub fn environment() -> Env {
    let mut environment = Env::stdlib();
    let added = environment
        .add_extension(extensions::strings)
        .and_then(|()| {
            let (of, argument) = (STRING_TYPE.to_owned(), vec![PATTERN.to_owned()]);
            environment.add_member_overload(MATCHES, "string_matches_pattern", of, argument, matches)
        })
        .and_then(|()| {
            let (of, argument) = (STRING_TYPE.to_owned(), vec![NETWORK.to_owned()]);
            environment.add_member_overload(IN_NETWORK, "string_in_network", of, argument, in_network)
        });
    debug_assert!(added.is_ok(), "each function is declared once: {added:?}");
    environment
}

fn arguments<'a>(function: &str, given: &'a [CowVal<'_, '_>]) -> Result<(&'a str, &'a Compiled), ExecutionError> {
    if let [text, compiled] = given
        && let Some(text) = text.downcast_ref::<CelString<'_>>()
        && let Some(compiled) = compiled.downcast_ref::<Compiled>()
    {
        return Ok((text.inner(), compiled));
    }
    Err(ExecutionError::function_error(function, "arguments of the wrong types"))
}

fn matches<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match arguments(MATCHES, &given)? {
        (text, Compiled::Pattern(pattern)) => Ok(CowVal::owned(CelBool::from(pattern.is_match(text)))),
        _ => Err(ExecutionError::function_error(MATCHES, "no pattern")),
    }
}

fn in_network<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match arguments(IN_NETWORK, &given)? {
        // The client of a Unix socket is in no network.
        ("unix:", _) => Ok(CowVal::owned(CelBool::from(false))),
        (text, Compiled::Network(network)) => match text.parse::<IpAddr>() {
            Ok(ip) => Ok(CowVal::owned(CelBool::from(network.contains(&ip.to_canonical())))),
            Err(_) => Err(ExecutionError::function_error(IN_NETWORK, "not an address")),
        },
        _ => Err(ExecutionError::function_error(IN_NETWORK, "no network")),
    }
}
