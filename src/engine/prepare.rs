//! Prepares what a configuration needs before it can serve: its addresses and its tables.

mod acting;
mod hidden;
pub mod kept;
pub(super) mod refused;
pub(super) mod uneven;
mod unguarded;

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::engine::snapshot::Snapshot;
use crate::engine::sockets::ListeningSocket;
use crate::engine::stores::Used;
use crate::resource::store::Applied;
use crate::resource::store::{By, Command, Planned, RefusedTable};
use crate::resource::table::Table;
use gatewright_sdk::Code;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Prepares `next`, or returns why it cannot serve. Everything that can fail comes before the first visible step:
/// addresses are reserved and table changes planned, then connections are accepted and tables changed.
pub(super) async fn prepare(next: &Snapshot, serving: Option<&Snapshot>, sources: &Sources) -> Diagnostics {
    let mut needs = Needs { next, serving, sources, found: Diagnostics::default(), renewed: Vec::new() };
    needs.reserve_addresses();
    needs.check_moves().await;
    let changing = needs.plan_tables().await;
    if let (Some(serving), false) = (serving, needs.found.has_errors()) {
        hidden::tables(next, serving, &needs.renewed).await.into_iter().for_each(|warning| needs.push(warning));
        unguarded::routes(next, serving).into_iter().for_each(|warning| needs.push(warning));
    }
    if !needs.found.has_errors() {
        needs.listen();
    }
    if !needs.found.has_errors() {
        needs.apply_tables(&changing).await;
    }
    if !needs.found.has_errors() {
        needs.log_opened();
    }
    needs.found
}

struct Needs<'a> {
    next: &'a Snapshot,
    serving: Option<&'a Snapshot>,
    sources: &'a Sources,
    found: Diagnostics,
    /// Stores that connect in another way than before to the same database.
    renewed: Vec<Arc<str>>,
}

impl<'a> Needs<'a> {
    fn add(&mut self, code: Code, path: &str, message: String, help: impl Into<Option<String>>) {
        self.push(Diagnostic { help: help.into(), ..Diagnostic::error(code, path, message) });
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(Diagnostic { at: self.sources.locate(&diagnostic.path), ..diagnostic });
    }

    fn reserve_addresses(&mut self) {
        let next: Vec<_> = sockets(self.next).collect();
        let (kept, given_up): (Vec<_>, Vec<_>) = self
            .serving
            .into_iter()
            .flat_map(sockets)
            .partition(|(_, old)| next.iter().any(|(_, new)| new.id() == old.id()));
        let free: Vec<_> = given_up.into_iter().map(|(_, socket)| Arc::clone(socket)).collect();
        for (path, socket) in next {
            if let Err(error) = socket.reserve(&free) {
                self.refuse_address(&path, socket, &error, &kept);
            }
        }
    }

    fn listen(&mut self) {
        for (path, socket) in sockets(self.next) {
            if let Err(error) = socket.listen() {
                self.refuse_address(&path, socket, &error, &[]);
            }
        }
    }

    fn refuse_address(
        &mut self,
        path: &str,
        socket: &ListeningSocket,
        error: &Error,
        kept: &[(String, &Arc<ListeningSocket>)],
    ) {
        let (address, in_use) = (socket.address(), error.kind() == ErrorKind::AddrInUse);
        if let Some((holder, held)) =
            kept.iter().map(|(path, kept)| (path, kept.address())).find(|(_, held)| in_use && held.overlaps(&address))
        {
            let message = format!("cannot listen on {address}: `{holder}` already listens on {held}");
            return self.add(Code::ADDRESS_IN_USE, path, message, Some("choose another port".to_owned()));
        }
        if let Some(socket) = address.path() {
            return self.refuse_socket(path, socket, error);
        }
        let (code, help) = match error.kind() {
            ErrorKind::AddrInUse => {
                (Code::ADDRESS_IN_USE, "stop the program that uses this address, or choose another port")
            }
            ErrorKind::AddrNotAvailable => {
                (Code::ADDRESS_UNUSABLE, "use an address of this machine, or `0.0.0.0` for all interfaces")
            }
            ErrorKind::PermissionDenied => {
                (Code::ADDRESS_UNUSABLE, "use port 1024 or higher, or grant the process CAP_NET_BIND_SERVICE")
            }
            _ => (Code::ADDRESS_UNUSABLE, "choose another address"),
        };
        self.add(code, path, format!("cannot listen on {address}: {error}"), Some(help.to_owned()));
    }

