//! The text of one log line: built in a buffer that is kept, escaped as it is written, cut where it grows too long.

use super::ACCESS;
use opentelemetry::trace::{SpanId, TraceId};
use std::cell::RefCell;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The longest line, in bytes, with room for what closes it.
const LINE: usize = 8 * 1024 - 64;
/// The longest value, in bytes as written.
const VALUE: usize = 2 * 1024;

/// The trace an event belongs to.
pub(super) struct Trace {
    pub trace: TraceId,
    pub span: SpanId,
}

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Hands the line of `event` to `write`.
pub(super) fn with(human: bool, event: &Event<'_>, trace: Option<&Trace>, write: impl FnOnce(&[u8])) {
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut text) => {
            text.clear();
            build(human, event, trace, &mut text);
            write(text.as_bytes());
        }
        // An event inside the Debug of a value that is being written.
        Err(_) => {
            let mut text = String::new();
            build(human, event, trace, &mut text);
            write(text.as_bytes());
        }
    });
}

fn build(human: bool, event: &Event<'_>, trace: Option<&Trace>, text: &mut String) {
    let metadata = event.metadata();
    let now = jiff::Timestamp::now();
    let access = metadata.target() == ACCESS;
    let mut line = Line { text, human, access, cut: false };
    // Writing to a String cannot fail.
    let _ = if human {
        write!(line.text, "{now:.3} {:5} {}", level(*metadata.level()), metadata.target())
    } else {
        let (level, target) = (level(*metadata.level()), metadata.target());
        write!(line.text, r#"{{"timestamp":"{now:.6}","level":"{level}","target":"{target}""#)
    };
    event.record(&mut line);
    if let Some(Trace { trace, span }) = trace {
        line.plain("trace_id", format_args!("\"{trace}\""));
        line.plain("span_id", format_args!("\"{span}\""));
    }
    if line.cut {
        line.cut = false;
        line.text.push_str(if human { " truncated=true" } else { r#","truncated":true"# });
    }
    line.text.push_str(if human { "\n" } else { "}\n" });
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

struct Line<'a> {
    text: &'a mut String,
    human: bool,
    access: bool,
    cut: bool,
}

impl Line<'_> {
    fn key(&mut self, name: &str) {
        // `r#type` is written as `type`.
        let name = name.strip_prefix("r#").unwrap_or(name);
        let _ = match (self.human, name) {
            (true, "message") => write!(self.text, " "),
            (true, _) => write!(self.text, " {name}="),
            (false, _) => write!(self.text, ",\"{name}\":"),
        };
    }

    /// A value that needs no escaping. It is written whole or not at all.
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
        let room = LINE.saturating_sub(self.text.len() + name.len() + 8).min(VALUE);
        if room < 16 {
            self.cut = true;
            return;
        }
        self.key(name);
        let quoted = !(self.human && name == "message");
        if quoted {
            self.text.push('"');
        }
        let end = self.text.len() + room;
        let mut out = Escaped { text: self.text, end, cut: false };
        let _ = out.write_fmt(value);
        let cut = out.cut;
        if cut {
            self.text.push('…');
        }
        if quoted {
            self.text.push('"');
        }
    }
}

impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field.name(), value);
        } else {
            self.plain(field.name(), "null");
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.escaped(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.access && field.name() == "headers" {
            // The access log hands over an object that it has escaped and bounded itself.
            self.plain("headers", format_args!("{value:?}"));
        } else {
            self.escaped(field.name(), format_args!("{value:?}"));
        }
    }
}

/// Writes the inside of a JSON string up to `end` bytes of `text`. Control characters, and those that turn text around
/// or break lines on a screen, are written as `\uXXXX`: a log line is one line, whatever a client sent.
pub(in crate::telemetry) struct Escaped<'a> {
    pub text: &'a mut String,
    pub end: usize,
    pub cut: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        for character in value.chars() {
            let before = self.text.len();
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c.is_control()
                    || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    write!(self.text, "\\u{:04x}", u32::from(c))?;
                }
                c => self.text.push(c),
            }
            if self.text.len() > self.end {
                self.text.truncate(before);
                self.cut = true;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}
