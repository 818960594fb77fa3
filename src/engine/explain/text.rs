//! Prints an explanation as text.

use super::{Explanation, Outcome, Ruled};
use crate::engine::plan::Forwarding;
use gatewright_sdk::limits::Limit;
use std::fmt::{self, Display, Formatter};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.path)?;
        writeln!(f, "  listener      `{}`, {}", self.listener, self.address)?;
        if let Some(effect) = &self.maintenance {
            writeln!(f, "  {:<13} {effect}", "maintenance")?;
        }
        writeln!(f, "  {}", self.outcome)?;
        for Ruled { operation, rule, after, from } in &self.access {
            let after = after.as_ref().map(|after| format!("; afterwards {after}")).unwrap_or_default();
            writeln!(f, "  {:<13} {operation}: {rule}{after}, from `{from}`", "access")?;
        }
        for Forwarding { setting, effect } in &self.forwarding {
            writeln!(f, "  {setting:<13} {effect}")?;
        }
        let mut heading = "plugins";
        for (index, passed) in self.steps.iter().enumerate() {
            let step = &passed.step;
            let kind = match (step.plugin == step.kind, step.members.as_slice()) {
                (true, _) => String::new(),
                (false, []) => format!(" ({})", step.kind),
                (false, members) => format!(" ({}: {})", step.kind, members.join(", ")),
            };
            let at = step.at.as_ref().map(|at| format!(", {}", at.0)).unwrap_or_default();
            writeln!(f, "  {heading:<13} {}. {}{kind}: {}{at}", index + 1, step.plugin, passed.because)?;
            heading = "";
            if let Some(condition) = &step.when {
                writeln!(f, "  {heading:<13}    only if {condition}")?;
            }
            if step.observes {
                writeln!(f, "  {heading:<13}    only observes: it rejects nothing")?;
            }
            if let Some(store) = &step.counts_in {
                writeln!(f, "  {heading:<13}    counts in store `{store}`")?;
            }
        }
        if !self.without.is_empty() {
            writeln!(f, "  {:<13} `{}`", "without", self.without.join("`, `"))?;
        }
        let mut heading = "limits";
        for bounded in &self.limits {
            writeln!(f, "  {heading:<13} {}: {}", bounded.who, bounded.limit)?;
            heading = "";
        }
        let mut heading = if self.reaches_a_route() { "other routes" } else { "near misses" };
        for lost in &self.others {
            let at = lost.at.as_ref().map(|at| format!(" ({})", at.0)).unwrap_or_default();
            writeln!(f, "  {heading:<13} `{}`{at}: {}", lost.route, lost.because)?;
            heading = "";
        }
        Ok(())
    }
}

/// What a limit means for a request.
pub(super) fn limit(limit: Limit) -> String {
    match limit {
        Limit::Body(size) => format!("request body up to {size}"),
        Limit::Head(time) => format!("response must start within {time}"),
        Limit::Silence(time) => format!("response may pause for up to {time}"),
    }
}

impl Explanation {
    fn reaches_a_route(&self) -> bool {
        matches!(&self.outcome, Outcome::Route { .. } | Outcome::Preflight { route: Some(_), .. })
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { name, at, path, parameters, target } => {
                let place = at.as_ref().map(|at| format!(", {}", at.0)).unwrap_or_default();
                write!(f, "{:<13} `{name}`, {path}{place}", "route")?;
                for (name, value) in parameters {
                    write!(f, "\n  {:<13} {name} = {value}", "")?;
                }
                write!(f, "\n  {:<13} {target}", "target")?;
                let counts = |store| write!(f, "\n  {:<13} counts wrong passwords in store `{store}`", "");
                target.counts_in.iter().try_for_each(counts)
            }
            Self::Preflight { plugin, route } => {
                write!(f, "{:<13} by `{plugin}`: the request is a CORS preflight", "response")?;
                route.iter().try_for_each(|route| write!(f, " for route `{route}`"))
            }
            Self::MethodNotAllowed { allow } => {
                write!(f, "{:<13} 405: this path accepts only {}", "response", allow.join(", "))
            }
            Self::NotFound => write!(f, "{:<13} 404: no route matches", "response"),
            Self::Refused { status, message } => {
                write!(f, "{:<13} {status}: {message}; rejected before routing", "response")
            }
            Self::Health { about, plugin: Some(plugin), .. } => {
                write!(f, "{:<13} by `{plugin}`: the request is a CORS preflight for the {about}", "response")
            }
            Self::Health { about, method_allowed: true, .. } => {
                write!(f, "{:<13} by the gateway itself: the {about}", "response")
            }
            Self::Health { about, .. } => {
                write!(f, "{:<13} 405: the {about} accepts only GET, HEAD", "response")
            }
            Self::Server => {
                write!(f, "{:<13} by the gateway itself: the methods that the server supports", "response")
            }
        }
    }
}
