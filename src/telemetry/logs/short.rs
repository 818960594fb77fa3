//! The access log for people: one short line per request, `200  GET  /api/users  0.4 ms`.

use super::encoder::Encoder;
use super::escape::Escaped;
use super::line::Line;
use super::reason;
use super::style::Paint;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::Duration;

/// The columns of a path. Longer ones are cut at [`LONGEST`].
const PATH: usize = 24;
const LONGEST: usize = 72;

/// Fields that are only shown if the file chooses the fields.
const UNUSUAL: [&str; 13] = [
    "bytes",
    "client_ip",
    "listener",
    "route",
    "generation",
    "request_id",
    "span_id",
    "outcome",
    "rule",
    "upstream",
    "upstream_target",
    "peer",
    "upstream_ms",
];

/// The maximum length of other fields in bytes.
const MORE: usize = 1024;

/// Collects the fields of a request.
pub(super) struct Short {
    usual: bool,
    status: Option<u64>,
    method: String,
    path: String,
    query: String,
    duration: Option<Duration>,
    plugin: String,
    reason: String,
    error: String,
    end: String,
    /// Fields without a column, as they are written.
    more: Vec<(String, String)>,
}

impl Short {
    /// `usual` if the fields are the default ones.
    pub(super) fn new(usual: bool) -> Self {
        let text = String::new;
        Self {
            usual,
            status: None,
            method: text(),
            path: text(),
            query: text(),
            duration: None,
            plugin: text(),
            reason: text(),
            error: text(),
            end: text(),
            more: Vec::new(),
        }
    }

    fn put(&mut self, name: &str, value: String) {
        let known = match name {
            "method" => &mut self.method,
            "path" => &mut self.path,
            "query" => &mut self.query,
            "plugin" => &mut self.plugin,
            "reason" => &mut self.reason,
            "error" => &mut self.error,
            "end" => &mut self.end,
            _ if self.usual && UNUSUAL.contains(&name) => return,
            _ => {
                self.more.push((name.to_owned(), value));
                return;
            }
        };
        *known = value;
    }

    /// Writes the line after its time.
    pub(super) fn write(&self, line: &mut Line<'_>) {
        let (out, style) = (&mut *line.text, line.style);
        let text = |out: &mut String, text: &str, most: usize| {
            let start = out.len();
            let mut escaped = Escaped { end: out.len() + most, text: out, cut: false };
            // What does not fit is cut.
            let _ = escaped.write_str(text);
            if escaped.cut {
                out.push('…');
            }
            out.get(start..).map_or(0, |written| written.chars().count())
        };
        let pad = |out: &mut String, written: usize, width: usize| {
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(written)));
        };
        out.push_str("  ");
        match self.status {
            Some(status) => style.paint(out, Paint::of_status(status), format_args!("{status}")),
            None => style.paint(out, Paint::Dim, format_args!("---")),
        }
        out.push_str("  ");
        let written = text(out, &self.method, 16);
        pad(out, written, 6);
        out.push_str("  ");
        let mut written = text(out, &self.path, LONGEST);
        if !self.query.is_empty() && written < LONGEST {
            out.push('?');
            written += 1 + text(out, &self.query, LONGEST - written);
        }
        pad(out, written, PATH);
        if let Some(duration) = self.duration {
            out.push_str("  ");
            style.paint(out, Paint::Dim, format_args!("{:>8}", Millis(duration).to_string()));
        }
        let why = self.why();
        if !why.is_empty() {
            out.push_str("  ");
            text(out, &why, 512);
        }
        for (name, value) in &self.more {
            out.push_str("  ");
            style.paint(out, Paint::Dim, format_args!("{name}="));
            text(out, value, MORE);
        }
    }

    /// What decided, and why: `login: no token was sent`.
    fn why(&self) -> String {
        // The listener or route before it is clear from the path.
        let plugin = self.plugin.rsplit('/').next().unwrap_or_default();
        // An error says more than the reason.
        let reason = if self.error.is_empty() { reason::describe(&self.reason) } else { self.error.as_str().into() };
        let said = match (plugin.is_empty(), reason.is_empty()) {
            (true, _) => reason.into_owned(),
            (false, true) => format!("{plugin} responded"),
            (false, false) => format!("{plugin}: {reason}"),
        };
        let end = reason::describe(&self.end);
        [said.as_str(), &end].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// Milliseconds with one decimal, or seconds.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds @ 10.0.. => write!(f, "{seconds:.1} s"),
            seconds => write!(f, "{:.1} ms", seconds * 1e3),
        }
    }
}

impl Encoder for Short {
    fn text(&mut self, name: &str, value: &str) {
        self.put(name, value.to_owned());
    }

    fn display(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.put(name, value.to_string());
    }

    fn number(&mut self, name: &str, value: u64) {
        match name {
            "status" => self.status = Some(value),
            _ => self.put(name, value.to_string()),
        }
    }

    fn millis(&mut self, name: &str, value: Duration) {
        match name {
            "duration_ms" => self.duration = Some(value),
            _ => self.put(name, format!("{:.3}", value.as_secs_f64() * 1e3)),
        }
    }

    fn object(&mut self, name: &str, members: &mut dyn Iterator<Item = (&str, Cow<'_, str>)>) {
        let members: Vec<_> = members.map(|(name, value)| format!("{name}: {value}")).collect();
        self.put(name, format!("{{{}}}", members.join(", ")));
    }
}
