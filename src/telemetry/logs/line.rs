//! Formats one log line in a reused buffer, escaping as it goes and truncating what is too long.

use super::encoder::{Encoder, MEMBER, OBJECT};
use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

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
    /// The last formatted second, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Calls `put` with a line that contains the fields from `write`.
pub(super) fn with(
    human: bool,
    level: Level,
    target: &str,
    write: impl FnOnce(&mut Line<'_>),
    put: impl FnOnce(&[u8]),
) {
    // An event logged while the Debug of a value is formatted gets another buffer.
    let mut text = BUFFER.take();
    text.clear();
    let level = name(level);
    // Writing to a String cannot fail.
    let _ = if human {
        now(&mut text, 3);
        write!(text, " {level:5} {target}")
    } else {
        text.push_str(r#"{"timestamp":""#);
        now(&mut text, 6);
        write!(text, r#"","level":"{level}","target":"{target}""#)
    };
    let mut line = Line { text: &mut text, human, cut: false };
    write(&mut line);
    line.close();
    put(text.as_bytes());
    BUFFER.set(text);
}

/// Writes the current time (RFC 3339) with up to 9 digits after the second. Everything before them is formatted once
/// per second, because that costs more than the rest of a line.
fn now(text: &mut String, digits: usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, written)| {
        if *second != now.as_secs() {
            *second = now.as_secs();
            written.clear();
            let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let whole = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
            let _ = write!(written, "{whole:.0}");
        }
        text.push_str(written.trim_end_matches('Z'));
    });
    let mut nanos = now.subsec_nanos();
    let mut fraction = *b".000000000";
    for digit in fraction.iter_mut().skip(1).rev() {
        *digit += u8::try_from(nanos % 10).unwrap_or(0);
        nanos /= 10;
    }
    let fraction = fraction.get(..=digits).and_then(|fraction| std::str::from_utf8(fraction).ok());
    text.push_str(fraction.unwrap_or_default());
    text.push('Z');
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
    text: &'a mut String,
    human: bool,
    cut: bool,
}

impl Line<'_> {
    /// Writes a whole event. `suppressed` is the number of lines suppressed at its callsite.
    pub(super) fn event(&mut self, event: &Event<'_>, trace: Option<&Trace>, suppressed: u64) {
        event.record(self);
        if let Some(Trace { trace, span }) = trace {
            self.escaped("trace_id", format_args!("{trace}"));
            self.escaped("span_id", format_args!("{span}"));
        }
        if suppressed > 0 {
            self.plain("suppressed", suppressed);
        }
    }

    fn close(self) {
        if self.cut {
            self.text.push_str(if self.human { " truncated=true" } else { r#","truncated":true"# });
        }
        self.text.push_str(if self.human { "\n" } else { "}\n" });
    }

    fn key(&mut self, name: &str) {
        // `r#type` is written as `type`.
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.human {
            self.text.push(' ');
            if name != "message" {
                self.text.push_str(name);
                self.text.push('=');
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
        let quoted = !(self.human && name == "message");
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
        if quoted {
            self.text.push('"');
        }
    }
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
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.escaped(field.name(), format_args!("{value:?}"));
    }
}

/// Escapes up to `end` bytes of `text` for a JSON string. Control characters, and those that change the text direction
/// or break lines on a screen, become `\uXXXX`: a log line is one line, whatever a client sent.
struct Escaped<'a> {
    text: &'a mut String,
    end: usize,
    cut: bool,
}

impl Escaped<'_> {
    fn one(&mut self, character: char) -> fmt::Result {
        let before = self.text.len();
        match character {
            '"' => self.text.push_str("\\\""),
            '\\' => self.text.push_str("\\\\"),
            '\n' => self.text.push_str("\\n"),
            '\r' => self.text.push_str("\\r"),
            '\t' => self.text.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}') =>
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
        Ok(())
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        let harmless = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        let mut rest = value;
        loop {
            // Nearly all text needs no escaping and is written in one piece.
            let length = rest.bytes().position(|byte| !harmless(byte)).unwrap_or(rest.len());
            let (piece, other) = rest.split_at_checked(length).unwrap_or((rest, ""));
            let room = self.end.saturating_sub(self.text.len());
            if piece.len() > room {
                self.text.push_str(piece.get(..room).unwrap_or_default());
                self.cut = true;
                return Err(fmt::Error);
            }
            self.text.push_str(piece);
            let mut characters = other.chars();
            match characters.next() {
                Some(character) => self.one(character)?,
                None => return Ok(()),
            }
            rest = characters.as_str();
        }
    }
}
