//! What the service manager (systemd) is told while the process runs: `sd_notify(3)`. Without one, all of it does nothing.

use crate::cli::serve::listeners::Servers;
use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use sd_notify::NotifyState;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Connections are accepted.
pub fn started() {
    ready(&serving(1));
}

/// A reload begins. systemd 253 and newer requires the time, to tell this reload from an earlier one.
pub fn reloading() {
    let mut state = vec![NotifyState::Reloading];
    state.extend(NotifyState::monotonic_usec_now());
    send(&state);
}

/// A reload has ended, and `generation` serves.
pub fn reloaded(outcome: &Result<Reloaded, RefusedConfiguration>, generation: u64) {
    match outcome {
        Ok(_) => ready(&serving(generation)),
        Err(_) => ready(&format!("Configuration rejected; generation {generation} keeps serving")),
    }
}

/// The process shuts down.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("Shutting down")]);
}

/// Reports that the process is alive, at half the interval of `WatchdogSec=`, for as long as every worker thread of `servers`
/// responds. Ends when the result is dropped.
pub fn watch(servers: &Arc<Servers>) -> Option<AbortOnDropHandle<()>> {
    let every = sd_notify::watchdog_enabled()?.checked_div(2).filter(|every| !every.is_zero())?;
    Some(AbortOnDropHandle::new(tokio::spawn(report_life(Arc::downgrade(servers), every))))
}

async fn report_life(servers: Weak<Servers>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some((public, admin)) = servers.upgrade().map(|all| (all.public.responds(), all.admin.responds())) else {
            return;
        };
        if timeout(every, async { tokio::join!(public, admin) }).await.is_ok() {
            send(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(after = ?every, "a worker thread does not respond; the watchdog of the service manager is not reset");
        }
    }
}

fn serving(generation: u64) -> String {
    format!("Serving generation {generation}")
}

fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
