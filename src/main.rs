//! The program: arguments in, exit code out.

use gatewright::engine::registry::Registry;
use std::process::ExitCode;

/// Serving allocates and frees small pieces on many threads: mimalloc is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatewright::cli::main(Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN))
}
