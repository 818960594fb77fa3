//! Typical mistakes in `config/gateway.yaml`: a lost line, a misspelled key, a different value.

use super::{compare, diagnostics, each, program, root};
use regex::Regex;

/// The values that replace others, in turn.
const VALUES: [&str; 6] = ["-1", "nothing", "[]", "yes", "\"\"", "{ a: 1 }"];

/// A document with one mistake.
struct Edit {
    line: usize,
    was: String,
    is: Option<String>,
    text: String,
}

/// One mistake for each significant line, of each kind in turn. Lines deep in a resource are skipped, because there are
/// many of them and they are all treated alike.
fn edits() -> Vec<Edit> {
    const DEEP: &str = "        ";
    let text = std::fs::read_to_string(root().join("config/gateway.yaml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let telling = |line: &str| !line.is_empty() && !line.starts_with('#') && !line.starts_with(DEEP);
    let telling = lines.iter().enumerate().filter(|(_, line)| telling(line));
    let edit = |(turn, (index, was)): (usize, (usize, &&str))| {
        let is = match turn % 3 {
            0 => misspelled(was),
            1 => revalued(was, VALUES[turn / 3 % VALUES.len()]),
            _ => None,
        };
        let mut edited: Vec<&str> = lines.clone();
        match &is {
            Some(is) => edited[index] = is,
            None => drop(edited.remove(index)),
        }
        Edit { line: index + 1, was: (*was).to_owned(), text: edited.join("\n") + "\n", is }
    };
    telling.enumerate().map(edit).collect()
}

/// The line without the second letter of its last key.
fn misspelled(line: &str) -> Option<String> {
    let keys = Regex::new(r"[\w-]{3,}:").unwrap();
    let second = keys.find_iter(line.split(" #").next()?).last()?.start() + 1;
    Some([&line[..second], &line[second + 1..]].concat())
}

/// The line with `value` as its last value.
fn revalued(line: &str, value: &str) -> Option<String> {
    let values = Regex::new(r#"([:,\[] +|\[)("[^"]*"|[\w./$-]+)(?:[\],} ]|$)"#).unwrap();
    let last = values.captures_iter(line.split(" #").next()?).last()?.get(2)?;
    Some([&line[..last.start()], value, &line[last.end()..]].concat())
}

#[test]
fn the_diagnostics_of_typical_mistakes_are_unchanged() {
    let check = |Edit { line, was, is, text }: &Edit| {
        let folder = tempfile::tempdir().unwrap();
        // Its database is next to the folder of the file.
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("gateway.yaml"), text).unwrap();
        let output = program(&config).args(["check", "--format", "json", "gateway.yaml"]).output().unwrap();
        let is = is.iter().fold(String::new(), |text, is| text + "+" + is + "\n");
        format!("# line {line}\n-{was}\n{is}{}\n", diagnostics(&output))
    };
    compare("edits.txt", &each(&edits(), check));
}
