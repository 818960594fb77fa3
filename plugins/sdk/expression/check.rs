//! Checks the names, functions and types of an expression, and prepares it: names become single lookups, and literals
//! such as regular expressions are compiled.

use super::Groups;
use super::functions::{Compiled, FUNCTIONS, IN_NETWORK, MATCHES};
use super::help::{not_on, unknown, unknown_function};
use super::model::NAMES;
use super::names::{index, key_of, segments, values_of};
use super::never;
use super::parse::{self, fault};
use crate::written::shown;
use crate::{Fault, Network};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use regex::Regex;

/// What is known about the type of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Text,
    Number,
    List,
    Map,
    /// A value that may be missing: `auth.claims.?plan`.
    Optional,
    /// Anything, such as a claim.
    Any,
}

impl Kind {
    pub const fn is(self) -> &'static str {
        match self {
            Self::Bool => "a condition",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Optional => "an optional value",
            Self::Any => "a value",
        }
    }

    fn may_be(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any || wanted == Self::Any
    }
}

/// A checked expression.
pub struct Checked {
    pub tree: IdedExpr,
    pub compiled: Vec<Compiled>,
    pub groups: Groups,
}

/// Parses and checks `text`, whose value must be of one of the `wanted` types.
pub fn check(text: &str, wanted: &[Kind]) -> Result<Checked, Fault> {
    let mut tree = parse::parse(text)?;
    let mut check = Check { compiled: Vec::new(), locals: Vec::new(), groups: Groups::default(), depth: 0 };
    let kind = check.visit(&mut tree)?;
    if !wanted.iter().any(|wanted| kind.may_be(*wanted)) {
        let first = wanted.first().map_or("", |kind| kind.is());
        let help = match kind {
            Kind::Text => "compare it: `request.method == 'GET'`",
            Kind::Optional => OR_VALUE,
            Kind::List | Kind::Map => "test what it contains: `'admin' in auth.roles`",
            _ => "compare it: `auth.claims.level > 3`",
        };
        let message = format!("`{}` is {}, not {first}", shown(text.trim()), kind.is());
        return Err(fault(message).help(if wanted.contains(&Kind::Bool) { help } else { "use a string or a number" }));
    }
    Ok(Checked { tree, compiled: check.compiled, groups: check.groups })
}

struct Check {
    compiled: Vec<Compiled>,
    /// Variables of the macros around a part: `x` in `list.exists(x, x == 1)`.
    locals: Vec<String>,
    groups: Groups,
    depth: usize,
}

impl Check {
    fn visit(&mut self, part: &mut IdedExpr) -> Result<Kind, Fault> {
        self.depth += 1;
        let kind = if self.depth > parse::DEEPEST_TREE { Err(parse::too_deep()) } else { self.kind(part) };
        self.depth -= 1;
        kind
    }

