//! The one pointer to the snapshot being served, and how it is moved to the next.

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::{environment, load, mask};
use crate::engine::build::build;
use crate::engine::measure::Measures;
use crate::engine::prepare::prepare;
use crate::engine::registry::Registry;
use crate::engine::snapshot::Snapshot;
use arc_swap::{ArcSwap, Guard};
use gatewright_sdk::Keep;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Loads and builds configurations of one root file with one set of plugin types.
pub struct Workshop {
    root: PathBuf,
    registry: Registry,
    schema: ConfigSchema,
    keep: Keep,
}

/// A configuration that was judged: the snapshot if it can serve, and everything there is to say about it.
pub struct Judged {
    pub snapshot: Option<Snapshot>,
    pub diagnostics: Diagnostics,
    pub sources: Arc<Sources>,
}

/// A configuration that was refused. The one before it goes on serving.
#[derive(Clone)]
pub struct Refused {
    pub at: SystemTime,
    pub diagnostics: Diagnostics,
    pub sources: Arc<Sources>,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files say what is being served.
    Unchanged,
    /// This generation serves from now on.
    Swapped(u64),
}

impl Workshop {
    pub fn new(root: &Path, registry: Registry) -> Self {
        let schema = ConfigSchema::new(registry.kinds());
        Self { root: root.to_owned(), registry, schema, keep: Keep::default() }
    }

    /// Reads the files and judges them: all that a reload checks, but for sockets and tables. Reads files and the
    /// environment and changes nothing.
    pub fn judge(&self, generation: u64) -> Judged {
        let loaded = load(&self.root, &environment(), &self.schema);
        let (mut diagnostics, sources) = (loaded.diagnostics, Arc::new(loaded.sources));
        let mut snapshot = None;
        if let Some(document) = loaded.document {
            let work = || build(generation, Arc::new(document), &sources, &self.registry, &self.keep);
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok((built, found)) => {
                    snapshot = built.filter(|_| !diagnostics.has_errors());
                    diagnostics.complete(found);
                    diagnostics.sort();
                }
                Err(_) => diagnostics.push(fault("", "building this configuration panicked; it is refused", None)),
            }
        }
        Judged { snapshot, diagnostics, sources }
    }
}

/// What is being served.
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    workshop: Arc<Workshop>,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
    refused: Mutex<Option<Refused>>,
    /// What there is to say about the configuration being served.
    warnings: Mutex<Diagnostics>,
    measures: Measures,
}

impl Live {
    /// Brings the first generation up: judged, sockets bound, tables in shape.
    /// `before_prepare` is told of the snapshot before sockets are bound and tables are touched.
    pub async fn start(
        root: &Path,
        registry: Registry,
        before_prepare: impl FnOnce(&Snapshot),
    ) -> Result<Arc<Self>, Refused> {
        let workshop = Arc::new(Workshop::new(root, registry));
        let judged = judge(&workshop, 1).await?;
        let Judged { snapshot: Some(snapshot), mut diagnostics, sources } = judged else {
            return Err(refuse(judged.diagnostics, judged.sources));
        };
        before_prepare(&snapshot);
        diagnostics.extend(prepare(&snapshot, None, &sources).await);
        if diagnostics.has_errors() {
            return Err(refuse(diagnostics, sources));
        }
        name_stores(&snapshot);
        Ok(Arc::new_cyclic(|live| Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            workshop,
            turn: tokio::sync::Mutex::new(()),
            refused: Mutex::new(None),
            warnings: Mutex::new(diagnostics),
            measures: Measures::new(live),
        }))
    }

    /// The snapshot to serve one request with. Let go of it before anything is awaited.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The snapshot being served, for whoever holds it longer.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The configuration being served, as JSON with its secrets masked.
    pub fn masked(&self) -> serde_json::Value {
        mask::masked(&self.snapshot.load().origin.sources, &self.workshop.schema)
    }

    /// What there is to say about the configuration being served.
    pub fn warnings(&self) -> Diagnostics {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last configuration that was refused, if none was accepted since.
    pub fn last_refused(&self) -> Option<Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the files say now. On any error nothing has changed, and the error says why. Files that say what
    /// is being served are left alone unless `force` wants them built anew, with the keys and bodies they name.
    pub async fn reload(&self, force: bool) -> Result<Reloaded, Refused> {
        let _turn = self.turn.lock().await;
        let serving = self.snapshot.load_full();
        let started = Instant::now();
        let outcome = self.take_over(&serving, force).await;
        self.measures.reloaded(&outcome, started.elapsed());
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = outcome.as_ref().err().cloned();
        outcome
    }

    async fn take_over(&self, serving: &Snapshot, force: bool) -> Result<Reloaded, Refused> {
        let generation = serving.origin.generation + 1;
        let Judged { snapshot, mut diagnostics, sources } = judge(&self.workshop, generation).await?;
        if !force && sources.hash_text() == serving.origin.hash {
            return Ok(Reloaded::Unchanged);
        }
        let Some(snapshot) = snapshot else { return Err(refuse(diagnostics, sources)) };
        diagnostics.extend(prepare(&snapshot, Some(serving), &sources).await);
        if diagnostics.has_errors() {
            return Err(refuse(diagnostics, sources));
        }
        // From here nothing can fail.
        name_stores(&snapshot);
        self.snapshot.store(Arc::new(snapshot));
        *self.warnings.lock().unwrap_or_else(PoisonError::into_inner) = diagnostics;
        self.workshop.keep.sweep();
        Ok(Reloaded::Swapped(generation))
    }
}

/// Judging reads files and compiles: off the threads that serve.
async fn judge(workshop: &Arc<Workshop>, generation: u64) -> Result<Judged, Refused> {
    let shop = Arc::clone(workshop);
    let judged = tokio::task::spawn_blocking(move || shop.judge(generation)).await;
    judged.map_err(|_| {
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(fault("", "reading this configuration panicked; it is refused", None));
        refuse(diagnostics, Arc::new(Sources::read(&workshop.root).0))
    })
}

fn refuse(diagnostics: Diagnostics, sources: Arc<Sources>) -> Refused {
    Refused { at: SystemTime::now(), diagnostics, sources }
}

fn fault(path: &str, message: impl Into<String>, help: Option<String>) -> Diagnostic {
    let (path, message) = (path.to_owned(), message.into());
    Diagnostic { severity: Severity::Error, path, message, help, at: None, related: Vec::new() }
}

/// Stores are measured under the names that the accepted document has for them, the first of two names for one.
fn name_stores(snapshot: &Snapshot) {
    for (index, used) in snapshot.stores.iter().enumerate() {
        let mut before = snapshot.stores.iter().take(index);
        if !before.any(|other| Arc::ptr_eq(&other.store, &used.store)) {
            used.store.measure_as(&used.name);
        }
    }
}
