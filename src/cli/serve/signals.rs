//! Signals that mean something to other servers, and nothing here.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Ignores SIGUSR1 and SIGUSR2, which would end the process, and logs that they were. nginx reopens its log files on SIGUSR1,
/// and scripts that rotate logs send it.
pub fn ignore() -> io::Result<JoinHandle<()>> {
    let (mut first, mut second) = (signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?);
    Ok(tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = first.recv() => "SIGUSR1",
                _ = second.recv() => "SIGUSR2",
            };
            let human = format!("ignored {signal}: SIGHUP reloads, SIGTERM shuts down");
            tracing::info!(signal, human, "ignored a signal; SIGHUP reloads the configuration, SIGTERM shuts down");
        }
    }))
}
