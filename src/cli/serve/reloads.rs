//! Edits of the file and SIGHUP, one after the other, for as long as the process serves.

use crate::cli::for_people;
use crate::cli::output::say;
use crate::cli::serve::listeners::{Listeners, Servers};
use crate::config::diagnostic::{Diagnostics, Severity};
use crate::config::document::Document;
use crate::config::document::telemetry::LogFormat;
use crate::config::sources::Sources;
use crate::config::watch::Watch;
use crate::engine::live::{Live, Reloaded};
use crate::telemetry::Telemetry;
use tokio::signal::unix::Signal;

/// Takes over edits until the caller stops asking. Swaps by the admin API are followed too.
pub async fn follow(
    live: &Live,
    servers: &Servers,
    listeners: &mut Listeners,
    telemetry: &Telemetry,
    mut hangup: Signal,
) -> anyhow::Result<()> {
    let mut swaps = live.swaps();
    let mut said = live.warnings();
    let watch = {
        let snapshot = live.load();
        Watch::new(&snapshot.origin.sources, &snapshot.document.reload)
    };
    loop {
        let force = tokio::select! {
            () = watch.changed() => false,
            received = hangup.recv() => {
                if received.is_none() {
                    std::future::pending::<()>().await;
                }
                true
            }
            swapped = swaps.changed() => {
                swapped?;
                let snapshot = live.load_full();
                if let Err(error) = telemetry.apply(&snapshot.document.telemetry, snapshot.origin.sources.folder()) {
                    tracing::error!(%error, "telemetry goes on as before");
                }
                listeners.follow(servers, &snapshot)?;
                watch.follow(&snapshot.origin.sources, &snapshot.document.reload);
                let warnings = live.warnings();
                report(&snapshot.origin.sources, &warnings.but_for(&said), &snapshot.document);
                said = warnings;
                tracing::info!(generation = snapshot.origin.generation, hash = %snapshot.origin.hash, "configuration taken over");
                continue;
            }
        };
        match live.reload(force).await {
            Ok(Reloaded::Unchanged | Reloaded::Swapped(_)) => {}
            Err(refused) => {
                let serving = live.load_full();
                report(&refused.sources, &refused.diagnostics, &serving.document);
                tracing::error!(
                    generation = serving.origin.generation,
                    "configuration refused, the one before it serves on"
                );
                // What was read may name other files than what serves: a fault in a new include is mended there.
                watch.follow(&refused.sources, &serving.document.reload);
            }
        }
    }
}

/// Tells the operator: as a compiler would where people read the log, one event for each where programs do.
pub fn report(sources: &Sources, diagnostics: &Diagnostics, serving: &Document) {
    if diagnostics.is_empty() {
        return;
    }
    if serving.telemetry.logs.format == LogFormat::Human {
        return say(&sources.render(diagnostics, for_people()));
    }
    for diagnostic in diagnostics.iter() {
        let at = diagnostic.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let help = diagnostic.help.as_deref().unwrap_or_default();
        match diagnostic.severity {
            Severity::Error => {
                tracing::error!(at, path = diagnostic.path, help, fault = diagnostic.message, "configuration fault")
            }
            Severity::Warning => {
                tracing::warn!(at, path = diagnostic.path, help, fault = diagnostic.message, "configuration warning")
            }
        }
    }
}
