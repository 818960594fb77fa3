//! `gatewright run`: from the first configuration to the last request.

mod banner;
mod listeners;
mod reloads;
mod report;
mod service_manager;
mod signals;

use crate::cli::color::has_color;
use crate::cli::configuration::{ConfigurationFile, is_stream, maybe_path};
use crate::cli::for_people;
use crate::cli::output::{fail, say, usage};
use crate::cli::runtime_file::RuntimeFile;
use crate::config::document::process::Shutdown;
use crate::engine::live::Live;
use crate::engine::registry::Registry;
use crate::gateway::{Gateway, Inside};
use crate::server::Server;
use crate::telemetry::metrics::Process;
use crate::telemetry::{Telemetry, panics};
use anyhow::Context;
use banner::Banner;
use clap::{Args, ValueHint};
use listeners::{Listeners, Reporting, Servers, TokenSlot};
use reloads::Reloads;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long telemetry that waits may take to be sent when the process ends, so that all of it ends within two seconds.
const FLUSH: Duration = Duration::from_millis(1_200);

/// The maximum number of reloads that wait to be started.
const WAITING_RELOADS: usize = 16;

/// The exit code of a process that a second signal cut short.
const CUT_SHORT: i32 = 130;

#[derive(Args, Clone)]
pub struct Run {
    #[command(flatten)]
    pub file: ConfigurationFile,
    /// Write the health address of this process to a file, for `gatewright healthcheck`. The file is updated by reloads
    /// and removed on exit.
    #[arg(long, value_name = "PATH", env = "GATEWRIGHT_RUNTIME_FILE", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = maybe_path())]
    runtime_file: Option<PathBuf>,
}

pub fn serve(asked: Run, registry: Registry) -> ExitCode {
    match asked.file.find() {
        Ok(file) if is_stream(&file) => usage(&format!(
            "`run` cannot read `{}`: a reload reads the configuration again, and a pipe can be read only once; \
             write the configuration to a file and run that",
            file.display()
        )),
        Ok(file) => serve_file(&file, asked.runtime_file.filter(|file| !file.as_os_str().is_empty()), registry),
        Err(message) => fail(&message),
    }
}

