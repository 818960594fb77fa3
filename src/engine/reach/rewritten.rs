//! The paths that a target sees behind `replace` and `regex` of `rewrite`, and the paths of requests that lead to them.

use super::SAMPLE;
use super::language::{Language, SEGMENT, SEGMENTS, TooLarge};
use crate::config::rewriting::Rewriting;
use crate::engine::router::Pattern;
use crate::path;
use regex::Regex;
use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

/// How [`SAMPLE`] is written in a rewritten path.
const ENCODED: &str = "%5C";

/// A rewrite by `replace` or `regex`, for the paths of one route.
pub(super) struct Rewritten {
    rewriting: Rewriting,
    pattern: Pattern,
    image: OnceLock<Result<Image, TooLarge>>,
}

/// The paths that a rewrite makes, or more: values are treated as if they did not depend on each other.
pub(super) struct Image {
    pub language: Language,
    /// Has a group for each value.
    values: Regex,
    /// The parameter, or the group of the pattern, that each of these groups stands for.
    sources: Vec<usize>,
    /// A path with [`SAMPLE`] for each value.
    pub shape: String,
}

impl Rewritten {
    pub fn new(rewriting: Rewriting, pattern: Pattern) -> Self {
        Self { rewriting, pattern, image: OnceLock::new() }
    }

    /// The paths that the rewrite makes.
    pub fn image(&self) -> Result<&Image, &TooLarge> {
        self.image.get_or_init(|| self.make_image().ok_or(TooLarge)).as_ref()
    }

    /// Whether paths that it does not match are forwarded unchanged.
    pub const fn leaves_some(&self) -> bool {
        matches!(self.rewriting, Rewriting::Regex { .. })
    }

