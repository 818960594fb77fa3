//! `gatewright healthcheck`: calls a running gateway, for containers without curl. It reads no configuration, because a
//! file that is broken on disk does not affect the process that serves.

use crate::cli::address::{Address, AddressArgument};
use crate::cli::client::{Call, trust};
use crate::cli::configuration::maybe_path;
use crate::cli::output::{fail, usage, write};
use crate::cli::runtime_file;
use crate::config::document::address::ListenAddress;
use crate::tls::trust::Trust;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueHint};
use http::{Method, StatusCode};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long the whole call may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the default configuration listens.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

#[derive(Args)]
pub struct Healthcheck {
    /// Address of a listener, or a URL with its own path; `unix:PATH` for a Unix socket. The default paths are
    /// `/health/ready` and `/health/live` [default: the address in the runtime file, or 127.0.0.1:3000].
    #[arg(long, value_name = "HOST:PORT", env = "GATEWRIGHT_HEALTHCHECK_ADDRESS")]
    address: Option<AddressArgument>,
    /// File with the health address, which `gatewright run --runtime-file` writes.
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_RUNTIME_FILE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = maybe_path())]
    runtime_file: Option<PathBuf>,
    /// PEM file with the certificate of the gateway, or of the authority that signed it, for https [default: the certificate
    /// in the runtime file, or the authorities that browsers trust].
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_CA_FILE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = maybe_path())]
    ca_file: Option<PathBuf>,
    /// Check whether the process is alive, not whether it is ready.
    #[arg(long)]
    live: bool,
    /// Print nothing on success.
    #[arg(short, long)]
    quiet: bool,
}

/// The call to make.
struct Probe {
    address: Address,
    http2: bool,
    trust: Trust,
}

impl Healthcheck {
    pub fn run(&self) -> ExitCode {
        let address = self.address.as_ref().and_then(AddressArgument::address);
        if self.live && address.is_some_and(Address::has_path) {
            return usage("`--live` has its own path; leave the path out of the address");
        }
        match self.find(address).and_then(healthy) {
            Ok(_) if self.quiet => ExitCode::SUCCESS,
            Ok(address) => write(&format!("{}: {address}\n", if self.live { "alive" } else { "ready" })),
            Err(error) => fail(&format!("{error:#}")),
        }
    }

    fn find(&self, address: Option<&Address>) -> anyhow::Result<Probe> {
        let file = self.runtime_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let address = match (address, file) {
            (Some(address), _) if address.has_path() => address.clone(),
            (Some(address), _) => address.at_path(self.path())?,
            (None, Some(file)) => {
                let probe = from_file(file, self.live)?;
                return Ok(Probe { trust: trust(self.ca_file.as_deref())?.unwrap_or(probe.trust), ..probe });
            }
            (None, None) => Address::of("http", &ListenAddress::Ip(DEFAULT)).at_path(self.path())?,
        };
        let trust = trust(self.ca_file.as_deref())?;
        let address = if trust.is_some() { address.over_tls() } else { address };
        Ok(Probe { address, http2: false, trust: trust.unwrap_or_default() })
    }

    const fn path(&self) -> &'static str {
        if self.live { "/health/live" } else { "/health/ready" }
    }
}

fn from_file(file: &Path, live: bool) -> anyhow::Result<Probe> {
    let shown = file.display();
    let runtime = runtime_file::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{shown} does not exist: no gateway is running with `--runtime-file {shown}`"),
        ErrorKind::InvalidData => anyhow!("{shown} is not a runtime file: {error}"),
        _ => anyhow!("cannot read the runtime file {shown}: {error}"),
    })?;
    let Some(health) = runtime.health else {
        bail!("the gateway that wrote {shown} has no listener");
    };
    let url = if live { health.live } else { health.ready };
    let url = url.parse().with_context(|| format!("{shown} is not a runtime file: `{url}`"))?;
    let trust = health.certificate.map_or_else(Trust::default, Trust::Certificate);
    Ok(Probe { address: Address { url, socket: health.socket }, http2: health.http2, trust })
}

/// The address, if it responds 200.
fn healthy(probe: Probe) -> anyhow::Result<Address> {
    let Probe { address, http2, trust } = probe;
    let (method, patience) = (Method::GET, PATIENCE);
    let call = Call { method, address: &address, http2, trust: &trust, authorization: None, patience };
    let reply = call.send()?;
    match (reply.status, reply.text()) {
        (StatusCode::OK, _) => Ok(address),
        (other, text) if text.is_empty() || text.contains('\n') => bail!("{address} responded {other}"),
        (other, text) => bail!("{address} responded {other}: {text}"),
    }
}
