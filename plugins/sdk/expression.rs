//! Expressions about a request in the Common Expression Language (CEL): conditions, and texts such as keys.
//!
//! An expression is compiled when the configuration is read. Its names, functions and types are checked then, against
//! the model in [`model`]. Regular expressions and networks are compiled with it, so they must be literals.

mod check;
mod claims;
mod functions;
mod help;
mod model;
mod names;
mod never;
mod parse;
mod readings;
#[cfg(test)]
mod tests;

pub use model::{NAMES, Name};

use crate::{Facts, Fault, Request, Written, written};
use cel::common::ast::IdedExpr;
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Value};
use check::{Checked, Kind};
use functions::Compiled;
use model::Seen;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// The standard functions of CEL, those for strings, and ours.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(functions::environment()));

/// A compiled expression.
#[derive(Clone)]
struct Program(Arc<Parts>);

struct Parts {
    text: String,
    tree: IdedExpr,
    /// The regular expressions and networks that it names, in the order of their numbers.
    compiled: Vec<Compiled>,
    groups: Groups,
}

/// The groups of names that an expression uses.
#[derive(Debug, Clone, Copy, Default)]
struct Groups {
    identity: bool,
    request: bool,
    /// The path of the request, or a part of it.
    path: bool,
}

/// Why an expression has no value for a request. Conditions then deny.
#[derive(Debug, Clone, PartialEq)]
pub struct NoValue(String);

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoValue {}

impl Program {
    fn compile(text: &str, wanted: &[Kind]) -> Result<Self, Fault> {
        let checked = check::check(text, wanted)?;
        let Checked { tree, compiled, groups } = checked;
        Ok(Self(Arc::new(Parts { text: text.to_owned(), tree, compiled, groups })))
    }

    /// Evaluates it, and reads the value with `read`.
    fn evaluate<T>(&self, seen: &Seen<'_>, read: impl FnOnce(&CowVal<'_, '_>) -> Option<T>) -> Result<T, NoValue> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(seen);
        let value = Value::resolve_val(&self.0.tree, &context).map_err(|error| NoValue(why(&error)))?;
        read(&value).ok_or_else(|| NoValue(format!("the value is of type {}", value.get_type().name())))
    }
}

/// Names what is missing, but never a value of the request.
fn why(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) | ExecutionError::UndeclaredReference(name) => format!("no `{name}`"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "no such element".to_owned(),
        _ => "operands of the wrong types".to_owned(),
    }
}

/// A condition on a request: `request.method == 'GET' && 'admin' in auth.roles`.
#[derive(Clone)]
pub struct Condition(Program);

impl Condition {
    /// Whether it holds for `request`.
    ///
    /// # Errors
    /// It names something that this request lacks, or a value of the wrong type. Or it depends on how a server reads the path, which
    /// is ambiguous. Callers must then deny.
    pub fn holds(&self, request: &Request) -> Result<bool, NoValue> {
        let seen = Seen::of(request, &self.0.0.compiled);
        let holds = self.holds_for(&seen)?;
        let path = request.uri().path();
        if self.0.0.groups.path && readings::is_ambiguous(path) && !self.holds_equally(&seen, path, holds) {
            return Err(NoValue("`request.path` or `route.parameters` is ambiguous".to_owned()));
        }
        Ok(holds)
    }

    /// Whether it holds, or does not hold, in the same way for every reading of the path.
    #[cold]
    fn holds_equally(&self, seen: &Seen<'_>, path: &str, holds: bool) -> bool {
        let others: BTreeSet<_> = readings::ways().map(|way| Read::of(seen, path, way)).collect();
        let as_written = Read::as_written(seen, path);
        let others = others.into_iter().filter(|other| *other != as_written);
        others.map(|other| self.holds_for(&seen.at(&other.path, &other.facts(seen)))).all(|other| other == Ok(holds))
    }

    fn holds_for(&self, seen: &Seen<'_>) -> Result<bool, NoValue> {
        self.0.evaluate(seen, |value| value.downcast_ref::<CelBool>().map(|holds| *holds.inner()))
    }

    /// Whether it names the identity (`auth`), which an earlier plugin must have proven.
    pub fn uses_identity(&self) -> bool {
        self.0.0.groups.identity
    }

    /// The names of the claims of the caller that it reads.
    pub fn claims(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        claims::add(&self.0.0.tree, &mut names);
        names
    }

