//! Diagnostics for people: the message, the line with a caret, and the help.

use crate::config::diagnostic::{
    self, Diagnostic, Diagnostics, Location, Severity, credentials, printable, printable_lines, query_values,
};
use crate::config::sources::{SourceFile, SourceFiles};
use crate::config::words;
use crate::config::yaml::slip::{OPEN_KEYS, value_end};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// The maximum number of diagnostics. The rest is only counted.
const MOST: usize = 100;
/// Longer lines are not shown, because a JSON file may be a single line.
const LONGEST_LINE: usize = 2000;

/// Renders all of them, errors first.
pub fn render(sources: &SourceFiles, diagnostics: &Diagnostics, colour: bool) -> String {
    let lines = SourceLines::new(sources);
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|diagnostic| diagnostic.severity);
    let mut text = String::new();
    for diagnostic in ordered.iter().take(MOST) {
        text.push_str(&one(&renderer, &lines, diagnostic));
        text.push_str("\n\n");
    }
    let count = |severity| ordered.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let words = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    // Where the collection is full, there may have been more.
    let at_least = |count: usize| if count >= diagnostic::MOST { "at least " } else { "" };
    if ordered.len() > MOST {
        let full = words.iter().map(|(count, _)| *count).max().unwrap_or_default();
        text.push_str(&format!("… and {}{} more\n\n", at_least(full), ordered.len() - MOST));
    }
    let words: Vec<String> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{}{count} {word}{}", at_least(*count), if *count == 1 { "" } else { "s" }))
        .collect();
    if !words.is_empty() {
        text.push_str(&words.join(", "));
        text.push('\n');
    }
    text
}

fn one(renderer: &Renderer, lines: &SourceLines<'_>, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // The path is under the line, if there is a line.
    let path = printable(&diagnostic.path);
    let has_line = diagnostic.at.as_ref().is_some_and(|at| at.line == 0 || lines.masked(at).is_some());
    let title = match has_line || path.is_empty() {
        true => diagnostic.message.clone(),
        false => format!("{path}: {}", diagnostic.message),
    };
    let mut group = Group::with_title(level.primary_title(title).id(diagnostic.code.id()));
    if let Some(at) = &diagnostic.at {
        group = place(group, lines, at, Some(&*path).filter(|path| !path.is_empty()), true);
    }
    for (at, word) in &diagnostic.related {
        group = place(group, lines, at, Some(&printable(word)), false);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable_lines(help)));
    }
    renderer.render(&[group])
}

/// Adds a place with its line, or without it if the line cannot be shown.
fn place<'a>(
    group: Group<'a>,
    lines: &'a SourceLines<'_>,
    at: &'a Location,
    word: Option<&str>,
    primary: bool,
) -> Group<'a> {
    let file = at.file.display().to_string();
    if at.line == 0 {
        return group.element(Origin::path(file));
    }
    let line_number = usize::try_from(at.line).unwrap_or(1);
    let Some(line) = lines.masked(at) else {
        let column = usize::try_from(at.column).unwrap_or(1);
        return group.element(Origin::path(file).line(line_number).char_column(column));
    };
    let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
    let annotation = kind.span(marked(&line, at)).label(word.map(str::to_owned));
    group.element(Snippet::source(line).line_start(line_number).path(file).annotation(annotation))
}

/// The bytes of the line to mark: from the place to its end, or the word that begins there.
fn marked(line: &str, at: &Location) -> Range<usize> {
    let byte = |column: u32| {
        let skip = usize::try_from(column).unwrap_or(1).saturating_sub(1);
        line.char_indices().nth(skip).map_or(line.len(), |(at, _)| at)
    };
    let (start, end) = (byte(at.column), byte(at.end_column));
    if at.end_line == at.line && end > start && !line.get(start..).is_some_and(|rest| rest.starts_with(['[', '{'])) {
        return start..end;
    }
    let rest = line.get(start..).unwrap_or_default();
    let length = match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => rest.get(1..).and_then(|rest| rest.find(quote)).map_or(rest.len(), |end| end + 2),
        Some(open @ ('[' | '{')) => open.len_utf8(),
        Some(first) => rest.find([',', ' ', '}', ']', ':']).filter(|end| *end > 0).unwrap_or(if rest.len() > 80 {
            first.len_utf8()
        } else {
            rest.len()
        }),
    };
    start..start + length
}