fn serve_file(file: &Path, runtime_file: Option<PathBuf>, registry: Registry) -> ExitCode {
    panics::install();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("gatewright").build();
    let ended = runtime.context("cannot start the async runtime").and_then(|runtime| {
        let ended = runtime.block_on(run(file, runtime_file, registry));
        // Does not wait for DNS lookups that are still open.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn run(file: &Path, runtime_file: Option<PathBuf>, registry: Registry) -> anyhow::Result<ExitCode> {
    let (begun, started_at) = (Instant::now(), SystemTime::now());
    let _process = Process::observe();
    let runtime_file = match runtime_file.map(|path| RuntimeFile::new(path.clone()).map_err(|error| (path, error))) {
        Some(Ok(file)) => Some(file),
        Some(Err((path, error))) => {
            say(&format!("error: cannot write the runtime file {}: {error}\n", path.display()));
            return Ok(ExitCode::FAILURE);
        }
        None => None,
    };
    // Signals are handled from the start: an early SIGTERM ends the process, an early SIGHUP does not.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    let _ignored = signals::ignore()?;
    // Workers first: whatever is kept per worker asks how many there are.
    let servers = Arc::new(Servers { public: Server::start(None)?, admin: Server::start(Some(1))? });
    let telemetry = OnceLock::new();
    let started = Live::start(file, registry, |snapshot| {
        let started = Telemetry::start(&snapshot.plan.document.telemetry, snapshot.origin.sources.folder());
        if let Ok(started) = &started
            && started.is_at_terminal()
        {
            started.hold();
        }
        let _ = telemetry.set(started);
    });
    let live = match started.await {
        Ok(started) => started,
        Err(refused) => {
            // What was logged so far comes before the reason.
            drop(telemetry);
            say(&refused.sources.render(&refused.diagnostics, for_people()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let telemetry = Arc::new(telemetry.into_inner().context("telemetry was not started")??);
    let gateway = Arc::new(Gateway { live: Arc::clone(&live), draining: AtomicBool::new(false) });
    let (clients, operators) = (servers.public.connections(), servers.admin.connections());
    let (asking, asked) = mpsc::channel(WAITING_RELOADS);
    let inside = Inside {
        started: started_at,
        gateway: Arc::clone(&gateway),
        telemetry: Arc::clone(&telemetry),
        connections: Box::new(move || clients() + operators()),
        reloads: asking,
    };
    let token = TokenSlot::default();
    let reporting = if telemetry.is_at_terminal() { Reporting::Banner } else { Reporting::Log };
    let listeners =
        Listeners::new(Arc::clone(&servers), Arc::clone(&gateway), Arc::new(inside), Arc::clone(&token), reporting);
    let reloads = Reloads::start(Arc::clone(&live), listeners, Arc::clone(&telemetry), runtime_file).await;
    if telemetry.is_at_terminal() {
        telemetry.print(&banner(&live, reloads.listeners(), begun.elapsed()));
    } else {
        reloads.log_warnings();
        tracing::info!(generation = 1, version = env!("CARGO_PKG_VERSION"), file = %file.display(), "serving");
    }
    service_manager::started();
    let _watchdog = service_manager::watch(&servers);
    let stop = CancellationToken::new();
    let reloading = tokio::spawn(reloads.serve(hangup, asked, stop.clone()));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    gateway.draining.store(true, Ordering::Relaxed);
    stop.cancel();
    service_manager::stopping();
    let shutdown = live.load().plan.document.shutdown.clone();
    let (grace, drain) = (shutdown.grace.get(), shutdown.drain.get());
    if telemetry.is_at_terminal() {
        // The terminal has shown `^C`.
        telemetry.print("\r");
    }
    let human = shutting_down(&shutdown);
    tracing::info!(grace = %shutdown.grace, drain = %shutdown.drain, human, "shutting down");
    // A reload that is under way has as long as requests have. What accepts is its own, and accepts for the grace.
    let ended =
        async { tokio::join!(servers.public.shutdown(grace, drain), timeout(grace.saturating_add(drain), reloading)) };
    let _serving = tokio::select! {
        (cut, reloads) = ended => {
            let human = match cut {
                0 => "stopped".to_owned(),
                1 => "stopped; 1 connection was still open".to_owned(),
                cut => format!("stopped; {cut} connections were still open"),
            };
            tracing::info!(connections_cut = cut, human, "stopped");
            reloads
        }
        _ = terminate.recv() => cut_short(&token),
        _ = interrupt.recv() => cut_short(&token),
    };
    // Its socket, and the file of it, are gone before the process is.
    servers.admin.shutdown(Duration::ZERO, Duration::ZERO).await;
    for used in &live.load().stores {
        used.store.close();
    }
    telemetry.flush_and_stop(FLUSH).await;
    Ok(ExitCode::SUCCESS)
}

/// What a terminal shows at the start.
fn banner(live: &Live, listeners: &Listeners, took: Duration) -> String {
    let (snapshot, warnings) = (live.load_full(), live.warnings());
    let admin_token = listeners.made_token().map(|(token, file)| match file {
        Some(file) => format!("in {}", from_home(&file)),
        None => format!("(valid until restart): {}", token.expose()),
    });
    let (color, width) = (has_color(&std::io::stdout()), banner::width());
    let (warnings, notices) = (&warnings, listeners.notices());
    Banner { snapshot: &snapshot, warnings, notices, admin_token, took, color, width }.text()
}

/// A path as a shell takes it, with `~` for the home of this user.
fn from_home(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let short = home.and_then(|home| Some(Path::new("~").join(path.strip_prefix(home).ok()?)));
    short.as_deref().unwrap_or(path).display().to_string()
}

/// What happens now, for the person who has pressed Ctrl-C.
fn shutting_down(shutdown: &Shutdown) -> String {
    let grace = match shutdown.grace.is_zero() {
        true => String::new(),
        false => format!("accepting connections for {} more, then ", shutdown.grace),
    };
    let drain = &shutdown.drain;
    format!("shutting down: {grace}waiting up to {drain} for open requests (Ctrl-C again to quit now)")
}

/// A second signal means now.
fn cut_short(token: &TokenSlot) -> ! {
    // Its file is removed.
    drop(token.lock().take());
    std::process::exit(CUT_SHORT)
}
