//! Reloads, one after the other, while the process serves: after edits, on SIGHUP, and through the admin API.

use crate::cli::runtime_file::RuntimeFile;
use crate::cli::serve::listeners::Listeners;
use crate::cli::serve::{report, service_manager};
use crate::config::changes;
use crate::config::diagnostic::Diagnostics;
use crate::config::sources::SourceFiles;
use crate::config::watch::Watch;
use crate::engine::live::Live;
use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use crate::engine::snapshot::Snapshot;
use crate::gateway::ReloadRequest;
use crate::telemetry::Telemetry;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// How long after an edit was seen a request for a reload is for that edit.
const JUST_NOW: Duration = Duration::from_secs(30);

/// How often certificates are checked without a reload.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs all reloads on its own task: a reload is completed even if the caller leaves.
pub struct Reloads {
    live: Arc<Live>,
    listeners: Listeners,
    telemetry: Arc<Telemetry>,
    watch: Watch,
    runtime_file: Option<RuntimeFile>,
    /// Warnings that have been reported.
    said: Diagnostics,
    /// The generation that the last edit became, and when, until someone asked for a reload.
    seen: Option<(u64, Instant)>,
}

impl Reloads {
    /// Starts to accept connections and to watch the files. The caller reports the warnings of the first configuration.
    pub async fn start(
        live: Arc<Live>,
        mut listeners: Listeners,
        telemetry: Arc<Telemetry>,
        runtime_file: Option<RuntimeFile>,
    ) -> Self {
        let (snapshot, said) = (live.load_full(), live.warnings());
        listeners.follow(&snapshot).await;
        listeners.log();
        let watch = Watch::new(&snapshot.origin.sources, &snapshot.plan.document.reload);
        let started = Self { live, listeners, telemetry, watch, runtime_file, said, seen: None };
        started.write_runtime_file(&snapshot);
        started
    }

    pub const fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Logs the warnings of the first configuration.
    pub fn log_warnings(&self) {
        report::warnings(&self.said, &self.telemetry);
    }

    /// The file could be written at startup. If its folder is gone by now, requests are still served.
    fn write_runtime_file(&self, serving: &Snapshot) {
        if let Some(Err(error)) = self.runtime_file.as_ref().map(|file| file.write(serving)) {
            tracing::error!(%error, "cannot write the runtime file; `gatewright healthcheck` may use the wrong address");
        }
    }

    /// Reloads until `stop`; a reload in progress is completed. Connections are accepted until the caller drops this.
    pub async fn serve(
        mut self,
        mut hangup: Signal,
        mut requests: mpsc::Receiver<ReloadRequest>,
        stop: CancellationToken,
    ) -> Self {
        let mut daily = tokio::time::interval_at(tokio::time::Instant::now() + DAY, DAY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self,
                _ = daily.tick() => self.live.load().certificates.log(Timestamp::now().as_second()),
                () = self.watch.changed() => {
                    if let Ok(Reloaded::Swapped(generation)) = self.notified(false, &stop).await {
                        self.seen = Some((generation, Instant::now()));
                    }
                }
                Some(()) = hangup.recv() => drop(self.notified(true, &stop).await),
                Some(request) = requests.recv() => {
                    let outcome = self.requested(&stop).await;
                    audit(&request, &outcome);
                    // The caller may be gone.
                    let _ = request.outcome.send(outcome);
                }
            }
        }
    }

    /// Reloads because someone asked for it. If the edit that it is for was seen before, that is the outcome: a second reload would
    /// change nothing.
    async fn requested(&mut self, stop: &CancellationToken) -> Result<Reloaded, RefusedConfiguration> {
        let seen = self.seen.take().filter(|(_, at)| at.elapsed() < JUST_NOW).map(|(generation, _)| generation);
        let Some(generation) = seen.filter(|generation| *generation == self.live.load().origin.generation) else {
            return self.notified(true, stop).await;
        };
        match self.notified(false, stop).await {
            Ok(Reloaded::Unchanged) => Ok(Reloaded::Swapped(generation)),
            outcome => outcome,
        }
    }

    /// Reloads, and tells the service manager. One that shuts down is not ready again.
    async fn notified(&mut self, force: bool, stop: &CancellationToken) -> Result<Reloaded, RefusedConfiguration> {
        service_manager::reloading();
        let outcome = self.reload(force).await;
        if !stop.is_cancelled() {
            service_manager::reloaded(&outcome, self.live.load().origin.generation);
        }
        outcome
    }

    async fn reload(&mut self, force: bool) -> Result<Reloaded, RefusedConfiguration> {
        let (started, before) = (Instant::now(), Arc::clone(&self.live.load().origin.sources));
        let was_rejected = self.live.last_refused().is_some();
        let outcome = self.live.reload(force).await;
        let serving = self.live.load_full();
        let (settings, sources) = (&serving.plan.document.reload, &serving.origin.sources);
        let generation = serving.origin.generation;
        match &outcome {
            Ok(Reloaded::Swapped(_) | Reloaded::Again(_)) => {
                if let Err(error) = self.telemetry.apply(&serving.plan.document.telemetry, sources.folder()) {
                    tracing::error!(%error, "cannot apply the telemetry settings; keeping the previous ones");
                }
                self.listeners.follow(&serving).await;
                self.write_runtime_file(&serving);
                self.watch.follow(sources, settings);
                let warnings = self.live.warnings();
                report::warnings(&warnings.but_for(&self.said), &self.telemetry);
                self.said = warnings;
                let took = started.elapsed();
                report::reloaded(&serving.origin, &changes(before, Arc::clone(sources)).await, took);
            }
            Ok(Reloaded::Unchanged) => {
                if was_rejected {
                    report::restored(generation);
                }
                // After a rejected edit that was undone, the files of that edit are watched.
                self.watch.follow(sources, settings);
            }
            Err(refused) => {
                report::rejected(refused, generation, self.telemetry.is_human());
                // The rejected files may include others: an error in a new include is fixed there.
                self.watch.follow(&refused.sources, settings);
            }
        }
        outcome
    }
}

/// The keys that differ, computed on a blocking thread.
async fn changes(before: Arc<SourceFiles>, after: Arc<SourceFiles>) -> Vec<String> {
    spawn_blocking(move || changes::between(&before, &after)).await.unwrap_or_default()
}

fn audit(request: &ReloadRequest, outcome: &Result<Reloaded, RefusedConfiguration>) {
    let client_ip = request.client;
    match outcome {
        Ok(Reloaded::Swapped(generation)) => {
            tracing::info!(target: "gatewright::audit", event = "configuration_reloaded", %client_ip, generation, "configuration reloaded through the admin API");
        }
        Ok(Reloaded::Again(generation)) => {
            tracing::info!(target: "gatewright::audit", event = "reload_unchanged", %client_ip, generation, "reload through the admin API, though no file has changed");
        }
        Ok(Reloaded::Unchanged) => {}
        Err(refused) => {
            let errors = refused.diagnostics.errors();
            tracing::warn!(target: "gatewright::audit", event = "reload_rejected", %client_ip, errors, "reload through the admin API was rejected");
        }
    }
}
