//! A compiled and installed document: immutable, ready to serve.

mod former;
mod health_path;
mod limits;
mod request_ids;

pub use former::Former;
pub use health_path::HealthPath;
pub(super) use request_ids::RequestIds;

use crate::config::document::listener::Listener as ListenerSpec;
use crate::config::document::process::{Admin as AdminSpec, ErrorFormat};
use crate::config::sources::{SourceFiles, Sources};
use crate::counters;
use crate::engine::certificates::UsedCertificates;
use crate::engine::exchange::{Exchange, ProblemForm};
use crate::engine::limited::Limited;
use crate::engine::openapi::Descriptions;
use crate::engine::plan::Plan;
use crate::engine::reach::{Protected, Reach};
use crate::engine::router::{Found, Lookup, Router};
use crate::engine::sockets::ListeningSocket;
use crate::engine::stores::Used;
use crate::grpc;
use crate::path::{self, Doubts, Spelling};
use crate::resource::model::Model;
use crate::resource::sign_in::Guesses;
use crate::telemetry::{Observer, RouteLabel};
use crate::terms::RequestTerms;
use crate::tls::server::ServerTls;
use crate::upstream::Upstream;
use gatewright_sdk::accept::{self, Wanted};
use gatewright_sdk::host::host;
use gatewright_sdk::{
    Body, ByteSize, Client, ClientCertificate, Facts, HttpService, Needs, Problem, Reply, Request, Response, Rewrite,
    RouteLimits, Usages,
};
use http::header::{ALLOW, CONNECTION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// A compiled and installed document.
pub struct Snapshot {
    pub origin: Origin,
    /// The plan, reduced by [`Plan::serving`].
    pub plan: Arc<Plan>,
    /// The whole configuration as JSON without secrets. Text takes less memory than the values it is rendered from. It
    /// is rendered in the background once the snapshot serves; only readers of it wait.
    pub shown: Arc<OnceLock<String>>,
    pub listeners: Vec<Listener>,
    /// The admin address, if any.
    pub admin: Option<AdminListener>,
    /// The sockets that listeners had before. Connections that were accepted there are still served.
    pub(super) former: Vec<Former>,
    /// What counts the requests of listeners and routes.
    pub(super) limited: Vec<Limited>,
    pub certificates: UsedCertificates,
    pub stores: Vec<Used>,
    /// The wrong passwords of accounts, with or without a sign-in.
    #[expect(dead_code, reason = "they are only held")]
    pub(super) guesses: Vec<Arc<Guesses>>,
    /// What plugins need to serve requests.
    pub needs: Arc<Needs>,
    /// How far limits are used.
    pub usages: Usages,
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    /// The stores in which several gateways count together, by name.
    pub counters: BTreeMap<String, Arc<counters::Store>>,
    /// The resources, also those that no route serves.
    pub(super) models: Vec<(String, Arc<Model>)>,
    pub(super) observer: Observer,
    pub(super) router: Router,
    pub(super) routes: Vec<Route>,
    /// What guarded routes lead to, with their guards: one for each way in which they change paths. No spelling of a
    /// path may hide that it leads there too.
    pub(super) protected: Vec<Protected>,
    /// Whether any route has its own limit for request bodies.
    pub(super) routes_limit_bodies: bool,
}

/// The files that a snapshot came from, and when.
#[derive(Clone)]
pub struct Origin {
    /// Counts accepted configurations, from 1.
    pub generation: u64,
    pub since: SystemTime,
    /// SHA-256 of everything that was read, in hex.
    pub hash: String,
    pub sources: Arc<SourceFiles>,
}

impl Origin {
    pub fn new(generation: u64, sources: &Sources) -> Self {
        Self {
            generation,
            since: SystemTime::now(),
            hash: sources.hash_text(),
            sources: Arc::clone(sources.read_from()),
        }
    }
}

/// A listener of a snapshot.
pub struct Listener {
    /// Its index in the document.
    pub(super) index: usize,
    pub name: Arc<str>,
    pub settings: ListenerSpec,
    /// The limits of its requests.
    pub terms: RequestTerms,
    pub tls: Option<ServerTls>,
    pub socket: Arc<ListeningSocket>,
    /// The address that redirects to it.
    pub redirect: Option<Arc<ListeningSocket>>,
    pub(super) request_ids: RequestIds,
    /// The ambiguous spellings of paths that it accepts.
    pub(super) allowed: Doubts,
    pub(super) chain: HttpService,
    /// The plugins of its chain that reject requests by identity or rate.
    pub(super) guards: Arc<[Arc<str>]>,
    /// The chain without those guards.
    pub(super) health: HttpService,
    /// Only the plugins that every response needs, such as those that assign request ids, and CORS.
    pub(super) refused: HttpService,
}

/// The admin address of a snapshot.
pub struct AdminListener {
    pub settings: AdminSpec,
    pub tls: Option<ServerTls>,
    pub socket: Arc<ListeningSocket>,
}

impl AdminListener {
    pub const fn scheme(&self) -> &'static str {
        scheme(self.tls.as_ref())
    }
}

