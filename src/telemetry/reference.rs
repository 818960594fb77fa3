//! The telemetry reference as Markdown: the generated part of the documentation.

mod spans;

use super::instruments;
use super::metrics::prometheus_name;
use gatewright_sdk::PluginKind;
use gatewright_sdk::metrics::{Instrument, Measure};
use std::fmt::{self, Write};

/// The whole reference. `kinds` are the plugins with metrics.
pub fn markdown<'a>(kinds: impl IntoIterator<Item = &'a dyn PluginKind>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = spans(&mut text).and_then(|()| metrics(&mut text, kinds.into_iter()));
    text
}

/// The metrics of one plugin type, below a heading; empty if it has none.
pub fn of_plugin(kind: &dyn PluginKind) -> String {
    let mut text = String::new();
    if !kind.instruments().is_empty() {
        text.push_str("\n## Metrics\n\n");
        // Writing to a String cannot fail.
        let _ = table(&mut text, kind.instruments());
    }
    text
}

fn spans(out: &mut String) -> fmt::Result {
    for kind in spans::ALL {
        writeln!(out, "### Spans: {}\n\n{}.\n\n| attribute | when | meaning |\n|---|---|---|", kind.title, kind.name)?;
        for (name, when, meaning) in kind.attributes {
            writeln!(out, "| `{name}` | {when} | {meaning} |")?;
        }
        out.push('\n');
    }
    Ok(())
}

fn metrics<'a>(out: &mut String, kinds: impl Iterator<Item = &'a dyn PluginKind>) -> fmt::Result {
    writeln!(out, "### Metrics of the gateway\n")?;
    table(out, instruments::ALL)?;
    for kind in kinds.filter(|kind| !kind.instruments().is_empty()) {
        writeln!(out, "\n### Metrics of `{}`\n", kind.name())?;
        table(out, kind.instruments())?;
    }
    Ok(())
}

fn table(out: &mut String, instruments: &[&Instrument]) -> fmt::Result {
    writeln!(out, "| metric | in Prometheus | kind | unit | attributes | meaning |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    instruments.iter().try_for_each(|instrument| {
        let (kind, total) = match instrument.measure {
            Measure::Counter => ("counter", "_total"),
            Measure::UpDownCounter => ("up-down counter", ""),
            Measure::Gauge => ("gauge", ""),
            Measure::Histogram(_) => ("histogram", ""),
        };
        let attributes: Vec<_> = instrument.attributes.iter().map(|attribute| format!("`{attribute}`")).collect();
        writeln!(
            out,
            "| `{}` | `{}{total}` | {kind} | `{}` | {} | {} |",
            instrument.name,
            prometheus_name(instrument),
            instrument.unit,
            attributes.join(", "),
            instrument.help,
        )
    })
}
