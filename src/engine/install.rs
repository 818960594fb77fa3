//! Installs what was compiled: chains in front of targets, with the state kept across reloads. Opens nothing and does
//! not block.

use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::document::address::ListenAddress;
use crate::config::document::resource::Operation;
use crate::config::document::socket_mode::SocketMode;
use crate::config::sources::Sources;
use crate::engine::certificates::{UsedCertificate, UsedCertificates};
use crate::engine::chain::InstallContext;
use crate::engine::compile::{Compiled, CompiledRoute, Entry, Parts};
use crate::engine::faults::Faults;
use crate::engine::limited::{self, Limited};
use crate::engine::lookups::{self, Tables};
use crate::engine::measure::Alive;
use crate::engine::openapi::Descriptions;
use crate::engine::plan::{Plan, PlannedTarget};
use crate::engine::snapshot::{AdminListener, Listener, Origin, RequestIds, Route, Snapshot, method_not_allowed};
use crate::engine::sockets::{ListeningSocket, Options, Role};
use crate::engine::stores::{Used, counting};
use crate::engine::targets::Installed;
use crate::resource::password::Hasher;
use crate::resource::{Api, Purge, sign_in};
use crate::telemetry::metrics::Requests;
use crate::telemetry::{Observer, RouteLabel};
use crate::terms::{AssertedFields, RequestTerms};
use crate::upstream::{Copies, Upstream};
use gatewright_sdk::{Facts, HttpService, Keep, Needs, Problem, Reply, Services, Usages};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Builds the snapshot of generation `generation`. State that must survive a reload comes from `keep`.
///
/// # Errors
/// A plugin that panics while it is installed, reported at its line.
pub fn install(
    compiled: Compiled,
    generation: u64,
    sources: &Sources,
    keep: &Keep,
    services: &Arc<dyn Services>,
) -> Result<Snapshot, Diagnostics> {
    let certificates = UsedCertificates::new(UsedCertificate::of(&compiled));
    let Compiled { plan, parts } = compiled;
    let document = &*plan.document;
    let mut faults = Faults { sources, found: Diagnostics::default() };
    let observer = observer(document, keep);
    let (probes, needs, usages) = (observer.wants_probes(), Needs::default(), Usages::default());
    let hasher = Arc::new(Hasher::with(services));
    let (stores, made) = targets((&plan, &parts), sources.absolute_folder(), &hasher, keep);
    let tables = Tables { models: &parts.models, stores: &stores, keep };
    let counting = counting(&document.stores, &parts.certificates, keep);
    let context = InstallContext {
        keep,
        services,
        resources: &tables,
        exposed: &parts.exposed,
        probes,
        needs: &needs,
        stores: &counting.stores,
        usages: &usages,
    };
    let behind = |plugin: &str, route: &str, service: HttpService| {
        // It was checked when the document was compiled that the plugin exists.
        parts.plugins.install_alone(plugin, route, &context, service).unwrap_or_else(nowhere)
    };
    let Made { resources, upstreams, copies } = made;
    let descriptions = Descriptions { plan: &plan, models: &parts.models };
    let installed = Installed {
        resources,
        upstreams,
        copies,
        keep,
        usages: &usages,
        counting: &counting.redis,
        behind: &behind,
        descriptions,
        generation,
    };
    let (mut chains, mut limited) = (Vec::with_capacity(parts.routes.len()), Vec::new());
    for route in &parts.routes {
        // Every named resource and upstream exists, because the document has no errors.
        let target = route.target.install(&installed).unwrap_or_else(nowhere);
        let chain = parts.plugins.install(&route.steps.list, &route.name, &context, target, &mut faults);
        let unprobed = InstallContext { probes: false, ..context };
        let mut refused = || {
            let list = parts.plugins.on_rejections(&route.steps.list);
            parts.plugins.install(&list, &route.name, &unprobed, limited::overloaded(), &mut faults)
        };
        let (chain, limit) = limited::route(&route.name, route.limits.as_deref(), keep, chain, &mut refused);
        limited.extend(limit);
        chains.push(chain);
    }
    let targets: Vec<Arc<str>> = plan.routes.iter().map(|route| route.target.label().into()).collect();
    let mut routes = Vec::with_capacity(parts.entries.len());
    let mut request_ids = Vec::with_capacity(parts.entries.len());
    for entry in &parts.entries {
        let (Some(compiled), Some(chain)) = (parts.routes.get(entry.route), chains.get(entry.route)) else { continue };
        let target = targets.get(entry.route).cloned().unwrap_or_default();
        let preflight = entry.preflight.as_ref().map(|allow| {
            let target = method_not_allowed(allow);
            parts.plugins.install(&compiled.steps.list, &compiled.name, &context, target, &mut faults)
        });
        let label = label(&compiled.name, &entry.template, target, keep);
        routes.push(route(entry, compiled, label, chain.clone(), preflight));
        request_ids.push(Arc::clone(&compiled.steps.request_ids));
    }
    let folder = sources.absolute_folder();
    let (listeners, of_listeners) = listeners((document, folder), &parts, &request_ids, &context, &mut faults);
    limited.extend(of_listeners);
    if faults.found.has_errors() {
        return Err(faults.found);
    }
    let admin = document.admin.as_ref().map(|spec| {
        let options = Options { shared: false, mode: spec.socket_mode.unwrap_or(SocketMode::OWNER) };
        let address = spec.address.below(sources.absolute_folder());
        let socket = ListeningSocket::kept(Role::Admin, "admin", address, options, keep);
        let tls = parts.admin_tls.as_ref().map(|tls| tls.install("admin API", keep));
        AdminListener { settings: spec.clone(), tls, socket }
    });
    let mut known = HashSet::new();
    let guarded = routes.iter().filter(|route| !route.guards.is_empty());
    let is_new = |route: &&Route| {
        let guards = route.reach.is_rewritten().then(|| (Arc::clone(&route.guards), Arc::as_ptr(&route.reach)));
        known.insert((route.reach.key.clone(), guards))
    };
    let protected = guarded.filter(is_new).map(|route| (Arc::clone(&route.reach), Arc::clone(&route.guards))).collect();
    let upstreams = installed.upstreams;
    let counters = counting.redis.clone();
    Ok(Snapshot {
        origin: Origin::new(generation, sources),
        plan: Arc::new(plan),
        shown: Arc::default(),
        observer,
        stores,
        upstreams,
        counters,
        needs: Arc::new(needs),
        usages,
        listeners,
        admin,
        former: Vec::new(),
        limited,
        certificates,
        router: parts.router,
        guesses: parts.models.iter().map(|(_, model)| sign_in::guesses(model, keep)).collect(),
        models: parts.models,
        protected,
        routes_limit_bodies: routes.iter().any(|route| route.limits.as_ref().is_some_and(|l| l.body_bytes.is_some())),
        routes,
    })
}