    pub fn seen<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let Some(values) = self.pattern.values(path) else { return path.into() };
        let made = self.rewriting.made(path, |index| values.get(index).copied().unwrap_or_default());
        made.map_or(Cow::Borrowed(path), |made| Cow::Owned(made.replace(ENCODED, SAMPLE)))
    }

    pub fn may_see(&self, seen: &str) -> bool {
        self.image().map_or(true, |image| image.values.is_match(seen))
            || (self.leaves_some() && self.pattern.takes(seen))
    }

    pub fn below(&self, seen: &str) -> Option<String> {
        self.rewritten_to(seen).or_else(|| self.left(seen))
    }

    /// A path that is rewritten to `seen`.
    pub fn rewritten_to(&self, seen: &str) -> Option<String> {
        self.source(seen).filter(|path| self.leads(path, seen))
    }

    /// `path`, if it is forwarded unchanged.
    pub fn left(&self, path: &str) -> Option<String> {
        (self.leaves_some() && self.leads(path, path)).then(|| path.to_owned())
    }

    fn leads(&self, path: &str, seen: &str) -> bool {
        self.pattern.takes(path)
            && decoded(&self.seen(path)) == decoded(seen)
            && path::read(&path.replace(SAMPLE, "x")).is_ok_and(|read| read.normal.is_none())
    }

    /// A path that may be rewritten to `seen`.
    fn source(&self, seen: &str) -> Option<String> {
        let image = self.image().ok()?;
        let found = image.values.captures(seen)?;
        let mut values: HashMap<usize, &str> = HashMap::new();
        for (group, source) in image.sources.iter().enumerate() {
            let value = found.get(group + 1).map_or("", |value| value.as_str());
            if values.insert(*source, value).is_some_and(|before| before != value) {
                return None;
            }
        }
        match &self.rewriting {
            Rewriting::Regex { pattern, .. } => {
                let pattern = regex_syntax::parse(pattern.as_str()).ok()?;
                let group = |index: usize| values.get(&index).map(|value| Hir::literal(value.as_bytes()));
                let paths = Language::new(&without_groups(&pattern, &group)).ok()?;
                paths.common(&Language::new(&expression(&self.pattern)).ok()?).ok()?
            }
            _ => {
                let names = self.pattern.parameters().iter().enumerate();
                let value = |(index, _)| values.get(&index).copied().unwrap_or(SAMPLE).to_owned();
                Some(self.pattern.with(&names.map(value).collect::<Vec<_>>()))
            }
        }
    }

    fn make_image(&self) -> Option<Image> {
        let (template, groups) = match &self.rewriting {
            Rewriting::Replace(template) => (template, None),
            Rewriting::Regex { pattern, to, groups } => {
                (to, Some((regex_syntax::parse(pattern.as_str()).ok()?, groups)))
            }
            Rewriting::Nothing | Rewriting::Prefix { .. } => return None,
        };
        let source = |index: usize| groups.as_ref().map_or(Some(index), |(_, groups)| groups.get(index).copied());
        let value = |index: usize, is_rest: bool| -> Option<Hir> {
            match &groups {
                Some((pattern, groups)) => {
                    let (group, is_optional) = group_of(pattern, *groups.get(index)?, false)?;
                    Some(if is_optional { optional(group) } else { group })
                }
                None if is_rest => regex_syntax::parse(SEGMENTS).ok().map(optional),
                None => regex_syntax::parse(SEGMENT).ok(),
            }
        };
        let pieces = template.pieces(|text| Err(text.to_owned()), |index, is_rest| Ok((index, is_rest)));
        let slash = || Hir::literal(*b"/");
        let (mut parts, mut sources) = (Vec::new(), Vec::new());
        // What is before the piece: whether text ends with a slash, and whether a value may.
        let (mut after_slash, mut after_value) = (false, false);
        for (position, piece) in pieces.iter().enumerate() {
            match piece {
                Err(text) => {
                    let text = text.as_str();
                    let literal = Hir::literal(text.as_bytes());
                    let is_alone = position == 0 && text == "/" && pieces.len() > 1;
                    parts.push(match text.trim_start_matches('/') {
                        // Slashes at the boundary between text and values are merged.
                        trimmed if after_value => Hir::alternation(vec![literal, Hir::literal(trimmed.as_bytes())]),
                        _ if is_alone => optional(literal),
                        _ => literal,
                    });
                    (after_slash, after_value) = (text.ends_with('/'), false);
                }
                Ok((index, is_rest)) => {
                    let value = value(*index, *is_rest)?;
                    after_value = may_end_with_slash(&value)?;
                    if *is_rest && !after_slash {
                        parts.push(optional(slash()));
                    }
                    sources.push(source(*index)?);
                    let index = u32::try_from(sources.len()).ok()?;
                    parts.push(Hir::capture(Capture { index, name: None, sub: Box::new(value) }));
                    after_slash = false;
                }
            }
        }
        let whole = Hir::concat(parts);
        Some(Image {
            language: Language::new(&whole).ok()?,
            values: Regex::new(&format!("^(?:{whole})$")).ok()?,
            sources,
            shape: template.render("", |_| SAMPLE).replace(ENCODED, SAMPLE),
        })
    }
}

/// `path` with literal braces, as templates have them.
pub(super) fn decoded(path: &str) -> String {
    path.replace("%7B", "{").replace("%7D", "}")
}

/// The paths that `pattern` matches.
pub(super) fn expression(pattern: &Pattern) -> Hir {
    let mut text = String::new();
    for segment in pattern.template().split('/').skip(1) {
        match segment {
            rest if rest.starts_with("{*") && pattern.is_prefix() => text.push_str(&format!("(?:/(?:{SEGMENTS})?)?")),
            rest if rest.starts_with("{*") => text.push_str(&format!("/{SEGMENTS}")),
            parameter if parameter.starts_with('{') => text.push_str(&format!("/{SEGMENT}")),
            segment => text.push_str(&format!("/{}", regex::escape(segment))),
        }
    }
    regex_syntax::parse(&text).unwrap_or_else(|_| Hir::fail())
}

fn optional(expression: Hir) -> Hir {
    Hir::repetition(Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(expression) })
}

fn may_end_with_slash(value: &Hir) -> Option<bool> {
    let slash = Language::new(&regex_syntax::parse("[!-~]*/").ok()?).ok()?;
    Some(Language::new(value).ok()?.common(&slash).ok()?.is_some())
}

