//! `gatewright check --explain CODE`: the page of a diagnostic.

use crate::cli::output::{usage, write};
use crate::config::pages::{Page, page};
use gatewright_sdk::Code;
use std::process::ExitCode;

/// How many similar codes are suggested.
const NEAR: usize = 3;

/// Prints the page of a code: `GW0201`, `gw0201` or `0201`.
pub fn explain(written: &str) -> ExitCode {
    let number = written.trim().to_ascii_uppercase();
    let number = number.trim_start_matches("GW");
    match page(&format!("GW{number:0>4}")) {
        Some(page) => write(&readable(page)),
        None => usage(&unknown(written, number)),
    }
}

/// The page for a terminal: without the marks of Markdown, examples indented.
fn readable(page: &Page) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for line in page.text.lines() {
        match line.strip_prefix("```") {
            Some("yaml wrong") => text.push_str("Wrong:\n"),
            Some("yaml right") => text.push_str("Right:\n"),
            Some(_) => {}
            // For the test of the documentation.
            None if !inside && line.starts_with("<!--") => {}
            None if inside => text.push_str(&format!("    {line}\n")),
            None => text.push_str(&format!("{}\n", line.strip_prefix("# ").unwrap_or(line))),
        }
        inside ^= line.starts_with("```");
    }
    text
}

fn unknown(written: &str, number: &str) -> String {
    let distance = |code: &Code| {
        let known = code.id().trim_start_matches("GW");
        (strsim::damerau_levenshtein(known, number), code.id())
    };
    let mut near: Vec<&Code> = Code::ALL.iter().collect();
    near.sort_by_key(|code| distance(code));
    let near: Vec<_> = near.iter().take(NEAR).map(|code| format!("  {code}  {}\n", code.title())).collect();
    let shown = gatewright_sdk::written::shown(written);
    format!("there is no code `{shown}`; similar codes:\n{}", near.concat().trim_end_matches('\n'))
}
