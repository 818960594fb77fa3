//! Notices when the files of the configuration have changed: by events, and by looking now and then.

mod folders;
mod print;

use crate::config::document::process::Reload;
use crate::config::sources::SourceFiles;
use folders::Folders;
use print::Prints;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The longest that a storm of events delays a look at the files.
const STORM: Duration = Duration::from_millis(1500);

/// Watches the files that a configuration was read from. Its thread ends with it.
///
/// Folders are watched, not files: editors and ConfigMaps put another file in the place of the old one. Whatever
/// happens in a folder only makes the contents be compared, and nothing but different content counts as a change.
/// Where no events can be had, looking every [`Reload::poll`] remains.
#[derive(Debug)]
pub struct Watch {
    orders: Sender<Order>,
    changed: Arc<Notify>,
}

/// The orders of the watching thread.
enum Order {
    /// Something happened in a folder.
    Event,
    /// These files are the configuration now.
    Follow(WatchPlan),
    Stop,
}

/// What is watched, and how.
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
    /// Watches what `sources` were read from. A change since then counts.
    pub fn new(sources: &SourceFiles, settings: &Reload) -> Self {
        let (orders, received) = channel();
        let changed = Arc::new(Notify::new());
        let plan = WatchPlan::new(sources, settings);
        let (events, signal) = (orders.clone(), changed.clone());
        let thread = std::thread::Builder::new().name("config-watch".to_owned());
        let spawned = thread.spawn(move || Watcher { plan, events, received, signal }.run());
        if let Err(error) = spawned {
            tracing::warn!(%error, "configuration files are not watched: no thread");
        }
        Self { orders, changed }
    }

    /// Watches what the configuration consists of after a reload, accepted or not.
    pub fn follow(&self, sources: &SourceFiles, settings: &Reload) {
        // Without the thread nothing is watched, and that was logged.
        let _ = self.orders.send(Order::Follow(WatchPlan::new(sources, settings)));
    }

    /// Waits until the files are different from what they were. Changes between two waits are not lost.
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
        // What changed between reading and watching raised no event.
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

    /// Waits for a reason to look at the files. `None`: it is over.
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
        // Until it is quiet, but not forever: a file may be written all the time.
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
