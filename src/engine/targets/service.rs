//! A service compiled into the program, as a target.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::words;
use crate::engine::plan::PlannedTarget;
use crate::engine::reach::{self, Reach};
use gatewright_sdk::{Code, Fault};
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub name: &'a str,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, with: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let Some(service) = with.services.get(self.name) else {
            let known: Vec<&str> = with.services.keys().map(String::as_str).collect();
            let fault =
                Fault::new("", format!("service `{}` is not registered in this program", self.name.escape_debug()))
                    .code(Code::UNKNOWN_SERVICE);
            return Err(vec![match known.as_slice() {
                _ if with.document.upstreams.get(self.name).is_some() => {
                    fault.help(format!("for the upstream of this name, write `upstream: {}`", self.name))
                }
                [] => fault.help("register it in your `main`; see docs/writing-a-plugin.md"),
                known => fault.help(words::way_out(self.name, known)),
            }]);
        };
        Ok(Some(Act::Ready(service.clone())))
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        PlannedTarget { name: Some(self.name.into()), ..PlannedTarget::of("service") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        let targets = || vec![reach::Target::Service(self.name.to_owned())];
        reached.once(&format!("service {}", self.name), |_| Reach::below_prefix(targets(), ""))
    }
}