fn route(
    entry: &Entry,
    compiled: &CompiledRoute,
    label: RouteLabel,
    service: HttpService,
    preflight: Option<HttpService>,
) -> Route {
    Route {
        name: Arc::clone(&compiled.name),
        label,
        service,
        limits: compiled.limits.clone(),
        rewrite: compiled.rewrite.clone(),
        preflight,
        parameters: entry.parameters.clone(),
        guards: Arc::clone(&compiled.steps.guards),
        reach: Arc::clone(&entry.reach),
        allowed: compiled.allowed,
    }
}

fn listeners(
    (document, folder): (&Document, &Path),
    parts: &Parts,
    request_ids: &[Arc<[http::HeaderName]>],
    context: &InstallContext<'_>,
    faults: &mut Faults<'_>,
) -> (Vec<Listener>, Vec<Limited>) {
    let plugins = &parts.plugins;
    // These responses are not observed, or there is nothing to report.
    let unprobed = InstallContext { probes: false, ..*context };
    let asserted = AssertedFields::new(plugins.asserted_fields());
    let (mut listeners, mut limited) = (Vec::new(), Vec::new());
    for (index, (((name, spec), steps), tls)) in
        document.listeners.iter().zip(&parts.listeners).zip(&parts.tls).enumerate()
    {
        let list = &steps.list;
        let chain = plugins.install(list, name, context, dispatch(), faults);
        let health = plugins.install(&plugins.without_guards(list), name, &unprobed, dispatch(), faults);
        let refused = plugins.install(&plugins.on_rejections(list), name, &unprobed, dispatch(), faults);
        let (chain, limit) = limited::listener(name, &spec.limits, context.keep, chain, &refused);
        limited.extend(limit);
        let options = Options { shared: spec.share_address, mode: spec.socket_mode.unwrap_or(SocketMode::GROUP) };
        let kept = |role, address: ListenAddress| ListeningSocket::kept(role, name, address, options, context.keep);
        let socket = kept(Role::Listener, spec.address.below(folder));
        let redirect_from = spec.tls.as_ref().and_then(|tls| tls.redirect_from);
        let redirect = redirect_from.map(|from| kept(Role::Redirect, ListenAddress::Ip(from.0)));
        listeners.push(Listener {
            index,
            name: name.into(),
            chain,
            guards: Arc::clone(&steps.guards),
            health,
            refused,
            request_ids: RequestIds::new(&steps.request_ids, request_ids),
            settings: spec.clone(),
            terms: RequestTerms { asserted: asserted.clone(), ..RequestTerms::of(spec) },
            tls: tls.as_ref().map(|tls| tls.install(name, context.keep)),
            socket,
            redirect,
            allowed: spec.paths.allowed(),
        });
    }
    (listeners, limited)
}

