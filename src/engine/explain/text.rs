//! Prints an explanation as text.

use super::{Explanation, Outcome};
use std::fmt::{self, Display, Formatter};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.path)?;
        writeln!(f, "  comes in on   listener `{}`, {}", self.listener, self.address)?;
        writeln!(f, "  {}", self.outcome)?;
        let mut heading = "passes";
        for (index, passed) in self.steps.iter().enumerate() {
            let step = &passed.step;
            let kind = if step.plugin == step.kind { String::new() } else { format!(" ({})", step.kind) };
            let at = step.at.as_ref().map(|at| format!(", {}", at.0)).unwrap_or_default();
            writeln!(f, "  {heading:<13} {}. {}{kind}: {}{at}", index + 1, step.plugin, passed.because)?;
            heading = "";
        }
        if !self.without.is_empty() {
            writeln!(f, "  {:<13} `{}`", "without", self.without.join("`, `"))?;
        }
        let mut heading = "bounded by";
        for bounded in &self.limits {
            writeln!(f, "  {heading:<13} {}: {}", bounded.who, bounded.limit)?;
            heading = "";
        }
        let mut heading = "not for";
        for lost in &self.others {
            let at = lost.at.as_ref().map(|at| format!(" ({})", at.0)).unwrap_or_default();
            writeln!(f, "  {heading:<13} `{}`{at}: {}", lost.route, lost.because)?;
            heading = "";
        }
        Ok(())
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { name, at, path, parameters, target } => {
                let place = at.as_ref().map(|at| format!(", {}", at.0)).unwrap_or_default();
                write!(f, "{:<13} route `{name}`, {path}{place}", "goes to")?;
                for (name, value) in parameters {
                    write!(f, "\n  {:<13} {name} = {value}", "")?;
                }
                write!(f, "\n  {:<13} {target}", "answered by")
            }
            Self::Preflight { plugin, route } => {
                write!(f, "{:<13} `{plugin}`, which answers preflights", "answered by")?;
                route.iter().try_for_each(|route| write!(f, ", for the route `{route}`"))
            }
            Self::MethodNotAllowed { allow } => {
                write!(f, "{:<13} 405: no route takes this method here, only {}", "answered by", allow.join(", "))
            }
            Self::NotFound => write!(f, "{:<13} 404: no route takes it", "answered by"),
            Self::Refused { status, message } => write!(f, "{:<13} {status}: {message}", "answered by"),
            Self::Health { about, plugin: Some(plugin), .. } => {
                write!(f, "{:<13} `{plugin}`, which answers preflights, for the gateway itself: {about}", "answered by")
            }
            Self::Health { about, method_allowed: true, .. } => {
                write!(f, "{:<13} the gateway itself: {about}", "answered by")
            }
            Self::Health { about, .. } => {
                write!(f, "{:<13} the gateway itself: {about}; with 405, only GET and HEAD ask that", "answered by")
            }
            Self::Server => write!(f, "{:<13} the gateway itself: which methods there are", "answered by"),
        }
    }
}