    fn refuse_socket(&mut self, path: &str, socket: &Path, error: &Error) {
        let folder = || socket.parent().unwrap_or(socket).display().to_string();
        let (code, why, help) = match error.kind() {
            ErrorKind::AddrInUse => {
                let why = "another process listens on this socket".to_owned();
                (Code::ADDRESS_IN_USE, why, "stop that process, or choose another path".to_owned())
            }
            ErrorKind::AlreadyExists => {
                let why = "the file exists and is not a socket".to_owned();
                (Code::ADDRESS_UNUSABLE, why, "choose another path, or remove the file".to_owned())
            }
            ErrorKind::NotFound => {
                (Code::ADDRESS_UNUSABLE, "the folder does not exist".to_owned(), format!("create {}", folder()))
            }
            ErrorKind::PermissionDenied => {
                (Code::ADDRESS_UNUSABLE, error.to_string(), format!("allow this user to write to {}", folder()))
            }
            ErrorKind::InvalidInput => {
                (Code::ADDRESS_UNUSABLE, "the path is too long".to_owned(), "use a path of at most 90 bytes".to_owned())
            }
            _ => (Code::ADDRESS_UNUSABLE, error.to_string(), "choose another path".to_owned()),
        };
        self.add(code, path, format!("cannot listen on unix:{}: {why}", socket.display()), Some(help));
    }

    /// A store with served resources cannot move: their data would disappear.
    /// A store with other credentials is the same database, and requests that have begun end on its old connections.
    async fn check_moves(&mut self) {
        let Some(serving) = self.serving else { return };
        for used in self.next.stores.iter().filter(|used| !used.tables.is_empty()) {
            let before = serving.stores.iter().find(|old| old.name == used.name && !old.tables.is_empty());
            let Some(old) = before.filter(|old| !Arc::ptr_eq(&old.store, &used.store)) else { continue };
            match used.store.is_same_database(&old.store).await {
                Ok(true) => self.renewed.push(Arc::clone(&used.name)),
                // Why it cannot be used is found when its tables are looked at.
                Err(_) => {}
                Ok(false) => {
                    let message =
                        format!("the `url` of store `{}` cannot change while its resources are served", used.name);
                    let help = "stop the gateway, copy the data, and start it with the new `url`".to_owned();
                    self.add(Code::STORE_MOVED, &format!("stores.{}.url", used.name), message, help);
                }
            }
        }
    }

