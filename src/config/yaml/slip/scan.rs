//! Scans invalid YAML up to a place: which brackets are open there, and which value it is in.

use std::ops::Range;

/// How many lines above a place are searched for an open bracket.
const MOST_LINES: usize = 200;

/// What is known about a place in the text.
#[derive(Debug, Default)]
pub struct Scan {
    /// The brackets that are open there, outermost first.
    pub open: Vec<usize>,
    /// Where the value or key at the place begins.
    pub token: usize,
    /// The last key before it.
    pub key: Option<Range<usize>>,
}

/// The line of the text that `at` is in, without its end.
pub fn line(text: &str, at: usize) -> Range<usize> {
    let at = at.min(text.len());
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let end = text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |end| at + end);
    let whole = text.get(start..end).unwrap_or_default();
    start..start + whole.trim_end_matches('\r').len()
}

/// The lines above `at`, bottom up, without blank lines and comments.
pub fn above(text: &str, at: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut next = line(text, at).start;
    std::iter::from_fn(move || {
        let range = line(text, next.checked_sub(1)?);
        next = range.start;
        Some(range)
    })
    .filter(|range| text.get(range.clone()).is_some_and(says_something))
}

fn says_something(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

/// The indentation of a line, in spaces.
pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Scans up to `at`. A bracket may have been opened on a line above.
pub fn scan(text: &str, at: usize) -> Scan {
    let own = line(text, at);
    let here = scan_from(text, own.start, at);
    if !here.open.is_empty() {
        return here;
    }
    let depth = indent(text.get(own.clone()).unwrap_or_default());
    for above in above(text, at).take(MOST_LINES) {
        let found = scan_from(text, above.start, at);
        if !found.open.is_empty() {
            return found;
        }
        if indent(text.get(above).unwrap_or_default()) < depth {
            break;
        }
    }
    here
}

/// Scans from the start of a line outside brackets up to `at`.
fn scan_from(text: &str, start: usize, at: usize) -> Scan {
    let bytes = text.as_bytes();
    let mut scan = Scan { token: start, ..Scan::default() };
    // Whether the next character begins a key or value.
    let mut fresh = true;
    let mut index = start;
    let blank = |index: usize| bytes.get(index).is_none_or(u8::is_ascii_whitespace);
    while let Some(byte) = bytes.get(index).filter(|_| index < at) {
        let begins = fresh && !byte.is_ascii_whitespace();
        if begins {
            scan.token = index;
            fresh = false;
        }
        match byte {
            b'\n' if scan.open.is_empty() => fresh = true,
            b'"' | b'\'' if begins => index = quote_end(bytes, index).min(at) - 1,
            b'#' if index == start || blank(index - 1) => {
                index = line(text, index).end;
                continue;
            }
            b'{' | b'[' if begins || !scan.open.is_empty() => {
                scan.open.push(index);
                fresh = true;
            }
            b'}' | b']' => drop(scan.open.pop()),
            b',' if !scan.open.is_empty() => fresh = true,
            b':' if blank(index + 1) => {
                scan.key = Some(scan.token..index);
                fresh = true;
            }
            b'-' if begins && blank(index + 1) => fresh = true,
            _ => {}
        }
        index += 1;
    }
    scan
}

/// The end of the quoted text that begins at `start`, or of the whole text.
pub fn quote_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied().unwrap_or_default();
    let mut index = start + 1;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'\\' if quote == b'"' => index += 1,
            byte if *byte == quote && quote == b'\'' && bytes.get(index + 1) == Some(&quote) => index += 1,
            byte if *byte == quote => return index + 1,
            _ => {}
        }
        index += 1;
    }
    bytes.len().max(start + 1)
}

/// The end of the value that begins at `start`, on its line: before a comment, and in brackets before the next comma or closing
/// bracket.
pub fn value_end(text: &str, start: usize, in_brackets: bool) -> usize {
    let bytes = text.as_bytes();
    let end = line(text, start).end;
    let mut depth = 0_usize;
    let mut index = start;
    while let Some(byte) = bytes.get(index).filter(|_| index < end) {
        match byte {
            b'#' if index > start && bytes.get(index - 1) == Some(&b' ') => break,
            b'{' | b'[' => depth += 1,
            b',' if in_brackets && depth == 0 => break,
            b'}' | b']' if in_brackets && depth == 0 => break,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        index += 1;
    }
    start + text.get(start..index).unwrap_or_default().trim_end().len()
}
