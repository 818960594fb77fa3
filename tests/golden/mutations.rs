//! Where the first diagnostic points when one key or value of a good document is wrong: at the line that is broken.

use super::{Diagnostic, each, program, root};
use granit_parser::{Event, Parser, ScalarStyle};
use std::ops::Range;
use std::path::Path;

/// What replaces each value, in turn.
const VALUES: [&str; 3] = ["{ a: 1 }", "-1", "nothing"];

/// The share of the refused mutants whose first diagnostic is on the broken line.
const SHARE: f64 = 0.99;

/// A document with one key or value changed.
struct Mutant {
    line: usize,
    was: String,
    is: String,
    text: String,
}

/// A key or value in the text.
struct Word {
    is_key: bool,
    line: usize,
    range: Range<usize>,
}

/// The keys and values of a document. Block scalars are left out.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    // The open maps and lists: whether it is a map, and whether a key comes next.
    let mut open: Vec<(bool, bool)> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.unwrap();
        let ends = matches!(event, Event::SequenceEnd | Event::MappingEnd);
        if ends {
            open.pop();
        }
        let is_key = open.last().is_some_and(|(map, key)| *map && *key);
        if let Event::Scalar(_, style, ..) = &event
            && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
        {
            words.push(Word { is_key, line: span.start.line(), range: span.byte_range().unwrap() });
        }
        if let (true, Some((true, key))) =
            (ends || matches!(event, Event::Scalar(..) | Event::Alias(..)), open.last_mut())
        {
            *key = !*key;
        }
        match event {
            Event::SequenceStart(..) => open.push((false, false)),
            Event::MappingStart(..) => open.push((true, true)),
            _ => {}
        }
    }
    words
}

fn mutants(text: &str) -> Vec<Mutant> {
    let mutant = |word: &Word, is: String| {
        let Range { start, end } = word.range;
        let was = text[start..end].to_owned();
        Mutant { line: word.line, text: [&text[..start], &is, &text[end..]].concat(), was, is }
    };
    let misspelled = |word: &str| match word.strip_suffix('"') {
        Some(quoted) => format!("{quoted}q\""),
        None => format!("{word}q"),
    };
    let words = words(text);
    let of_word = |word: &Word| match word.is_key {
        true => vec![mutant(word, misspelled(&text[word.range.clone()]))],
        false => VALUES.iter().map(|value| mutant(word, (*value).to_owned())).collect(),
    };
    words.iter().flat_map(of_word).collect()
}

/// How many mutants of a document are refused, and those whose first error is elsewhere.
fn misses(document: &Path) -> (usize, Vec<String>) {
    let path = root().join(document);
    let check = |Mutant { line, was, is, text }: &Mutant| {
        let folder = tempfile::tempdir().unwrap();
        // Its database is next to the folder of the file.
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), config.join(entry.file_name())).unwrap();
            }
        }
        std::fs::write(config.join("mutant.yaml"), text).unwrap();
        let output = program(&config).args(["check", "--format", "json", "mutant.yaml"]).output().unwrap();
        let found: Vec<Diagnostic> = serde_json::from_slice(&output.stdout).unwrap();
        let Some(first) = found.iter().find(|found| found.severity == "error") else { return String::new() };
        let related = first.related.iter().map(|related| related.line);
        let lines: Vec<_> =
            first.line.into_iter().chain(related).filter_map(|line| usize::try_from(line).ok()).collect();
        if lines.contains(line) {
            return "hit\n".to_owned();
        }
        format!("{}:{line}: `{was}` -> `{is}`: {lines:?}: {}\n", document.display(), first.message)
    };
    let said = each(&mutants(&std::fs::read_to_string(&path).unwrap()), check);
    let (hits, misses): (Vec<_>, Vec<_>) = said.lines().partition(|line| *line == "hit");
    (hits.len() + misses.len(), misses.into_iter().map(str::to_owned).collect())
}

/// Prints the misses; fails where they are too many.
fn measure(documents: &[std::path::PathBuf]) {
    let (mut refused, mut missed) = (0, Vec::new());
    for document in documents {
        let (count, misses) = misses(document);
        refused += count;
        missed.extend(misses);
    }
    assert!(refused > 100, "{refused} mutants are refused");
    #[expect(clippy::cast_precision_loss, reason = "a share of a few thousand")]
    let share = 1.0 - missed.len() as f64 / refused as f64;
    println!("{refused} refused, {:.1} % at their line; the others:\n{}", share * 100.0, missed.join("\n"));
    assert!(share >= SHARE, "{} of {refused} elsewhere:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn a_mutation_of_the_default_file_is_reported_at_its_line() {
    measure(&["config/gateway.yaml".into()]);
}

#[test]
fn a_mutation_of_an_example_is_reported_at_its_line() {
    measure(&super::good().into_iter().filter(|document| document.starts_with("config/examples")).collect::<Vec<_>>());
}