/// The lines of the files, indexed.
struct SourceLines<'a> {
    sources: &'a SourceFiles,
    starts: HashMap<&'a Path, (&'a SourceFile, u32, Vec<usize>)>,
}

impl<'a> SourceLines<'a> {
    fn new(sources: &'a SourceFiles) -> Self {
        let starts = (0..).zip(sources.files()).map(|(id, file)| {
            let breaks = file.text.match_indices('\n').map(|(at, _)| at + 1);
            (&*file.path, (file, id, std::iter::once(0).chain(breaks).collect()))
        });
        Self { sources, starts: starts.collect() }
    }

    /// The line, with each character of a secret replaced by `*`.
    fn masked(&self, at: &Location) -> Option<Cow<'a, str>> {
        let (file, id, starts) = self.starts.get(&*at.file)?;
        let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let start = *starts.get(index)?;
        let end = starts.get(index + 1).map_or(file.text.len(), |next| next - 1);
        let line = file.text.get(start..end)?.trim_end_matches('\r');
        if line.len() > LONGEST_LINE {
            return None;
        }
        let mut hidden: Vec<Range<usize>> = Vec::new();
        for secret in self.sources.secrets().iter().filter(|secret| secret.file == *id) {
            let (from, to) = (usize::try_from(secret.start).ok()?, usize::try_from(secret.end).ok()?);
            let (from, to) = (from.saturating_sub(start), to.saturating_sub(start));
            hidden.push(anchor_before(line, from).unwrap_or(from)..to);
        }
        let mut unknown = Vec::new();
        if !file.parsed {
            unknown = values(line);
        }
        let mut hidden: Vec<_> = (hidden.into_iter().filter(|range| range.start < line.len()))
            .flat_map(|range| parts(line, range))
            .collect();
        hidden.extend(unknown);
        hidden.extend(credentials(line));
        hidden.extend(query_values(line));
        // An anchor on its own line belongs to the value below it.
        hidden.extend(line.trim().starts_with('&').then_some(0..line.len()));
        if hidden.is_empty() {
            return Some(Cow::Borrowed(line));
        }
        let indent = line.len() - line.trim_start().len();
        let secret = |at: usize| at >= indent && hidden.iter().any(|range| range.contains(&at));
        let mask = |(at, c): (usize, char)| if secret(at) { '*' } else { c };
        Some(Cow::Owned(line.char_indices().map(mask).collect()))
    }
}

/// Where the anchor before the value at `value` begins: a secret that begins with `&` looks like one.
fn anchor_before(line: &str, value: usize) -> Option<usize> {
    let before = line.get(..value)?.trim_end();
    let start = before.rfind([' ', '\t', '[', '{', ',']).map_or(0, |end| end + 1);
    before.get(start..)?.starts_with('&').then_some(start)
}

/// The parts of a secret to mask: everything except its quotes, and the name of the variable or file that it comes
/// from.
fn parts(line: &str, secret: Range<usize>) -> Vec<Range<usize>> {
    let end = secret.end.min(line.len());
    let written = line.get(secret.start..end).unwrap_or_default();
    let quoted =
        ['"', '\''].iter().any(|quote| written.len() > 1 && written.starts_with(*quote) && written.ends_with(*quote));
    let (mut from, end) = if quoted { (secret.start + 1, end - 1) } else { (secret.start, end) };
    let mut hidden = Vec::new();
    let find = |from: usize, what: &str| line.get(from..end)?.find(what).map(|at| from + at);
    while let Some(begin) = find(from, "${env.").into_iter().chain(find(from, "${file.")).min() {
        let close = find(begin, "}").unwrap_or(end);
        hidden.push(from..begin);
        let name = find(begin, ".").map_or(begin, |dot| dot + 1);
        let after = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let is_variable = line.get(begin..).is_some_and(|rest| rest.starts_with("${env."));
        let end_of_name = line.get(name..close).and_then(|rest| rest.find(after)).filter(|_| is_variable);
        hidden.extend(end_of_name.map(|length| {
            let rest = name + length;
            let default = line.get(rest..close).is_some_and(|rest| rest.starts_with(":-"));
            if default { rest + 2..close } else { rest..close }
        }));
        from = (close + 1).min(end);
    }
    hidden.push(from..end);
    hidden
}

