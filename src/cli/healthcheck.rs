//! `gatewright healthcheck`: asks a running gateway, for containers that have no curl. It reads no configuration: a file
//! that is broken on disk says nothing about the process that serves.

use crate::cli::output::say;
use crate::cli::runtime_file::{self, reachable};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::header::{CONNECTION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the default configuration listens.
const DEFAULT: &str = "127.0.0.1:3000";

#[derive(Args)]
pub struct Question {
    /// Where to ask: HOST:PORT for the usual paths `/health/ready` and `/health/live`, or a URL with a path of its own.
    /// HTTP/1.1 without TLS. [default: what the runtime file says, or 127.0.0.1:3000 without one]
    #[arg(long, env = "GATEWRIGHT_HEALTHCHECK_ADDRESS")]
    address: Option<String>,
    /// The file in which `gatewright run --runtime-file` says where it can be asked.
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_RUNTIME_FILE")]
    runtime_file: Option<PathBuf>,
    /// Ask whether the process runs, not whether it can serve.
    #[arg(long)]
    live: bool,
}

/// What is asked.
struct Probe {
    url: Uri,
    http2: bool,
}

pub fn ask(question: &Question) -> ExitCode {
    match find(question).and_then(|probe| healthy(&probe)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn find(question: &Question) -> anyhow::Result<Probe> {
    match (&question.address, &question.runtime_file) {
        (Some(address), _) => at_address(address, question.live),
        (None, Some(file)) => from_file(file, question.live),
        (None, None) => at_address(DEFAULT, question.live),
    }
}

fn at_address(address: &str, live: bool) -> anyhow::Result<Probe> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let refuse = |why: &str| anyhow!("`{address}` cannot be asked: {why}; write HOST:PORT or http://HOST:PORT/PATH");
    let mut parts = url.parse::<Uri>().map_err(|error| refuse(&error.to_string()))?.into_parts();
    if parts.scheme.as_ref().is_none_or(|scheme| *scheme != http::uri::Scheme::HTTP) {
        return Err(refuse("it is asked over plain HTTP"));
    }
    let own = parts.path_and_query.as_ref().is_some_and(|path| path.as_str() != "/");
    if own && live {
        return Err(refuse("`--live` chooses the path, and the URL has one of its own"));
    }
    if !own {
        parts.path_and_query = Some(PathAndQuery::from_static(if live { "/health/live" } else { "/health/ready" }));
    }
    Ok(Probe { url: Uri::from_parts(parts).map_err(|error| refuse(&error.to_string()))?, http2: false })
}

fn from_file(file: &Path, live: bool) -> anyhow::Result<Probe> {
    let runtime = runtime_file::read(file)
        .with_context(|| format!("no gateway has written its address to {}", file.display()))?;
    let Some(health) = runtime.health else {
        bail!("the gateway that wrote {} has no listener that could be asked", file.display());
    };
    let url = if live { health.live } else { health.ready };
    let url = url.parse().with_context(|| format!("{} is not a runtime file: `{url}`", file.display()))?;
    Ok(Probe { url, http2: health.http2 })
}

fn healthy(probe: &Probe) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { timeout(PATIENCE, status(probe)).await });
    let url = &probe.url;
    match asked.with_context(|| format!("{url} does not respond within {PATIENCE:?}"))? {
        Ok(StatusCode::OK) => Ok(()),
        Ok(other) => bail!("{url} responds {other}"),
        Err(error) => Err(error.context(format!("{url} does not respond"))),
    }
}

async fn status(probe: &Probe) -> anyhow::Result<StatusCode> {
    let authority = probe.url.authority().context("no host")?;
    let port = authority.port_u16().unwrap_or(80);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let mut stream = Err(anyhow!("`{host}` has no address"));
    for address in tokio::net::lookup_host((host, port)).await? {
        stream = TcpStream::connect(reachable(address)).await.map_err(anyhow::Error::from);
        if stream.is_ok() {
            break;
        }
    }
    let io = TokioIo::new(stream?);
    let request = Request::get(probe.url.clone());
    if probe.http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        let asking = sender.send_request(request.body(Empty::<Bytes>::new())?);
        tokio::select! {
            response = asking => Ok(response?.status()),
            ended = connection => { ended?; bail!("the connection was closed") }
        }
    } else {
        let (mut sender, connection) = http1::handshake(io).await?;
        let path = probe.url.path_and_query().map_or("/", PathAndQuery::as_str);
        let request = request
            .uri(path)
            .header(HOST, HeaderValue::from_str(authority.as_str())?)
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        let asking = sender.send_request(request);
        tokio::pin!(asking);
        tokio::select! {
            biased;
            response = &mut asking => Ok(response?.status()),
            // It may have ended with the response in hand.
            ended = connection => { ended?; Ok(asking.await?.status()) }
        }
    }
}
