//! `gatewright check`: reports every error and warning of a configuration.

use crate::cli::code;
use crate::cli::configuration::ConfigurationFile;
use crate::cli::for_people;
use crate::cli::output::{say, write};
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::report::{Rendering, without_files};
use crate::engine::registry::Registry;
use clap::{Args, ValueEnum};
use gatewright_sdk::Code;
use std::process::ExitCode;

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigurationFile,
    /// Format of the diagnostics.
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
    /// Exit with code 1 if there are warnings, for CI.
    #[arg(long, visible_alias = "deny-warnings")]
    strict: bool,
    /// Explain a diagnostic code, such as GW0201, and exit.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["file", "strict", "format"])]
    explain: Option<String>,
}

/// The format of diagnostics.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// Readable, with source excerpts; on standard error.
    Human,
    /// A JSON array on standard output.
    Json,
    /// SARIF 2.1.0 on standard output, for code scanning.
    Sarif,
}

impl ReportFormat {
    const fn for_programs(self) -> Option<Rendering> {
        match self {
            Self::Human => None,
            Self::Json => Some(Rendering::Json),
            Self::Sarif => Some(Rendering::Sarif),
        }
    }
}

impl Check {
    pub fn run(&self, registry: Registry) -> ExitCode {
        if let Some(code) = &self.explain {
            return code::explain(code);
        }
        if let (Err(message), Some(format)) = (self.file.find(), self.format.for_programs()) {
            let (message, help) = message.split_once("\n  help: ").unwrap_or((&message, ""));
            let missing = Diagnostic::error(Code::FILE_UNREADABLE, "", message).help(help);
            write(&(without_files(&Diagnostics(vec![missing]), format) + "\n"));
            return ExitCode::FAILURE;
        }
        let (name, compiled) = match self.file.compile(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let valid = compiled.snapshot.is_some();
        let counted = match compiled.diagnostics.warnings() {
            0 => None,
            1 => Some("1 warning".to_owned()),
            many => Some(format!("{many} warnings")),
        };
        let good = valid && !(self.strict && counted.is_some());
        let render = |format| compiled.sources.render(&compiled.diagnostics, format);
        let written = match self.format {
            ReportFormat::Human => {
                say(&render(for_people()));
                let more = counted.as_ref().map(|counted| format!(", {counted}")).unwrap_or_default();
                if good { write(&format!("{name}: OK{more}\n")) } else { ExitCode::SUCCESS }
            }
            ReportFormat::Json => write(&(render(Rendering::Json) + "\n")),
            ReportFormat::Sarif => write(&(render(Rendering::Sarif) + "\n")),
        };
        if let Some(counted) = counted.filter(|_| valid && !good) {
            say(&format!("{name}: {counted}, rejected by `--strict`\n"));
        }
        if good { written } else { ExitCode::FAILURE }
    }
}