/// The innermost service of a listener's chain. It was chosen before the chain ran.
fn dispatch() -> HttpService {
    HttpService::from_call(|mut request| match Facts::of_mut(&mut request).answering.take() {
        Some(service) => service.call(request),
        None => Reply::ready(Problem::not_found().reason("no_route")),
    })
}

fn nowhere() -> HttpService {
    HttpService::from_call(|_| Reply::ready(Problem::internal()))
}

/// What targets are installed with, apart from plugins.
struct Made {
    resources: HashMap<String, Arc<Api>>,
    upstreams: BTreeMap<String, Arc<Upstream>>,
    copies: Arc<Copies>,
}

/// The stores, and what answers routes: resources, each made once for all routes that serve it, and upstreams.
fn targets((plan, parts): (&Plan, &Parts), folder: &Path, hasher: &Arc<Hasher>, keep: &Keep) -> (Vec<Used>, Made) {
    let mut stores: Vec<Used> = Vec::new();
    for (name, spec) in plan.document.stores.iter() {
        stores.extend(Used::new(name, spec, folder, keep));
    }
    let uses = |target: &&PlannedTarget| matches!(target.kind, "resource" | "sign_in");
    let targets = plan.routes.iter().map(|route| &route.target).filter(uses);
    let looked_up = lookups::resources(&parts.plugins);
    let served: BTreeSet<String> =
        targets.filter_map(|target| target.name.as_deref().map(str::to_owned)).chain(looked_up).collect();
    let served = crate::resource::related(&parts.models, served);
    let mut resources = HashMap::new();
    for (name, model) in parts.models.iter().filter(|(name, _)| served.contains(name.as_str())) {
        let Some(used) = stores.iter_mut().find(|used| *used.name == *model.store) else { continue };
        let tables = std::iter::once(&**model).chain(model.deleted.as_deref()).map(|model| &model.table);
        used.tables.extend(tables.map(|table| (name.clone(), table.clone())));
        let statements = lookups::statements(used, model, keep);
        used.purges.extend(Purge::of(model, &used.store, &statements, keep));
        if model.has_operation(Operation::Create) && !used.purges.iter().any(|purge| purge.is_of_keys()) {
            used.purges.push(Purge::of_keys(&used.name, &used.store, keep));
        }
        let (model, store, hasher) = (Arc::clone(model), Arc::clone(&used.store), Arc::clone(hasher));
        resources.insert(name.clone(), crate::resource::api(model, store, hasher, statements, &parts.models));
    }
    let upstreams = parts.upstreams.iter();
    let upstreams = upstreams
        .map(|(name, upstream)| (name.clone(), Arc::new(upstream.install(folder, &plan.document.dns, keep))))
        .collect();
    let copies = keep.get_or_make("mirrored requests", Copies::default);
    (stores, Made { resources, upstreams, copies })
}

fn observer(document: &Document, keep: &Keep) -> Observer {
    let observer = Observer::new(&document.telemetry);
    if !crate::telemetry::measures(&document.telemetry) {
        return observer;
    }
    observer.measure(keep.get_or_make("requests", || Requests::new(None)), Arc::new(Alive::new()))
}

/// The label of a route in spans and metrics. Its series continue across a reload.
fn label(name: &Arc<str>, template: &str, target: Arc<str>, keep: &Keep) -> RouteLabel {
    let route = Some((Arc::clone(name), template));
    let requests = keep.get_or_make(&format!("requests {name} {template}"), || Requests::new(route));
    RouteLabel::new(Arc::clone(name), template, target, requests)
}
