//! Compiles a document into a snapshot. The only file that knows plugins, resources and upstreams together.

use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::document::paths::Paths;
use crate::config::document::route::Route as RouteSpec;
use crate::config::sources::Sources;
use crate::engine::chain::{self, InstallContext, Plugins};
use crate::engine::faults::Faults;
use crate::engine::gaps::{self, Gap};
use crate::engine::guarded::{Guarded, SAMPLE};
use crate::engine::measure::Alive;
use crate::engine::reach::{Reach, Target};
use crate::engine::registry::Registry;
use crate::engine::router::{Clash, Hosts, Match, Pattern, Router};
use crate::engine::snapshot::{AdminListener, Listener, Origin, RequestIds, Route, Snapshot, method_not_allowed};
use crate::engine::sockets::{ListeningSocket, Role};
use crate::engine::stores::Used;
use crate::engine::target;
use crate::path::{self, Doubt, NormalPath};
use crate::resource::Statements;
use crate::resource::model::{self, Model};
use crate::resource::password::Hasher;
use crate::resource::store::Store;
use crate::telemetry::metrics::Requests;
use crate::telemetry::{Observer, RouteLabel};
use crate::upstream::{self, Upstream};
use gatewright_sdk::{CheckContext, Facts, Fault, HttpService, Keep, Problem, Reply, RouteLimits, Services};
use http::{HeaderName, HeaderValue, Method};
use std::collections::HashMap;
use std::sync::Arc;

