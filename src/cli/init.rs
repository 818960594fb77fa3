//! `gatewright init`: writes a first configuration, with comments, and the schema for editors.

use crate::cli::output::{fail, usage, write};
use crate::cli::schema;
use crate::engine::registry::Registry;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command, ValueEnum, ValueHint};
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file that is written if none is named.
const DEFAULT_FILE: &str = "gateway.yaml";

/// The schema, next to the file: the path in the first line of the file starts there.
const SCHEMA: &str = "gateway.schema.json";

#[derive(Args)]
pub struct Init {
    /// What the gateway is for. May be omitted before FILE.
    #[arg(value_name = "KIND", default_value = "both", value_parser = KindOrFile)]
    kind: First,
    /// File to write, or a folder for gateway.yaml; `-` for standard output [default: gateway.yaml].
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Do not write gateway.schema.json, which editors use for completion.
    #[arg(long)]
    no_schema: bool,
}

/// What a configuration is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A REST API on SQLite.
    Api,
    /// A proxy in front of an application.
    Proxy,
    /// An API, and a proxy for everything else.
    Both,
}

impl Kind {
    const fn template(self) -> &'static str {
        match self {
            Self::Api => include_str!("init/api.yaml"),
            Self::Proxy => include_str!("init/proxy.yaml"),
            Self::Both => include_str!("init/both.yaml"),
        }
    }

    /// A path that responds as soon as the gateway runs.
    const fn path(self) -> &'static str {
        match self {
            Self::Api | Self::Both => "/api/notes",
            Self::Proxy => "/ping",
        }
    }
}

/// The first argument: a kind, or the file already.
#[derive(Clone)]
enum First {
    Kind(Kind),
    File(PathBuf),
}

#[derive(Clone)]
struct KindOrFile;

impl TypedValueParser for KindOrFile {
    type Value = First;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<First, clap::Error> {
        let is_file = value == "-" || value.as_encoded_bytes().iter().any(|byte| matches!(byte, b'.' | b'/'));
        if is_file {
            return Ok(First::File(value.into()));
        }
        clap::value_parser!(Kind).parse_ref(command, arg, value).map(First::Kind)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

impl Init {
    pub fn run(&self, registry: &Registry) -> ExitCode {
        let (kind, file) = match (&self.kind, &self.file) {
            (First::Kind(kind), file) => (*kind, file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))),
            (First::File(file), None) => (Kind::Both, file.clone()),
            (First::File(_), Some(_)) => return usage("two files are given; write `gatewright init KIND FILE`"),
        };
        let file = if names_folder(&file) { file.join(DEFAULT_FILE) } else { file };
        let template = kind.template();
        let text = match template.split_once('\n').filter(|_| self.no_schema) {
            // The line that names the schema, and the empty comment below it.
            Some((_, rest)) => rest.strip_prefix("#\n").unwrap_or(rest),
            None => template,
        };
        if file == Path::new("-") {
            return write(text);
        }
        if let Err(message) = self.create(&file, text) {
            return fail(&message);
        }
        let schema = if self.no_schema { Ok(false) } else { self.write_schema(&file, registry) };
        match schema {
            Ok(true) => {
                let schema = file.with_file_name(SCHEMA);
                write(&next_steps(&file, &format!(" and {}", schema.display()), kind))
            }
            Ok(false) => write(&next_steps(&file, "", kind)),
            Err(message) => fail(&message),
        }
    }

    fn create(&self, file: &Path, text: &str) -> Result<(), String> {
        let shown = file.display();
        let cannot = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{shown} already exists; choose another name or use --force")
            }
            _ => format!("cannot write {shown}: {error}"),
        };
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        let mut options = OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        options.open(file).and_then(|mut opened| opened.write_all(text.as_bytes())).map_err(cannot)
    }

    /// Writes the schema next to `file`. An existing one stays, unless `--force` was given.
    fn write_schema(&self, file: &Path, registry: &Registry) -> Result<bool, String> {
        let path = file.with_file_name(SCHEMA);
        if path.exists() && !self.force {
            return Ok(false);
        }
        let text = serde_json::to_string_pretty(&schema::published(registry)).map_err(|error| error.to_string())?;
        let written = fs::write(&path, text + "\n");
        written.map(|()| true).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// Whether `file` is a folder, or is written like one: `NAME/`.
fn names_folder(file: &Path) -> bool {
    file.is_dir() || file.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// What was written, and what to do next.
fn next_steps(file: &Path, also: &str, kind: Kind) -> String {
    let shown = file.display();
    // Without a name, `gatewright` finds this file only where no other comes first.
    let found = file == Path::new(DEFAULT_FILE) && !Path::new("config/gateway.yaml").exists();
    let (run, check) = if found {
        ("gatewright".into(), "gatewright check".into())
    } else {
        (format!("gatewright run {shown}"), format!("gatewright check {shown}"))
    };
    let call = format!("curl http://127.0.0.1:3000{}", kind.path());
    let width = [&run, &call, &check].iter().map(|command| command.chars().count()).max().unwrap_or(0);
    format!(
        "wrote {shown}{also}\n\n  {run:width$}   start the gateway\n  {call:width$}   call it\n  \
         {check:width$}   validate an edit; a running gateway applies it when you save\n"
    )
}
