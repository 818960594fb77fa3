//! Detects changes of the configuration files: by events, and by polling.

mod folders;
mod print;
mod relevance;

use crate::config::document::process::Reload;
use crate::config::sources::SourceFiles;
use folders::Folders;
use print::Prints;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The maximum time for which a series of events delays reading the files.
const STORM: Duration = Duration::from_millis(1500);

/// Watches the files that a configuration was read from. Its thread ends with it.
///
/// It watches folders, not files, because editors and ConfigMaps replace files. An event in a folder only triggers a
/// comparison of contents, and only different content counts as a change. If events are not available, polling every
/// [`Reload::poll`] remains.
#[derive(Debug)]
pub struct Watch {
    orders: Sender<Order>,
    changed: Arc<Notify>,
}

/// Messages to the watching thread.
enum Order {
    /// An event in a folder.
    Event,
    /// Watch these files from now on.
    Follow(WatchPlan),
    Stop,
}

/// What to watch, and how.
struct WatchPlan {
    settings: Reload,
    files: Vec<PathBuf>,
    prints: Prints,
}

impl WatchPlan {
    fn new(sources: &SourceFiles, settings: &Reload) -> Self {
        let files: Vec<PathBuf> = sources.watched().map(PathBuf::from).collect();
        Self { settings: settings.clone(), prints: Prints::loaded(sources, &files), files }
    }
}

impl Watch {
    /// Watches the files in `sources`. A change since they were read counts.
    pub fn new(sources: &SourceFiles, settings: &Reload) -> Self {
        let (orders, received) = channel();
        let changed = Arc::new(Notify::new());
        let plan = WatchPlan::new(sources, settings);
        let (events, signal) = (orders.clone(), changed.clone());
        let thread = std::thread::Builder::new().name("config-watch".to_owned());
        let spawned = thread.spawn(move || Watcher { plan, events, received, signal }.run());
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot start the thread that watches the configuration files");
        }
        Self { orders, changed }
    }

    /// Watches the files of the configuration after a reload, whether it was accepted or rejected.
    pub fn follow(&self, sources: &SourceFiles, settings: &Reload) {
        // If the thread has ended, nothing is watched; that was logged.
        let _ = self.orders.send(Order::Follow(WatchPlan::new(sources, settings)));
    }

    /// Waits until the files have changed. Changes between two calls are not lost.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
    }
}

struct Watcher {
    plan: WatchPlan,
    events: Sender<Order>,
    received: Receiver<Order>,
    signal: Arc<Notify>,
}

impl Watcher {
    fn run(mut self) {
        let events = self.events.clone();
        let mut folders = Folders::new(move || drop(events.send(Order::Event)));
        // A change between reading and watching raised no event.
        let mut look = true;
        loop {
            if self.plan.settings.watch {
                folders.arm(&self.plan.files);
                if look && self.plan.prints.update(&self.plan.files) {
                    self.signal.notify_one();
                }
            } else {
                folders.disarm();
            }
            match self.wait() {
                Some(again) => look = again,
                None => return,
            }
        }
    }

    /// Waits for a reason to read the files. `None` at the end.
    fn wait(&mut self) -> Option<bool> {
        let order = if self.plan.settings.watch {
            match self.received.recv_timeout(self.plan.settings.poll.get()) {
                Err(RecvTimeoutError::Timeout) => return Some(true),
                Err(RecvTimeoutError::Disconnected) => return None,
                Ok(order) => order,
            }
        } else {
            self.received.recv().ok()?
        };
        self.take(order)?;
        // Until there are no more events, but not forever: a file may be written continuously.
        let first = Instant::now();
        while first.elapsed() < STORM {
            match self.received.recv_timeout(self.plan.settings.debounce.get()) {
                Ok(order) => self.take(order)?,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        Some(true)
    }

    fn take(&mut self, order: Order) -> Option<()> {
        match order {
            Order::Event => {}
            Order::Follow(plan) => self.plan = plan,
            Order::Stop => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
