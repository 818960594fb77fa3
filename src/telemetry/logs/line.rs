//! Formats one log line in a reused buffer, escaping as it goes and truncating what is too long.

use super::clock;
use super::encoder::{Encoder, MEMBER, OBJECT};
use super::escape::Escaped;
use super::style::{Paint, Style};
use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The field of an event with a sentence for people, in place of its message and fields. Programs do not get it.
pub(super) const HUMAN: &str = "human";

/// The maximum length of a line in bytes, with room to close it.
const LINE: usize = 8 * 1024 - 64;
/// The maximum length of a value in bytes, as written.
const VALUE: usize = 2 * 1024;

/// The trace an event belongs to.
pub(super) struct Trace {
    pub trace: TraceId,
    pub span: SpanId,
}

impl Trace {
    pub(super) fn of(span: &SpanContext) -> Self {
        Self { trace: span.trace_id(), span: span.span_id() }
    }
}

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `put` with a line that contains the fields from `write`.
pub(super) fn with(
    style: Style,
    level: Level,
    target: &str,
    write: impl FnOnce(&mut Line<'_>),
    put: impl FnOnce(&[u8]),
) {
    // An event logged while the Debug of a value is formatted gets another buffer.
    let mut text = BUFFER.take();
    text.clear();
    let mut line = Line { text: &mut text, style, cut: false, human_only: false };
    line.begin(level, target);
    write(&mut line);
    line.close();
    put(text.as_bytes());
    BUFFER.set(text);
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Writes fields as members of a JSON object, or in human-readable form.
pub(super) struct Line<'a> {
    pub(super) text: &'a mut String,
    pub(super) style: Style,
    cut: bool,
    /// Whether the field [`HUMAN`] replaces all others.
    human_only: bool,
}

impl Line<'_> {
    fn begin(&mut self, level: Level, target: &str) {
        let (name, style) = (name(level), self.style);
        // Writing to a String cannot fail.
        let _ = match style {
            Style::Json => {
                self.text.push_str(r#"{"timestamp":""#);
                clock::utc(self.text, 6);
                write!(self.text, r#"","level":"{name}","target":"{target}""#)
            }
            // The line is about a request.
            Style::Human { terminal: false, .. } if target == super::ACCESS => {
                clock::utc(self.text, 3);
                Ok(())
            }
            Style::Human { terminal: false, .. } => {
                clock::utc(self.text, 3);
                self.text.push(' ');
                style.paint(self.text, Paint::of_level(level), format_args!("{name:5}"));
                write!(self.text, " {target}")
            }
            Style::Human { terminal: true, .. } => {
                clock::local(self.text);
                if level != Level::INFO && target != super::ACCESS {
                    self.text.push_str("  ");
                    style.paint(self.text, Paint::of_level(level), format_args!("{}", name.to_lowercase()));
                }
                if level > Level::INFO { write!(self.text, "  {target}") } else { Ok(()) }
            }
        };
    }

    /// Writes a whole event. `suppressed` is the number of lines suppressed at its callsite.
    pub(super) fn event(&mut self, event: &Event<'_>, trace: Option<&Trace>, suppressed: u64) {
        self.human_only = self.style.is_human() && event.metadata().fields().field(HUMAN).is_some();
        event.record(self);
        if let Some(Trace { trace, span }) = trace {
            self.escaped("trace_id", format_args!("{trace}"));
            if !self.style.is_terminal() {
                self.escaped("span_id", format_args!("{span}"));
            }
        }
        if suppressed > 0 {
            self.plain("suppressed", suppressed);
        }
    }

    /// Whether the field is left out: [`HUMAN`] for programs, and what it replaces for people.
    fn omits(&self, field: &Field) -> bool {
        self.human_only != (field.name() == HUMAN)
    }

    fn close(self) {
        let human = self.style.is_human();
        if self.cut {
            self.text.push_str(if human { " truncated=true" } else { r#","truncated":true"# });
        }
        self.text.push_str(if human { "\n" } else { "}\n" });
    }

    fn key(&mut self, name: &str) {
        // `r#type` is written as `type`.
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.style.is_human() {
            self.text.push_str(if self.style.is_terminal() { "  " } else { " " });
            if !is_message(name) {
                self.style.paint(self.text, Paint::Dim, format_args!("{name}="));
            }
        } else {
            self.text.push_str(",\"");
            self.text.push_str(name);
            self.text.push_str("\":");
        }
    }

    /// A value that needs no escaping. It is never truncated, only omitted.
    fn plain(&mut self, name: &str, value: impl fmt::Display) {
        let start = self.text.len();
        self.key(name);
        let _ = write!(self.text, "{value}");
        if self.text.len() > LINE {
            self.text.truncate(start);
            self.cut = true;
        }
    }

    fn escaped(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.with(name, |out| out.write_fmt(value));
    }

    fn with(&mut self, name: &str, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        let room = LINE.saturating_sub(self.text.len() + name.len() + 8).min(VALUE);
        if room < 16 {
            self.cut = true;
            return;
        }
        self.key(name);
        let quoted = !(self.style.is_human() && is_message(name));
        let start = self.text.len();
        if quoted {
            self.text.push('"');
        }
        let end = self.text.len() + room;
        let mut out = Escaped { text: self.text, end, cut: false };
        let _ = write(&mut out);
        let cut = out.cut;
        if cut {
            self.text.push('…');
        }
        if quoted && self.style.is_terminal() && self.text.get(start + 1..).is_some_and(is_one_word) {
            self.text.remove(start);
        } else if quoted {
            self.text.push('"');
        }
    }
}

fn is_message(name: &str) -> bool {
    name == "message" || name == HUMAN
}

/// Whether a value is readable without quotes.
fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '"', '\\', '='])
}

/// The fields of the access log.
impl Encoder for Line<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.with(name, |out| out.write_str(value));
    }

    fn display(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.escaped(name, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.plain(name, value);
    }

    fn millis(&mut self, name: &str, value: Duration) {
        let micros = value.as_micros();
        self.plain(name, format_args!("{}.{:03}", micros / 1000, micros % 1000));
    }

    fn object(&mut self, name: &str, members: &mut dyn Iterator<Item = (&str, Cow<'_, str>)>) {
        let mut text = String::from("{");
        for (name, member) in members {
            let start = text.len();
            let separator = if start > 1 { "," } else { "" };
            let _ = write!(text, "{separator}\"{name}\":\"");
            let end = text.len() + MEMBER;
            let mut out = Escaped { text: &mut text, end, cut: false };
            let _ = out.write_str(&member);
            let cut = out.cut;
            text.push_str(if cut { "…\"" } else { "\"" });
            if text.len() > OBJECT {
                text.truncate(start);
            }
        }
        text.push('}');
        self.plain(name, text);
    }
}

impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.omits(field) {
            return;
        }
        if value.is_finite() {
            self.plain(field.name(), value);
        } else {
            self.plain(field.name(), "null");
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.omits(field) {
            return;
        }
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.omits(field) {
            return;
        }
        self.plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.omits(field) {
            return;
        }
        self.plain(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.omits(field) {
            return;
        }
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.omits(field) {
            return;
        }
        self.escaped(field.name(), format_args!("{value:?}"));
    }
}