/// Compiles `document`. Pure: no socket, no table, no waiting; what must survive a reload is asked of `keep`. The
/// snapshot is given only when there is no error; warnings come with it.
pub fn build(
    generation: u64,
    document: Arc<Document>,
    sources: &Arc<Sources>,
    registry: &Registry,
    keep: &Keep,
    services: &Arc<dyn Services>,
) -> (Option<Snapshot>, Diagnostics) {
    let mut faults = Faults { sources, found: Diagnostics::default() };
    let check = CheckContext { files: &**sources, production: document.is_production() };
    let plugins = Plugins::compile(&document, registry, &check, &mut faults);
    chain::check(&document, &plugins, &mut faults);
    let mut exposed = plugins.exposes();
    if !document.resources.is_empty() {
        exposed.extend(crate::resource::exposed_headers().iter().map(|&name| name.to_owned()));
    }
    let observer = observer(&document, keep);
    let context = InstallContext { keep, services, exposed: &exposed, probes: observer.wants_probes() };
    // What these answer is not observed, or there is nothing to report.
    let unprobed = InstallContext { probes: false, ..context };

    if let Err(fault) = crate::telemetry::check(&document.telemetry, sources.folder()) {
        faults.add("telemetry", fault);
    }
    let resources = Resources::build(&document, keep, &mut faults);
    let upstreams = upstreams(&document, keep, &mut faults);
    let outer =
        document.listeners.iter().map(|(name, spec)| plugins.of_listener(&document, name, spec.chain.as_deref()));
    let outer: Vec<_> = outer.collect();
    // No request gets past what every listener asks.
    let everywhere = |guard: &str| outer.iter().all(|steps| plugins.ask_who(steps).any(|asking| asking == guard));
    let mut routes = Vec::new();
    let mut matches = Vec::new();
    let mut guarded = Vec::new();
    let mut request_ids = Vec::new();
    for (name, spec) in document.routes.iter() {
        let Some(target) = target(name, spec, &resources, &upstreams, &check, &mut faults) else { continue };
        let steps = chain::of_route(&document, name, spec);
        let service = plugins.install(&steps, name, &context, target, &mut faults);
        let limits = (spec.limits != RouteLimits::default()).then(|| Arc::new(spec.limits.clone()));
        let guards: Vec<Arc<str>> = plugins.guards(&steps).map(|step| step.plugin.as_str().into()).collect();
        let asking: Arc<[Arc<str>]> =
            plugins.ask_who(&steps).filter(|guard| !everywhere(guard)).map(Arc::from).collect();
        for pattern in patterns(spec) {
            let Some(matching) = matching(spec, pattern.clone(), plugins.answer_preflights(&steps)) else { continue };
            let preflight = (matching.preflights && !matching.takes(&Method::OPTIONS)).then(|| {
                let mut allow = Vec::new();
                matching.add_allowed(&mut allow);
                plugins.install(&steps, name, &context, method_not_allowed(&allow), &mut faults)
            });
            let beside = guarded_by(Arc::clone(&asking), name, spec, &pattern, &resources, &upstreams);
            routes.push(Route {
                name: name.into(),
                label: label(name, pattern.template(), keep),
                service: service.clone(),
                limits: limits.clone(),
                preflight,
                parameters: pattern.parameters().to_vec(),
                guards: guards.clone(),
                reach: Arc::clone(&beside.reach),
                allowed: spec.paths.as_ref().map(Paths::allowed),
            });
            request_ids.push(plugins.request_id_headers(&steps));
            matches.push(matching);
            guarded.push(beside);
        }
    }
    let router = Router::build(matches).unwrap_or_else(|clashes| {
        clashes.iter().for_each(|clash| report(clash, &guarded, &mut faults));
        Router::default()
    });
    for Gap { guarded: index, open, warning } in gaps::find(&router, &guarded) {
        let name = |index: usize| guarded.get(index).map(|route| route.name).unwrap_or_default();
        let other = format!("routes.{}", name(open));
        let word = format!("`{}` is here", name(open));
        faults.warn_related(&format!("routes.{}", name(index)), warning, Some((&other, word)));
    }
    let mut listeners = Vec::new();
    for (name, spec) in document.listeners.iter() {
        let steps = plugins.of_listener(&document, name, spec.chain.as_deref());
        let service = plugins.install(&steps, name, &context, dispatch(), &mut faults);
        let unguarded = plugins.without_guards(&steps);
        let health = plugins.install(&unguarded, name, &unprobed, dispatch(), &mut faults);
        let identifying = plugins.giving_ids(&steps);
        let refused = plugins.install(&identifying, name, &unprobed, dispatch(), &mut faults);
        // An address that is none was reported when the file was checked.
        let Ok(address) = spec.address.parse() else { continue };
        let socket = ListeningSocket::kept(Role::Listener, name, address, keep);
        let settings = spec.clone();
        let request_ids = RequestIds::new(plugins.request_id_headers(&steps), &request_ids);
        let plugins = steps.into_iter().map(|step| step.plugin).collect();
        listeners.push(Listener {
            name: name.into(),
            plugins,
            chain: service,
            health,
            refused,
            request_ids,
            settings,
            socket,
            allowed: spec.paths.allowed(),
        });
    }
    let admin = document.admin.as_ref().and_then(|spec| {
        let address = spec.address.parse().ok()?;
        Some(AdminListener {
            settings: spec.clone(),
            socket: ListeningSocket::kept(Role::Admin, "admin", address, keep),
        })
    });
    let snapshot = (!faults.found.has_errors()).then(|| Snapshot {
        origin: Origin::new(generation, sources),
        observer,
        stores: resources.stores,
        document,
        listeners,
        admin,
        router,
        stripped: routes.iter().filter(|route| !route.guards.is_empty()).map(|r| r.reach.strip.clone()).collect(),
        routes_limit_bodies: routes.iter().any(|route| route.limits.as_ref().is_some_and(|l| l.body_bytes.is_some())),
        routes,
    });
    (snapshot, faults.found)
}

/// The innermost service of a listener's chain: what answers was chosen before the chain ran.
fn dispatch() -> HttpService {
    HttpService::from_call(|mut request| match Facts::of_mut(&mut request).answering.take() {
        Some(service) => service.call(request),
        None => Reply::ready(Problem::not_found().reason("no_route")),
    })
}

/// Resources, each compiled once for all routes that serve it, and the stores they need.
struct Resources {
    models: HashMap<String, Arc<Model>>,
    by_route: HashMap<String, HttpService>,
    stores: Vec<Used>,
}

