//! The command line: arguments in, exit code out.

mod admin_token;
mod explain;
mod healthcheck;
mod output;
mod routes;
mod runtime_file;
mod serve;
mod token;

use crate::cli::output::{say, write};
use crate::config::report::Rendering;
use crate::config::schema::ConfigSchema;
use crate::engine::compiler::{Compilation, Compiler};
use crate::engine::registry::Registry;
use crate::telemetry::reference;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A gateway assembled by one YAML file: middleware chains, REST resources, proxied upstreams.
///
/// Edit the file and the running gateway follows, or says at which line it will not.
#[derive(Parser)]
#[command(name = "gatewright", version, about, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Args, Clone)]
struct Run {
    #[command(flatten)]
    file: File,
    /// A file to say in where the health of this process can be asked for, as `gatewright healthcheck` does. It follows
    /// reloads, and is removed at the end.
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_RUNTIME_FILE")]
    runtime_file: Option<PathBuf>,
}

#[derive(Args, Clone)]
struct File {
    /// The configuration.
    #[arg(value_name = "FILE", env = "GATEWRIGHT_CONFIG", default_value = "config/gateway.yaml")]
    file: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (what happens without a command, too).
    Run(Run),
    /// Judge a configuration as a reload would, without touching sockets or tables. Exit code 1 when it is refused.
    Check {
        #[command(flatten)]
        file: File,
        /// The form of the diagnostics.
        #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
        format: ReportFormat,
        /// Exit with code 1 when there are warnings, too; for CI.
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print what is measured, as Markdown.
    Telemetry,
    /// Print which requests go where, through which plugins.
    Routes(File),
    /// Say why a request goes where it goes: its route and why the others lose, the plugins it passes, what bounds it.
    Explain {
        #[command(flatten)]
        asked: explain::Asked,
        #[command(flatten)]
        file: File,
    },
    /// Print a development token for a configured HMAC secret. Refused in production.
    Token(token::Wanted),
    /// Ask a running gateway whether it can serve. Exit code 1 when it cannot; for containers.
    Healthcheck(healthcheck::Question),
}

/// The form of diagnostics.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// As a compiler would.
    Human,
    /// A JSON array.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
}

/// Diagnostics for standard error: with colour on a terminal.
fn for_people() -> Rendering {
    Rendering::Human { colour: std::io::stderr().is_terminal() }
}

/// The program with these plugin types, with the arguments of the process.
pub fn main(registry: Registry) -> ExitCode {
    run(registry, Arguments::parse())
}

/// Runs the program with these plugin types.
fn run(registry: Registry, arguments: Arguments) -> ExitCode {
    match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(run) => serve::serve(&run.file.file, run.runtime_file, registry),
        Command::Check { file, format, deny_warnings } => check(&file.file, registry, format, deny_warnings),
        Command::Schema => schema(&registry),
        Command::Telemetry => write(&reference::markdown(registry.kinds())),
        Command::Routes(File { file }) => with_snapshot(&file, registry, routes::print),
        Command::Explain { asked, file: File { file } } => {
            with_snapshot(&file, registry, |compiled| explain::print(&asked, compiled))
        }
        Command::Token(wanted) => token::print(&wanted, registry),
        Command::Healthcheck(question) => healthcheck::ask(&question),
    }
}

fn check(file: &Path, registry: Registry, format: ReportFormat, deny_warnings: bool) -> ExitCode {
    let compiled = Compiler::new(file, registry).compile(1);
    let denied = if deny_warnings { compiled.diagnostics.warnings() } else { 0 };
    let good = compiled.snapshot.is_some() && denied == 0;
    let render = |format| compiled.sources.render(&compiled.diagnostics, format);
    let written = match format {
        ReportFormat::Human => {
            say(&render(for_people()));
            if good { write(&format!("{}: good\n", file.display())) } else { ExitCode::SUCCESS }
        }
        ReportFormat::Json => write(&(render(Rendering::Json) + "\n")),
        ReportFormat::Sarif => write(&(render(Rendering::Sarif) + "\n")),
    };
    if compiled.snapshot.is_some() && denied > 0 {
        let warnings = if denied == 1 { "warning" } else { "warnings" };
        say(&format!("{}: {denied} {warnings}, and `--deny-warnings` allows none\n", file.display()));
    }
    if good { written } else { ExitCode::FAILURE }
}

fn schema(registry: &Registry) -> ExitCode {
    match serde_json::to_string_pretty(&ConfigSchema::new(registry.kinds()).published()) {
        Ok(text) => write(&(text + "\n")),
        Err(error) => {
            say(&format!("the schema cannot be printed: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Judges the file and goes on with it, or says what is wrong.
fn with_snapshot(file: &Path, registry: Registry, then: impl FnOnce(&Compilation) -> ExitCode) -> ExitCode {
    let compiled = Compiler::new(file, registry).compile(1);
    if compiled.snapshot.is_none() {
        say(&compiled.sources.render(&compiled.diagnostics, for_people()));
        return ExitCode::FAILURE;
    }
    then(&compiled)
}