    /// Whether it depends on the subject of the caller, and not only on whether there is one.
    pub fn reads_subject(&self) -> bool {
        claims::reads_subject(&self.0.0.tree)
    }

    /// The issuers for whose callers it can hold, if it names them: `auth.claims.iss == 'a'`.
    pub fn issuers(&self) -> Option<BTreeSet<String>> {
        claims::issuers(&self.0.0.tree)
    }
}

/// The path of a request and the parameters in it, as some servers read them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Read {
    path: String,
    parameters: Vec<String>,
}

impl Read {
    fn of(seen: &Seen<'_>, path: &str, way: readings::Way) -> Self {
        let parameters = seen.facts().parameters.iter().map(|(_, value)| way.read(value)).collect();
        Self { path: way.read(path), parameters }
    }

    fn as_written(seen: &Seen<'_>, path: &str) -> Self {
        let parameters = seen.facts().parameters.iter().map(|(_, value)| value.to_string()).collect();
        Self { path: path.to_owned(), parameters }
    }

    /// The facts of the request, with these parameters.
    fn facts(&self, seen: &Seen<'_>) -> Facts {
        let mut facts = seen.facts().clone();
        for ((_, value), read) in facts.parameters.iter_mut().zip(&self.parameters) {
            *value = read.as_str().into();
        }
        facts
    }
}

/// An expression whose value is a text or a number: `auth.claims.tenant + '/' + request.method`.
#[derive(Clone)]
pub struct TextExpression(Program);

impl TextExpression {
    /// Its value for `request`. It is the same for all spellings of a path that servers may read as one: so that no client chooses
    /// between many values, it sees the path, and the parameters in it, without empty segments, parameters and unnecessary escapes.
    ///
    /// # Errors
    /// It names something that this request lacks, or a value of the wrong type.
    pub fn text<B>(&self, request: &http::Request<B>) -> Result<String, NoValue> {
        let seen = Seen::of(request, &self.0.0.compiled);
        if self.0.0.groups.path && readings::is_ambiguous(request.uri().path()) {
            let common = Read::of(&seen, request.uri().path(), readings::COMMON);
            return self.text_for(&seen.at(&common.path, &common.facts(&seen)));
        }
        self.text_for(&seen)
    }

    fn text_for(&self, seen: &Seen<'_>) -> Result<String, NoValue> {
        self.0.evaluate(seen, |value| {
            if let Some(text) = value.downcast_ref::<CelString<'_>>() {
                return Some(text.inner().to_owned());
            }
            let whole = value.downcast_ref::<CelInt>().map(|number| number.inner().to_string());
            let natural = || value.downcast_ref::<CelUInt>().map(|number| number.inner().to_string());
            let real = || value.downcast_ref::<CelDouble>().map(|number| number.inner().to_string());
            let truth = || value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string());
            whole.or_else(natural).or_else(real).or_else(truth)
        })
    }

    /// Whether it names the identity (`auth`), which an earlier plugin must have proven.
    pub fn uses_identity(&self) -> bool {
        self.0.0.groups.identity
    }
}

impl TextExpression {
    /// Whether it names a part of the request, which may be a secret.
    pub fn uses_request(&self) -> bool {
        self.0.0.groups.request
    }
}

impl FromStr for Condition {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Program::compile(text, &[Kind::Bool]).map(Self)
    }
}

impl FromStr for TextExpression {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Program::compile(text, &[Kind::Text, Kind::Number, Kind::Bool]).map(Self)
    }
}

impl Written for Condition {
    const FORMAT: &'static str = "cel-condition";
    const STAND_IN: Option<&'static str> = Some("true");
}

impl Written for TextExpression {
    const FORMAT: &'static str = "cel";
    const STAND_IN: Option<&'static str> = Some("''");
}

written!(Condition, "examples": ["request.method == 'GET'", "'admin' in auth.roles"]);
written!(TextExpression, "examples": ["auth.claims.tenant"]);

macro_rules! as_text {
    ($kind:ty) => {
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.0.text)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.0.text.fmt(f)
            }
        }

        impl PartialEq for $kind {
            fn eq(&self, other: &Self) -> bool {
                self.0.0.text == other.0.0.text
            }
        }

        impl Eq for $kind {}
    };
}

as_text!(Condition);
as_text!(TextExpression);
