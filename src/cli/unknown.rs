//! A word that is neither a command nor a file: suggests a command.

use crate::config::words::nearest;
use clap::Command;
use std::ffi::OsStr;
use std::path::Path;

/// What other programs call a command of this one.
const OTHER_WORDS: [(&str, &str); 14] = [
    ("validate", "check"),
    ("lint", "check"),
    ("verify", "check"),
    ("test", "check"),
    ("serve", "run"),
    ("start", "run"),
    ("up", "run"),
    ("new", "init"),
    ("create", "init"),
    ("list", "routes"),
    ("ls", "routes"),
    ("health", "healthcheck"),
    ("completion", "completions"),
    ("version", "--version"),
];

/// The message about `word`, the first argument, if it looks like a command and there is neither a command nor a file
/// of this name.
pub fn message(word: &OsStr, program: &Command) -> Option<String> {
    let word = word.to_str()?;
    let looks_like_one = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let commands: Vec<&str> =
        program.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name).collect();
    let known = word == "help" || program.find_subcommand(word).is_some();
    if !looks_like_one || known || Path::new(word).exists() {
        return None;
    }
    let other = OTHER_WORDS.iter().find(|(other, _)| word.eq_ignore_ascii_case(other));
    let meant = other.map(|(_, meant)| *meant).filter(|meant| meant.starts_with('-') || commands.contains(meant));
    Some(match meant.or_else(|| nearest(word, &commands)) {
        Some(meant) => format!("no command or file `{word}`; did you mean `{meant}`?"),
        None => format!("no command or file `{word}`; `gatewright --help` lists the commands"),
    })
}
