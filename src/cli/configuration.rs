//! Which configuration a command reads: the FILE of its arguments, a pipe, or the file that is found without one.

use crate::cli::for_people;
use crate::cli::output::{fail, say};
use crate::config::sources::{MOST_BYTES, Unreadable, read_stream};
use crate::engine::compiler::{Compilation, Compiler};
use crate::engine::registry::Registry;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a configuration is looked up if none is given.
const PLACES: [&str; 2] = ["config/gateway.yaml", "gateway.yaml"];

/// The names of standard input.
const STANDARD_INPUT: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

#[derive(Args, Clone)]
pub struct ConfigurationFile {
    /// Configuration file [default: $GATEWRIGHT_CONFIG, or else config/gateway.yaml, or else gateway.yaml].
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl ConfigurationFile {
    pub const fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// The file that the arguments name.
    pub fn named(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The file: the one that is named, that of the environment, or the one that is found.
    ///
    /// # Errors
    /// A message for the user if there is none.
    pub fn find(&self) -> Result<PathBuf, String> {
        let named = || self.file.clone();
        // Set but empty is the same as unset.
        let variable = || std::env::var_os("GATEWRIGHT_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from);
        let found = || PLACES.iter().map(PathBuf::from).find(|file| file.exists());
        named().or_else(variable).or_else(found).ok_or_else(|| {
            let [first, second] = PLACES;
            format!(
                "no configuration: neither {first} nor {second} exists in this directory\n  \
                 help: create one with `gatewright init`, pass the path of one as FILE, or set GATEWRIGHT_CONFIG"
            )
        })
    }

    /// Reads and validates the configuration. Also returns its name.
    ///
    /// # Errors
    /// The exit code when there is no configuration at all; the reason has been printed.
    pub fn compile(&self, registry: Registry) -> Result<(String, Compilation), ExitCode> {
        let file = self.find().map_err(|message| fail(&message))?;
        let compiler = match stream(&file) {
            Some((name, text)) => {
                return Ok((name.clone(), Compiler::of_text(name.as_ref(), text, registry).compile(1)));
            }
            None => Compiler::new(&file, registry),
        };
        Ok((file.display().to_string(), compiler.compile(1)))
    }

    /// The same, but prints the diagnostics and fails when the configuration has errors.
    ///
    /// # Errors
    /// The exit code; the reason has been printed.
    pub fn valid(&self, registry: Registry) -> Result<Compilation, ExitCode> {
        let (_, compiled) = self.compile(registry)?;
        if compiled.snapshot.is_none() {
            say(&compiled.sources.render(&compiled.diagnostics, for_people()));
            return Err(ExitCode::FAILURE);
        }
        Ok(compiled)
    }
}

/// A path that may be empty, which counts as none: variables are often set to an empty string.
pub fn maybe_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Whether this is standard input or a pipe of the shell, such as `<(…)`: it can be read once, and not again. A named pipe is
/// not: opening it would wait for a writer that may never come.
pub fn is_stream(file: &Path) -> bool {
    file == Path::new("-") || ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder))
}

/// The name and the content of a stream; `None` for a file.
pub fn stream(file: &Path) -> Option<(String, Result<String, Unreadable>)> {
    if !is_stream(file) {
        return None;
    }
    if STANDARD_INPUT.iter().any(|name| file == Path::new(name)) {
        return Some(("<stdin>".to_owned(), read_stream(std::io::stdin().lock(), MOST_BYTES)));
    }
    let text = File::open(file).map_err(Unreadable::from);
    Some((file.display().to_string(), text.and_then(|file| read_stream(file, MOST_BYTES))))
}
