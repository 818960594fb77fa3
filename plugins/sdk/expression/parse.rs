//! Parses expressions, without overflowing the stack.

use super::ENVIRONMENT;
use crate::written::shown;
use crate::{Code, Fault};
use cel::common::ast::IdedExpr;

/// Longer ones are generated, or attacks.
const LONGEST: usize = 2048;

/// The parser overflows its stack with expressions that are nested more deeply.
const DEEPEST: usize = 24;

/// Parts within parts, when it is evaluated.
pub const DEEPEST_TREE: usize = 64;

pub fn too_deep() -> Fault {
    fault("the expression is nested too deeply").help("split it, or use a claim")
}

/// Parses `text`.
pub fn parse(text: &str) -> Result<IdedExpr, Fault> {
    if text.trim().is_empty() {
        return Err(
            fault("an expression must not be empty").help("write a condition such as `request.method == 'GET'`")
        );
    }
    if text.len() > LONGEST {
        return Err(fault(format!("an expression may have at most {LONGEST} bytes")).help("split it, or use a claim"));
    }
    if is_deep(text) {
        return Err(too_deep());
    }
    tree(text)
}

/// The parser needs more than 100 KiB of stack for each bracket, so it has a thread of its own.
fn tree(text: &str) -> Result<IdedExpr, Fault> {
    let parse = || ENVIRONMENT.parser().parse(text).map_err(|errors| syntax(text, &errors));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(32 << 20).spawn_scoped(scope, parse);
        let parsed = thread.map(|thread| thread.join().unwrap_or_else(|_| Err(fault("is not a valid expression"))));
        parsed.unwrap_or_else(|error| Err(fault(format!("cannot be parsed: {error}"))))
    })
}

/// Whether `text` may be nested too deeply: in brackets, signs in a row, choices, which nest to the right, or operators
/// and fields, which nest to the left between `&&` and `||`.
fn is_deep(text: &str) -> bool {
    let (mut brackets, mut signs, mut choices, mut links) = (0_usize, 0, 0, 0);
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(mark), c) if mark == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => brackets += 1,
            (None, ')' | ']' | '}') => brackets = brackets.saturating_sub(1),
            (None, '?') if !matches!(letters.peek(), Some('.')) => choices += 1,
            (None, '&' | '|' | ',') => links = 0,
            (None, '.' | '+' | '*' | '/' | '%' | '<' | '>' | '=') => links += 1,
            _ => {}
        }
        match c {
            '!' | '-' => (signs, links) = (signs + 1, links + 1),
            c if c.is_whitespace() => {}
            _ => signs = 0,
        }
        if brackets + signs + choices > DEEPEST || links > DEEPEST_TREE {
            return true;
        }
    }
    false
}

pub fn fault(message: impl Into<String>) -> Fault {
    Fault::new("", message).code(Code::EXPRESSION)
}

fn syntax(text: &str, errors: &cel::ParseErrors) -> Fault {
    let Some(error) = errors.errors.first() else { return fault("is not a valid expression").help("write CEL") };
    let (_, column) = error.pos;
    let at = usize::try_from(column).unwrap_or(1).max(1);
    let rest: String = text.chars().skip(at - 1).collect();
    let place = match rest.trim() {
        "" => "ends too early".to_owned(),
        rest => format!("is not valid at `{}`", shown(rest).chars().take(24).collect::<String>()),
    };
    let help = match () {
        () if text.contains(" and ") || text.contains(" or ") || text.contains(" not ") => {
            "write `&&` for and, `||` for or, `!` for not"
        }
        () if text.contains('=') && !text.contains("==") && !text.contains("!=") => "compare with `==`",
        () => "it is written in CEL: `request.method == 'GET' && 'admin' in auth.roles`",
    };
    fault(format!("the expression {place}")).help(help)
}
