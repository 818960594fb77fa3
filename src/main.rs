//! The entry point of the program.

use gatewright::engine::registry::Registry;
use std::process::ExitCode;

/// A gateway makes many small allocations on many threads, which mimalloc handles well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatewright::cli::main(Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN))
}