impl Resources {
    fn build(document: &Document, keep: &Keep, faults: &mut Faults<'_>) -> Self {
        let mut stores: Vec<Used> = Vec::new();
        for (name, spec) in document.stores.iter() {
            let url = spec.url.expose();
            match Store::new(url) {
                Ok(store) => {
                    let store = keep.get_or_make(&format!("store {url}"), || store);
                    stores.push(Used { name: name.into(), store, tables: Vec::new() });
                }
                Err(message) => faults.add(&format!("stores.{name}"), Fault::new("url", message)),
            }
        }
        let hasher = keep.get_or_make("password hasher", Hasher::default);
        let mut by_route = HashMap::new();
        let mut models: Vec<(&str, Arc<Model>)> = Vec::new();
        for (name, spec) in document.resources.iter() {
            let base = format!("resources.{name}");
            let routes: Vec<_> = (document.routes.iter())
                .filter(|(_, route)| route.resource.as_deref() == Some(name) && route.path.is_some())
                .map(|(route_name, _)| route_name)
                .collect();
            // A resource that no route serves is judged all the same.
            let model = match model::compile(name, spec, document.is_production()) {
                Ok(model) => Arc::new(model),
                Err(found) => {
                    found.into_iter().for_each(|fault| faults.add(&base, fault));
                    continue;
                }
            };
            model.warnings.iter().for_each(|warning| faults.warn(&base, warning.clone()));
            models.push((name, Arc::clone(&model)));
            let Some(used) = stores.iter_mut().find(|used| *used.name == *spec.store) else { continue };
            if routes.is_empty() {
                continue;
            }
            used.tables.push((name.to_owned(), model.table.clone()));
            let key = format!("{} {}", used.name, model.table.name);
            let make = || Statements::new(&used.store, &used.name, &model.table.name);
            let statements = keep.get_or_make(&key, make);
            let store = Arc::clone(&used.store);
            let service = crate::resource::service(model, store, Arc::clone(&hasher), statements);
            by_route.extend(routes.into_iter().map(|route| (route.to_owned(), service.clone())));
        }
        let compiled: Vec<_> = models.iter().map(|(name, model)| (*name, &**model)).collect();
        let database = |name: &str| stores.iter().find(|used| *used.name == *name).map(|used| Arc::as_ptr(&used.store));
        let same = |one: &str, other: &str| one == other || database(one).is_some_and(|it| database(other) == Some(it));
        for (index, fault) in model::sharing::conflicts(&compiled, same) {
            let name = compiled.get(index).map(|(name, _)| *name).unwrap_or_default();
            faults.add(&format!("resources.{name}"), fault);
        }
        let models = models.into_iter().map(|(name, model)| (name.to_owned(), model)).collect();
        Self { models, by_route, stores }
    }
}

/// What is observed of requests.
fn observer(document: &Document, keep: &Keep) -> Observer {
    let observer = Observer::new(&document.telemetry);
    if !crate::telemetry::measures(&document.telemetry) {
        return observer;
    }
    observer.measure(keep.get_or_make("requests", || Requests::new(None)), Arc::new(Alive::new()))
}

/// What spans and metrics call a route. Its series go on over a reload.
fn label(name: &str, template: &str, keep: &Keep) -> RouteLabel {
    let name: Arc<str> = name.into();
    let route = Some((Arc::clone(&name), template));
    let requests = keep.get_or_make(&format!("requests {name} {template}"), || Requests::new(route));
    RouteLabel::new(name, template, requests)
}

fn upstreams(document: &Document, keep: &Keep, faults: &mut Faults<'_>) -> HashMap<String, Arc<Upstream>> {
    let mut built = HashMap::new();
    for (name, spec) in document.upstreams.iter() {
        match Upstream::build(name, spec, keep) {
            Ok(upstream) => {
                built.insert(name.to_owned(), Arc::new(upstream));
            }
            Err(found) => found.into_iter().for_each(|fault| faults.add(&format!("upstreams.{name}"), fault)),
        }
    }
    built
}

/// What answers a route. `None` where it could not be built; why was said, here or when the file was checked.
fn target(
    name: &str,
    spec: &RouteSpec,
    resources: &Resources,
    upstreams: &HashMap<String, Arc<Upstream>>,
    check: &CheckContext<'_>,
    faults: &mut Faults<'_>,
) -> Option<HttpService> {
    let built = if let Some(respond) = &spec.respond {
        target::respond(respond, check).map_err(|found| ("respond", found))
    } else if let Some(redirect) = &spec.redirect {
        target::redirect(redirect, spec).map_err(|found| ("redirect", found))
    } else if let Some(upstream) = &spec.upstream {
        let upstream = upstreams.get(upstream)?;
        Ok(upstream::service(Arc::clone(upstream), spec.rewrite.as_ref()))
    } else {
        return resources.by_route.get(name).cloned();
    };
    match built {
        Ok(service) => Some(service),
        Err((key, found)) => {
            found.into_iter().for_each(|fault| faults.add(&format!("routes.{name}.{key}"), fault));
            None
        }
    }
}

