//! `gatewright completions`: what a shell needs to complete commands and options.

use crate::cli::output::write;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Args)]
pub struct Completions {
    /// Shell to print a script for.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn print(&self, mut program: Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "gatewright", &mut script);
        write(&String::from_utf8_lossy(&script))
    }
}
