//! From files to a snapshot: reading, judging and building, all of it without touching the world.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::Document;
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::{environment, lint, load, show};
use crate::engine::compile::{Compiled, compile};
use crate::engine::faults::Faults;
use crate::engine::install::install;
use crate::engine::outcome::RefusedConfiguration;
use crate::engine::plan::Plan;
use crate::engine::registry::Registry;
use crate::engine::snapshot::Snapshot;
use crate::engine::warnings;
use crate::services::HttpServices;
use gatewright_sdk::{Keep, Services};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long the thread of a compilation goes on. When a thread ends, the allocator gives back to the system what was freed a
/// second before and earlier: by then that is all that compiling took, and the former generation.
const LINGER: Duration = Duration::from_secs(4);

/// Loads and builds configurations of one root file with one set of plugin types.
pub struct Compiler {
    root: PathBuf,
    registry: Registry,
    schema: ConfigSchema,
    keep: Keep,
    services: Arc<dyn Services>,
}

/// A configuration that was compiled: the snapshot if it can serve, and everything there is to say about it.
pub struct Compilation {
    pub snapshot: Option<Snapshot>,
    pub diagnostics: Diagnostics,
    pub sources: Sources,
}

impl Compiler {
    pub fn new(root: &Path, registry: Registry) -> Self {
        let schema = ConfigSchema::new(registry.kinds());
        let services = Arc::new(HttpServices::default());
        Self { root: root.to_owned(), registry, schema, keep: Keep::default(), services }
    }

    /// Reads the files and judges them: all that a reload checks, but for sockets and tables. Reads files and the
    /// environment and changes nothing.
    pub fn compile(&self, generation: u64) -> Compilation {
        let loaded = load(&self.root, &environment(), &self.schema);
        let (mut diagnostics, mut sources) = (loaded.diagnostics, loaded.sources);
        let mut snapshot = None;
        if let Some(document) = loaded.document {
            let sound = !diagnostics.has_errors();
            match catch_unwind(AssertUnwindSafe(|| self.build(generation, document, &mut sources, sound))) {
                Ok((built, found)) => {
                    snapshot = built.filter(|_| !diagnostics.has_errors());
                    diagnostics.complete(found);
                    diagnostics.sort();
                }
                Err(_) => {
                    diagnostics.push(Diagnostic::error("", "building this configuration panicked; it is refused"))
                }
            }
        }
        Compilation { snapshot, diagnostics, sources }
    }

    /// `sound` says that no error has been found so far.
    fn build(
        &self,
        generation: u64,
        document: Document,
        read: &mut Sources,
        sound: bool,
    ) -> (Option<Snapshot>, Diagnostics) {
        let sources = &*read;
        let mut faults = Faults { sources, found: Diagnostics::default() };
        if let Err(fault) = crate::telemetry::check(&document.telemetry, sources.folder()) {
            faults.add("telemetry", fault);
        }
        let mut found = faults.found;
        let (compiled, judged) = compile(Arc::new(document), sources, &self.registry);
        found.extend(judged);
        if let Some(compiled) = compiled.as_ref().filter(|_| sound && !found.has_errors()) {
            lint::doubts(&compiled.plan.document, sources, &mut found);
            let mut faults = Faults { sources, found };
            warnings::find(compiled, &mut faults);
            found = faults.found;
        }
        let install = |compiled: Compiled| {
            let shown = self.show(&compiled.plan, read);
            // What is said of routes is in the plan now, and the memory is needed.
            read.forget("routes");
            let compiled = Compiled { plan: compiled.plan.serving(), ..compiled };
            let snapshot = install(compiled, generation, read, &self.keep, &self.services)?;
            Ok(Snapshot { shown, ..snapshot })
        };
        match compiled.filter(|_| !found.has_errors()).map(install) {
            Some(Ok(snapshot)) => (Some(snapshot), found),
            Some(Err(panicked)) => {
                found.extend(panicked);
                (None, found)
            }
            None => (None, found),
        }
    }

    /// On a thread of its own: it reads files and takes its time.
    pub async fn compile_apart(self: &Arc<Self>, generation: u64) -> Result<Compilation, RefusedConfiguration> {
        let (compiler, runtime) = (Arc::clone(self), Handle::current());
        let (done, compiled) = oneshot::channel();
        let work = move || {
            let _inside = runtime.enter();
            let _ = done.send(compiler.compile(generation));
            thread::sleep(LINGER);
        };
        let spawned = thread::Builder::new().name("compile".to_owned()).spawn(work);
        let compiled = match spawned {
            Ok(_) => compiled.await.map_err(|_| "reading this configuration panicked; it is refused".to_owned()),
            Err(error) => Err(format!("no thread could be started to read this configuration: {error}")),
        };
        compiled.map_err(|message| {
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(Diagnostic::error("", message));
            RefusedConfiguration::new(diagnostics, &Sources::read(&self.root).0)
        })
    }

    /// What `plan` is made from, for people: JSON with its secrets masked.
    fn show(&self, plan: &Plan, sources: &Sources) -> String {
        show::show(&plan.document, &plan.plugins, sources, &self.schema).to_string()
    }

    /// A snapshot serves from now on: the tasks of what it keeps begin, and what no snapshot holds any more is forgotten.
    pub fn served(&self) {
        self.keep.begin(&self.services);
        self.keep.sweep();
    }
}
