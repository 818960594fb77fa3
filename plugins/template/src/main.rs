//! gatewright with a plugin of its own: the same commands, reloads and schema.

mod sunset;

use gatewright::engine::registry::Registry;
use gatewright_sdk::builtin;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let registry = Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN);
    gatewright::cli::main(registry.with(Arc::new(builtin::<sunset::Sunset>())))
}
