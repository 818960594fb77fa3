//! Explains common mistakes in YAML: what is wrong, and what to write instead.

mod alias;
mod indent;
mod scan;
#[cfg(test)]
mod tests;

pub use scan::value_end;
use scan::{Scan, above, indent, line, quote_end};
use std::ops::Range;

/// The keys whose values are shown even if the file is not valid YAML: they never have a secret.
pub const OPEN_KEYS: [&str; 16] = [
    "address",
    "chain",
    "chains",
    "hosts",
    "methods",
    "path",
    "path_prefix",
    "plugins",
    "policy",
    "resource",
    "status",
    "store",
    "strip_prefix",
    "text",
    "to",
    "upstream",
];

/// A mistake, and where it is in the text, in bytes.
#[derive(Debug)]
pub struct Slip {
    pub range: Range<usize>,
    pub message: String,
    pub help: String,
}

fn slip(range: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Slip {
    Slip { range, message: message.into(), help: help.into() }
}

/// Explains a syntax error at the byte `at`, for which the parser reports `found`. `None` if it is not a common mistake.
pub fn explain(text: &str, at: usize, found: &str) -> Option<Slip> {
    let at = at.min(text.len());
    let text = Text(text);
    let is = |part: &str| found.contains(part);
    match () {
        () if is("tab") => Some(text.tab(at)),
        () if is("unclosed bracket") => Some(text.commented(at).unwrap_or_else(|| text.unclosed(at))),
        () if is("unclosed quote") => {
            let quote = text.char(at).unwrap_or('"');
            let help = format!("add `{quote}` at the end of the text");
            Some(slip(at..at + 1, format!("unclosed `{quote}`"), help))
        }
        () if is("mismatched bracket") => text.mismatched(at, found),
        () if is("misplaced bracket") => {
            let (bracket, open) = if text.char(at) == Some(']') { (']', '[') } else { ('}', '{') };
            let help = format!("remove it, or add the missing `{open}`");
            Some(slip(at..at + 1, format!("unmatched `{bracket}`"), help))
        }
        () if ["unexpected character", "anchor", "directive", "cannot start any token"].into_iter().any(is) => {
            text.bad_start(at)
        }
        () if is("did not find expected ','") => text.in_brackets(at),
        () if is("mapping values") || is("illegal placement of ':'") => text.second_colon(at),
        () if is("did not find expected key") => text.misindented(at),
        () if is("simple key") => text.colonless(at),
        () if is("'-' indicator") => text.mixed(at),
        () if is("trailing content") => {
            let scan = text.scan(at);
            Some(text.quote(&scan, scan.token, "unexpected text after the closing quote"))
        }
        () if is("escape character") => text.escape(at),
        () if is("block sequence entries") => {
            let scan = text.scan(at);
            let end = value_end(text.0, at, false);
            let quoted = text.quoted(&scan, at..end);
            let help = format!("start the list on the next line, or quote the text: `{quoted}`");
            Some(slip(at..end, "a list cannot start on the same line as its key", help))
        }
        () => None,
    }
}

#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn get(self, range: Range<usize>) -> &'a str {
        self.0.get(range).unwrap_or_default()
    }

    fn char(self, at: usize) -> Option<char> {
        self.0.get(at..)?.chars().next()
    }

    fn scan(self, at: usize) -> Scan {
        scan::scan(self.0, at)
    }

    /// The number of the line, from 1.
    fn number(self, at: usize) -> usize {
        self.get(0..at).matches('\n').count() + 1
    }

    /// The first key or word of a line.
    fn first_word(self, line: &Range<usize>) -> &'a str {
        let line = self.get(line.clone()).trim_start().trim_start_matches("- ");
        line.split([':', ' ', '{', '[']).next().unwrap_or_default()
    }

    /// The value in quotes, or `"…"` if it may be a secret.
    fn quoted(self, scan: &Scan, value: Range<usize>) -> String {
        let value = self.get(value);
        let key = scan.key.clone().map_or("", |key| self.get(key)).trim_matches(['"', '\'']);
        // After a missing comma, the value of another key may follow.
        let colon = value.find(": ").map(|colon| value.get(..colon).unwrap_or_default());
        let another = colon.is_some_and(|word| key != "text" || word.contains([' ', ',']));
        let another = another || (value.starts_with('{') && value.contains(':'));
        if !OPEN_KEYS.contains(&key) || another || value.chars().any(char::is_control) {
            return "\"…\"".to_owned();
        }
        if value.contains(['"', '\\']) { format!("'{}'", value.replace('\'', "''")) } else { format!("\"{value}\"") }
    }

    /// The value that begins at `start` needs quotes.
    fn quote(self, scan: &Scan, start: usize, message: impl Into<String>) -> Slip {
        let end = value_end(self.0, start, !scan.open.is_empty());
        slip(start..end, message, format!("quote it: `{}`", self.quoted(scan, start..end)))
    }

    fn unclosed(self, at: usize) -> Slip {
        let (open, close) = if self.char(at) == Some('[') { ('[', ']') } else { ('{', '}') };
        slip(at..at + 1, format!("unclosed `{open}`"), format!("add the missing `{close}`"))
    }

    /// ` #` in a value, which turns the closing bracket into a comment.
    fn commented(self, bracket: usize) -> Option<Slip> {
        let end = line(self.0, bracket).end;
        let comment = bracket + self.get(bracket..end).find(" #")? + 1;
        if !self.get(comment..end).contains(['}', ']']) {
            return None;
        }
        let scan = self.scan(comment);
        let end = comment + self.get(comment..end).find([',', '}', ']'])?;
        let value = scan.token..scan.token + self.get(scan.token..end).trim_end().len();
        let help = format!("quote it: `{}`", self.quoted(&scan, value.clone()));
        Some(slip(value, "` #` starts a comment that includes the closing bracket", help))
    }

    /// `found` names both brackets in quotes: the one at `at`, and the one that closes it.
    fn mismatched(self, at: usize, found: &str) -> Option<Slip> {
        let (open, closed) = (self.char(at)?, found.split('\'').nth(3)?);
        let close = if open == '[' { ']' } else { '}' };
        let help = format!("close it with `{close}`, or quote text that starts with `{open}`");
        Some(slip(at..at + 1, format!("mismatched brackets: `{open}` is closed by `{closed}`"), help))
    }

    fn bad_start(self, at: usize) -> Option<Slip> {
        let first = self.char(at).filter(|c| !c.is_whitespace())?;
        let scan = self.scan(at);
        if matches!(first, '|' | '>') {
            let help = "use double quotes, with `\\n` for each line break".to_owned();
            return Some(slip(at..at + 1, format!("block text (`{first}`) is not allowed inside brackets"), help));
        }
        if let Some(alias) = Some(at).filter(|_| first == '*').and_then(|at| self.unknown_alias(at)) {
            return Some(alias);
        }
        let message = match first {
            '*' | '&' => format!("a value starting with `{first}` must be quoted"),
            '@' | '`' | '%' | '!' => format!("a value starting with {} must be quoted", shown(first)),
            _ => format!("{} is not allowed here", shown(first)),
        };
        Some(self.quote(&scan, at, message))
    }

    /// A comma or closing bracket seems to be missing.
    fn in_brackets(self, at: usize) -> Option<Slip> {
        let scan = self.scan(at);
        let own = line(self.0, at);
        let first_on_line = self.get(own.start..at).trim().is_empty();
        match self.char(at) {
            Some(':') => {
                let before = self.get(scan.token..at);
                let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
                if word.len() == before.len() || !is_name(word) {
                    return Some(self.quote(&scan, scan.token, "a value containing `: ` must be quoted"));
                }
                let range = at - word.len()..at;
                let key = scan.key.clone().map_or("", |key| self.get(key));
                let message = if OPEN_KEYS.contains(&key) {
                    format!("missing comma before `{word}`")
                } else {
                    "missing comma or quotes".to_owned()
                };
                Some(slip(range, message, "separate entries with commas; a value containing `: ` must be quoted"))
            }
            None => scan.open.last().map(|bracket| self.unclosed(*bracket)),
            _ if first_on_line => scan.open.last().map(|bracket| self.unclosed(*bracket)),
            Some('{' | '[') => {
                let value = self.get(scan.token..at);
                if value.is_empty() || value.contains(char::is_whitespace) {
                    return None;
                }
                let value = value_end(self.0, scan.token, true);
                let shown = self.quoted(&scan, scan.token..value);
                let message = if shown.contains('…') {
                    "a value containing brackets must be quoted here".to_owned()
                } else {
                    format!("`{}` must be quoted here: it contains brackets", self.get(scan.token..value))
                };
                Some(self.quote(&scan, scan.token, message))
            }
            Some(_) => {
                let begins = self.get(scan.token..at).trim_end();
                let quoted = begins.starts_with(['"', '\'']);
                let word = self.get(at..line(self.0, at).end).split(':').next().unwrap_or_default();
                if quoted && is_name(word) && self.char(at + word.len()) == Some(':') {
                    let message = format!("missing comma before `{word}`");
                    return Some(slip(at..at + word.len(), message, "separate entries with commas"));
                }
                let message =
                    if quoted { "unexpected text after the closing quote" } else { "this value must be quoted" };
                Some(self.quote(&scan, scan.token, message))
            }
        }
    }

    /// A colon in a value, or after a line with wrong indentation or without a colon of its own.
    fn second_colon(self, at: usize) -> Option<Slip> {
        let own = line(self.0, at);
        let scan = self.scan(at);
        let before = self.get(own.start..at);
        if let Some((key, _)) = before.split_once(['{', '[']).filter(|(key, _)| is_name(key.trim())) {
            let start = own.start + indent(before);
            let key = key.trim();
            let help = format!("write `{key}: {{ … }}`");
            return Some(slip(start..start + key.len(), format!("missing colon after `{key}`"), help));
        }
        if scan.key.as_ref().is_some_and(|key| key.start >= own.start) {
            return Some(self.quote(&scan, scan.token, "a value containing `: ` must be quoted"));
        }
        let above = above(self.0, at).next()?;
        let line_above = self.get(above.clone());
        let key = self.first_word(&own);
        let start = own.start + before.len() - before.trim_start().len();
        let start = start + (self.get(start..at).find(key).unwrap_or_default());
        if !line_above.contains(": ") && !line_above.trim_end().ends_with(':') {
            return self.colonless(above.start + indent(line_above));
        }
        let (deep, less) = (indent(before), indent(line_above));
        if deep <= less {
            return None;
        }
        if let Some(dedented) = self.dedented(&above, deep) {
            return Some(dedented);
        }
        let message = format!("`{key}` is indented more than `{}` above it", self.first_word(&above));
        let help = format!("indent both by {less} spaces, or quote the value if it spans several lines");
        Some(slip(start..start + key.len(), message, help))
    }

    fn colonless(self, at: usize) -> Option<Slip> {
        let own = line(self.0, at);
        let word = self.first_word(&own);
        let start = own.start + self.get(own.clone()).find(word)?;
        let range = start..start + word.len();
        let rest = self.get(range.end..own.end);
        let above = above(self.0, own.start).next().map_or("", |above| self.get(above).trim_end());
        // A value that is not indented, such as a secret in several lines.
        if above.ends_with([':', '|', '>', '-', '+']) {
            let message = "this line must be indented to be the value of the key above";
            return Some(slip(range, message, "indent it by two more spaces"));
        }
        if !is_name(word) {
            return None;
        }
        if rest.starts_with(':') && !rest.starts_with(": ") {
            let help = format!("write `{word}: …`");
            return Some(slip(range, format!("missing space after `{word}:`"), help));
        }
        if rest.trim().is_empty() && !OPEN_KEYS.contains(&word) {
            let help = "write `key: value`, or indent the line if it belongs to the value above";
            return Some(slip(range, "missing colon", help));
        }
        Some(slip(range, format!("missing colon after `{word}`"), format!("write `{word}:`")))
    }

    fn escape(self, at: usize) -> Option<Slip> {
        let start = at + self.get(at..self.0.len()).find('"')?;
        let end = quote_end(self.0.as_bytes(), start);
        let text = self.get(start + 1..end - 1);
        let mut rest = text.char_indices();
        while let Some((index, c)) = rest.next() {
            let escaped = if c == '\\' { rest.next() } else { None };
            let Some((_, escaped)) = escaped.filter(|(_, c)| !"0abtnvfre \"/\\N_LPxuU\t\n".contains(*c)) else {
                continue;
            };
            let range = start + 1 + index..start + 2 + index + escaped.len_utf8();
            let help = "write `\\\\` for a backslash, or use single quotes".to_owned();
            return Some(slip(range, format!("`\\{escaped}` is not a valid escape sequence"), help));
        }
        None
    }
}

fn shown(c: char) -> String {
    if c == '`' { "a backtick".to_owned() } else { format!("`{}`", c.escape_debug()) }
}

/// Whether it may be a key.
fn is_name(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
