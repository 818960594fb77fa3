//! A document compiled: immutable, ready to serve.

use crate::config::document::listener::Listener as ListenerSpec;
use crate::config::document::process::{Admin as AdminSpec, ErrorFormat};
use crate::config::sources::{SourceFiles, Sources};
use crate::engine::exchange::{Exchange, ProblemForm};
use crate::engine::plan::Plan;
use crate::engine::reach::Reach;
use crate::engine::router::{Found, Lookup, Router};
use crate::engine::sockets::ListeningSocket;
use crate::engine::stores::Used;
use crate::path::{self, Doubts, Spelling};
use crate::telemetry::{Observer, RouteLabel};
use crate::terms::RequestTerms;
use gatewright_sdk::accept::{self, Wanted};
use gatewright_sdk::{Body, ByteSize, Client, Facts, HttpService, Problem, Reply, Request, Response, RouteLimits};
use http::header::{ALLOW, CONNECTION, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// A document compiled.
pub struct Snapshot {
    pub origin: Origin,
    /// What is said of it, as far as [`Plan::serving`] keeps it.
    pub plan: Arc<Plan>,
    /// The whole configuration for people, as JSON without secrets: a text takes less room than what it was made from. It is
    /// written when the snapshot serves; nothing waits for it but who asks.
    pub shown: Arc<OnceLock<String>>,
    pub listeners: Vec<Listener>,
    /// The admin address, if there is one.
    pub admin: Option<AdminListener>,
    pub stores: Vec<Used>,
    pub(super) observer: Observer,
    pub(super) router: Router,
    pub(super) routes: Vec<Route>,
    /// What routes with guards take off the path, each once; nothing is one of it.
    pub(super) stripped: BTreeSet<String>,
    /// Whether a route has a limit of its own for request bodies.
    pub(super) routes_limit_bodies: bool,
}

/// Which files a snapshot came from, and when.
#[derive(Clone)]
pub struct Origin {
    /// Counts accepted configurations, from 1.
    pub generation: u64,
    pub since: SystemTime,
    /// SHA-256 over everything that was read, in hex.
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
    /// What its requests are held to.
    pub terms: RequestTerms,
    pub socket: Arc<ListeningSocket>,
    pub(super) request_ids: RequestIds,
    /// The doubtful spellings of paths that are taken.
    pub(super) allowed: Doubts,
    pub(super) chain: HttpService,
    /// The plugins of its chain that refuse by who asks or how often.
    pub(super) guards: Arc<[Arc<str>]>,
    /// The chain without them.
    pub(super) health: HttpService,
    /// Of the chain only what gives a request its id.
    pub(super) refused: HttpService,
}

/// The response headers that carry a request's id, by route, the one that was decided last first.
pub(super) struct RequestIds {
    /// Of requests that only the listener's chain sees.
    listener: Arc<[HeaderName]>,
    /// By the index of the route.
    routes: Box<[Arc<[HeaderName]>]>,
}

impl RequestIds {
    /// `listener` are the headers of the listener's chain, `routes` those of each route's own.
    pub fn new(listener: &Arc<[HeaderName]>, routes: &[Arc<[HeaderName]>]) -> Self {
        let listener = Arc::clone(listener);
        let with = |own: &Arc<[HeaderName]>| {
            if own.is_empty() { Arc::clone(&listener) } else { own.iter().chain(&*listener).cloned().collect() }
        };
        Self { routes: routes.iter().map(with).collect(), listener }
    }

    fn of(&self, found: &Found) -> &Arc<[HeaderName]> {
        let route = if let Found::Route { index, .. } = found { self.routes.get(*index) } else { None };
        route.unwrap_or(&self.listener)
    }
}

/// The admin address of a snapshot.
pub struct AdminListener {
    pub settings: AdminSpec,
    pub socket: Arc<ListeningSocket>,
}

/// A route of a snapshot, with its chain in front of its target.
pub(super) struct Route {
    pub name: Arc<str>,
    pub label: RouteLabel,
    pub service: HttpService,
    /// What answers the preflights of its methods, where its own service takes no OPTIONS.
    pub preflight: Option<HttpService>,
    pub parameters: Vec<Arc<str>>,
    /// What it says in place of the bounds around it.
    pub limits: Option<Arc<RouteLimits>>,
    /// The plugins of its chain that refuse by who asks or how often.
    pub guards: Arc<[Arc<str>]>,
    pub reach: Arc<Reach>,
    /// The doubtful spellings it takes; without it the listener says so.
    pub allowed: Option<Doubts>,
}

/// What is asked about the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthPath {
    Live,
    Ready,
    Summary,
}

impl fmt::Display for HealthPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "whether it lives",
            Self::Ready => "whether it is ready",
            Self::Summary => "how it is",
        })
    }
}

/// What answers a request.
#[derive(Default)]
struct Answering<'a> {
    service: Option<HttpService>,
    route: Option<&'a Route>,
    parameters: Vec<(Arc<str>, Box<str>)>,
}

impl Snapshot {
    /// The listener on the socket `id`, or on the one that took over from it, unless an edit removed it.
    pub fn listener(&self, id: u32) -> Option<&Listener> {
        let taken_over = || self.listeners.iter().find(|listener| listener.socket.succeeds(id));
        self.listeners.iter().find(|listener| listener.socket.id() == id).or_else(taken_over)
    }

    /// The admin address, if the socket `id` is its own, or was that of the address it took over from.
    pub fn admin_on(&self, id: u32) -> Option<&AdminListener> {
        self.admin.as_ref().filter(|admin| admin.socket.id() == id || admin.socket.succeeds(id))
    }

