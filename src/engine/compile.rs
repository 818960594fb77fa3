//! Compiles a document: validates it and prepares everything that needs no I/O. Pure: no disk, no environment, no
//! runtime, no kept state.

mod bounds;
#[cfg(test)]
mod tests;

use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::document::listener::Listener;
use crate::config::document::paths::Paths;
use crate::config::document::route::Route;
use crate::config::document::store_url::StoreKind;
use crate::config::rewriting::Rewriting;
use crate::config::sources::Sources;
use crate::counters::tls::Certificates;
use crate::engine::chain::{self, Plugins, StepMaker, Steps};
use crate::engine::deciding;
use crate::engine::faults::Faults;
use crate::engine::gaps::{self, Gap};
use crate::engine::guarded::Guarded;
use crate::engine::lookups;
use crate::engine::open;
use crate::engine::placeholders;
use crate::engine::plan::{
    Place, Plan, PlannedListener, PlannedRoute, PlannedTarget, SetBound, matching, patterns, serving_listeners,
};
use crate::engine::reach::Reach;
use crate::engine::registry::Registry;
use crate::engine::router::{Clash, Listeners, Router};
use crate::engine::specs::Specs;
use crate::engine::stores;
use crate::engine::targets::{self, Act, Reached, TargetContext};
use crate::path::Doubts;
use crate::resource::dialect::Dialect;
use crate::resource::model::others::Others;
use crate::resource::model::served::Served;
use crate::resource::model::{self, Model};
use crate::tls;
use crate::upstream;
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{CheckContext, Code, Fault, Rewrite, RouteLimits};
use http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled document.
pub struct Compiled {
    pub plan: Plan,
    pub(super) parts: Parts,
}

/// The parts that a plan is installed from.
pub(super) struct Parts {
    pub plugins: Plugins,
    /// Response headers that scripts in browsers may read.
    pub exposed: Vec<String>,
    /// Resources by name, in file order. Some may have no route.
    pub models: Vec<(String, Arc<Model>)>,
    pub upstreams: HashMap<String, upstream::Compiled>,
    /// Those of Redis stores, by the names of the stores.
    pub certificates: HashMap<String, Certificates>,
    /// The steps of each listener, in document order.
    pub listeners: Vec<Steps>,
    /// The TLS of each listener, in document order.
    pub tls: Vec<Option<tls::server::Compiled>>,
    /// The TLS of the admin address.
    pub admin_tls: Option<tls::server::Compiled>,
    pub routes: Vec<CompiledRoute>,
    pub router: Router,
    /// The entry of each route in the router, by index.
    pub entries: Vec<Entry>,
}

pub(super) struct CompiledRoute {
    pub name: Arc<str>,
    pub steps: Arc<Steps>,
    pub target: Act,
    pub limits: Option<Arc<RouteLimits>>,
    pub rewrite: Option<Arc<dyn Rewrite>>,
    /// The ambiguous spellings it accepts; if `None`, the listener decides.
    pub allowed: Option<Doubts>,
}

/// One path of a route.
pub(super) struct Entry {
    /// Its index among the compiled routes.
    pub route: usize,
    pub template: String,
    pub parameters: Vec<Arc<str>>,
    /// The allowed methods, if its chain handles preflights for methods that the route itself does not accept.
    pub preflight: Option<Vec<Method>>,
    pub reach: Arc<Reach>,
}

