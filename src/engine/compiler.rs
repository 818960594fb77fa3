//! From files to a snapshot: reads, validates and builds without side effects.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::Document;
use crate::config::document::chain::PluginSpec;
use crate::config::load::judge;
use crate::config::named::Named;
use crate::config::schema::ConfigSchema;
use crate::config::sources::{Sources, Unreadable};
use crate::config::{environment, lint, load, show, stand_in};
use crate::engine::compile::{Compiled, compile};
use crate::engine::faults::Faults;
use crate::engine::install::install;
use crate::engine::outcome::RefusedConfiguration;
use crate::engine::registry::Registry;
use crate::engine::snapshot::Snapshot;
use crate::engine::warnings;
use crate::services::HttpServices;
use gatewright_sdk::{Code, Keep, Services};
use jiff::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long the compiling thread lingers. When a thread ends, the allocator returns memory that was freed at least a
/// second earlier: by then that includes everything used for compiling, and the previous generation.
const LINGER: Duration = Duration::from_secs(4);

/// Loads and builds configurations from one root file with one set of plugin types.
pub struct Compiler {
    root: PathBuf,
    /// The text of the root, if it was read from a pipe.
    piped: Option<Result<String, Unreadable>>,
    registry: Registry,
    schema: ConfigSchema,
    keep: Keep,
    services: Arc<dyn Services>,
}

/// A compiled configuration: the snapshot if it can serve, and all diagnostics.
pub struct Compilation {
    pub snapshot: Option<Snapshot>,
    pub diagnostics: Diagnostics,
    pub sources: Arc<Sources>,
    /// What is still to be rendered, once no one waits for the compilation.
    unwritten: Option<Unwritten>,
}

/// A valid configuration, before it is rendered for people.
struct Unwritten {
    document: Arc<Document>,
    plugins: Named<PluginSpec>,
    sources: Arc<Sources>,
    /// Where the rendered text goes.
    shown: Arc<OnceLock<String>>,
}

impl Unwritten {
    fn write(self, schema: &ConfigSchema) {
        let Self { document, plugins, sources, shown } = self;
        let written = || show::show(&document, &plugins, &sources, schema).to_string();
        let _ = shown.set(catch_unwind(AssertUnwindSafe(written)).unwrap_or_else(|_| "null".to_owned()));
    }
}

impl Compiler {
    pub fn new(root: &Path, registry: Registry) -> Self {
        let schema = ConfigSchema::new(registry.kinds());
        let services = Arc::new(HttpServices::default());
        Self { root: root.to_owned(), piped: None, registry, schema, keep: Keep::default(), services }
    }

    /// The same for a text that was read from a pipe called `name`, or why it could not be read.
    pub fn of_text(name: &Path, text: Result<String, Unreadable>, registry: Registry) -> Self {
        Self { piped: Some(text), ..Self::new(name, registry) }
    }

    /// Reads and validates the files: everything that a reload checks except sockets and tables. Reads files and the
    /// environment and changes nothing.
    pub fn compile(&self, generation: u64) -> Compilation {
        let loaded = match &self.piped {
            None => load(&self.root, &environment(), &self.schema),
            Some(text) => {
                let (sources, found) = Sources::read_piped(&self.root, text.clone());
                judge(sources, found, &environment(), &self.schema)
            }
        };
        let (mut diagnostics, sources) = (loaded.diagnostics, Arc::new(loaded.sources));
        let (mut snapshot, mut unwritten) = (None, None);
        if let Some(document) = loaded.document {
            let sound = !diagnostics.has_errors();
            match catch_unwind(AssertUnwindSafe(|| self.build(generation, document, &sources, sound))) {
                Ok((built, found)) => {
                    (snapshot, unwritten) = built.filter(|_| !diagnostics.has_errors()).unzip();
                    diagnostics.complete(found, |path| stand_in::is_read(sources.tree(), path));
                    diagnostics.sort();
                }
                Err(_) => diagnostics.push(Diagnostic::error(
                    Code::INTERNAL,
                    "",
                    "gatewright panicked while it read this configuration",
                )),
            }
        }
        Compilation { snapshot, diagnostics, sources, unwritten }
    }

    /// `sound` is whether no error has been found so far.
    fn build(
        &self,
        generation: u64,
        document: Document,
        sources: &Arc<Sources>,
        sound: bool,
    ) -> (Option<(Snapshot, Unwritten)>, Diagnostics) {
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
            warnings::find(compiled, Timestamp::now().as_second(), &mut faults);
            found = faults.found;
        }
        let install = |compiled: Compiled| {
            let (document, plugins) = (Arc::clone(&compiled.plan.document), compiled.plan.plugins.clone());
            // The plan already describes the routes, and there may be many thousands of them.
            let compiled = Compiled { plan: compiled.plan.serving(), ..compiled };
            let snapshot = install(compiled, generation, sources, &self.keep, &self.services)?;
            let (sources, shown) = (Arc::clone(sources), Arc::clone(&snapshot.shown));
            Ok((snapshot, Unwritten { document, plugins, sources, shown }))
        };
        match compiled.filter(|_| !found.has_errors()).map(install) {
            Some(Ok(installed)) => (Some(installed), found),
            Some(Err(panicked)) => {
                found.extend(panicked);
                (None, found)
            }
            None => (None, found),
        }
    }

    /// Compiles on a separate thread, because it reads files and takes time.
    pub async fn compile_apart(self: &Arc<Self>, generation: u64) -> Result<Compilation, RefusedConfiguration> {
        let (compiler, runtime) = (Arc::clone(self), Handle::current());
        let (done, compiled) = oneshot::channel();
        let work = move || {
            let _inside = runtime.enter();
            let mut compilation = compiler.compile(generation);
            let unwritten = compilation.unwritten.take();
            let _ = done.send(compilation);
            if let Some(unwritten) = unwritten {
                unwritten.write(&compiler.schema);
            }
            thread::sleep(LINGER);
        };
        let spawned = thread::Builder::new().name("compile".to_owned()).spawn(work);
        let compiled = match spawned {
            Ok(_) => compiled.await.map_err(|_| "gatewright panicked while it read this configuration".to_owned()),
            Err(error) => Err(format!("cannot start a thread to read this configuration: {error}")),
        };
        compiled.map_err(|message| {
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(Diagnostic::error(Code::INTERNAL, "", message));
            RefusedConfiguration::new(diagnostics, &Sources::read(&self.root).0)
        })
    }

    /// Called when a snapshot starts to serve: starts the tasks of what it keeps, and forgets what no snapshot holds
    /// any more.
    pub fn served(&self) {
        self.keep.begin(&self.services);
        self.keep.sweep();
    }
}