    /// Plans every store before changing any. Returns those whose tables will change.
    async fn plan_tables(&mut self) -> Vec<&'a str> {
        let mut changing = Vec::new();
        let mut files: Vec<(&Used, PathBuf)> = Vec::new();
        for used in self.next.stores.iter().filter(|used| !used.tables.is_empty()) {
            let file = used.store.file();
            if let Some((first, file)) = files
                .iter()
                .find(|(first, known)| file.as_ref() == Some(known) && !Arc::ptr_eq(&first.store, &used.store))
            {
                let message = format!("store `{}` already uses the same file, {}", first.name, file.display());
                self.add(
                    Code::SHARED_FILE,
                    &format!("stores.{}.url", used.name),
                    message,
                    "give each store its own file, or use one store for both".to_owned(),
                );
                continue;
            }
            files.extend(file.map(|file| (used, file)));
            hidden::place(used).into_iter().for_each(|warning| self.push(warning));
            match used.store.plan(&tables(used), &By::Reload(used.migrate)).await {
                Ok(planned) => {
                    changing.extend((!planned.steps.is_empty()).then_some(&*used.name));
                    self.warn_of_data(used, &planned).await;
                }
                Err(refused) => refused.into_iter().for_each(|refused| self.refuse_table(used, refused)),
            }
        }
        changing
    }

    /// Warns of stored values that clients no longer see, or see again.
    async fn warn_of_data(&mut self, used: &Used, planned: &Planned) {
        let resource =
            |name: &str| used.tables.iter().find(|(_, table)| table.name == name).map(|(resource, _)| resource);
        for column in &planned.hidden {
            resource(&column.table).into_iter().for_each(|name| self.push(hidden::column(name, used, column)));
        }
        for column in &planned.uneven {
            resource(&column.table).into_iter().for_each(|name| self.push(uneven::column(name, used, column)));
        }
        for column in &planned.doubled {
            resource(&column.table).into_iter().for_each(|name| self.push(uneven::doubled(name, used, column)));
        }
        for key in &planned.acting {
            resource(&key.served).into_iter().for_each(|name| self.push(acting::key(name, key)));
        }
        for kept in &planned.kept {
            resource(&kept.table).into_iter().for_each(|name| self.push(kept::duplicates(name, used, kept)));
        }
        // While the gateway runs, only an edit can leave a table unused, which `hidden::tables` finds.
        if self.serving.is_none() {
            hidden::unused_tables(self.next, used, planned).into_iter().for_each(|warning| self.push(warning));
            hidden::unused_file(used, planned).await.into_iter().for_each(|warning| self.push(warning));
        }
    }

    /// Stops at the first store that fails despite the plan: the disk is full, or another program interfered.
    async fn apply_tables(&mut self, changing: &[&str]) {
        let mut changed: Vec<&str> = Vec::new();
        for used in self.next.stores.iter().filter(|used| !used.tables.is_empty()) {
            let migrated = used.store.migrate(&tables(used), &By::Reload(used.migrate)).await;
            migrated.iter().flatten().for_each(Applied::log);
            if let Err(refused) = migrated {
                for mut refused in refused {
                    if !changed.is_empty() {
                        refused.help = refused.help.replace("no tables were changed: ", "");
                        refused.message += &format!(
                            "; the tables of `{}` were already changed and are not restored",
                            changed.join("`, `")
                        );
                    }
                    self.refuse_table(used, refused);
                }
                return;
            }
            changed.extend(changing.iter().find(|name| ***name == *used.name));
        }
    }

    /// Where the data is, once for each store that is opened.
    fn log_opened(&self) {
        let serving = self.serving.map(|serving| &*serving.stores).unwrap_or_default();
        let was_open =
            |used: &Used| serving.iter().any(|old| !old.tables.is_empty() && Arc::ptr_eq(&old.store, &used.store));
        for used in self.next.stores.iter().filter(|used| self.renewed.contains(&used.name)) {
            let human = format!("store {} connects to {} with its new `url`", used.name, used.store.place());
            tracing::info!(store = &*used.name, system = used.store.system(), human, "store reconnected");
        }
        for used in self.next.stores.iter().filter(|used| !used.tables.is_empty() && !was_open(used)) {
            if self.renewed.contains(&used.name) {
                continue;
            }
            let path = used.store.file().map(|file| file.display().to_string());
            let human = format!("opened {}", used.store.place());
            tracing::info!(store = &*used.name, system = used.store.system(), path, human, "store opened");
        }
    }

    fn refuse_table(&mut self, used: &Used, refused: RefusedTable) {
        let run = |flags: &str| format!("`gatewright migrate {flags} {}`", self.sources.root().display());
        let (runs, has_file) = (self.serving.is_some(), used.store.file().is_some());
        let advice = refused.command.map(|command| match (command, runs, has_file) {
            (Command::Print, true, true) => {
                format!(
                    "stop the gateway, run the SQL that {} prints on the database, and start it",
                    run("--format sql")
                )
            }
            (Command::Print, true, false) => {
                format!("run the SQL that {} prints on the database, then reload", run("--format sql"))
            }
            (Command::Print, false, _) => {
                format!("run the SQL that {} prints on the database, then start the gateway", run("--format sql"))
            }
            (command, true, true) => format!("stop the gateway, run {}, and start it", run(refused::flags(command))),
            (command, true, false) => format!("run {}, then `gatewright reload`", run(refused::flags(command))),
            (command, false, _) => format!("run {}, then start the gateway", run(refused::flags(command))),
        });
        self.push(refused::diagnostic(used, refused, advice));
    }
}

fn tables(used: &Used) -> Vec<Table> {
    used.tables.iter().map(|(_, table)| table.clone()).collect()
}

/// The sockets of a snapshot, each with the path of its address in the document.
fn sockets(snapshot: &Snapshot) -> impl Iterator<Item = (String, &Arc<ListeningSocket>)> {
    let listeners = snapshot.listeners.iter().flat_map(|listener| {
        let redirect = listener.redirect.iter();
        let redirect = redirect.map(|socket| (format!("listeners.{}.tls.redirect_from", listener.name), socket));
        std::iter::once((format!("listeners.{}.address", listener.name), &listener.socket)).chain(redirect)
    });
    listeners.chain(snapshot.admin.iter().map(|admin| ("admin.address".to_owned(), &admin.socket)))
}
