//! Converts an event to an OTLP log record with typed attributes, bounded in size like a line.

use super::encoder::{Encoder, MEMBER, OBJECT};
use super::line::{HUMAN, Trace};
use crate::telemetry::exporter::{attribute, scope};
use crate::telemetry::queue::Item;
use crate::telemetry::signal::Signal;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The maximum text of one record, and of one value, in bytes.
const RECORD: usize = 8 * 1024;
const VALUE: usize = 2 * 1024;

/// W3C Trace Context: every span that exists is sampled.
const SAMPLED: u32 = 1;

/// Whether an event is exported. Otherwise what dependencies log about an export would be exported in turn.
pub(super) fn is_sent(event: &Event<'_>) -> bool {
    const BELOW: [&str; 2] = ["rustls", "hyper_rustls"];
    let target = event.metadata().target();
    let name = target.split_once("::").map_or(target, |(name, _)| name);
    !super::CHATTY.contains(&name) && !BELOW.contains(&name)
}

/// The record of `event`; `suppressed` is the number of lines suppressed at its callsite.
pub(super) fn of_event(event: &Event<'_>, trace: Option<&Trace>, suppressed: u64) -> LogRecord {
    let metadata = event.metadata();
    with(*metadata.level(), metadata.target(), trace, |fields| {
        event.record(fields);
        if suppressed > 0 {
            fields.number("suppressed", suppressed);
        }
    })
}

/// A record with the fields from `write`.
pub(super) fn with(level: Level, target: &str, trace: Option<&Trace>, write: impl FnOnce(&mut Fields)) -> LogRecord {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let (number, text) = severity(level);
    let mut fields = Fields {
        attributes: Vec::with_capacity(8),
        body: None,
        trace: trace.map(|trace| trace.trace),
        span: trace.map(|trace| trace.span),
        room: RECORD,
        dropped: 0,
    };
    fields.put("target", target.to_owned());
    write(&mut fields);
    LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: number.into(),
        severity_text: text.to_owned(),
        body: fields.body,
        attributes: fields.attributes,
        dropped_attributes_count: fields.dropped,
        flags: fields.trace.map_or(0, |_| SAMPLED),
        trace_id: fields.trace.map_or_else(Vec::new, |trace| trace.to_bytes().to_vec()),
        span_id: fields.span.map_or_else(Vec::new, |span| span.to_bytes().to_vec()),
        ..LogRecord::default()
    }
}

const fn severity(level: Level) -> (SeverityNumber, &'static str) {
    match level {
        Level::ERROR => (SeverityNumber::Error, "ERROR"),
        Level::WARN => (SeverityNumber::Warn, "WARN"),
        Level::INFO => (SeverityNumber::Info, "INFO"),
        Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    }
}

impl Item for LogRecord {
    const SIGNAL: Signal = Signal::Logs;

    fn weight(&self) -> usize {
        let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.len(),
            _ => 0,
        };
        let attributes = self.attributes.iter().map(|pair| pair.key.len() + text(pair.value.as_ref()));
        size_of::<Self>()
            + self.attributes.capacity() * size_of::<KeyValue>()
            + attributes.sum::<usize>()
            + text(self.body.as_ref())
    }

    fn request(items: Vec<Self>, resource: Resource) -> Vec<u8> {
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records: items, ..ScopeLogs::default() }];
        let resource_logs = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec()
    }
}

pub(super) struct Fields {
    attributes: Vec<KeyValue>,
    body: Option<AnyValue>,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    /// The bytes of text that still fit.
    room: usize,
    dropped: u32,
}

impl Fields {
    fn put(&mut self, name: &str, text: String) {
        self.room = self.room.saturating_sub(text.len());
        match name {
            "message" => self.body = Some(AnyValue { value: Some(Value::StringValue(text)) }),
            // The access log is written after the span has ended, and names it.
            "trace_id" => self.trace = TraceId::from_hex(&text).ok(),
            "span_id" => self.span = SpanId::from_hex(&text).ok(),
            _ => self.value(name, Value::StringValue(text)),
        }
    }

    fn value(&mut self, name: &str, value: Value) {
        // `r#type` is sent as `type`.
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.attributes.push(attribute(name.to_owned(), value));
    }

    fn format(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let mut text = Bounded { text: String::new(), room: self.room.min(VALUE) };
        if text.room == 0 {
            self.dropped += 1;
            return;
        }
        // Fails if the text is truncated.
        let _ = text.write_fmt(value);
        self.put(name, text.text);
    }
}

/// The fields of the access log.
impl Encoder for Fields {
    fn text(&mut self, name: &str, value: &str) {
        self.format(name, format_args!("{value}"));
    }

    fn display(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.format(name, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.value(name, Value::IntValue(value)),
            Err(_) => self.format(name, format_args!("{value}")),
        }
    }

    fn millis(&mut self, name: &str, value: Duration) {
        self.value(name, Value::DoubleValue(value.as_micros() as f64 / 1000.0));
    }

    fn object(&mut self, name: &str, members: &mut dyn Iterator<Item = (&str, Cow<'_, str>)>) {
        let mut values = Vec::new();
        let mut room = self.room.min(OBJECT);
        for (name, member) in members {
            let mut text = Bounded { text: String::new(), room: MEMBER };
            let _ = text.write_str(&member);
            if let Some(rest) = room.checked_sub(name.len() + text.text.len()) {
                room = rest;
                self.room = self.room.saturating_sub(name.len() + text.text.len());
                values.push(attribute(name.to_owned(), Value::StringValue(text.text)));
            }
        }
        self.value(name, Value::KvlistValue(KeyValueList { values }));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field.name(), Value::DoubleValue(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field.name(), Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), Value::BoolValue(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != HUMAN {
            self.text(field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != HUMAN {
            self.format(field.name(), format_args!("{value:?}"));
        }
    }
}

/// Text with a maximum length. Anything longer is truncated, with an ellipsis.
struct Bounded {
    text: String,
    room: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        let fits = value.floor_char_boundary(self.room);
        self.text.push_str(value.get(..fits).unwrap_or_default());
        self.room -= fits;
        if fits < value.len() {
            self.text.push('…');
            return Err(fmt::Error);
        }
        Ok(())
    }
}
