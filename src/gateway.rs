//! The application behind every listener: admission, health, then the snapshot; and the one behind the admin address.

mod inside;

pub use inside::Inside;

use crate::admin::health::{self, Health};
use crate::engine::exchange::Exchange;
use crate::engine::live::Live;
use crate::engine::snapshot::Snapshot;
use crate::server::{Application, Arrival, admit};
use arc_swap::ArcSwap;
use gatewright_sdk::{Facts, HttpService, Problem, Reply, Request};
use http::HeaderValue;
use http::header::CONNECTION;
use http::request::Parts;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Answers what comes in on the listeners.
pub struct Gateway {
    pub live: Arc<Live>,
    /// Set once, when the process begins to end.
    pub draining: AtomicBool,
}

impl Application for Gateway {
    type Exchange = Exchange;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Exchange {
        let snapshot = self.live.load();
        let Some(listener) = snapshot.listener(arrival.listener.0) else {
            // An edit removed the listener while this request was on its way.
            let problem = Problem::unavailable(1).header(CONNECTION, HeaderValue::from_static("close"));
            return Exchange::answered(problem.reason("listener_removed"));
        };
        let settings = &listener.settings;
        let body_bytes = |head: &Parts| snapshot.body_bytes(head);
        let (client, admitted) = admit(&arrival, &settings.limits, &settings.trusted_proxies, request, body_bytes);
        match admitted {
            Ok(request) => match self.health(&snapshot, &request) {
                Some(health) => snapshot.call_health(listener, client, request, health),
                None => snapshot.call(listener, client, request),
            },
            Err(refused) => snapshot.refuse(listener, client, refused.request, refused.response),
        }
    }
}

impl Gateway {
    /// What answers a request for one of the health paths.
    fn health(&self, snapshot: &Snapshot, request: &Request) -> Option<HttpService> {
        let (path, paths) = (request.uri().path(), &snapshot.document.health);
        if path == paths.live {
            Some(HttpService::from_call(|request| Reply::ready(health::live(request.method()))))
        } else if path == paths.ready {
            Some(self.ready(snapshot))
        } else if path == paths.summary {
            Some(HttpService::from_call(|request| Reply::ready(health::summary(request.method()))))
        } else {
            None
        }
    }

    fn ready(&self, snapshot: &Snapshot) -> HttpService {
        let used = snapshot.stores.iter().filter(|used| !used.tables.is_empty());
        let stores: Arc<[_]> = used.map(|used| (Arc::clone(&used.name), Arc::clone(&used.store))).collect();
        let draining = self.draining.load(Ordering::Relaxed);
        HttpService::from_fn(move |request: Request| {
            let (stores, method) = (Arc::clone(&stores), request.method().clone());
            async move {
                let mut states = Vec::with_capacity(stores.len());
                for (name, store) in &*stores {
                    states.push((&**name, store.health().await.is_ok()));
                }
                health::ready(&method, &Health { draining, stores: &states })
            }
        })
    }
}

/// Answers what comes in on the admin address. The service is exchanged when a reload changes its settings.
pub struct AdminGateway {
    pub service: ArcSwap<HttpService>,
}

impl Application for AdminGateway {
    type Exchange = Exchange;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Exchange {
        let (client, admitted) = admit(&arrival, &Default::default(), &[], request, |_| None);
        match admitted {
            Ok(mut request) => {
                Facts::of_mut(&mut request).client = client;
                let service = self.service.load_full();
                Exchange::unobserved(service.call(request))
            }
            Err(refused) => Exchange::answered(refused.response),
        }
    }
}
