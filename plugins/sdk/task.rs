//! State that is maintained by its own background task.

use crate::metrics::{self, Instrument, Measure};
use crate::services::Services;
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::future::Future;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How often plugin tasks panicked.
pub static TASK_PANICS: Instrument = Instrument {
    name: "gateway.plugin.task.panics",
    measure: Measure::Counter,
    unit: "{panic}",
    help: "Panics of the task that a plugin runs in the background; it is restarted",
    attributes: &["gateway.plugin"],
};

/// A value and the task that maintains it. The task ends when the value is dropped.
pub struct WithTask<T> {
    value: T,
    /// The name of the configured plugin.
    plugin: String,
    run: Run<T>,
    running: Mutex<Option<AbortHandle>>,
}

type Run<T> =
    Box<dyn Fn(Weak<WithTask<T>>, Arc<dyn Services>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The first and the longest pause before a task that panicked is restarted.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl<T: Send + Sync + 'static> WithTask<T> {
    /// `owner` names it in the log; `run` makes its task, which holds the value weakly.
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        plugin: &str,
        value: T,
        run: impl Fn(Weak<Self>, Arc<dyn Services>) -> F + Send + Sync + 'static,
    ) -> Self {
        let run: Run<T> = Box::new(move |value, services| Box::pin(run(value, services)));
        Self { value, plugin: plugin.to_owned(), run, running: Mutex::new(None) }
    }

    /// Starts the task now, for values that are created after the swap. Does nothing if it was started before.
    pub fn start(self: &Arc<Self>, services: &Arc<dyn Services>) {
        Arc::clone(self).begin(services);
    }
}

/// Something with a task to start.
pub(crate) trait Begin: Send + Sync {
    /// Starts the task on the current runtime, unless it was started before.
    fn begin(self: Arc<Self>, services: &Arc<dyn Services>);
}

impl<T: Send + Sync + 'static> Begin for WithTask<T> {
    fn begin(self: Arc<Self>, services: &Arc<dyn Services>) {
        let mut running = self.running.lock();
        if running.is_none() {
            let task = supervise(Arc::downgrade(&self), Arc::clone(services));
            *running = Some(tokio::spawn(task).abort_handle());
        }
    }
}

/// Runs the task to its end, and restarts it if it panics.
async fn supervise<T: Send + Sync + 'static>(value: Weak<WithTask<T>>, services: Arc<dyn Services>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let Some(held) = value.upgrade() else { return };
        let (run, plugin) = ((held.run)(Weak::clone(&value), Arc::clone(&services)), held.plugin.clone());
        drop(held);
        let begun = Instant::now();
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            return;
        }
        metrics::counter(&TASK_PANICS, vec![("gateway.plugin", plugin.clone().into())]).add(1);
        tracing::error!(plugin, retry_in = ?pause, "plugin task panicked");
        if begun.elapsed() > longest {
            pause = first;
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

impl<T> Deref for WithTask<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for WithTask<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut() {
            running.abort();
        }
    }
}
