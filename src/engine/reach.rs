//! What a route leads to, and the path that its target sees.

mod language;
mod meeting;
mod rewritten;
mod server;

use crate::config::rewriting::Rewriting;
use crate::engine::router::Pattern;
use crate::path;
pub use meeting::Meeting;
use rewritten::Rewritten;
use std::borrow::Cow;
use std::sync::Arc;

/// A stand-in for a parameter that matches no literal segment, in any spelling.
pub const SAMPLE: &str = "\\";

/// What a route leads to.
pub struct Reach {
    pub targets: Vec<Target>,
    /// The servers that receive copies of its requests.
    pub copies: Vec<Target>,
    change: Change,
    /// Equal for routes that change paths in the same way.
    pub key: String,
}

/// What a guarded route leads to, and its guards.
pub type Protected = (Arc<Reach>, Arc<[Arc<str>]>);

/// How the path changes before the target sees it.
enum Change {
    /// Both without a slash at the end.
    Prefix {
        strip: String,
        add: String,
    },
    Rewritten(Box<Rewritten>),
}

impl Reach {
    /// What a route with this pattern leads to, through its rewrite.
    pub fn new(rewriting: Rewriting, pattern: Option<Pattern>, targets: Vec<Target>, copies: Vec<Target>) -> Self {
        let key = format!("{rewriting:?}");
        match (rewriting, pattern) {
            (Rewriting::Prefix { strip, add }, _) => {
                let change = Change::Prefix { strip: strip.into(), add: add.into() };
                Self { targets, copies, change, key }
            }
            (Rewriting::Nothing, _) | (_, None) => Self { copies, ..Self::below_prefix(targets, "") },
            (rewriting, Some(pattern)) => {
                let key = format!("{key} {}", pattern.template());
                let change = Change::Rewritten(Box::new(Rewritten::new(rewriting, pattern)));
                Self { targets, copies, change, key }
            }
        }
    }

    /// A target that sees the path without `strip`.
    pub fn below_prefix(targets: Vec<Target>, strip: &str) -> Self {
        let change = Change::Prefix { strip: strip.to_owned(), add: String::new() };
        Self { targets, copies: Vec::new(), change, key: strip.to_owned() }
    }

    /// Whether more is changed than the prefix of the path.
    pub const fn is_rewritten(&self) -> bool {
        matches!(self.change, Change::Rewritten(_))
    }

    /// The path that the target sees for `path`.
    pub fn seen<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match &self.change {
            Change::Prefix { strip, add } => match path::strip(path, strip) {
                None => path.into(),
                Some(rest) if add.is_empty() => (if rest.is_empty() { "/" } else { rest }).into(),
                Some(rest) => format!("{add}{rest}").into(),
            },
            Change::Rewritten(rewritten) => rewritten.seen(path),
        }
    }

    /// What the target sees for a template, with its parameters.
    pub fn seen_template(&self, template: &str) -> String {
        let seen = self.seen(template);
        if self.is_rewritten() { rewritten::decoded(&seen) } else { seen.into_owned() }
    }

    /// A path for which the target sees `seen`, if there is one.
    pub fn below(&self, seen: &str) -> Option<String> {
        match &self.change {
            Change::Prefix { strip, add } => {
                let rest = path::strip(seen, add)?;
                let rest = if rest == "/" && add.is_empty() && !strip.is_empty() { "" } else { rest };
                let below = format!("{strip}{rest}");
                Some(if below.is_empty() { "/".to_owned() } else { below })
            }
            Change::Rewritten(rewritten) => rewritten.below(seen),
        }
    }

    /// Whether the target may see `seen`, if more is changed than the prefix of the path.
    pub fn may_see(&self, seen: &str) -> bool {
        matches!(&self.change, Change::Rewritten(rewritten) if rewritten.may_see(seen))
    }

    /// Whether `other` leads to a target of this one, or copies requests to it.
    pub fn meets(&self, other: &Self) -> bool {
        other.targets.iter().chain(&other.copies).any(|target| self.targets.contains(target))
    }
}

/// The target of a route. One server is one target, whichever upstreams name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Server { host: String, port: u16 },
    Resource(String),
    Service(String),
}

impl Target {
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Server { .. } => "server",
            Self::Resource(_) => "resource",
            Self::Service(_) => "service",
        }
    }
}
