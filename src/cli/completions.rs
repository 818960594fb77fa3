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
    pub fn print(&self, program: &Command) -> ExitCode {
        // Hidden commands would be offered, too.
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
        let arguments = program.get_arguments().cloned();
        let mut shown =
            Command::new("gatewright").version(env!("CARGO_PKG_VERSION")).args(arguments).subcommands(commands);
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut shown, "gatewright", &mut script);
        write(&String::from_utf8_lossy(&script))
    }
}
