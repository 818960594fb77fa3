//! Reloads, one after the other, for as long as the process serves: edits of the file, SIGHUP, and the admin API.

use crate::cli::for_people;
use crate::cli::output::say;
use crate::cli::runtime_file::RuntimeFile;
use crate::cli::serve::listeners::Listeners;
use crate::config::diagnostic::{Diagnostics, Severity};
use crate::config::document::Document;
use crate::config::document::telemetry::LogFormat;
use crate::config::sources::SourceFiles;
use crate::config::watch::Watch;
use crate::engine::live::Live;
use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use crate::engine::snapshot::Snapshot;
use crate::gateway::ReloadRequest;
use crate::telemetry::Telemetry;
use std::sync::Arc;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Does all reloads, on a task of its own: the one who asked may leave, and the reload runs to its end.
pub struct Reloads {
    live: Arc<Live>,
    listeners: Listeners,
    telemetry: Arc<Telemetry>,
    watch: Watch,
    runtime_file: Option<RuntimeFile>,
    /// Warnings that were reported.
    said: Diagnostics,
}

impl Reloads {
    /// Begins to accept and to watch the files.
    pub async fn start(
        live: Arc<Live>,
        mut listeners: Listeners,
        telemetry: Arc<Telemetry>,
        runtime_file: Option<RuntimeFile>,
    ) -> Self {
        let (snapshot, said) = (live.load_full(), live.warnings());
        report(&snapshot.origin.sources, &said, &snapshot.plan.document);
        listeners.follow(&snapshot).await;
        let watch = Watch::new(&snapshot.origin.sources, &snapshot.plan.document.reload);
        let started = Self { live, listeners, telemetry, watch, runtime_file, said };
        started.write_runtime_file(&snapshot);
        started
    }

    /// It could be written when the process started: should its folder be gone by now, requests are served all the same.
    fn write_runtime_file(&self, serving: &Snapshot) {
        if let Some(Err(error)) = self.runtime_file.as_ref().map(|file| file.write(serving)) {
            tracing::error!(%error, "the runtime file cannot be written: `healthcheck` does not find what is served now");
        }
    }

    /// Reloads until `stop`; one that is under way then is finished. What accepts does so until the caller drops this.
    pub async fn serve(
        mut self,
        mut hangup: Signal,
        mut requests: mpsc::Receiver<ReloadRequest>,
        stop: CancellationToken,
    ) -> Self {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self,
                () = self.watch.changed() => drop(self.reload(false).await),
                Some(()) = hangup.recv() => drop(self.reload(true).await),
                Some(request) = requests.recv() => {
                    let outcome = self.reload(true).await;
                    audit(&request, &outcome);
                    // Who asked may be gone.
                    let _ = request.outcome.send(outcome);
                }
            }
        }
    }

    async fn reload(&mut self, force: bool) -> Result<Reloaded, RefusedConfiguration> {
        let outcome = self.live.reload(force).await;
        let serving = self.live.load_full();
        let (settings, sources) = (&serving.plan.document.reload, &serving.origin.sources);
        match &outcome {
            Ok(Reloaded::Swapped(generation)) => {
                if let Err(error) = self.telemetry.apply(&serving.plan.document.telemetry, sources.folder()) {
                    tracing::error!(%error, "telemetry goes on as before");
                }
                self.listeners.follow(&serving).await;
                self.write_runtime_file(&serving);
                self.watch.follow(sources, settings);
                let warnings = self.live.warnings();
                report(sources, &warnings.but_for(&self.said), &serving.plan.document);
                self.said = warnings;
                tracing::info!(generation, hash = %serving.origin.hash, "configuration applied");
            }
            // After a refused edit that was taken back, what is watched are the files of that edit.
            Ok(Reloaded::Unchanged) => self.watch.follow(sources, settings),
            Err(refused) => {
                report(&refused.sources, &refused.diagnostics, &serving.plan.document);
                tracing::error!(
                    generation = serving.origin.generation,
                    "configuration refused, the one before it serves on"
                );
                // What was read may name other files than what serves: a fault in a new include is mended there.
                self.watch.follow(&refused.sources, settings);
            }
        }
        outcome
    }
}

fn audit(request: &ReloadRequest, outcome: &Result<Reloaded, RefusedConfiguration>) {
    let client_ip = request.client;
    match outcome {
        Ok(Reloaded::Swapped(generation)) => {
            tracing::info!(target: "gatewright::audit", %client_ip, generation, "reload through the admin API");
        }
        Ok(Reloaded::Unchanged) => {
            tracing::info!(target: "gatewright::audit", %client_ip, "reload through the admin API changed nothing");
        }
        Err(refused) => {
            let faults = refused.diagnostics.0.len();
            tracing::warn!(target: "gatewright::audit", %client_ip, faults, "reload through the admin API was refused");
        }
    }
}

/// Reports to the operator: as a compiler would where people read the log, one event for each where programs do.
fn report(sources: &SourceFiles, diagnostics: &Diagnostics, serving: &Document) {
    if diagnostics.is_empty() {
        return;
    }
    if serving.telemetry.logs.format == LogFormat::Human {
        return say(&sources.render(diagnostics, for_people()));
    }
    for diagnostic in diagnostics.iter() {
        let at = diagnostic.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let help = diagnostic.help.as_deref().unwrap_or_default();
        let code = diagnostic.code.id();
        match diagnostic.severity {
            Severity::Error => {
                tracing::error!(
                    code,
                    at,
                    path = diagnostic.path,
                    help,
                    fault = diagnostic.message,
                    "configuration fault"
                )
            }
            Severity::Warning => {
                tracing::warn!(
                    code,
                    at,
                    path = diagnostic.path,
                    help,
                    fault = diagnostic.message,
                    "configuration warning"
                )
            }
        }
    }
}
