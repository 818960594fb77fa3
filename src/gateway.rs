//! The application behind every listener (admission, health, then the snapshot), and the one behind the admin address.

mod admin_state;
mod redirect;

pub use admin_state::{Inside, ReloadRequest};
pub use redirect::Redirects;

use crate::admin::health::{self, Readiness};
use crate::admin::{self, AdminState};
use crate::engine::exchange::Exchange;
use crate::engine::live::Live;
use crate::engine::snapshot::{AdminListener, HealthPath, Snapshot};
use crate::path::Spelling;
use crate::server::{Admitted, Application, Arrival, Outdated, admit};
use crate::terms::RequestTerms;
use crate::tunnel;
use gatewright_sdk::{Facts, HttpService, Problem, Reply, Request, Response, Secret};
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Serves the requests that arrive on the listeners.
pub struct Gateway {
    pub live: Arc<Live>,
    /// Set once, when shutdown begins.
    pub draining: AtomicBool,
}

impl Application for Gateway {
    type Future = Exchange;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Exchange {
        let tunnel = tunnel::is_requested(request.version(), request.method(), request.extensions());
        let snapshot = self.live.load();
        let Some(listener) = snapshot.listener(arrival.listener.0) else { return removed() };
        let body_bytes = |head: &Parts, spelling| snapshot.body_bytes(listener, head, spelling);
        let (client, admitted) = admit(&arrival, &listener.terms, request, body_bytes);
        let exchange = match admitted {
            Ok(Admitted { request, spelling }) => {
                match (arrival.outdated, self.health(&snapshot, &request, spelling)) {
                    (Some(why), _) => snapshot.refuse(listener, client, request, outdated(why)),
                    (None, Some(health)) => snapshot.call_health(listener, client, request, health),
                    (None, None) => snapshot.call(listener, (client, arrival.certificate), request, spelling),
                }
            }
            Err(refused) => snapshot.refuse(listener, client, refused.request, refused.response),
        };
        exchange.for_tunnel(tunnel)
    }
}

impl Gateway {
    /// The response to a request for one of the health paths.
    fn health(&self, snapshot: &Snapshot, request: &Request, spelling: Spelling) -> Option<HttpService> {
        Some(match snapshot.health_path(request.uri().path(), spelling)? {
            HealthPath::Live => HttpService::from_call(|request| Reply::ready(health::live(request.method()))),
            HealthPath::Ready => self.ready(snapshot),
            HealthPath::Summary => HttpService::from_call(|request| Reply::ready(health::summary(request.method()))),
        })
    }

    fn ready(&self, snapshot: &Snapshot) -> HttpService {
        let used = snapshot.stores.iter().filter(|used| !used.tables.is_empty());
        let stores: Arc<[_]> = used.map(|used| (Arc::clone(&used.name), Arc::clone(&used.store))).collect();
        let draining = self.draining.load(Ordering::Relaxed);
        let needs = Arc::clone(&snapshot.needs);
        HttpService::from_fn(move |request: Request| {
            let (stores, method, plugins) = (Arc::clone(&stores), request.method().clone(), needs.missing());
            async move {
                let mut states = Vec::with_capacity(stores.len());
                for (name, store) in &*stores {
                    states.push((&**name, store.health().await.is_ok()));
                }
                health::ready(&method, &Readiness { draining, stores: &states, plugins: &plugins })
            }
        })
    }
}

/// Serves the admin address, with the address and token of the current snapshot.
pub struct AdminGateway {
    inside: Arc<Inside>,
    /// The generated token, used when the configuration sets none.
    made_token: OnceLock<Secret>,
    terms: RequestTerms,
    /// The service of one generation.
    service: Mutex<Option<(u64, HttpService)>>,
}

impl AdminGateway {
    pub fn new(inside: Arc<Inside>) -> Self {
        Self { inside, made_token: OnceLock::new(), terms: RequestTerms::default(), service: Mutex::new(None) }
    }

    /// The generated token, created on first use.
    pub fn made_token(&self) -> &Secret {
        self.made_token.get_or_init(admin::random_token)
    }

    fn service(&self, snapshot: &Snapshot, admin: &AdminListener) -> HttpService {
        let generation = snapshot.origin.generation;
        let mut service = self.service.lock();
        match &*service {
            Some((made_for, service)) if *made_for == generation => service.clone(),
            _ => {
                let token = admin.settings.token.as_ref().unwrap_or_else(|| self.made_token());
                let state = Arc::clone(&self.inside) as Arc<dyn AdminState>;
                let metrics = snapshot.plan.document.telemetry.metrics.as_ref();
                let prometheus = metrics.and_then(|metrics| metrics.prometheus.as_ref());
                let made = admin::service(state, token, &admin.settings, prometheus);
                service.insert((generation, made)).1.clone()
            }
        }
    }
}

impl Application for AdminGateway {
    type Future = Exchange;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Exchange {
        let tunnel = tunnel::is_requested(request.version(), request.method(), request.extensions());
        let snapshot = self.inside.gateway.live.load();
        let Some(admin) = snapshot.admin_on(arrival.listener.0) else { return removed() };
        let (client, admitted) = admit(&arrival, &self.terms, request, |_, _| None);
        let exchange = match admitted {
            Ok(Admitted { spelling, .. }) if !spelling.doubts.is_empty() => {
                Exchange::answered(Problem::validation("path: is not a path of the admin address"))
            }
            Ok(Admitted { mut request, .. }) => {
                Facts::of_mut(&mut request).client = client;
                Exchange::unobserved(self.service(&snapshot, admin).call(request))
            }
            Err(refused) => Exchange::answered(refused.response),
        };
        exchange.for_tunnel(tunnel)
    }
}

/// The response on a connection that must not be used any more after an edit. Clients may repeat the request on another connection
/// (RFC 9110 section 15.5.20).
#[cold]
fn outdated(why: Outdated) -> Response {
    let (message, reason) = match why {
        Outdated::Certificates => (
            "This connection was made before the accepted client certificates changed: connect again",
            "client_certificates_changed",
        ),
        Outdated::Ignored => (
            "This connection was made before the TLS settings changed, and the client was told to close it: connect again",
            "connection_outdated",
        ),
    };
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", message).log_reason(reason).into()
}

/// The response when an edit removed the address while the request was in flight.
fn removed() -> Exchange {
    let problem = Problem::unavailable(1).header(CONNECTION, HeaderValue::from_static("close"));
    Exchange::answered(problem.log_reason("listener_removed"))
}