/// The expression of the group `index`, and whether it need not take part in a match.
fn group_of(expression: &Hir, index: usize, is_optional: bool) -> Option<(Hir, bool)> {
    match expression.kind() {
        HirKind::Capture(capture) if usize::try_from(capture.index) == Ok(index) => {
            Some((without_groups(&capture.sub, &|_| None), is_optional))
        }
        HirKind::Capture(capture) => group_of(&capture.sub, index, is_optional),
        HirKind::Repetition(repetition) => group_of(&repetition.sub, index, is_optional || repetition.min == 0),
        HirKind::Concat(parts) => parts.iter().find_map(|part| group_of(part, index, is_optional)),
        HirKind::Alternation(parts) => parts.iter().find_map(|part| group_of(part, index, true)),
        _ => None,
    }
}

/// `expression` with `given` in place of its groups, or with what is in them.
fn without_groups(expression: &Hir, given: &dyn Fn(usize) -> Option<Hir>) -> Hir {
    let all = |parts: &[Hir]| parts.iter().map(|part| without_groups(part, given)).collect();
    match expression.kind() {
        HirKind::Capture(capture) => {
            let given_here = usize::try_from(capture.index).ok().and_then(given);
            given_here.unwrap_or_else(|| without_groups(&capture.sub, given))
        }
        HirKind::Repetition(repetition) => {
            let sub = Box::new(without_groups(&repetition.sub, given));
            Hir::repetition(Repetition { sub, ..repetition.clone() })
        }
        HirKind::Concat(parts) => Hir::concat(all(parts)),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)),
        _ => expression.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::route::Route;
    use serde_json::json;

    fn rewritten(key: &str, path: &str, rewrite: serde_json::Value) -> Rewritten {
        let route: Route = serde_json::from_value(json!({ key: path, "rewrite": rewrite })).unwrap();
        let pattern = if key == "path" { Pattern::whole(path) } else { Pattern::prefix(path) };
        Rewritten::new(Rewriting::new(route.rewrite.as_ref().unwrap(), &route).unwrap(), pattern)
    }

    #[test]
    fn a_path_is_found_for_what_the_target_sees() {
        for (key, path, rewrite, seen, expected) in [
            ("path", "/i/{id}", json!({ "replace": "/items/{id}/view" }), "/items/7/view", Some("/i/7")),
            ("path", "/i/{id}", json!({ "replace": "/items/{id}/view" }), "/items/7", None),
            ("path_prefix", "/open", json!({ "replace": "/{rest}" }), "/admin/users", Some("/open/admin/users")),
            ("path_prefix", "/open", json!({ "replace": "/v1{rest}" }), "/v1/a", Some("/open/a")),
            (
                "path_prefix",
                "/",
                json!({ "regex": { "pattern": "/u([0-9]+)", "to": "/users/{1}" } }),
                "/users/7",
                Some("/u7"),
            ),
            (
                "path_prefix",
                "/",
                json!({ "regex": { "pattern": "/u([0-9]+)", "to": "/users/{1}" } }),
                "/users/x",
                Some("/users/x"),
            ),
            (
                "path_prefix",
                "/old",
                json!({ "regex": { "pattern": "/old(/.*)", "to": "/{1}" } }),
                "/admin",
                Some("/old/admin"),
            ),
            (
                "path_prefix",
                "/",
                json!({ "regex": { "pattern": "/([a-z]{2})/(.*)", "to": "/{2}" } }),
                "/admin",
                Some("/aa/admin"),
            ),
            (
                "path_prefix",
                "/x",
                json!({ "regex": { "pattern": "/[a-z]/(.*)", "to": "/{1}" } }),
                "/a/b",
                Some("/x/a/b"),
            ),
            ("path_prefix", "/", json!({ "regex": { "pattern": "/(.*)", "to": "/v2/{1}" } }), "/admin", None),
        ] {
            let rewritten = rewritten(key, path, rewrite.clone());
            assert_eq!(rewritten.below(seen).as_deref(), expected, "{path} {rewrite} {seen}");
        }
    }
}
