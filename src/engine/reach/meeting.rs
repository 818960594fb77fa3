//! Whether the target may see the same path through two routes, if one of them has a `replace` or `regex` rewrite.

use super::language::{Language, TooLarge};
use super::rewritten::expression;
use super::{Change, Reach, SAMPLE};
use crate::engine::router::Pattern;
use crate::path;
use std::borrow::Cow;

/// Whether the target may see the same path through two routes.
#[derive(Debug, PartialEq, Eq)]
pub enum Meeting {
    Never,
    /// For example, it sees one path through these of the two routes.
    At {
        seen: String,
        paths: (String, String),
    },
    /// That cannot be decided.
    Unknown,
}

/// Some of the paths that a target sees through a route.
struct View<'a> {
    language: Cow<'a, Language>,
    /// A path with [`SAMPLE`] for each value.
    shape: Cow<'a, str>,
    /// Whether the route forwards them unchanged, unless its rewrite matches.
    is_unchanged: bool,
}

impl Reach {
    /// Whether the target may see the same path through this route, which has a guard and the pattern `own`, and
    /// through `other` with the pattern `its`. If the rewrite of the other route spells out a deeper path than this
    /// one, the file states an exception.
    pub fn meeting(&self, own: &Pattern, other: &Self, its: &Pattern) -> Meeting {
        let (Ok(ours), Ok(theirs)) = (self.views(own), other.views(its)) else { return Meeting::Unknown };
        let mut meeting = Meeting::Never;
        for our in &ours {
            for their in &theirs {
                if differ(&our.shape, &their.shape) || is_exception(&our.shape, &their.shape) {
                    continue;
                }
                match our.language.common(&their.language) {
                    Ok(None) => {}
                    Ok(Some(seen)) => match (self.path(our, &seen), other.path(their, &seen)) {
                        // One request cannot take both routes.
                        (Some(own), Some(path)) if own == path => {}
                        (Some(own), Some(path)) => return Meeting::At { seen, paths: (own, path) },
                        // Whether a path is left unchanged is decided by the searches that try paths.
                        _ if our.is_unchanged || their.is_unchanged => {}
                        _ => meeting = Meeting::Unknown,
                    },
                    Err(TooLarge) => meeting = Meeting::Unknown,
                }
            }
        }
        meeting
    }

    /// The path for which the target sees `seen` in this view.
    fn path(&self, view: &View<'_>, seen: &str) -> Option<String> {
        match &self.change {
            Change::Prefix { .. } => self.below(seen),
            Change::Rewritten(rewritten) if view.is_unchanged => rewritten.left(seen),
            Change::Rewritten(rewritten) => rewritten.rewritten_to(seen),
        }
    }

    fn views<'a>(&'a self, pattern: &'a Pattern) -> Result<Vec<View<'a>>, TooLarge> {
        let unchanged = || {
            let (language, shape) = (Language::new(&expression(pattern))?, pattern.sample(SAMPLE));
            Ok(View { language: Cow::Owned(language), shape: shape.into(), is_unchanged: true })
        };
        match &self.change {
            Change::Prefix { strip, add } => {
                let seen = self.seen(pattern.template());
                let prefix = |template: &str| Pattern::prefix(template.strip_suffix("/{*rest}").unwrap_or(template));
                let mut seen = vec![if pattern.is_prefix() { prefix(&seen) } else { Pattern::whole(&seen) }];
                // A prefix that is longer than that of the route is removed from some of its paths.
                if pattern.is_prefix() && pattern.takes(strip) && path::strip(pattern.template(), strip).is_none() {
                    seen.push(Pattern::prefix(add));
                }
                let view = |seen: Pattern| {
                    let (language, shape) = (Language::new(&expression(&seen))?, seen.sample(SAMPLE));
                    Ok(View { language: Cow::Owned(language), shape: shape.into(), is_unchanged: false })
                };
                seen.into_iter().map(view).collect()
            }
            Change::Rewritten(rewritten) => {
                let image = rewritten.image().map_err(|_| TooLarge)?;
                let (language, shape) = (Cow::Borrowed(&image.language), Cow::Borrowed(&*image.shape));
                let mut views = vec![View { language, shape, is_unchanged: false }];
                if rewritten.leaves_some() {
                    views.push(unchanged()?);
                }
                Ok(views)
            }
        }
    }
}

fn is_literal(segment: Option<&str>) -> bool {
    segment.is_some_and(|segment| !segment.contains(SAMPLE))
}

/// Whether the first segments of two shapes are literal and differ, so that no path has both.
fn differ(one: &str, other: &str) -> bool {
    let (one, other) = (one.split('/').nth(1), other.split('/').nth(1));
    is_literal(one) && is_literal(other) && one != other
}

/// Whether the shape `other` repeats the literal segments of `guarded` and names more.
fn is_exception(guarded: &str, other: &str) -> bool {
    let (guarded, other): (Vec<_>, Vec<_>) = (guarded.split('/').collect(), other.split('/').collect());
    let literal = |list: &[&str], at: usize| is_literal(list.get(at).copied());
    let names_all = (0..guarded.len()).all(|at| !literal(&guarded, at) || literal(&other, at));
    let names_more = (0..other.len()).any(|at| literal(&other, at) && !literal(&guarded, at));
    let is_whole = |list: &[&str]| (0..list.len()).all(|at| literal(list, at));
    names_all && (names_more || (is_whole(&other) && !is_whole(&guarded)))
}
