//! The paths of the routes of one host: a tree with a node for each segment.

use super::pattern::{Part, Pattern};
use crate::path::{name, split};
use std::borrow::Cow;
use std::ops::Range;

/// The positions of path parameters in a path, in template order. Most requests have none and need no allocation.
pub type Parameters = Vec<Range<usize>>;

#[derive(Default)]
pub(super) struct Node {
    /// Literal next segments, sorted.
    texts: Vec<(Box<[u8]>, Node)>,
    /// Below any next segment.
    parameter: Option<Box<Node>>,
    /// Routes whose path ends here, the best first, as in the other lists.
    ends: Vec<usize>,
    /// Routes that match everything from here to the end.
    rest: Vec<usize>,
    /// Routes whose prefix ends here.
    below: Vec<usize>,
}

/// A walk through the tree with one path.
pub(super) struct Walk<'a> {
    pub path: &'a str,
    /// Whether segments must be decoded before they are compared.
    pub escaped: bool,
    pub parameters: Parameters,
}

impl Node {
    /// The list of `pattern`, created if missing.
    pub fn list(&mut self, pattern: &Pattern) -> &mut Vec<usize> {
        let mut node = self;
        for part in &pattern.parts {
            node = match part {
                Part::Text(text) => node.child(text),
                Part::Parameter => node.parameter.get_or_insert_default(),
                Part::Rest => return &mut node.rest,
                Part::Below => return &mut node.below,
            };
        }
        &mut node.ends
    }

    fn child(&mut self, text: &[u8]) -> &mut Self {
        let position = self.texts.binary_search_by(|(known, _)| (**known).cmp(text)).unwrap_or_else(|position| {
            self.texts.insert(position, (text.into(), Self::default()));
            position
        });
        &mut self.texts[..].get_mut(position).expect("it was just found or made").1
    }

    fn text(&self, segment: &str, escaped: bool) -> Option<&Self> {
        let text = if escaped { name(segment) } else { Cow::Borrowed(segment.as_bytes()) };
        let position = self.texts.binary_search_by(|(known, _)| (**known).cmp(&text)).ok()?;
        self.texts.get(position).map(|(_, node)| node)
    }

    /// Calls `choose` with the routes of each matching whole path, the most specific first: from the left, a literal
    /// segment beats a parameter, which beats the rest.
    pub fn whole<T>(
        &self,
        walk: &mut Walk<'_>,
        remaining: Option<&str>,
        choose: &mut impl FnMut(&[usize]) -> Option<T>,
    ) -> Option<T> {
        let Some(remaining) = remaining else { return choose(&self.ends) };
        let (segment, after) = split(remaining);
        if let Some(node) = self.text(segment, walk.escaped)
            && let Some(found) = node.whole(walk, after, choose)
        {
            return Some(found);
        }
        let start = walk.path.len() - remaining.len();
        if let Some(node) = self.parameter.as_ref().filter(|_| !segment.is_empty()) {
            walk.parameters.push(start..start + segment.len());
            if let Some(found) = node.whole(walk, after, choose) {
                return Some(found);
            }
            walk.parameters.pop();
        }
        if self.rest.is_empty() || remaining.is_empty() {
            return None;
        }
        let found = choose(&self.rest)?;
        walk.parameters.push(start..walk.path.len());
        Some(found)
    }

    /// Calls `choose` with the routes of each prefix of the path, the longest first.
    pub fn prefixes<T>(
        &self,
        walk: &mut Walk<'_>,
        remaining: Option<&str>,
        choose: &mut impl FnMut(&[usize]) -> Option<T>,
    ) -> Option<T> {
        if let Some((segment, after)) = remaining.map(split)
            && let Some(node) = self.text(segment, walk.escaped)
            && let Some(found) = node.prefixes(walk, after, choose)
        {
            return Some(found);
        }
        let found = choose(&self.below)?;
        if let Some(remaining) = remaining.filter(|remaining| !remaining.is_empty()) {
            walk.parameters.push(walk.path.len() - remaining.len()..walk.path.len());
        }
        Some(found)
    }
}