/// Compiles `document`. The result is `Some` only if there are no errors; warnings come with it.
pub fn compile(document: Arc<Document>, sources: &Sources, registry: &Registry) -> (Option<Compiled>, Diagnostics) {
    let mut faults = Faults { sources, found: Diagnostics::default() };
    let check = CheckContext { files: sources, production: document.is_production() };
    let plugins = Plugins::compile(&document, registry, &check, &mut faults);
    plugins.check_stores(&document, &mut faults);
    chain::check(&document, &plugins, &mut faults);
    let mut exposed = plugins.exposes();
    if !document.resources.is_empty() {
        exposed.extend(crate::resource::exposed_headers().iter().map(|&name| name.to_owned()));
    }
    let served = Served::of(&document.routes);
    let models = models(&document, &served, &mut faults);
    let upstreams = upstreams(&document, &mut faults);
    let certificates = stores::certificates(&document.stores, &mut faults);
    let mut steps = StepMaker::new(&document, &plugins, sources);
    let of_listener = |(name, spec): (&str, &Listener)| steps.of_listener(name, spec.chain.as_deref());
    let listeners: Vec<Steps> = document.listeners.iter().map(of_listener).collect();
    // Guards that every listener applies cannot be bypassed.
    let everywhere = |on: Listeners, guard: &Arc<str>| {
        let mut serving = listeners.iter().enumerate().filter(|(index, _)| on.has(*index));
        serving.all(|(_, steps)| steps.protecting.contains(guard))
    };
    let (tls, admin_tls) = (tls(&document, &mut faults), admin_tls(&document, &mut faults));
    let deciding = deciding::find(&document, &models, &plugins);
    let open = open::served(&document, &plugins);
    let context = TargetContext {
        services: registry.services(),
        check: &check,
        document: &document,
        models: &models,
        open: &open,
        deciding: &deciding,
        plugins: &plugins,
    };
    let mut reached = Reached::new(&models, &upstreams, sources.absolute_folder());
    let written = sources.locate_entries("routes");
    let count = document.routes.len();
    let (mut routes, mut planned, mut entries) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let mut specs = Specs::default();
    let (mut matches, mut guarded) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (name, spec) in document.routes.iter() {
        let Some(given) = spec.targets().next() else { continue };
        let target = targets::of(name, spec, given);
        let base = format!("routes.{name}.{}", given.key());
        let act = match target.compile(&context) {
            Ok(Some(act)) => act,
            Ok(None) => continue,
            Err(found) => {
                found.into_iter().for_each(|fault| faults.add(&base, fault));
                continue;
            }
        };
        target.warnings(&context).into_iter().for_each(|warning| faults.warn(&base, warning));
        let token = spec.sign_in.as_ref().map(|sign_in| &*sign_in.token.plugin);
        let token_check = token.map(|plugin| Box::new(steps.alone(plugin, format!("{base}.token.plugin"))));
        let steps = steps.of_route(name, spec);
        let on = serving_listeners(&document, spec);
        let protecting: Arc<[Arc<str>]> =
            steps.protecting.iter().filter(|guard| !everywhere(on, guard)).map(Arc::clone).collect();
        let reach = target.reach(&mut reached);
        for pattern in patterns(spec, target.below(&document)) {
            let matching = matching(on, spec, pattern.clone(), steps.answer_preflights);
            let preflight = (matching.preflights && !matching.takes(&Method::OPTIONS)).then(|| {
                let mut allow = Vec::new();
                matching.add_allowed(&mut allow);
                allow
            });
            let unasked = gaps::TRIED.iter().filter(|method| !target.asks_who(method, &pattern, &reached));
            let (unasked, guards, beside) = (unasked.cloned().collect(), Arc::clone(&protecting), Arc::clone(&reach));
            guarded.push(Guarded { name, unasked, guards, reach: beside });
            entries.push(Entry {
                route: routes.len(),
                template: pattern.template().to_owned(),
                parameters: pattern.parameters().to_vec(),
                preflight,
                reach: Arc::clone(&reach),
            });
            matches.push(matching);
        }
        let at = written.get(name).cloned().map(Place);
        let comes_to = PlannedTarget { token_check, ..target.plan(&document) };
        let steps_shown = Arc::clone(&steps.planned);
        let mut shown = PlannedRoute::new((name, at), spec, target.below(&document), steps_shown, comes_to);
        specs.describe(&mut shown, spec, &check, &mut faults);
        planned.push(shown);
        routes.push(CompiledRoute {
            name: name.into(),
            target: act,
            rewrite: rewrite(spec),
            limits: (spec.limits != RouteLimits::default()).then(|| Arc::new(spec.limits.clone())),
            allowed: spec.paths.as_ref().map(Paths::allowed),
            steps,
        });
    }
    lookups::check(&plugins, &document, &mut faults);
    let parameters = entries.iter().filter_map(|entry| {
        let route = routes.get(entry.route)?;
        Some((&*route.name, &*route.steps, entry.parameters.as_slice()))
    });
    placeholders::check(&plugins, parameters, &listeners, &document, &mut faults);
    let plan = Plan {
        document: Arc::clone(&document),
        plugins: plugins.settings(&document),
        files: sources.named_files(),
        listeners: plan_listeners(&document, &listeners, sources),
        routes: planned,
    };
    bounds::check(&plan, &mut faults);
    let router = Router::build(matches).unwrap_or_else(|clashes| {
        clashes.iter().for_each(|clash| report(clash, &guarded, &mut faults));
        Router::default()
    });
    for Gap { guarded: index, open, warning } in gaps::find(&router, &guarded, listeners.len()) {
        let name = |index: usize| guarded.get(index).map(|route| route.name).unwrap_or_default();
        let other = format!("routes.{}", name(open));
        let word = format!("`{}` is defined here", name(open));
        faults.warn_related(&format!("routes.{}", name(index)), warning, Some((&other, word)));
    }
    let found = faults.found;
    let compiled = (!found.has_errors()).then(|| Compiled {
        plan,
        parts: Parts {
            plugins,
            exposed,
            models,
            upstreams,
            certificates,
            listeners,
            tls,
            admin_tls,
            routes,
            router,
            entries,
        },
    });
    (compiled, found)
}

