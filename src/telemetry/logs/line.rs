//! The text of one log line: built in a buffer that is kept, escaped as it is written, cut where it grows too long.

use super::ACCESS;
use http::HeaderValue;
use opentelemetry::trace::{SpanId, TraceId};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The longest line, in bytes, with room for what closes it.
const LINE: usize = 8 * 1024 - 64;
/// The longest value, in bytes as written.
const VALUE: usize = 2 * 1024;
/// What stands around the fields of the access log: time, level, target and message.
const FRAME: usize = 192;

/// The trace an event belongs to.
pub(super) struct Trace {
    pub trace: TraceId,
    pub span: SpanId,
}

thread_local! {
    static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
    /// The second that was written last, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Hands the line of `event` to `write`.
/// `suppressed` lines were held back where this one comes from.
pub(super) fn with(human: bool, event: &Event<'_>, trace: Option<&Trace>, suppressed: u64, write: impl FnOnce(&[u8])) {
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut text) => {
            text.clear();
            build(human, event, trace, suppressed, &mut text);
            write(text.as_bytes());
        }
        // An event inside the Debug of a value that is being written.
        Err(_) => {
            let mut text = String::new();
            build(human, event, trace, suppressed, &mut text);
            write(text.as_bytes());
        }
    });
}

fn build(human: bool, event: &Event<'_>, trace: Option<&Trace>, suppressed: u64, text: &mut String) {
    let metadata = event.metadata();
    let access = metadata.target() == ACCESS;
    let (level, target) = (level(*metadata.level()), metadata.target());
    // Writing to a String cannot fail.
    let _ = if human {
        now(text, 3);
        write!(text, " {level:5} {target}")
    } else {
        text.push_str(r#"{"timestamp":""#);
        now(text, 6);
        write!(text, r#"","level":"{level}","target":"{target}""#)
    };
    let mut line = Line { text, human, access, cut: false, end: LINE };
    event.record(&mut line);
    if let Some(Trace { trace, span }) = trace {
        line.escaped("trace_id", format_args!("{trace}"));
        line.escaped("span_id", format_args!("{span}"));
    }
    if suppressed > 0 {
        line.plain("suppressed", suppressed);
    }
    line.close();
    text.push_str(if human { "\n" } else { "}\n" });
}

/// Writes the present time (RFC 3339) with so many digits after the second, at most 9. All but those are written once a
/// second: they cost more than the rest of a line.
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

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// The fields of a line as they are written: members of a JSON object, or words for people.
pub(in crate::telemetry) struct Line<'a> {
    text: &'a mut String,
    human: bool,
    access: bool,
    cut: bool,
    /// How long the text may become.
    end: usize,
}

impl<'a> Line<'a> {
    /// The fields of a line of the access log, into `text`, which is empty.
    pub(in crate::telemetry) const fn fields(text: &'a mut String, human: bool) -> Self {
        Self { text, human, access: true, cut: false, end: LINE - FRAME }
    }

    /// Ends the fields.
    pub(in crate::telemetry) fn close(self) {
        if self.cut {
            self.text.push_str(if self.human { " truncated=true" } else { r#","truncated":true"# });
        }
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

    /// A value that needs no escaping. It is written whole or not at all.
    pub(in crate::telemetry) fn plain(&mut self, name: &str, value: impl fmt::Display) {
        let start = self.text.len();
        self.key(name);
        let _ = write!(self.text, "{value}");
        if self.text.len() > self.end {
            self.text.truncate(start);
            self.cut = true;
        }
    }

    pub(in crate::telemetry) fn text(&mut self, name: &str, value: &str) {
        self.with(name, |out| out.write_str(value));
    }

    pub(in crate::telemetry) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// The value of a header field, if it is text.
    pub(in crate::telemetry) fn header(&mut self, name: &str, value: Option<&HeaderValue>) {
        let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
        self.maybe(name, value.as_deref());
    }

    pub(in crate::telemetry) fn escaped(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.with(name, |out| out.write_fmt(value));
    }

    fn with(&mut self, name: &str, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        let room = self.end.saturating_sub(self.text.len() + name.len() + 8).min(VALUE);
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

    /// An object of texts, each at most `value` bytes long, together at most `whole`; members that have no room are left
    /// out.
    pub(in crate::telemetry) fn object<'b>(
        &mut self,
        name: &str,
        members: impl Iterator<Item = (&'b str, Cow<'b, str>)>,
        value: usize,
        whole: usize,
    ) {
        let mut text = String::from("{");
        for (name, member) in members {
            let start = text.len();
            let separator = if start > 1 { "," } else { "" };
            let _ = write!(text, "{separator}\"{name}\":\"");
            let end = text.len() + value;
            let mut out = Escaped { text: &mut text, end, cut: false };
            let _ = out.write_str(&member);
            let cut = out.cut;
            text.push_str(if cut { "…\"" } else { "\"" });
            if text.len() > whole {
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
        if self.access && field.name() == "fields" {
            // The access log has chosen, escaped and bounded its fields itself.
            let _ = if self.human { write!(self.text, "{value:#?}") } else { write!(self.text, "{value:?}") };
        } else {
            self.escaped(field.name(), format_args!("{value:?}"));
        }
    }
}

/// Writes the inside of a JSON string up to `end` bytes of `text`. Control characters, and those that turn text around
/// or break lines on a screen, are written as `\uXXXX`: a log line is one line, whatever a client sent.
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
            // Nearly all text is harmless and goes in one piece.
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
