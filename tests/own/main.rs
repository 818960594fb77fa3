//! A gateway with its own `main`, and one additional plugin and service. `tests/own.rs` runs it.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use gatewright::engine::registry::Registry;
use gatewright_sdk::{CheckContext, Compiled, Facts, Filter, Plugin, Problem, Request, Verdict, builtin};
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
        .service("billing", billing);
    gatewright::cli::main(registry)
}
