//! Accepting follows the snapshot: removed addresses drain, new ones start to accept, changed limits apply.

use crate::cli::address::Address;
use crate::cli::admin_token::{self, AdminTokenFile};
use crate::cli::output::say;
use crate::config::document::listener::Protocol;
use crate::engine::snapshot::{AdminListener, Listener, Snapshot};
use crate::engine::sockets::ListeningSocket;
use crate::gateway::{AdminGateway, Gateway, Inside, Redirects};
use crate::server::{Acceptor, Closed, Leaving, ListenerId, Server, TooFewFiles};
use crate::telemetry::instruments::{CONNECTIONS, CONNECTIONS_CLOSED};
use crate::terms::ConnectionTerms;
use gatewright_sdk::metrics::{Observed, number, observe};
use gatewright_sdk::{HumanDuration, Secret};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The admin address has its own threads and connection limit, so that it responds when nothing else does.
pub struct Servers {
    pub public: Server,
    pub admin: Server,
}

/// Where an operator finds the token that the process generated.
pub enum TokenPlace {
    File(AdminTokenFile),
    /// It was printed on a terminal, because there is no file.
    Printed,
    /// Nowhere: there is neither a file nor a terminal.
    Nowhere,
}

/// The place of the token, once it was reported. Shared, so that the file is removed however the process ends.
pub type TokenSlot = Arc<Mutex<Option<TokenPlace>>>;

/// How the listeners report what they do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    Log,
    /// A banner reports the first addresses and the token.
    Banner,
}

/// A socket, and what accepts on it.
type Accepting = (Arc<ListeningSocket>, Acceptor);

/// What accepts connections, by socket.
pub struct Listeners {
    servers: Arc<Servers>,
    gateway: Arc<Gateway>,
    admin: Arc<AdminGateway>,
    redirects: Arc<Redirects>,
    accepting: HashMap<u32, Accepting>,
    /// The connections of each listener, as they were compared with what the process can open.
    compared: HashMap<Arc<str>, u32>,
    token: TokenSlot,
    reporting: Reporting,
    /// Warnings for the banner.
    notices: Vec<String>,
    /// The gauges of open and closed connections of each listener of the snapshot.
    connections: Vec<Arc<Observed>>,
    /// Acceptors of removed listeners, while their last requests finish.
    retiring: JoinSet<()>,
}

impl Listeners {
    pub fn new(
        servers: Arc<Servers>,
        gateway: Arc<Gateway>,
        inside: Arc<Inside>,
        token: TokenSlot,
        reporting: Reporting,
    ) -> Self {
        Self {
            servers,
            redirects: Arc::new(Redirects { live: Arc::clone(&gateway.live) }),
            gateway,
            admin: Arc::new(AdminGateway::new(inside)),
            accepting: HashMap::new(),
            compared: HashMap::new(),
            token,
            reporting,
            notices: Vec::new(),
            connections: Vec::new(),
            retiring: JoinSet::new(),
        }
    }

    /// Brings what accepts in line with `snapshot`, whose sockets listen. When this returns, no connection is accepted
    /// any more for what the snapshot does not have, and removed addresses can be bound again.
    pub async fn follow(&mut self, snapshot: &Snapshot) {
        while self.retiring.try_join_next().is_some() {}
        let (moved, removed) = self.unwanted(snapshot);
        // The connections of a removed address may be for another application: none may slip to a new one.
        self.stop(removed, snapshot, false).await;
        for listener in &snapshot.listeners {
            self.accept(listener, snapshot.plan.document.reload.drain);
            self.accept_redirects(listener);
        }
        if let Some(admin) = &snapshot.admin {
            self.accept_admin(admin);
        }
        self.stop(moved, snapshot, true).await;
        self.connections = snapshot.listeners.iter().flat_map(|listener| self.observe(listener)).collect();
    }

    /// What accepts on addresses that the snapshot does not have: first what moved to an overlapping address, then
    /// the rest.
    fn unwanted(&mut self, snapshot: &Snapshot) -> (Vec<Accepting>, Vec<Accepting>) {
        let is_wanted = |id: &u32| snapshot.sockets().any(|socket| socket.id() == *id);
        let gone = self.accepting.extract_if(|id, _| !is_wanted(id)).map(|(_, accepting)| accepting);
        gone.partition(|(socket, _)| snapshot.sockets().any(|new| new.succeeds(socket.id())))
    }

    async fn stop(&mut self, stopped: Vec<Accepting>, snapshot: &Snapshot, moved: bool) {
        let drain = snapshot.plan.document.reload.drain;
        for (socket, acceptor) in stopped {
            let address = socket.address();
            let held = snapshot.sockets().flat_map(|new| new.listening());
            let handed_over: Vec<_> = held.map(|held| Arc::downgrade(&held)).collect();
            let kept = moved || snapshot.sockets().any(|new| new.address() == address);
            tracing::info!(%address, %drain, handed_over = kept, "stopped listening");
            acceptor.stop(Leaving { handed_over, moved, served: snapshot.serves(&socket) }).await;
            socket.give_up();
            self.retiring.spawn(async move {
                acceptor.drain(drain.get()).await;
            });
        }
    }

    fn accept(&mut self, listener: &Listener, drain: HumanDuration) {
        let id = ListenerId(listener.socket.id());
        let terms = ConnectionTerms::of(&listener.settings, listener.tls.clone(), drain);
        if self.compared.insert(Arc::clone(&listener.name), terms.connections) != Some(terms.connections) {
            self.compare(&listener.name, &terms);
        }
        if let Some((_, acceptor)) = self.accepting.get(&id.0) {
            acceptor.update(terms);
        } else if let Some(socket) = listener.socket.take() {
            let address = listener.socket.address();
            let acceptor = self.servers.public.listen(Arc::clone(&self.gateway), id, socket, terms);
            match self.reporting {
                Reporting::Log => tracing::info!(listener = &*listener.name, %address, "listening"),
                Reporting::Banner => tracing::debug!(listener = &*listener.name, %address, "listening"),
            }
            self.accepting.insert(id.0, (Arc::clone(&listener.socket), acceptor));
        }
    }

