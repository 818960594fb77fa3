//! `gatewright status`: what a running gateway serves, since when, and the last edit that it rejected.

use crate::cli::admin_client::{AdminAccess, AdminClient};
use crate::cli::output::{Format, fail, write, write_json};
use crate::config::diagnostic::{printable, printable_lines};
use crate::engine::registry::Registry;
use clap::Args;
use http::{Method, StatusCode};
use jiff::{Timestamp, Unit};
use serde_json::Value;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long the call may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    admin: AdminAccess,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Status {
    pub fn run(&self, registry: &Registry) -> ExitCode {
        let asked = self.admin.find(registry).and_then(|client| {
            let (_, body) = client.send(Method::GET, "/status", PATIENCE, &[StatusCode::OK])?;
            Ok((client, body))
        });
        match asked {
            Ok((_, body)) if self.format == Format::Json => write_json(&body),
            Ok((client, body)) => write(&readable(&client, &body, Timestamp::now())),
            Err(error) => fail(&format!("{error:#}")),
        }
    }
}

fn readable(client: &AdminClient, status: &Value, now: Timestamp) -> String {
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let draining = status.get("draining").and_then(Value::as_bool).unwrap_or_default();
    let state = if draining { "shutting down" } else { "serving" };
    let listeners = status.get("listeners").and_then(Value::as_array).into_iter().flatten().filter_map(|listener| {
        Some(format!("{} on {}", listener.get("name")?.as_str()?, listener.get("address")?.as_str()?))
    });
    let mut rows = vec![
        ("gateway", format!("gatewright {}, admin address {}, {state}", text("/version"), client.address())),
        ("generation", format!("{}, since {}", number("/generation"), moment(text("/since"), now))),
        ("started", moment(text("/started"), now)),
        ("listeners", listeners.collect::<Vec<_>>().join(", ")),
        ("connections", format!("{} open", number("/connections"))),
    ];
    if status.get("maintenance").and_then(Value::as_bool).unwrap_or_default() {
        rows.push(("maintenance", "on: requests get 503".to_owned()));
    }
    let upstreams = || status.get("upstreams").and_then(Value::as_object).into_iter().flatten();
    let open = upstreams().filter(|(_, upstream)| upstream.get("circuit_open").and_then(Value::as_bool) == Some(true));
    rows.push(("circuit open", open.map(|(name, _)| format!("upstream {name}")).collect::<Vec<_>>().join(", ")));
    let panicking = upstreams().filter(|(_, upstream)| upstream.get("panic").and_then(Value::as_bool) == Some(true));
    let panicking =
        panicking.map(|(name, _)| format!("all targets of upstream {name} get requests, because too few are healthy"));
    rows.push(("panic mode", panicking.collect::<Vec<_>>().join(", ")));
    for health in ["unhealthy", "ejected"] {
        rows.push((
            health,
            upstreams().flat_map(|(name, upstream)| targets(name, upstream, health)).collect::<Vec<_>>().join(", "),
        ));
    }
    rows.push((
        "DNS failing",
        upstreams().flat_map(|(_, upstream)| failed_lookups(upstream)).collect::<Vec<_>>().join(", "),
    ));
    for (_, upstream) in upstreams() {
        rows.extend(addresses(upstream).into_iter().map(|shown| ("addresses", shown)));
    }
    let counters = status.get("counters").and_then(Value::as_object).into_iter().flatten();
    rows.extend(counters.map(|(name, store)| ("counters", counter_store(name, store))));
    for signal in ["traces", "metrics", "logs"] {
        rows.push((signal, status.pointer(&format!("/telemetry/{signal}")).map(export).unwrap_or_default()));
    }
    let dropped = status.pointer("/telemetry/log_lines_dropped").and_then(Value::as_u64).unwrap_or_default();
    rows.push(("log lines", dropped_lines(dropped)));
    let warnings: Vec<_> = status.get("warnings").and_then(Value::as_array).into_iter().flatten().collect();
    rows.push(("warnings", if warnings.is_empty() { String::new() } else { warnings.len().to_string() }));
    let refused = status.get("last_refused").filter(|refused| !refused.is_null());
    let rejected = refused.map(|_| moment(text("/last_refused/at"), now));
    rows.push(("rejected", rejected.unwrap_or_else(|| "no edit since then".to_owned())));
    let mut shown = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(shown, "{name:12} {value}");
    }
    for warning in warnings {
        let part = |name: &str| printable(warning.get(name).and_then(Value::as_str).unwrap_or_default());
        let _ = writeln!(shown, "\nwarning[{}]: {}: {}", part("code"), part("path"), part("message"));
        if let Some(help) = warning.get("help").and_then(Value::as_str) {
            let _ = writeln!(shown, "  help: {}", printable_lines(help));
        }
    }
    if refused.is_some() {
        let _ = write!(shown, "\n{}", text("/last_refused/report"));
    }
    shown
}

