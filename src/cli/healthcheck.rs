//! `gatewright healthcheck`: asks a running gateway, for containers that have no curl. It reads no configuration: a file
//! that is broken on disk says nothing about the process that serves.

use crate::cli::client::Call;
use crate::cli::configuration::maybe_path;
use crate::cli::output::{fail, write};
use crate::cli::runtime_file;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueHint};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the default configuration listens.
const DEFAULT: &str = "127.0.0.1:3000";

#[derive(Args)]
pub struct Healthcheck {
    /// HOST:PORT, with the default paths `/health/ready` and `/health/live`, or a URL with its own path. Plain HTTP.
    /// [default: the address in the runtime file, or 127.0.0.1:3000].
    #[arg(long, value_name = "HOST:PORT", env = "GATEWRIGHT_HEALTHCHECK_ADDRESS")]
    address: Option<String>,
    /// File to which `gatewright run --runtime-file` writes its health address.
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_RUNTIME_FILE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = maybe_path())]
    runtime_file: Option<PathBuf>,
    /// Check whether the process is alive, not whether it is ready.
    #[arg(long)]
    live: bool,
    /// Print nothing on success.
    #[arg(short, long)]
    quiet: bool,
}

/// What is asked.
struct Probe {
    url: Uri,
    http2: bool,
}

impl Healthcheck {
    pub fn run(&self) -> ExitCode {
        match self.find().and_then(healthy) {
            Ok(_) if self.quiet => ExitCode::SUCCESS,
            Ok(url) => write(&format!("{}: {url}\n", if self.live { "alive" } else { "ready" })),
            Err(error) => fail(&format!("{error:#}")),
        }
    }

    fn find(&self) -> anyhow::Result<Probe> {
        let address = self.address.as_ref().filter(|address| !address.is_empty());
        let file = self.runtime_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        match (address, file) {
            (Some(address), _) => at_address(address, self.live),
            (None, Some(file)) => from_file(file, self.live),
            (None, None) => at_address(DEFAULT, self.live),
        }
    }
}

fn at_address(address: &str, live: bool) -> anyhow::Result<Probe> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let refuse =
        |why: &str| anyhow!("`{address}` is not a valid address: {why}; write HOST:PORT or http://HOST:PORT/PATH");
    let mut parts = url.parse::<Uri>().map_err(|error| refuse(&error.to_string()))?.into_parts();
    if parts.scheme.as_ref().is_none_or(|scheme| *scheme != http::uri::Scheme::HTTP) {
        return Err(refuse("only plain HTTP is supported"));
    }
    let own = parts.path_and_query.as_ref().is_some_and(|path| path.as_str() != "/");
    if own && live {
        return Err(refuse("with `--live`, leave the path out"));
    }
    if !own {
        parts.path_and_query = Some(PathAndQuery::from_static(if live { "/health/live" } else { "/health/ready" }));
    }
    Ok(Probe { url: Uri::from_parts(parts).map_err(|error| refuse(&error.to_string()))?, http2: false })
}

fn from_file(file: &Path, live: bool) -> anyhow::Result<Probe> {
    let shown = file.display();
    let runtime = runtime_file::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{shown} does not exist: no gateway runs with `--runtime-file {shown}`"),
        ErrorKind::InvalidData => anyhow!("{shown} is not a runtime file: {error}"),
        _ => anyhow!("the runtime file {shown} cannot be read: {error}"),
    })?;
    let Some(health) = runtime.health else {
        bail!("the gateway that wrote {shown} has no listener");
    };
    let url = if live { health.live } else { health.ready };
    let url = url.parse().with_context(|| format!("{shown} is not a runtime file: `{url}`"))?;
    Ok(Probe { url, http2: health.http2 })
}

/// The URL, if it responds 200.
fn healthy(probe: Probe) -> anyhow::Result<Uri> {
    let Probe { url, http2 } = probe;
    let call = Call { method: Method::GET, url: &url, http2, authorization: None, patience: PATIENCE };
    let reply = call.send()?;
    match (reply.status, reply.text()) {
        (StatusCode::OK, _) => Ok(url),
        (other, text) if text.is_empty() || text.contains('\n') => bail!("{url} responds {other}"),
        (other, text) => bail!("{url} responds {other}: {text}"),
    }
}
