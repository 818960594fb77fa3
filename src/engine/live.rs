//! The single pointer to the current snapshot, and how a reload replaces it.

use crate::config::diagnostic::Diagnostics;
use crate::engine::compiler::{Compilation, Compiler};
use crate::engine::measure::Measures;
use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use crate::engine::prepare::prepare;
use crate::engine::recounted;
use crate::engine::registry::Registry;
use crate::engine::snapshot::Snapshot;
use arc_swap::{ArcSwap, Guard};
use gatewright_sdk::metrics::number;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Instant, UNIX_EPOCH};

/// The current snapshot and its warnings.
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    compiler: Arc<Compiler>,
    /// Allows one reload at a time.
    reload_lock: tokio::sync::Mutex<()>,
    refused: Mutex<Option<RefusedConfiguration>>,
    /// The warnings of the current configuration.
    warnings: Mutex<Diagnostics>,
    measures: Measures,
}

impl Live {
    /// Brings up the first generation: validates it, binds sockets and migrates tables. `before_prepare` receives the
    /// snapshot before sockets are bound and tables are changed.
    pub async fn start(
        root: &Path,
        registry: Registry,
        before_prepare: impl FnOnce(&Snapshot),
    ) -> Result<Arc<Self>, RefusedConfiguration> {
        let compiler = Arc::new(Compiler::new(root, registry));
        let compiled = compiler.compile_apart(1).await?;
        let Compilation { snapshot: Some(snapshot), mut diagnostics, sources, .. } = compiled else {
            return Err(RefusedConfiguration::new(compiled.diagnostics, &compiled.sources));
        };
        before_prepare(&snapshot);
        diagnostics.extend(prepare(&snapshot, None, &sources).await);
        if diagnostics.has_errors() {
            return Err(RefusedConfiguration::new(diagnostics, &sources));
        }
        accept_stores(&snapshot);
        compiler.served();
        Ok(Arc::new_cyclic(|live| Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            compiler,
            reload_lock: tokio::sync::Mutex::new(()),
            refused: Mutex::new(None),
            warnings: Mutex::new(diagnostics),
            measures: Measures::new(asked(live, generation), asked(live, accepted), asked(live, refused)),
        }))
    }

    /// The snapshot for serving one request. Drop the guard before awaiting anything.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The current snapshot, for callers that hold it longer.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The warnings of the current configuration.
    pub fn warnings(&self) -> Diagnostics {
        self.warnings.lock().clone()
    }

    /// The last rejected configuration, if none has been accepted since.
    pub fn last_refused(&self) -> Option<RefusedConfiguration> {
        self.refused.lock().clone()
    }

    /// Applies the files as they are now. On any error the previous configuration keeps serving, and the error is
    /// returned. If the files have not changed, nothing happens unless `force` is set, which also rereads the files
    /// they name.
    pub async fn reload(&self, force: bool) -> Result<Reloaded, RefusedConfiguration> {
        let _lock = self.reload_lock.lock().await;
        let serving = self.snapshot.load_full();
        let started = Instant::now();
        let outcome = self.take_over(&serving, force).await;
        self.measures.reloaded(&outcome, started.elapsed());
        *self.refused.lock() = outcome.as_ref().err().cloned();
        outcome
    }

    async fn take_over(&self, serving: &Snapshot, force: bool) -> Result<Reloaded, RefusedConfiguration> {
        let generation = serving.origin.generation + 1;
        let Compilation { snapshot, mut diagnostics, sources, .. } = self.compiler.compile_apart(generation).await?;
        let is_unchanged = sources.hash_text() == serving.origin.hash;
        if !force && is_unchanged {
            return Ok(Reloaded::Unchanged);
        }
        let Some(mut snapshot) = snapshot else {
            return Err(RefusedConfiguration::new(diagnostics.while_serving(), &sources));
        };
        diagnostics.extend(prepare(&snapshot, Some(serving), &sources).await);
        if diagnostics.has_errors() {
            return Err(RefusedConfiguration::new(diagnostics, &sources));
        }
        // Nothing can fail from here on.
        accept_stores(&snapshot);
        recounted::log(&snapshot, serving);
        snapshot.succeed(serving);
        let snapshot = Arc::new(snapshot);
        self.snapshot.store(Arc::clone(&snapshot));
        snapshot.edit_limits(serving);
        *self.warnings.lock() = diagnostics;
        self.compiler.served();
        Ok(if is_unchanged { Reloaded::Again(generation) } else { Reloaded::Swapped(generation) })
    }
}

/// Stores are measured under the names in the accepted document, and confirm writes as it says; if one store has two names, the first counts.
fn accept_stores(snapshot: &Snapshot) {
    for (index, used) in snapshot.stores.iter().enumerate() {
        let mut before = snapshot.stores.iter().take(index);
        if !before.any(|other| Arc::ptr_eq(&other.store, &used.store)) {
            used.store.measure_as(&used.name);
            used.store.confirm(used.durability);
        }
    }
}

/// A measure that reads the live configuration while it exists.
fn asked(live: &Weak<Live>, read: fn(&Live) -> f64) -> impl Fn() -> f64 + Send + Sync + 'static {
    let live = Weak::clone(live);
    move || live.upgrade().map_or(0.0, |live| read(&live))
}

fn generation(live: &Live) -> f64 {
    number(live.load().origin.generation)
}

fn accepted(live: &Live) -> f64 {
    live.load().origin.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn refused(live: &Live) -> f64 {
    f64::from(u8::from(live.last_refused().is_some()))
}
