//! The limits that apply to a request, from the listener inward.

use super::{PlannedListener, PlannedStep, PlannedTarget, SetBound};
use gatewright_sdk::RouteLimits;
use gatewright_sdk::limits::Limit;
use std::fmt;

/// What sets a limit.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    Listener(&'a str),
    Plugin(&'a str),
    Target(&'a PlannedTarget),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener `{name}`"),
            Self::Plugin(name) => write!(f, "plugin `{name}`"),
            Self::Target(target) => write!(f, "{} `{}`", target.kind, target.name.as_deref().unwrap_or_default()),
        }
    }
}

/// The limits for requests that arrive on `listener` and pass `steps` to `target`, from the listener inward.
pub fn inward<'a>(
    listener: &'a PlannedListener,
    steps: impl IntoIterator<Item = &'a PlannedStep>,
    target: Option<&'a PlannedTarget>,
) -> impl Iterator<Item = (Who<'a>, &'a SetBound)> {
    let of_listener = listener.bounds.iter().map(|bound| (Who::Listener(&listener.name), bound));
    let of_step = |step: &'a PlannedStep| step.bounds.iter().map(|bound| (Who::Plugin(&step.plugin), bound));
    let of_target = |target: &'a PlannedTarget| target.bounds.iter().map(move |bound| (Who::Target(target), bound));
    of_listener.chain(steps.into_iter().flat_map(of_step)).chain(target.into_iter().flat_map(of_target))
}

/// The limits with which a route replaces those around it.
pub fn said_by(limits: &RouteLimits) -> impl Iterator<Item = Limit> {
    let body = limits.body_bytes.map(Limit::Body);
    [body, limits.request_timeout.map(Limit::Head), limits.stream_idle.map(Limit::Silence)].into_iter().flatten()
}
