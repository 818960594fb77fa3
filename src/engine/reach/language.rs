//! Sets of paths that regular expressions describe, and whether two of them overlap.

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;
use std::collections::{HashMap, VecDeque};

/// Any characters of one segment.
pub const SEGMENT: &str = "[!-.0-~]+";

/// Any segments that are not empty. The last one may end with a slash.
pub const SEGMENTS: &str = "[!-.0-~]+(?:/[!-.0-~]+)*/?";

/// The maximum size of an automaton, in bytes.
const SIZE: usize = 1 << 20;

/// The maximum number of pairs of states that are compared.
const PAIRS: usize = 1 << 15;

/// The characters of the paths that are found, the preferred ones first.
const CHARACTERS: &[u8] =
    b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_~./@:!$&'()*+,=%;\\{}[]^|`<>\"#?";

/// A set of paths.
#[derive(Clone)]
pub struct Language(NFA);

/// An expression is too large to compare.
#[derive(Debug)]
pub struct TooLarge;

type Pair = (StateID, StateID);

impl Language {
    /// The paths that `expression` matches as a whole.
    pub fn new(expression: &Hir) -> Result<Self, TooLarge> {
        let config = Config::new().nfa_size_limit(Some(SIZE)).which_captures(WhichCaptures::None);
        Compiler::new().configure(config).build_from_hir(expression).map(Self).map_err(|_| TooLarge)
    }

    /// The shortest path that is in both.
    pub fn common(&self, other: &Self) -> Result<Option<String>, TooLarge> {
        let start = (self.0.start_anchored(), other.0.start_anchored());
        let mut reached: HashMap<Pair, Option<(Pair, Option<u8>)>> = HashMap::from([(start, None)]);
        let mut open = VecDeque::from([start]);
        while let Some(here) = open.pop_front() {
            if reached.len() > PAIRS {
                return Err(TooLarge);
            }
            let (one, two) = (self.0.state(here.0), other.0.state(here.1));
            if matches!((one, two), (State::Match { .. }, State::Match { .. })) {
                return Ok(Some(text(&reached, here)));
            }
            let mut go = |next: Pair, by: Option<u8>| {
                reached.entry(next).or_insert_with(|| {
                    open.push_back(next);
                    Some((here, by))
                });
            };
            if let Some(next) = free(one) {
                next.into_iter().for_each(|next| go((next, here.1), None));
            } else if let Some(next) = free(two) {
                next.into_iter().for_each(|next| go((here.0, next), None));
            } else {
                for &byte in CHARACTERS {
                    if let (Some(one), Some(two)) = (after(one, byte), after(two, byte)) {
                        go((one, two), Some(byte));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The states that follow without a character. `None` if there is none to follow so. Assertions count as met: what is
/// found is checked afterwards.
fn free(state: &State) -> Option<Vec<StateID>> {
    match state {
        State::Look { next, .. } | State::Capture { next, .. } => Some(vec![*next]),
        State::Union { alternates } => Some(alternates.to_vec()),
        State::BinaryUnion { alt1, alt2 } => Some(vec![*alt1, *alt2]),
        _ => None,
    }
}

fn after(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches_byte(byte),
        State::Dense(transitions) => transitions.matches_byte(byte),
        _ => None,
    }
}

/// The characters on the way to `end`.
fn text(reached: &HashMap<Pair, Option<(Pair, Option<u8>)>>, end: Pair) -> String {
    let (mut text, mut here) = (String::new(), end);
    while let Some(Some((before, by))) = reached.get(&here) {
        text.extend(by.map(char::from));
        here = *before;
    }
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(one: &str, two: &str) -> Option<String> {
        let language = |text: &str| Language::new(&regex_syntax::parse(text).unwrap()).unwrap();
        language(one).common(&language(two)).unwrap()
    }

    #[test]
    fn a_path_in_both_is_found_if_there_is_one() {
        assert_eq!(common("/admin(?:/.*)?", "/.*").as_deref(), Some("/admin"));
        assert_eq!(common("/admin/[^/]+", "/(?:[a-z]+)/([0-9]{3})").as_deref(), Some("/admin/000"));
        assert_eq!(common("/admin(?:/.*)?", "/[0-9]+"), None);
        assert_eq!(common("/(?:a|b)/x", "/(?:b|c)/x?").as_deref(), Some("/b/x"));
        assert_eq!(common("(?i)/ADMIN", "/admin").as_deref(), Some("/admin"));
        assert_eq!(common(&format!("/a/{SEGMENTS}"), "/a/.*/b").as_deref(), Some("/a/a/b"));
    }

    #[test]
    fn large_expressions_are_given_up() {
        let language = |text: &str| Language::new(&regex_syntax::parse(text).unwrap());
        assert!(language("(?:[a-z]{1,100}){1,1000}").is_err());
        let (one, two) = (language("(?:a|b){300}c").unwrap(), language("(?:a|b|.){299}d").unwrap());
        assert!(matches!(one.common(&two), Ok(None) | Err(TooLarge)));
    }
}