    /// Accepts on the address that redirects to `listener`, if it has one.
    fn accept_redirects(&mut self, listener: &Listener) {
        let Some(socket) = &listener.redirect else { return };
        let (id, terms) = (socket.id(), ConnectionTerms::new(&listener.settings.limits, &[Protocol::Http1]));
        if let Some((_, acceptor)) = self.accepting.get(&id) {
            acceptor.update(terms);
        } else if let Some(listening) = socket.take() {
            let address = socket.address();
            let acceptor = self.servers.public.listen(Arc::clone(&self.redirects), ListenerId(id), listening, terms);
            match self.reporting {
                Reporting::Log => tracing::info!(listener = &*listener.name, %address, "redirecting to https"),
                Reporting::Banner => tracing::debug!(listener = &*listener.name, %address, "redirecting to https"),
            }
            self.accepting.insert(id, (Arc::clone(socket), acceptor));
        }
    }

    /// Warns if the limit of open files is too low for the connections of a listener.
    fn compare(&mut self, listener: &str, terms: &ConnectionTerms) {
        let Some(TooFewFiles { connections, ceiling, needed }) = self.servers.public.too_few_files(terms) else {
            return;
        };
        let human = format!(
            "listener {listener}: the open-file limit allows only {ceiling} of {connections} connections; raise it to {needed}"
        );
        match self.reporting {
            Reporting::Banner => self.notices.push(human),
            Reporting::Log => tracing::warn!(
                listener,
                connections,
                ceiling,
                needed,
                human,
                "the open-file limit allows fewer connections than `limits.connections`; raise it to the needed number \
                 (`ulimit -Hn`, `LimitNOFILE=`, `--ulimit nofile=`), or lower `connections` to the ceiling"
            ),
        }
    }

    fn accept_admin(&mut self, admin: &AdminListener) {
        let address = admin.socket.address();
        match admin.settings.token {
            None => self.report_token(&Address::of(admin.scheme(), &address)),
            Some(_) => *self.token.lock() = None,
        }
        let terms = ConnectionTerms { tls: admin.tls.clone(), ..ConnectionTerms::default() };
        if let Some((_, acceptor)) = self.accepting.get(&admin.socket.id()) {
            acceptor.update(terms);
        } else if let Some(socket) = admin.socket.take() {
            let id = ListenerId(admin.socket.id());
            let application = Arc::clone(&self.admin);
            let acceptor = self.servers.admin.listen(application, id, socket, terms);
            match self.reporting {
                Reporting::Log => tracing::info!(%address, "admin API listening"),
                Reporting::Banner => tracing::debug!(%address, "admin API listening"),
            }
            self.accepting.insert(id.0, (Arc::clone(&admin.socket), acceptor));
        }
    }

    /// The warnings that the banner shows.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// From now on changes are logged.
    pub fn log(&mut self) {
        self.reporting = Reporting::Log;
    }

    /// The token that this process made, and the file with it, if it could be written.
    pub fn made_token(&self) -> Option<(&Secret, Option<PathBuf>)> {
        let path = match &*self.token.lock() {
            Some(TokenPlace::File(file)) => Some(file.path().to_owned()),
            Some(TokenPlace::Printed) => None,
            Some(TokenPlace::Nowhere) | None => return None,
        };
        Some((self.admin.made_token(), path))
    }

    /// Writes the token that this process made to its file, and reports where it is. It is never logged: only a terminal
    /// shows it, and only if there is no file.
    fn report_token(&mut self, address: &Address) {
        let path = admin_token::path(&address.id());
        let was_reported = match (&*self.token.lock(), &path) {
            (Some(TokenPlace::File(file)), Some(path)) if file.path() == path => return,
            (Some(TokenPlace::Printed), _) => return,
            (Some(TokenPlace::Nowhere), _) => true,
            _ => false,
        };
        let token = self.admin.made_token();
        let written = match path {
            Some(path) => AdminTokenFile::write(path.clone(), token)
                .map_err(|error| format!("cannot write the admin token to {}: {error}", path.display())),
            None => Err("no file for the admin token: neither XDG_STATE_HOME nor HOME is an absolute path".to_owned()),
        };
        let place = match (written, self.reporting) {
            (Ok(file), Reporting::Banner) => TokenPlace::File(file),
            (Ok(file), Reporting::Log) => {
                say(&format!("admin token for {} in {}\n", address.base(), file.path().display()));
                TokenPlace::File(file)
            }
            (Err(error), Reporting::Banner) => {
                self.notices.push(error);
                TokenPlace::Printed
            }
            (Err(error), Reporting::Log) if std::io::stderr().is_terminal() => {
                say(&format!(
                    "{error}\nadmin token for {} (valid until restart): {}\n",
                    address.base(),
                    token.expose()
                ));
                TokenPlace::Printed
            }
            (Err(_), Reporting::Log) if was_reported => TokenPlace::Nowhere,
            (Err(error), Reporting::Log) => {
                let address = address.base();
                tracing::warn!(
                    address,
                    error,
                    "the admin API cannot be used, because its generated token is nowhere to be read: set `admin.token`, \
                     such as to `${{file.secrets/admin-token}}`, or make the path writable and reload"
                );
                TokenPlace::Nowhere
            }
        };
        *self.token.lock() = Some(place);
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