    fn kind(&mut self, part: &mut IdedExpr) -> Result<Kind, Fault> {
        match &mut part.expr {
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Kind::Bool,
                LiteralValue::String(_) => Kind::Text,
                LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
                LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Any,
            }),
            Expr::Ident(_) | Expr::Select(_) => self.name(part),
            Expr::Call(call) => match self.call(call)? {
                (kind, None) => Ok(kind),
                (kind, Some(name)) => {
                    part.expr = Expr::Ident(name);
                    Ok(kind)
                }
            },
            Expr::List(list) => {
                list.elements.iter_mut().try_for_each(|element| self.visit(element).map(drop))?;
                Ok(Kind::List)
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    match &mut entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.visit(&mut entry.key)?;
                            self.visit(&mut entry.value)?;
                        }
                        EntryExpr::StructField(field) => drop(self.visit(&mut field.value)?),
                    }
                }
                Ok(Kind::Map)
            }
            Expr::Comprehension(macros) => self.comprehension(macros),
            Expr::Struct(made) => {
                let message = format!("there is no type `{}`", shown(&made.type_name));
                Err(fault(message).help("use strings, numbers, lists and maps"))
            }
            Expr::Unspecified => Err(fault("is not a valid expression").help("write CEL")),
        }
    }

    /// `exists`, `all` and `exists_one`. What an expression costs must not multiply: clients choose how long lists are.
    fn comprehension(&mut self, part: &mut ComprehensionExpr) -> Result<Kind, Fault> {
        if !self.locals.is_empty() {
            return Err(fault("`exists` and `all` cannot be nested").help("split the expression"));
        }
        if matches!(part.accu_init.expr, Expr::List(_)) {
            return Err(fault("`map` and `filter` are not supported").help("use `exists` or `all`"));
        }
        let range = self.visit(&mut part.iter_range)?;
        if !range.may_be(Kind::List) && !range.may_be(Kind::Map) {
            return Err(fault(format!("{} has no elements", range.is())).help("use `exists` and `all` on lists"));
        }
        let before = self.locals.len();
        self.locals.push(part.iter_var.clone());
        self.locals.extend(part.iter_var2.clone());
        self.locals.push(part.accu_var.clone());
        for inner in [&mut part.accu_init, &mut part.loop_cond, &mut part.loop_step, &mut part.result] {
            self.visit(inner)?;
        }
        self.locals.truncate(before);
        Ok(Kind::Any)
    }

    /// A name, such as `auth.claims.plan`. Replaces it by one lookup.
    fn name(&mut self, part: &mut IdedExpr) -> Result<Kind, Fault> {
        let Some(segments) = segments(&part.expr) else {
            // A field of something computed.
            let Expr::Select(select) = &mut part.expr else { return Ok(Kind::Any) };
            let test = select.test;
            let of = self.visit(&mut select.operand)?;
            if !of.may_be(Kind::Map) {
                return Err(fault(format!("{} has no field `{}`", of.is(), select.field)).help("remove the field"));
            }
            return Ok(if test { Kind::Bool } else { Kind::Any });
        };
        let test = matches!(&part.expr, Expr::Select(SelectExpr { test: true, .. }));
        let [root, rest @ ..] = segments.as_slice() else { return Ok(Kind::Any) };
        if self.locals.contains(root) {
            return Ok(if test { Kind::Bool } else { Kind::Any });
        }
        if rest.is_empty() && TYPES.contains(&root.as_str()) {
            return Ok(Kind::Any);
        }
        let written = segments.join(".");
        let Some([field, inner @ ..]) = rest.split_first().map(|_| rest) else { return Err(unknown(&written)) };
        let known = NAMES.iter().find(|known| known.name.split_once('.') == Some((root, field)));
        let Some(known) = known else { return Err(unknown(&format!("{root}.{field}"))) };
        self.groups.identity |= root == "auth";
        self.groups.path |= matches!((root.as_str(), field.as_str()), ("request", "path") | ("route", "parameters"));
        self.groups.request |= root == "request" || root == "route";
        let [key, deeper @ ..] = inner else {
            part.expr = Expr::Ident(if test { format!("?{}", known.name) } else { known.name.to_owned() });
            return Ok(if test { Kind::Bool } else { known.kind });
        };
        if known.kind != Kind::Map {
            let message = format!("`{}` is {}, which has no field `{key}`", known.name, known.kind.is());
            return Err(fault(message).help(format!("write `{}`", known.name)));
        }
        let values = values_of(known.name);
        if !deeper.is_empty() && values != Kind::Any {
            let message =
                format!("`{}.{key}` is {}, which has no field `{}`", known.name, values.is(), deeper.join("."));
            return Err(fault(message).help(format!("write `{}.{key}`", known.name)));
        }
        if deeper.len() > parse::DEEPEST_TREE / 2 {
            return Err(parse::too_deep());
        }
        let one = format!("{}.{}", known.name, key_of(known.name, key));
        let Some((last, between)) = deeper.split_last() else {
            part.expr = Expr::Ident(if test { format!("?{one}") } else { one });
            return Ok(if test { Kind::Bool } else { values });
        };
        // Selecting on a name would be read as a longer name, so fields of claims are looked up by index.
        let within = between.iter().fold(Expr::Ident(one), |of, field| index(part.id, of, field));
        part.expr = if test {
            let operand = Box::new(IdedExpr { id: part.id, expr: within });
            Expr::Select(SelectExpr { operand, field: last.clone(), test })
        } else {
            index(part.id, within, last)
        };
        Ok(if test { Kind::Bool } else { Kind::Any })
    }

    /// An operator or a function. The name replaces it, if there is one.
    fn call(&mut self, call: &mut CallExpr) -> Result<(Kind, Option<String>), Fault> {
        if let Some(kind) = self.operator(call)? {
            return Ok(kind);
        }
        let name = call.func_name.as_str();
        if let Some(target) = &call.target
            && matches!(&target.expr, Expr::Ident(root) if root == "optional")
        {
            self.arguments(call)?;
            return Ok((Kind::Any, None));
        }
        let on_value = call.target.is_some();
        let mut named = FUNCTIONS.iter().filter(|known| known.name == name && known.of.is_some() == on_value);
        let Some(function) = named.next() else { return Err(unknown_function(name, on_value)) };
        if let (Some(target), Some(of)) = (&mut call.target, function.of) {
            let kind = self.visit(target)?;
            if !kind.may_be(of) {
                return Err(fault(format!("`{name}` cannot be called on {}", kind.is())).help(not_on(kind)));
            }
        }
        let (least, most) = function.arguments;
        if !(least..=most).contains(&call.args.len()) {
            let plural = if most == 1 { "" } else { "s" };
            let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
            let message = format!("`{name}` takes {count} argument{plural}, not {}", call.args.len());
            return Err(fault(message).help("add or remove arguments"));
        }
        if [MATCHES, IN_NETWORK].contains(&name) {
            self.compile(call)?;
        } else {
            self.arguments(call)?;
        }
        Ok((function.result, None))
    }

    fn arguments(&mut self, call: &mut CallExpr) -> Result<Vec<Kind>, Fault> {
        call.args.iter_mut().map(|argument| self.visit(argument)).collect()
    }

    /// Compiles the literal argument of `matches` or `inNetwork`.
    fn compile(&mut self, call: &mut CallExpr) -> Result<(), Fault> {
        let name = call.func_name.clone();
        let Some(argument) = call.args.first_mut() else { return Ok(()) };
        let Expr::Literal(LiteralValue::String(text)) = &argument.expr else {
            let help = if name == MATCHES { "write `matches('^/a/')`" } else { "write `inNetwork('10.0.0.0/8')`" };
            return Err(fault(format!("the argument of `{name}` must be a literal string")).help(help));
        };
        let compiled = if name == MATCHES {
            let pattern = Regex::new(text.inner()).map_err(|_| {
                let message = format!("`{}` is not a valid regular expression", shown(text.inner()));
                fault(message).help("write a raw string with the syntax of Rust's `regex` crate: r'^/v[0-9]+/'")
            })?;
            Compiled::Pattern(pattern)
        } else {
            Compiled::Network(text.inner().parse::<Network>()?)
        };
        argument.expr = Expr::Ident(format!("@{}", self.compiled.len()));
        self.compiled.push(compiled);
        Ok(())
    }

    fn operator(&mut self, call: &mut CallExpr) -> Result<Option<(Kind, Option<String>)>, Fault> {
        let name = call.func_name.clone();
        let kind = match name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                let sign = name.trim_matches('_');
                for kind in self.arguments(call)? {
                    if !kind.may_be(Kind::Bool) {
                        let message = format!("an operand of `{sign}` is {}, not a condition", kind.is());
                        return Err(fault(message).help("compare it: `request.method == 'GET'`"));
                    }
                }
                Kind::Bool
            }
            operators::CONDITIONAL => match self.arguments(call)?.as_slice() {
                [condition, ..] if !condition.may_be(Kind::Bool) => {
                    let message = format!("what stands before `?` is {}, not a condition", condition.is());
                    return Err(fault(message).help("compare it: `request.method == 'GET' ? 'read' : 'write'`"));
                }
                [_, yes, no] if yes == no => *yes,
                _ => Kind::Any,
            },
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => {
                let sign = name.trim_matches('_');
                if let [left, right] = self.arguments(call)?.as_slice()
                    && !left.may_be(*right)
                {
                    let message = format!("`{sign}` compares {} with {}", left.is(), right.is());
                    let optional = [*left, *right].contains(&Kind::Optional);
                    return Err(fault(message).help(if optional { OR_VALUE } else { "compare values of one type" }));
                }
                if [operators::EQUALS, operators::NOT_EQUALS].contains(&name.as_str()) {
                    never::compared(call)?;
                }
                Kind::Bool
            }
            "@in" => {
                if let [_, within] = self.arguments(call)?.as_slice()
                    && !within.may_be(Kind::List)
                    && !within.may_be(Kind::Map)
                {
                    let message = format!("what stands after `in` is {}, not a list or a map", within.is());
                    return Err(fault(message).help("for a part of a string, write `request.path.contains('/a/')`"));
                }
                never::listed(call)?;
                Kind::Bool
            }
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => {
                match self.arguments(call)?.as_slice() {
                    [left, right] if !left.may_be(*right) => {
                        let sign = name.trim_matches('_');
                        let message = format!("`{sign}` combines {} and {}", left.is(), right.is());
                        return Err(fault(message).help("convert one of them: `string(auth.claims.level)`"));
                    }
                    [Kind::Any, kind] | [kind, _] => *kind,
                    _ => Kind::Any,
                }
            }
            operators::NEGATE => {
                self.arguments(call)?;
                Kind::Number
            }
            operators::INDEX => return self.index(call).map(Some),
            operators::OPT_INDEX | operators::OPT_SELECT => return self.optional(call).map(Some),
            other if other.starts_with('@') => {
                self.arguments(call)?;
                Kind::Any
            }
            _ => return Ok(None),
        };
        Ok(Some((kind, None)))
    }

    /// `auth.claims.?plan`: one lookup, which may find nothing.
    fn optional(&mut self, call: &mut CallExpr) -> Result<(Kind, Option<String>), Fault> {
        self.arguments(call)?;
        if let [of, key] = call.args.as_slice()
            && let (Expr::Ident(of), Expr::Literal(LiteralValue::String(key))) = (&of.expr, &key.expr)
            && NAMES.iter().any(|known| known.name == of && known.kind == Kind::Map)
        {
            return Ok((Kind::Optional, Some(format!("~{of}.{}", key_of(of, key.inner())))));
        }
        Ok((Kind::Optional, None))
    }

    /// `request.headers['x-tenant']`: one lookup.
    fn index(&mut self, call: &mut CallExpr) -> Result<(Kind, Option<String>), Fault> {
        let kinds = self.arguments(call)?;
        if let [of, _] = kinds.as_slice()
            && !of.may_be(Kind::Map)
            && !of.may_be(Kind::List)
        {
            return Err(fault(format!("{} has no elements", of.is())).help(not_on(*of)));
        }
        if let [of, key] = call.args.as_slice()
            && let (Expr::Ident(of), Expr::Literal(LiteralValue::String(key))) = (&of.expr, &key.expr)
            && NAMES.iter().any(|known| known.name == of && known.kind == Kind::Map)
        {
            let one = format!("{of}.{}", key_of(of, key.inner()));
            return Ok((values_of(of), Some(one)));
        }
        Ok((Kind::Any, None))
    }
}

/// How to compare an optional value.
const OR_VALUE: &str = "say what counts if it is missing: `auth.claims.?plan.orValue('free')`";

/// Names of types, for `type(x) == string`.
const TYPES: [&str; 9] = ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type"];
