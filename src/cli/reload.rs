//! `gatewright reload`: reloads the configuration of a running gateway, and prints the result.

use crate::cli::admin_client::{AdminAccess, AdminClient};
use crate::cli::output::{Format, fail, say, write, write_json};
use crate::engine::registry::Registry;
use clap::Args;
use gatewright_sdk::HumanDuration;
use http::{Method, StatusCode};
use serde_json::Value;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a gateway that does not respond is asked again.
const AGAIN: Duration = Duration::from_millis(200);

#[derive(Args)]
pub struct Reload {
    #[command(flatten)]
    admin: AdminAccess,
    /// Wait up to DURATION for a gateway that does not respond yet; `--wait` alone waits for 30s.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    #[arg(value_parser = duration)]
    wait: Option<HumanDuration>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

fn duration(text: &str) -> Result<HumanDuration, String> {
    text.parse().map_err(|error: gatewright_sdk::Fault| error.message)
}

impl Reload {
    pub fn run(&self, registry: &Registry) -> ExitCode {
        let until = self.wait.map(|wait| Instant::now() + wait.get());
        loop {
            // The token file appears once the gateway runs, so it is looked up each time, too.
            let outcome = self.admin.find(registry).and_then(|client| Ok((reload(&client)?, client)));
            match outcome {
                Ok(((status, body), client)) => return self.print(status, &body, &client),
                Err(_) if until.is_some_and(|until| Instant::now() < until) => sleep(AGAIN),
                Err(error) => return fail(&format!("{error:#}")),
            }
        }
    }

    fn print(&self, status: StatusCode, body: &Value, client: &AdminClient) -> ExitCode {
        let applied = status == StatusCode::OK;
        if self.format == Format::Json {
            let written = write_json(body);
            return if applied { written } else { ExitCode::FAILURE };
        }
        if !applied {
            say(body.get("report").and_then(Value::as_str).unwrap_or_default());
            say(&format!("rejected: the gateway at {} keeps serving the previous configuration\n", client.address()));
            return ExitCode::FAILURE;
        }
        say(body.get("report").and_then(Value::as_str).unwrap_or_default());
        let generation = body.get("generation").and_then(Value::as_u64).unwrap_or_default();
        let unchanged = body.get("changed").and_then(Value::as_bool) == Some(false);
        let what = if unchanged { "reloaded, though no file has changed" } else { "reloaded" };
        write(&format!("{what}: generation {generation} is serving\n"))
    }
}

fn reload(client: &AdminClient) -> anyhow::Result<(StatusCode, Value)> {
    client.send(Method::POST, "/reload", PATIENCE, &[StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY])
}