/// The TLS of each listener, in document order.
fn tls(document: &Document, faults: &mut Faults<'_>) -> Vec<Option<tls::server::Compiled>> {
    let mut all = Vec::new();
    for (name, spec) in document.listeners.iter() {
        all.push(spec.tls.as_ref().and_then(|settings| {
            let compiled = tls::server::compile(settings, &spec.protocols, faults.sources);
            let base = format!("listeners.{name}.tls");
            compiled.map_err(|found| found.into_iter().for_each(|fault| faults.add(&base, fault))).ok()
        }));
    }
    all
}

fn admin_tls(document: &Document, faults: &mut Faults<'_>) -> Option<tls::server::Compiled> {
    let certificate = document.admin.as_ref()?.tls.as_ref()?;
    let compiled = tls::server::compile_one(certificate, faults.sources);
    compiled.map_err(|found| found.into_iter().for_each(|fault| faults.add("admin.tls", fault))).ok()
}

fn plan_listeners(document: &Document, steps: &[Steps], sources: &Sources) -> Vec<PlannedListener> {
    let planned = document.listeners.iter().zip(steps).map(|((name, spec), steps)| {
        let (path, limit) = (format!("listeners.{name}.limits.body_bytes"), Limit::Body(spec.limits.body_bytes));
        PlannedListener {
            name: name.to_owned(),
            address: spec.address.to_string(),
            at: sources.locate(&format!("listeners.{name}")).map(Place),
            steps: Arc::clone(&steps.planned),
            bounds: vec![SetBound { path, limit }],
        }
    });
    planned.collect()
}

/// How a route changes the path for its upstream. Its faults were reported when the file was checked.
fn rewrite(route: &Route) -> Option<Arc<dyn Rewrite>> {
    let rewriting = Rewriting::new(route.rewrite.as_ref()?, route).ok()?;
    (!matches!(rewriting, Rewriting::Nothing)).then(|| Arc::new(rewriting) as Arc<dyn Rewrite>)
}

/// The SQL of a store. One that does not exist is reported elsewhere.
fn dialect(document: &Document, store: &str) -> Dialect {
    match document.stores.get(store).map(|store| &store.url.store) {
        Some(StoreKind::Postgres) => Dialect::Postgres,
        _ => Dialect::Sqlite,
    }
}

/// Every resource, including those that no route serves.
fn models(document: &Document, served: &Served<'_>, faults: &mut Faults<'_>) -> Vec<(String, Arc<Model>)> {
    let mut models: Vec<(String, Arc<Model>)> = Vec::new();
    let others = Others { resources: &document.resources, served };
    for (name, spec) in document.resources.iter() {
        let base = format!("resources.{name}");
        match model::compile((name, spec), others, dialect(document, &spec.store), document.is_production()) {
            Ok(model) => {
                model.warnings.iter().for_each(|warning| faults.warn(&base, warning.clone()));
                models.push((name.to_owned(), Arc::new(model)));
            }
            Err(found) => found.into_iter().for_each(|fault| faults.add(&base, fault)),
        }
    }
    let compiled: Vec<_> = models.iter().map(|(name, model)| (name.as_str(), &**model)).collect();
    let folder = faults.sources.absolute_folder();
    let url = |name: &str| document.stores.get(name).map(|store| store.url.resolved(folder));
    let same = |one: &str, other: &str| {
        one == other || matches!((url(one), url(other)), (Some(one), Some(other)) if one.key() == other.key())
    };
    for (index, fault) in model::sharing::conflicts(&compiled, same) {
        let name = compiled.get(index).map(|(name, _)| *name).unwrap_or_default();
        faults.add(&format!("resources.{name}"), fault);
    }
    models
}

fn upstreams(document: &Document, faults: &mut Faults<'_>) -> HashMap<String, upstream::Compiled> {
    let mut compiled = HashMap::new();
    for (name, spec) in document.upstreams.iter() {
        match upstream::Compiled::new(name, spec, faults.sources) {
            Ok(upstream) => drop(compiled.insert(name.to_owned(), upstream)),
            Err(found) => found.into_iter().for_each(|fault| faults.add(&format!("upstreams.{name}"), fault)),
        }
    }
    compiled
}

fn report(clash: &Clash, routes: &[Guarded<'_>], faults: &mut Faults<'_>) {
    let name = |index: usize| routes.get(index).map(|route| route.name).unwrap_or_default();
    let (first, second) = (name(clash.first), name(clash.second));
    let other = format!("routes.{first}");
    let place = faults.sources.locate(&other).map(|at| format!(" ({at})")).unwrap_or_default();
    let fault = Fault::new("", format!("routes `{first}`{place} and `{second}` {}", clash.why))
        .code(Code::AMBIGUOUS_ROUTES)
        .help("give them different paths, hosts, methods or headers, or remove one");
    faults.add_related(&format!("routes.{second}"), fault, Some((&other, format!("`{first}` is defined here"))));
}