impl Listener {
    pub const fn scheme(&self) -> &'static str {
        scheme(self.tls.as_ref())
    }
}

const fn scheme(tls: Option<&ServerTls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

/// A route of a snapshot: its chain in front of its target.
pub(super) struct Route {
    pub name: Arc<str>,
    pub label: RouteLabel,
    pub service: HttpService,
    /// Handles preflights for its methods, if its own service does not accept OPTIONS.
    pub preflight: Option<HttpService>,
    pub parameters: Vec<Arc<str>>,
    /// The limits that replace those around it.
    pub limits: Option<Arc<RouteLimits>>,
    /// How it changes the path for its upstream.
    pub rewrite: Option<Arc<dyn Rewrite>>,
    /// The plugins of its chain that reject requests by identity or rate.
    pub guards: Arc<[Arc<str>]>,
    pub reach: Arc<Reach>,
    /// The ambiguous spellings it accepts; if `None`, the listener decides.
    pub allowed: Option<Doubts>,
}

/// The service that responds to a request, and its context.
#[derive(Default)]
struct Answering<'a> {
    service: Option<HttpService>,
    route: Option<&'a Route>,
    parameters: Vec<(Arc<str>, Box<str>)>,
}

impl Snapshot {
    /// The OpenAPI description of what the listener with this name serves; `None` if there is none.
    pub fn openapi(&self, listener: &str) -> Option<serde_json::Value> {
        let planned = self.plan.listeners.iter().find(|planned| planned.name == listener)?;
        Some(Descriptions { plan: &self.plan, models: &self.models }.of(planned, None))
    }

    /// Serves a request that arrived on `listener` from a client, with its verified certificate. Nothing is awaited: the
    /// exchange owns what it needs, so the caller can drop the snapshot at once.
    pub fn call(
        &self,
        listener: &Listener,
        (client, certificate): (Client, Option<Arc<ClientCertificate>>),
        mut request: Request,
        spelling: Spelling,
    ) -> Exchange {
        if let Some(problem) = self.maintenance(request.uri().path()) {
            return self.refuse(listener, client, request, problem.into());
        }
        let lookup = self.lookup(listener, (request.uri(), request.method(), request.headers()), spelling);
        let found = self.router.find(&lookup);
        if !spelling.doubts.is_empty()
            && let Some(problem) = self.doubted(listener, &lookup, &found)
        {
            return self.refuse(listener, client, request, problem.into());
        }
        let request_ids = listener.request_ids.of(&found);
        let Answering { service: answering, route, parameters } = self.answering(&request, found);
        let mut facts = Facts {
            client,
            certificate,
            listener: Arc::clone(&listener.name),
            route: route.map(|route| Arc::clone(&route.name)),
            generation: self.origin.generation,
            request_id: None,
            identity: None,
            challenges: None,
            parameters,
            logged: None,
            limits: route.and_then(|route| route.limits.clone()),
            rewrite: route.and_then(|route| route.rewrite.clone()),
            request_timeout: None,
            answering,
        };
        let mut observation = self.observer.begin(&mut request, &facts, route.map(|route| &route.label));
        if let Some(observation) = &mut observation {
            observation.finds_id_in(request_ids);
            facts.logged = observation.logged();
        }
        let form = self.form(&request, request_ids);
        request.extensions_mut().insert(facts);
        Exchange::start(form, observation, || listener.chain.call(request))
    }

    /// Serves a health check with `answering`. Routes do not apply, and neither do the listener's guards.
    pub fn call_health(
        &self,
        listener: &Listener,
        client: Client,
        mut request: Request,
        answering: HttpService,
    ) -> Exchange {
        let facts = self.without_route(listener, client, answering);
        let form = self.form(&request, &listener.request_ids.listener);
        request.extensions_mut().insert(facts);
        Exchange::start(form, None, || listener.health.call(request))
    }

    /// The response to a request that was not admitted. Only the plugins that every response needs see it, and it is
    /// observed like any other.
    pub fn refuse(&self, listener: &Listener, client: Client, mut request: Request, response: Response) -> Exchange {
        // A service may be called repeatedly; this one is called once.
        let response = Mutex::new(Some(response));
        let answering = HttpService::from_call(move |_| {
            let response = response.lock().take();
            response.map_or_else(|| Reply::ready(Problem::internal()), Reply::ready)
        });
        let facts = self.without_route(listener, client, answering);
        let request_ids = &listener.request_ids.listener;
        let mut observation = self.observer.begin(&mut request, &facts, None);
        if let Some(observation) = &mut observation {
            observation.finds_id_in(request_ids);
        }
        let form = self.form(&request, request_ids);
        request.extensions_mut().insert(facts);
        Exchange::start(form, observation, || listener.refused.call(request))
    }

    fn without_route(&self, listener: &Listener, client: Client, answering: HttpService) -> Facts {
        let (listener, generation) = (Arc::clone(&listener.name), self.origin.generation);
        Facts { client, listener, generation, answering: Some(answering), ..Facts::default() }
    }

