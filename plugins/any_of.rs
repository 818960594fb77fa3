//! Authenticates requests with one of several plugins.

use gatewright_sdk::{Act, CheckContext, Code, Compiled, Fault, IDENTITY, Plugin, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The names of plugins that authenticate, asked in this order: `[bearer, partners]`. The first that proves an identity
/// decides.
///
/// A member that finds no credentials of its kind lets the next one try. Credentials that are wrong are rejected, also if
/// the request has others. Members that read the same credentials, such as two `jwt` plugins, are all asked before that. A request
/// without any credentials is rejected, unless every member has `on_missing: continue`. The 401 lists the challenges of all
/// members.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct AnyOf(#[schemars(length(min = 1))] Vec<String>);

impl Plugin for AnyOf {
    const NAME: &'static str = "any_of";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        if self.0.len() < 2 {
            let fault = Fault::new("", "`any_of` needs at least two plugins").code(Code::ANY_OF);
            faults.push(match self.0.first() {
                Some(only) => fault.help(format!("use `{only}` itself in chains")),
                None => fault.help("list the plugins that may authenticate: `[bearer, partners]`"),
            });
        }
        for (index, name) in self.0.iter().enumerate() {
            if self.0.iter().take(index).any(|other| other == name) {
                let fault = Fault::new(format!("[{index}]"), format!("`{name}` is already listed")).code(Code::ANY_OF);
                faults.push(fault.help("remove it"));
            }
        }
        let traits = Traits { provides: &[IDENTITY], ..Traits::default() };
        Compiled { traits, act: Some(Act::AnyOf(self.0)), faults, warnings: Vec::new(), signer: None }
    }
}