    /// The sockets of all listeners and of the admin address.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<ListeningSocket>> {
        self.listeners.iter().map(|listener| &listener.socket).chain(self.admin.iter().map(|admin| &admin.socket))
    }

    /// Answers a request that came in on `listener`. Nothing is awaited here: the exchange owns what it needs, so the
    /// caller can let go of the snapshot at once.
    pub fn call(&self, listener: &Listener, client: Client, mut request: Request, spelling: Spelling) -> Exchange {
        let lookup = self.lookup(listener, (request.uri(), request.method(), request.headers()), spelling);
        let found = self.router.find(&lookup);
        if !spelling.doubts.is_empty()
            && let Some(problem) = self.doubted(listener, &lookup, &found)
        {
            return self.refuse(listener, client, request, problem.into());
        }
        let request_ids = listener.request_ids.of(&found);
        let Answering { service: answering, route, parameters } = self.answering(&request, found);
        let facts = Facts {
            client,
            listener: Arc::clone(&listener.name),
            route: route.map(|route| Arc::clone(&route.name)),
            generation: self.origin.generation,
            request_id: None,
            identity: None,
            parameters,
            limits: route.and_then(|route| route.limits.clone()),
            answering,
        };
        let mut observation = self.observer.begin(&mut request, &facts, route.map(|route| &route.label));
        if let Some(observation) = &mut observation {
            observation.finds_id_in(request_ids);
        }
        let form = self.form(&request, request_ids);
        request.extensions_mut().insert(facts);
        Exchange::start(form, observation, || listener.chain.call(request))
    }

    /// Lets `answering` answer a request about the gateway's health: no route has a say in it, and no plugin of the
    /// listener that refuses by who asks or how often.
    pub fn call_health(
        &self,
        listener: &Listener,
        client: Client,
        mut request: Request,
        answering: HttpService,
    ) -> Exchange {
        let facts = Facts {
            client,
            listener: Arc::clone(&listener.name),
            generation: self.origin.generation,
            answering: Some(answering),
            ..Facts::default()
        };
        let form = self.form(&request, &listener.request_ids.listener);
        request.extensions_mut().insert(facts);
        Exchange::start(form, None, || listener.health.call(request))
    }

    /// The answer to a request that was not let in: no plugin sees it but the one that gives it an id, and it is
    /// observed like any other.
    pub fn refuse(&self, listener: &Listener, client: Client, mut request: Request, response: Response) -> Exchange {
        // A service may be called again and again; this one is called once.
        let response = Mutex::new(Some(response));
        let answering = HttpService::from_call(move |_| {
            let response = response.lock().take();
            response.map_or_else(|| Reply::ready(Problem::internal()), Reply::ready)
        });
        let facts = Facts {
            client,
            listener: Arc::clone(&listener.name),
            generation: self.origin.generation,
            answering: Some(answering),
            ..Facts::default()
        };
        let request_ids = &listener.request_ids.listener;
        let mut observation = self.observer.begin(&mut request, &facts, None);
        if let Some(observation) = &mut observation {
            observation.finds_id_in(request_ids);
        }
        let form = self.form(&request, request_ids);
        request.extensions_mut().insert(facts);
        Exchange::start(form, observation, || listener.refused.call(request))
    }

    /// What is wrong with a path that servers read in different ways: neither the route nor the listener allows it, or a
    /// server behind the gateway may read it so that a plugin which did not run should have guarded it.
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
            // What a rewrite makes of the path is a path of the upstream alone: of a guarded route to it, rewritten or not.
            let goes_on = |route: &Route| {
                let readings = path::other_readings(route.reach.seen(path), spelling.doubts);
                let leads_there = |strip: &str, seen: &str| {
                    let other = guarded(&format!("{strip}{seen}"));
                    other.is_some_and(|other| other.reach.strip == *strip && other.reach.meets(&route.reach))
                };
                self.stripped.iter().any(|strip| readings.iter().any(|seen| leads_there(strip, seen)))
            };
            (came() || route.is_some_and(goes_on)).then_some("path: may be read as another one")
        })?;
        Some(Problem::validation(message).header(CONNECTION, HeaderValue::from_static("close")))
    }

    fn answering(&self, request: &Request, found: Found) -> Answering<'_> {
        match found {
            // The server itself is asked, not a route (RFC 9110 section 9.3.7).
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

    /// The longest body of a request with this head, where its route has a limit of its own.
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

    /// What a request asks about the gateway itself.
    pub fn health_path(&self, path: &str, spelling: Spelling) -> Option<HealthPath> {
        let paths = &self.plan.document.health;
        let is = |own: &str| path == own || (spelling.escaped && path::same(path, own));
        if is(&paths.live) {
            Some(HealthPath::Live)
        } else if is(&paths.ready) {
            Some(HealthPath::Ready)
        } else {
            is(&paths.summary).then_some(HealthPath::Summary)
        }
    }

    /// The host that was asked for, where a route asks for one.
    pub(super) fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        if self.router.knows_hosts() { host(uri, headers) } else { None }
    }

    fn form(&self, request: &Request, request_ids: &Arc<[HeaderName]>) -> ProblemForm {
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

/// Says which methods there are.
pub(super) fn method_not_allowed(allow: &[Method]) -> HttpService {
    let allow = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let allow = HeaderValue::try_from(allow).unwrap_or(HeaderValue::from_static(""));
    HttpService::from_call(move |_| Reply::ready(Problem::method_not_allowed(allow.clone())))
}

/// What there is to say about the server as a whole.
fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}

/// The host that was asked for, without port.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = match uri.host() {
        Some(host) => return Some(host),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}