/// The paths of a route: a resource has its collection and its items.
fn patterns(spec: &RouteSpec) -> Vec<Pattern> {
    // Of a path that no request can have nothing is to be said but what was reported when the file was checked.
    let served =
        |path: &NormalPath| path::read(path).is_ok_and(|reading| !reading.spelling.doubts.has(Doubt::Parameters));
    if !spec.path.iter().chain(&spec.path_prefix).all(served) {
        return Vec::new();
    }
    match (&spec.path, &spec.path_prefix) {
        (Some(path), _) if spec.resource.is_some() => {
            vec![Pattern::whole(path), Pattern::whole(&format!("{}/{{id}}", path.trim_end_matches('/')))]
        }
        (Some(path), _) => vec![Pattern::whole(path)],
        (None, Some(prefix)) => vec![Pattern::prefix(prefix)],
        (None, None) => Vec::new(),
    }
}

/// What is to be known of a route to find the ways round its guards.
fn guarded_by<'a>(
    guards: Arc<[Arc<str>]>,
    name: &'a str,
    spec: &'a RouteSpec,
    pattern: &Pattern,
    resources: &Resources,
    upstreams: &HashMap<String, Arc<Upstream>>,
) -> Guarded<'a> {
    if let Some(resource) = &spec.resource {
        let on_item = pattern.parameters().iter().any(|parameter| &**parameter == "id");
        let model = resources.models.get(resource);
        let asks = |method: &&Method| model.is_some_and(|model| model.asks_who(method, on_item));
        let collection = spec.path.as_deref().map(|path| Pattern::whole(path.trim_end_matches('/')));
        return Guarded {
            name,
            reach: Arc::new(Reach {
                targets: vec![Target::Resource(resource.clone())],
                strip: collection.map(|path| path.sample(SAMPLE)).unwrap_or_default(),
            }),
            unasked: gaps::TRIED.iter().filter(|method| !asks(method)).cloned().collect(),
            guards,
        };
    }
    let named = spec.upstream.iter().chain(spec.split.iter().flatten().map(|share| &share.upstream));
    let servers = named.filter_map(|name| upstreams.get(name)).flat_map(|upstream| upstream.servers());
    let strip = spec.rewrite.as_ref().map(|rewrite| rewrite.strip_prefix.trim_end_matches('/').to_owned());
    Guarded {
        name,
        reach: Arc::new(Reach {
            targets: servers.map(|(name, port)| Target::server(name, port)).collect(),
            strip: strip.unwrap_or_default(),
        }),
        unasked: gaps::TRIED.clone(),
        guards,
    }
}

fn matching(spec: &RouteSpec, pattern: Pattern, preflights: bool) -> Option<Match> {
    // What cannot be read here was reported when the file was checked.
    let methods = spec.methods.iter().map(|method| Method::from_bytes(method.to_ascii_uppercase().as_bytes()));
    let headers = spec
        .headers
        .iter()
        .map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.expose()).ok()?)));
    Some(Match {
        hosts: Hosts::new(&spec.hosts),
        pattern,
        methods: methods.collect::<Result<_, _>>().ok()?,
        headers: headers.collect::<Option<_>>()?,
        preflights,
    })
}

fn report(clash: &Clash, routes: &[Guarded<'_>], faults: &mut Faults<'_>) {
    let name = |index: usize| routes.get(index).map(|route| route.name).unwrap_or_default();
    let (first, second) = (name(clash.first), name(clash.second));
    let other = format!("routes.{first}");
    let place = faults.sources.locate(&other).map(|at| format!(" ({at})")).unwrap_or_default();
    let fault = Fault::new("", format!("routes `{first}`{place} and `{second}` {}", clash.why))
        .help("tell them apart by path, hosts, methods or headers, or remove one");
    faults.add_related(&format!("routes.{second}"), fault, Some((&other, format!("`{first}` is here"))));
}