/// A store in which several gateways count together: `store counters at redis:6379: reachable, used by plugins.calls`.
fn counter_store(name: &str, store: &Value) -> String {
    let state = match store.get("reachable").and_then(Value::as_bool) {
        Some(true) => "reachable",
        _ => "unreachable",
    };
    let used_by = store.get("used_by").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let used_by = used_by.collect::<Vec<_>>().join(", ");
    let used_by = if used_by.is_empty() { "not used".to_owned() } else { format!("used by {used_by}") };
    format!("store {name} at {}: {state}, {used_by}", text(store, "address"))
}

/// The targets of `upstream` with this health.
fn targets(name: &str, upstream: &Value, health: &str) -> Vec<String> {
    let targets = upstream.get("targets").and_then(Value::as_array).into_iter().flatten();
    let found = targets.filter(|target| text(target, "health") == health).map(|target| {
        let error = text(target, "last_error");
        let ip = text(target, "ip");
        let ip = if ip.is_empty() || error.contains(&ip) { String::new() } else { format!(" ({ip})") };
        let cause = if error.is_empty() { error } else { format!(" ({error})") };
        format!("{name} {}{ip}{cause}", text(target, "address"))
    });
    found.collect()
}

/// The names of `upstream` whose last lookup failed, and why.
fn failed_lookups(upstream: &Value) -> Vec<String> {
    let targets = upstream.get("targets").and_then(Value::as_array).into_iter().flatten();
    let failed = targets.filter(|target| target.get("lookup_error").is_some());
    let mut shown: Vec<_> =
        failed.map(|target| format!("{} ({})", text(target, "address"), text(target, "lookup_error"))).collect();
    shown.dedup();
    shown
}

/// The addresses of each name of `upstream`: `orders.internal:8081: 10.0.1.11, 10.0.1.12 (ejected)`.
fn addresses(upstream: &Value) -> Vec<String> {
    let mut names: Vec<(String, Vec<String>)> = Vec::new();
    let targets = upstream.get("targets").and_then(Value::as_array).into_iter().flatten();
    for target in targets.filter(|target| target.get("ip").is_some()) {
        let (name, health) = (text(target, "address"), text(target, "health"));
        let health = if health == "healthy" { String::new() } else { format!(" ({health})") };
        let shown = format!("{}{health}", text(target, "ip"));
        match names.last_mut().filter(|(last, _)| *last == name) {
            Some((_, all)) => all.push(shown),
            None => names.push((name, vec![shown])),
        }
    }
    names.into_iter().map(|(name, all)| format!("{name}: {}", all.join(", "))).collect()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A time and how long ago that is: `2026-01-02T03:04:05Z (4m 12s ago)`.
fn moment(text: &str, now: Timestamp) -> String {
    let Ok(then) = text.parse::<Timestamp>() else { return text.to_owned() };
    let seconds = now.since((Unit::Second, then)).map(|span| span.get_seconds()).unwrap_or_default().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let ago = match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    };
    format!("{text} ({ago} ago)")
}

/// How many lines of the log are missing, if any.
fn dropped_lines(dropped: u64) -> String {
    let lines = if dropped == 1 { "line was" } else { "lines were" };
    if dropped == 0 {
        String::new()
    } else {
        format!("{dropped} {lines} dropped, because standard output is not read in time")
    }
}

/// The state of the export of one signal.
fn export(signal: &Value) -> String {
    let number = |name: &str| signal.get(name).and_then(Value::as_u64).unwrap_or_default();
    let text = |name: &str| signal.get(name).and_then(Value::as_str).unwrap_or_default();
    let lost = number("failed") + number("dropped");
    let counted = if lost > 0 { format!(", {lost} lost") } else { String::new() };
    match text("state") {
        "off" => "not exported".to_owned(),
        "failing" => format!("export failing since {}: {}{counted}", text("failing_since"), text("last_error")),
        "working" => format!("exported: {}{counted}", number("exported")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_of_the_log_are_shown_if_there_are_any() {
        for (dropped, shown) in [(0, ""), (1, "1 line was dropped"), (7, "7 lines were dropped")] {
            let line = dropped_lines(dropped);
            assert_eq!(line.split(',').next(), Some(shown), "{line}");
        }
    }

    #[test]
    fn a_time_is_shown_with_its_age() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (then, age) in [
            ("2026-01-02T03:04:05Z", "0s"),
            ("2026-01-02T03:04:06Z", "0s"),
            ("2026-01-02T03:02:01Z", "2m 4s"),
            ("2026-01-02T01:02:01Z", "2h 2m"),
            ("2025-12-30T01:02:01Z", "3d 2h"),
        ] {
            assert_eq!(moment(then, now), format!("{then} ({age} ago)"));
        }
        assert_eq!(moment("soon", now), "soon");
    }
}