/// All values in a line of a file that is not valid YAML, where secrets cannot be located: everything after the first
/// colon, or the whole line. Punctuation is kept, because that is usually what is wrong in such a file, and so are keys
/// that never have a secret.
fn values(line: &str) -> Vec<Range<usize>> {
    let start = line.find(':').map_or(0, |colon| colon + 1);
    let open = open_entries(line);
    let hidden = |at: usize, c: char| {
        at >= start && !PUNCTUATION.contains(&c) && !c.is_whitespace() && !open.iter().any(|range| range.contains(&at))
    };
    line.char_indices().filter(|(at, c)| hidden(*at, *c)).map(|(at, c)| at..at + c.len_utf8()).collect()
}

/// The keys in a line that never have a secret, with their values if they are scalars.
fn open_entries(line: &str) -> Vec<Range<usize>> {
    let ends = line.match_indices(": ").map(|(end, _)| end).chain(line.strip_suffix(':').map(str::len));
    let entry = |end: usize| {
        let before = line.get(..end)?;
        let at = before.rfind([' ', '{', ',']).map_or(0, |before| before + 1);
        let key = before.get(at..).filter(|key| !key.is_empty())?;
        if OPEN_KEYS.contains(&key) {
            let value = (end + 2).min(line.len());
            let in_brackets = before.contains('{');
            let own = line.get(value..value_end(line, value, in_brackets))?;
            return Some(at..value + harmless(own));
        }
        // As they are written, or with a typo, if this cannot be a part of a value.
        let is_key = before
            .get(..at)
            .is_some_and(|before| before.trim_end().is_empty() || before.trim_end().ends_with(['{', ',']));
        let is_word = is_key && !key.contains(|c: char| c.is_ascii_digit());
        let near = |known: &[&'static str]| is_word && words::nearest(key, known).is_some();
        let is_known = KEYS.contains(&key) || near(&KEYS) || near(&OPEN_KEYS);
        is_known.then_some(at..end)
    };
    ends.filter_map(entry).collect()
}

/// How much of the value of such a key is its own: where a comma is missing, another key may follow, with a secret.
fn harmless(value: &str) -> usize {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    if let Some(quote) = quote {
        return value.get(1..).and_then(|rest| rest.find(quote)).map_or(value.len(), |end| end + 2);
    }
    if value.starts_with('{') {
        return 0;
    }
    let Some(colon) = value.find(": ") else { return value.len() };
    let before = value.get(..colon).unwrap_or_default();
    before.rfind([' ', ',', '{', '[']).map_or(0, |end| end + 1)
}

/// Other frequent keys: they are shown, so that a mistake can be found, but not their values.
const KEYS: [&str; 44] = [
    "access",
    "active",
    "add",
    "admin",
    "algorithms",
    "api_key",
    "audiences",
    "basic",
    "cors",
    "endpoint",
    "environment",
    "fields",
    "file",
    "headers",
    "health_checks",
    "issuer",
    "json",
    "jwks",
    "jwt",
    "key",
    "limits",
    "listeners",
    "password",
    "quota",
    "rate_limit",
    "redirect",
    "request",
    "resources",
    "respond",
    "response",
    "routes",
    "secret",
    "set",
    "stores",
    "targets",
    "telemetry",
    "timeouts",
    "tls",
    "token",
    "type",
    "upstreams",
    "url",
    "version",
    "window",
];

const PUNCTUATION: [char; 9] = [':', ',', '[', ']', '{', '}', '"', '\'', '#'];
