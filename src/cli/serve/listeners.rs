//! Accepting follows the snapshot: new addresses begin to accept, changed limits apply, removed addresses drain.

use crate::admin;
use crate::cli::output::say;
use crate::config::document::listener::{Limits, Protocol};
use crate::engine::snapshot::{Admin, Listener, Snapshot};
use crate::engine::sockets::Socket;
use crate::gateway::{AdminGateway, Gateway, Inside};
use crate::server::{Acceptor, Closed, ListenerId, Server};
use crate::telemetry::instruments::{CONNECTIONS, CONNECTIONS_CLOSED};
use arc_swap::ArcSwap;
use gatewright_sdk::Secret;
use gatewright_sdk::metrics::{Observed, number, observe};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The admin address has threads and room for connections of its own: it answers when nothing else does.
pub struct Servers {
    pub public: Server,
    pub admin: Server,
}

/// Those who accept connections, by the socket they accept from.
pub struct Listeners {
    gateway: Arc<Gateway>,
    inside: Arc<Inside>,
    accepting: HashMap<u32, (Arc<Socket>, Acceptor)>,
    admin: Option<Arc<AdminGateway>>,
    /// The token of a process whose configuration gives none.
    made_token: Option<Secret>,
    /// Tell how many connections each listener of the snapshot has, and how many it closed.
    connections: Vec<Arc<Observed>>,
    /// Those that no snapshot wants any more, while their last requests finish.
    retiring: JoinSet<()>,
}

impl Listeners {
    pub fn new(gateway: Arc<Gateway>, inside: Arc<Inside>) -> Self {
        Self {
            gateway,
            inside,
            accepting: HashMap::new(),
            admin: None,
            made_token: None,
            connections: Vec::new(),
            retiring: JoinSet::new(),
        }
    }

    /// Brings what accepts in line with `snapshot`, whose sockets are bound.
    pub fn follow(&mut self, servers: &Servers, snapshot: &Snapshot) -> std::io::Result<()> {
        let mut wanted = Vec::new();
        for listener in &snapshot.listeners {
            wanted.push(listener.socket.id());
            let (limits, protocols) = (&listener.settings.limits, listener.settings.protocols.as_slice());
            servers.public.compare(&listener.name, limits);
            if let Some((_, acceptor)) = self.accepting.get(&listener.socket.id()) {
                acceptor.update(limits, protocols);
            } else if let Some(socket) = listener.socket.take() {
                let id = ListenerId(listener.socket.id());
                let acceptor = servers.public.listen(Arc::clone(&self.gateway), id, socket, limits, protocols)?;
                tracing::info!(listener = &*listener.name, address = %listener.socket.address(), "listening");
                self.accepting.insert(id.0, (Arc::clone(&listener.socket), acceptor));
            }
        }
        if let Some(admin) = &snapshot.admin {
            wanted.push(admin.socket.id());
            self.follow_admin(&servers.admin, admin)?;
        }
        while self.retiring.try_join_next().is_some() {}
        let gone: Vec<u32> = self.accepting.keys().copied().filter(|id| !wanted.contains(id)).collect();
        for (socket, acceptor) in gone.into_iter().filter_map(|id| self.accepting.remove(&id)) {
            let drain = snapshot.document.reload.drain;
            tracing::info!(address = %socket.address(), drain = %drain, "no longer listening");
            self.retiring.spawn(async move {
                acceptor.drain(drain.get()).await;
            });
            socket.release();
        }
        self.connections = snapshot.listeners.iter().flat_map(|listener| self.observe(listener)).collect();
        Ok(())
    }

    fn follow_admin(&mut self, server: &Server, admin: &Admin) -> std::io::Result<()> {
        let token = match &admin.settings.token {
            Some(token) => token.clone(),
            None => self.made_token.get_or_insert_with(|| made_token(admin)).clone(),
        };
        let state = Arc::clone(&self.inside) as Arc<dyn admin::AdminState>;
        let service = admin::service(state, &token, &admin.settings);
        let gateway = match &self.admin {
            Some(gateway) => {
                gateway.service.store(Arc::new(service));
                Arc::clone(gateway)
            }
            None => Arc::clone(self.admin.insert(Arc::new(AdminGateway { service: ArcSwap::from_pointee(service) }))),
        };
        if let Some(socket) = admin.socket.take() {
            let id = ListenerId(admin.socket.id());
            let acceptor = server.listen(gateway, id, socket, &Limits::default(), &[Protocol::Http1])?;
            tracing::info!(address = %admin.socket.address(), "admin listening");
            self.accepting.insert(id.0, (Arc::clone(&admin.socket), acceptor));
        }
        Ok(())
    }

    fn observe(&self, listener: &Listener) -> Vec<Arc<Observed>> {
        let Some((_, acceptor)) = self.accepting.get(&listener.socket.id()) else { return Vec::new() };
        let name = || ("gateway.listener", listener.name.to_string().into());
        let open = acceptor.connections();
        let mut series = vec![observe(&CONNECTIONS, [name()], move || number(open()))];
        series.extend(Closed::ALL.map(|reason| {
            let closed = acceptor.closed();
            let attributes = [name(), ("gateway.reason", reason.name().into())];
            observe(&CONNECTIONS_CLOSED, attributes, move || number(closed(reason)))
        }));
        series
    }
}

/// Makes the token of this process and prints it, once, for whoever started it. It is never logged.
fn made_token(admin: &Admin) -> Secret {
    let token = admin::random_token();
    say(&format!("admin token for http://{} until this process ends: {}\n", admin.socket.address(), token.expose()));
    token
}
