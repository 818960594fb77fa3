//! Prepares what a configuration needs before it can serve: its addresses and its tables.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::engine::snapshot::Snapshot;
use crate::engine::sockets::{ListeningSocket, overlap};
use crate::engine::stores::Used;
use crate::resource::store::RefusedTable;
use crate::resource::table::Table;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

/// Prepares `next`, or returns why it cannot serve. Everything that can fail comes before the first visible step:
/// addresses are reserved and table changes planned, then connections are accepted and tables changed.
pub(super) async fn prepare(next: &Snapshot, serving: Option<&Snapshot>, sources: &Sources) -> Diagnostics {
    let mut needs = Needs { next, serving, sources, found: Diagnostics::default() };
    needs.reserve_addresses();
    needs.check_moves();
    let changing = needs.plan_tables().await;
    if !needs.found.has_errors() {
        needs.listen();
    }
    if !needs.found.has_errors() {
        needs.apply_tables(&changing).await;
    }
    needs.found
}

struct Needs<'a> {
    next: &'a Snapshot,
    serving: Option<&'a Snapshot>,
    sources: &'a Sources,
    found: Diagnostics,
}

impl<'a> Needs<'a> {
    fn add(&mut self, path: &str, message: String, help: impl Into<Option<String>>) {
        let diagnostic = Diagnostic::error(path, message);
        self.found.push(Diagnostic { help: help.into(), at: self.sources.locate(path), ..diagnostic });
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
            kept.iter().map(|(path, kept)| (path, kept.address())).find(|(_, held)| in_use && overlap(*held, address))
        {
            let message =
                format!("cannot listen on {address}: `{holder}` listens on {held}, before this edit and after it");
            return self.add(path, message, Some("choose another port".to_owned()));
        }
        let help = match error.kind() {
            ErrorKind::AddrInUse => "another program uses this address: stop it, or choose another one",
            ErrorKind::AddrNotAvailable => "this machine has no such address: write one that it has, or `0.0.0.0`",
            ErrorKind::PermissionDenied => "choose a port from 1024, or give the process the right to a lower one",
            _ => "choose another address",
        };
        self.add(path, format!("cannot listen on {address}: {error}"), Some(help.to_owned()));
    }

    /// A store with served resources cannot move: their data would disappear.
    fn check_moves(&mut self) {
        let Some(serving) = self.serving else { return };
        for used in &self.next.stores {
            let before = serving.stores.iter().find(|old| old.name == used.name);
            if before.is_some_and(|old| {
                !Arc::ptr_eq(&old.store, &used.store) && !old.tables.is_empty() && !used.tables.is_empty()
            }) {
                let message = format!("store `{}` holds resources; it cannot move while they are served", used.name);
                let help = "copy the data, then restart with the new url".to_owned();
                self.add(&format!("stores.{}.url", used.name), message, help);
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
                let message =
                    format!("{} is the file of another store of this gatewright, `{}`", file.display(), first.name);
                self.add(
                    &format!("stores.{}.url", used.name),
                    message,
                    "give both the same url, or each its own file".to_owned(),
                );
                continue;
            }
            files.extend(file.map(|file| (used, file)));
            match used.store.plan(&tables(used)).await {
                Ok(true) => changing.push(&*used.name),
                Ok(false) => {}
                Err(refused) => refused.into_iter().for_each(|refused| self.refuse_table(used, refused)),
            }
        }
        changing
    }

    /// Stops at the first store that fails despite the plan: the disk is full, or another program interfered.
    async fn apply_tables(&mut self, changing: &[&str]) {
        let mut changed: Vec<&str> = Vec::new();
        for used in self.next.stores.iter().filter(|used| !used.tables.is_empty()) {
            if let Err(refused) = used.store.prepare(&tables(used)).await {
                for mut refused in refused {
                    if !changed.is_empty() {
                        refused.message += &format!(
                            "; the tables of `{}` had been changed by then, and stay so",
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

    fn refuse_table(&mut self, used: &Used, refused: RefusedTable) {
        let resource = used.tables.iter().find(|(_, table)| Some(&table.name) == refused.table.as_ref());
        let path = match (resource, &refused.column) {
            (Some((resource, _)), Some(column)) => format!("resources.{resource}.fields.{column}"),
            (Some((resource, _)), None) => format!("resources.{resource}"),
            (None, _) => format!("stores.{}.url", used.name),
        };
        self.add(&path, refused.message, Some(refused.help).filter(|help| !help.is_empty()));
    }
}

fn tables(used: &Used) -> Vec<Table> {
    used.tables.iter().map(|(_, table)| table.clone()).collect()
}

/// The sockets of a snapshot, each with the path of its address in the document.
fn sockets(snapshot: &Snapshot) -> impl Iterator<Item = (String, &Arc<ListeningSocket>)> {
    let listeners = snapshot.listeners.iter().map(|l| (format!("listeners.{}.address", l.name), &l.socket));
    listeners.chain(snapshot.admin.iter().map(|admin| ("admin.address".to_owned(), &admin.socket)))
}
