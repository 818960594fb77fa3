//! A gateway with its own `main`, and additional plugins and a service. `tests/own.rs` runs it.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use gatewright::engine::registry::Registry;
use gatewright_sdk::{CheckContext, Compiled, Facts, Filter, Plugin, Problem, Request, Traits, Verdict, builtin};
use std::process::ExitCode;
use std::sync::Arc;

/// Refuses everything while there is work going on.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    /// When clients should retry, in seconds.
    #[serde(default)]
    retry_after: u64,
}

impl Plugin for Maintenance {
    const NAME: &'static str = "maintenance";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        Compiled::filter(Closed(self.retry_after))
    }
}

struct Closed(u64);

impl Filter for Closed {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, _: &Request) -> Verdict<()> {
        Verdict::refuse(Problem::unavailable(self.0).log_reason("maintenance"))
    }
}

/// Admits requests with the header `x-pass`, unless it panics.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fragile {
    /// Where it panics.
    panics_in: Step,
}

/// A step in the life of a plugin.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Nowhere.
    Nothing,
    /// While the settings are compiled.
    Compile,
    /// While it is installed.
    Install,
    /// While it decides about a request.
    Decide,
}

impl Plugin for Fragile {
    const NAME: &'static str = "fragile";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let step = self.panics_in;
        assert!(step != Step::Compile, "asked to");
        Compiled::filter_at(move |_| {
            assert!(step != Step::Install, "asked to");
            Gate(step)
        })
        .traits(Traits { restricts: true, ..Traits::default() })
    }
}

struct Gate(Step);

impl Filter for Gate {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<()> {
        assert!(self.0 != Step::Decide, "asked to");
        if request.headers().contains_key("x-pass") {
            return Verdict::Continue(());
        }
        Verdict::refuse(Problem::forbidden().log_reason("no_pass"))
    }
}

async fn invoice(Path(number): Path<u32>, request: Request) -> String {
    let facts = Facts::of(&request);
    let subject = facts.identity.as_ref().map(|identity| identity.subject.clone());
    serde_json::json!({ "number": number, "route": facts.route.as_deref(), "subject": subject }).to_string()
}

async fn broken() -> &'static str {
    panic!("asked to")
}

fn main() -> ExitCode {
    let billing = Router::new().route("/billing/{number}", get(invoice)).route("/billing/broken", get(broken));
    let registry = Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN)
        .with(Arc::new(builtin::<Maintenance>()))
        .with(Arc::new(builtin::<Fragile>()))
        .service("billing", billing);
    gatewright::cli::main(registry)
}
