//! The outcome of a request in the chains: passed, refused or answered, by which plugin and why.

use gatewright_sdk::{Answered, Refusal, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// The outcome of a request on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The response came from the target.
    Passed,
    /// A plugin, the engine or the target rejected it.
    Refused,
    /// A plugin responded itself.
    Answered,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Answered => "answered",
        }
    }
}

/// The decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    /// The place of the plugin that decided; `None` if it was the engine or the target.
    pub plugin: Option<Arc<str>>,
    pub reason: Option<Cow<'static, str>>,
}

impl Decision {
    /// Whether anything but the default was decided.
    pub(super) const fn is_notable(&self) -> bool {
        !matches!(self.outcome, Outcome::Passed)
    }

    /// The decision expressed by `response`.
    pub(super) fn of(response: &Response) -> Self {
        let extensions = response.extensions();
        if let Some(Refusal { plugin, reason }) = extensions.get() {
            Self { outcome: Outcome::Refused, plugin: plugin.clone(), reason: Some(reason.clone()) }
        } else if let Some(Answered(plugin)) = extensions.get() {
            Self { outcome: Outcome::Answered, plugin: Some(Arc::clone(plugin)), reason: None }
        } else {
            Self { outcome: Outcome::Passed, plugin: None, reason: None }
        }
    }
}