    /// Why a path with an ambiguous spelling is rejected: neither the route nor the listener allows it, or a server
    /// behind the gateway may read it in a way that bypasses a guard.
    #[cold]
    pub(super) fn doubted(&self, listener: &Listener, lookup: &Lookup<'_>, found: &Found) -> Option<Problem> {
        let (spelling, path) = (lookup.spelling, lookup.path);
        let route_of = |found: &Found| match found {
            Found::Route { index, .. } => self.routes.get(*index),
            _ => None,
        };
        let route = route_of(found);
        let allowed = route.and_then(|route| route.allowed).unwrap_or(listener.allowed);
        let message = spelling.doubts.without(allowed).iter().next().map(path::Doubt::message).or_else(|| {
            let passed = |guard: &Arc<str>| route.is_some_and(|route| route.guards.contains(guard));
            let guarded = |path: &str| {
                let spelling = Spelling { escaped: true, ..spelling };
                let other = self.router.find(&Lookup { path, spelling, ..*lookup });
                route_of(&other).filter(|other| !other.guards.iter().all(passed))
            };
            let came = || path::other_readings(path, spelling.doubts).iter().any(|path| guarded(path).is_some());
            // The rewritten path exists only on the upstream: is there a guarded route to it, with any rewrite?
            let goes_on = |route: &Route| {
                let readings = path::other_readings(&route.reach.seen(path), spelling.doubts);
                let leads_there = |(reach, guards): &Protected, seen: &str| {
                    if reach.is_rewritten() {
                        return reach.meets(&route.reach) && !guards.iter().all(passed) && reach.may_see(seen);
                    }
                    let other = reach.below(seen).and_then(|path| guarded(&path));
                    other.is_some_and(|other| other.reach.key == reach.key && other.reach.meets(&route.reach))
                };
                self.protected.iter().any(|reach| readings.iter().any(|seen| leads_there(reach, seen)))
            };
            (came() || route.is_some_and(goes_on))
                .then_some("path: is ambiguous, other servers may read it as another path")
        })?;
        Some(Problem::validation(message).header(CONNECTION, HeaderValue::from_static("close")))
    }

    fn answering(&self, request: &Request, found: Found) -> Answering<'_> {
        match found {
            // This concerns the server itself, not a route (RFC 9110 section 9.3.7).
            _ if request.uri().path() == "*" => {
                Answering { service: Some(HttpService::from_call(|_| Reply::ready(options()))), ..Answering::default() }
            }
            Found::Route { index, parameters, preflight } => {
                let Some(route) = self.routes.get(index) else { return Answering::default() };
                let path = request.uri().path();
                let values = parameters.into_iter().map(|range| path.get(range).unwrap_or_default().into());
                let service = if preflight { route.preflight.as_ref() } else { None }.unwrap_or(&route.service);
                Answering {
                    service: Some(service.clone()),
                    route: Some(route),
                    parameters: route.parameters.iter().cloned().zip(values).collect(),
                }
            }
            Found::WrongMethod { allow } => {
                Answering { service: Some(method_not_allowed(&allow)), ..Answering::default() }
            }
            Found::Nothing => Answering::default(),
        }
    }

    /// The maximum body size for a request with this head, if its route sets one.
    pub fn body_bytes(&self, listener: &Listener, head: &Parts, spelling: Spelling) -> Option<ByteSize> {
        if !self.routes_limit_bodies {
            return None;
        }
        let found = self.router.find(&self.lookup(listener, (&head.uri, &head.method, &head.headers), spelling));
        let Found::Route { index, .. } = found else { return None };
        self.routes.get(index)?.limits.as_ref()?.body_bytes
    }

    fn lookup<'a>(
        &self,
        listener: &Listener,
        (uri, method, headers): (&'a Uri, &'a Method, &'a HeaderMap),
        spelling: Spelling,
    ) -> Lookup<'a> {
        let (listener, host, path) = (listener.index, self.host(uri, headers), uri.path());
        Lookup { listener, host, path, spelling, method, headers }
    }

    /// The requested host, if any route requires one.
    pub(super) fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        if self.router.knows_hosts() { host(uri, headers) } else { None }
    }

    fn form(&self, request: &Request, request_ids: &Arc<[HeaderName]>) -> ProblemForm {
        if grpc::is_call(request.version(), request.headers()) {
            return ProblemForm::Grpc;
        }
        let asked = || matches!(accept::wanted(request.headers(), "application/problem+json"), Wanted::Named(1..));
        let problem = match self.plan.document.errors.format {
            ErrorFormat::Auto => asked(),
            ErrorFormat::Brief => false,
            ErrorFormat::Problem => true,
        };
        if problem {
            ProblemForm::Problem { instance: request.uri().path().into(), request_ids: Arc::clone(request_ids) }
        } else {
            ProblemForm::Brief
        }
    }
}

/// A 405 response that lists the allowed methods.
pub(super) fn method_not_allowed(allow: &[Method]) -> HttpService {
    let allow = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let allow = HeaderValue::try_from(allow).unwrap_or(HeaderValue::from_static(""));
    HttpService::from_call(move |_| Reply::ready(Problem::method_not_allowed(allow.clone())))
}

/// The response to `OPTIONS *`.
fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}
