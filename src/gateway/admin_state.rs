//! What the admin API can see and do in the running gateway.

use crate::admin::{AdminState, AppliedReload, CounterStore, LastRefused, ListeningOn, RefusedReload, Status};
use crate::config::report::Rendering;
use crate::counters;
use crate::engine::explain::Question;
use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use crate::engine::snapshot::{Listener, Snapshot};
use crate::gateway::Gateway;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::{self, TextFormat};
use futures_util::future::BoxFuture;
use gatewright_sdk::{ClientAddress, Counters};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot};

/// The state of the running gateway.
pub struct Inside {
    /// When the process started.
    pub started: SystemTime,
    pub gateway: Arc<Gateway>,
    pub telemetry: Arc<Telemetry>,
    /// Returns the number of open connections.
    pub connections: Box<dyn Fn() -> usize + Send + Sync>,
    /// Sends requests to the task that performs reloads.
    pub reloads: mpsc::Sender<ReloadRequest>,
}

/// A reload requested through the admin API. It runs whether or not the client waits for its outcome.
pub struct ReloadRequest {
    pub client: ClientAddress,
    pub outcome: oneshot::Sender<Result<Reloaded, RefusedConfiguration>>,
}

impl AdminState for Inside {
    fn status(&self) -> Status {
        let snapshot = self.gateway.live.load();
        let origin = &snapshot.origin;
        let last_refused = self
            .gateway
            .live
            .last_refused()
            .map(|refused| LastRefused { at: rfc3339(refused.at), refused: refused_with_report(refused) });
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started: rfc3339(self.started),
            generation: origin.generation,
            since: rfc3339(origin.since),
            hash: origin.hash.clone(),
            files: snapshot.plan.files.clone(),
            upstreams: snapshot.upstreams.iter().map(|(name, upstream)| (name.clone(), upstream.state())).collect(),
            stores: snapshot.stores.iter().map(|used| (used.name.to_string(), used.store.file())).collect(),
            counters: snapshot
                .counters
                .iter()
                .map(|(name, store)| (name.clone(), counters(&snapshot, name, store)))
                .collect(),
            warnings: self.gateway.live.warnings(),
            last_refused,
            listeners: snapshot.listeners.iter().map(listening_on).collect(),
            connections: u64::try_from((self.connections)()).unwrap_or(u64::MAX),
            draining: self.gateway.draining.load(Ordering::Relaxed),
            maintenance: snapshot.plan.document.maintenance.enabled,
            telemetry: self.telemetry.counters(),
        }
    }

    fn config(&self) -> serde_json::Value {
        serde_json::from_str(self.gateway.live.load_full().shown.wait()).unwrap_or_default()
    }

    fn explain(&self, question: &Question<'_>) -> Result<serde_json::Value, String> {
        let explanation = self.gateway.live.load().explain(question)?;
        serde_json::to_value(explanation).map_err(|error| error.to_string())
    }

    fn limits(&self) -> BTreeMap<String, serde_json::Value> {
        self.gateway.live.load_full().usages.read()
    }

    fn metrics(&self, format: TextFormat) -> String {
        metrics::text(format)
    }

    fn reload(&self, client: ClientAddress) -> BoxFuture<'_, Option<Result<AppliedReload, RefusedReload>>> {
        Box::pin(async move {
            let (outcome, told) = oneshot::channel();
            self.reloads.send(ReloadRequest { client, outcome }).await.ok()?;
            Some(match told.await.ok()? {
                Ok(outcome) => Ok(self.applied(matches!(outcome, Reloaded::Swapped(_)))),
                Err(refused) => Err(refused_with_report(refused)),
            })
        })
    }
}

impl Inside {
    /// The current generation, with its warnings.
    fn applied(&self, changed: bool) -> AppliedReload {
        let (serving, warnings) = (self.gateway.live.load_full(), self.gateway.live.warnings());
        let report = serving.origin.sources.render(&warnings, Rendering::Human { colour: false });
        AppliedReload { generation: serving.origin.generation, changed, warnings, report }
    }
}

/// The store `name`, and what of `snapshot` counts in it.
fn counters(snapshot: &Snapshot, name: &str, store: &counters::Store) -> CounterStore {
    let plan = &snapshot.plan;
    let steps = plan.routes.iter().flat_map(|route| &*route.steps);
    let steps = steps.chain(plan.listeners.iter().flat_map(|listener| &*listener.steps));
    let plugins = steps.filter(|step| step.counts_in.as_deref() == Some(name));
    let sign_ins = plan.routes.iter().filter(|route| route.target.counts_in.as_deref() == Some(name));
    let plugins = plugins.map(|step| format!("plugins.{}", step.plugin));
    let used_by = plugins.chain(sign_ins.map(|route| format!("routes.{}.sign_in", route.name))).collect();
    CounterStore { address: store.address().to_owned(), reachable: store.is_reachable(), used_by }
}

fn listening_on(listener: &Listener) -> ListeningOn {
    ListeningOn { name: listener.name.to_string(), address: listener.socket.address().to_string() }
}

fn refused_with_report(refused: RefusedConfiguration) -> RefusedReload {
    let report = refused.sources.render(&refused.diagnostics, Rendering::Human { colour: false });
    RefusedReload { diagnostics: refused.diagnostics, report }
}

fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}
