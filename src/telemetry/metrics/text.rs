//! Metrics as text for Prometheus, in the two formats that it reads.

use gatewright_sdk::accept::{self, Wanted};
use gatewright_sdk::metrics::{Attribute, Distribution, Exemplar, Family, Instrument, Measure, Reading, Value};
use http::HeaderMap;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// The format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0: with units and exemplars.
    OpenMetrics,
}

impl TextFormat {
    /// The format that a client requests: OpenMetrics if it is named, and not rated below plain text.
    pub fn of(headers: &HeaderMap) -> Self {
        let weight = |media| match accept::wanted(headers, media) {
            Wanted::Named(weight) => weight,
            Wanted::Anything | Wanted::Covered(_) | Wanted::Unnamed => 0,
        };
        let wanted = weight("application/openmetrics-text");
        if wanted > 0 && wanted >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Names that Prometheus and its dashboards expect, or whose suffix would have another meaning there: `_count` belongs
/// to histograms.
const KNOWN: &[(&str, &str)] = &[
    ("process.cpu.time", "process_cpu_seconds"),
    ("process.memory.usage", "process_resident_memory_bytes"),
    ("process.thread.count", "process_threads"),
    ("process.unix.file_descriptor.count", "process_open_fds"),
    ("gateway.process.file_descriptor.limit", "process_max_fds"),
    ("db.client.connection.count", "db_client_connections"),
];

/// The family name of an instrument by OpenTelemetry's rules for Prometheus: dots become underscores, and the unit is
/// the suffix. Counter samples also end in `_total`.
pub fn name(instrument: &Instrument) -> String {
    if let Some((_, known)) = KNOWN.iter().find(|(name, _)| *name == instrument.name) {
        return (*known).to_owned();
    }
    let name = label(instrument.name);
    match unit(instrument) {
        Some(unit) if !name.ends_with(unit) => format!("{name}_{unit}"),
        _ => name,
    }
}

fn unit(instrument: &Instrument) -> Option<&'static str> {
    match instrument.unit {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        "1" => Some("ratio"),
        _ => None,
    }
}

/// The label name of an attribute.
pub fn label(attribute: &str) -> String {
    attribute.replace(['.', '-'], "_")
}

pub(super) fn write(families: &[Family], format: TextFormat) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in families {
        // Writing to a String cannot fail.
        let _ = Text { out: &mut text, format, name: name(family.instrument) }.family(family);
    }
    if format == TextFormat::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

struct Text<'a> {
    out: &'a mut String,
    format: TextFormat,
    name: String,
}

impl Text<'_> {
    fn family(&mut self, family: &Family) -> fmt::Result {
        let instrument = family.instrument;
        let kind = match instrument.measure {
            Measure::Counter => "counter",
            Measure::UpDownCounter | Measure::Gauge => "gauge",
            Measure::Histogram(_) => "histogram",
        };
        // The older format names a counter by its samples.
        let total = if instrument.measure == Measure::Counter { "_total" } else { "" };
        let of_family = if self.format == TextFormat::Prometheus { total } else { "" };
        let name = &self.name;
        writeln!(self.out, "# HELP {name}{of_family} {}", instrument.help)?;
        writeln!(self.out, "# TYPE {name}{of_family} {kind}")?;
        if let (TextFormat::OpenMetrics, Some(unit)) = (self.format, unit(instrument))
            && name.ends_with(unit)
        {
            writeln!(self.out, "# UNIT {name} {unit}")?;
        }
        for point in &family.points {
            match &point.reading {
                Reading::Count(count) => self.sample(total, &point.attributes, count)?,
                Reading::Level(level) => self.sample("", &point.attributes, level)?,
                Reading::Value(value) => self.sample(total, &point.attributes, value)?,
                Reading::Distribution(read) => self.distribution(&point.attributes, read)?,
            }
        }
        Ok(())
    }

    fn distribution(&mut self, attributes: &[Attribute], read: &Distribution) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "a sum is told as a double, as the format wants it")]
        let in_unit = |steps: u64| steps as f64 / read.buckets.steps as f64;
        let shown = |bound: f64| match self.format {
            TextFormat::Prometheus => bound.to_string(),
            TextFormat::OpenMetrics => canonical(bound),
        };
        let bounds: Vec<_> = read.buckets.bounds.iter().map(|bound| shown(in_unit(*bound))).collect();
        let mut count = 0;
        for (place, (bound, inside)) in bounds.into_iter().chain(["+Inf".to_owned()]).zip(&read.counts).enumerate() {
            count += inside;
            self.head("_bucket", attributes, Some(&bound))?;
            write!(self.out, "{count}")?;
            if let (TextFormat::OpenMetrics, Some(Some(exemplar))) = (self.format, read.exemplars.get(place)) {
                self.exemplar(exemplar, in_unit(exemplar.value))?;
            }
            self.out.push('\n');
        }
        self.sample("_sum", attributes, in_unit(read.sum))?;
        self.sample("_count", attributes, count)
    }

    fn exemplar(&mut self, exemplar: &Exemplar, value: f64) -> fmt::Result {
        self.out.push_str(" # {trace_id=\"");
        hex(self.out, &exemplar.trace)?;
        self.out.push_str("\",span_id=\"");
        hex(self.out, &exemplar.span)?;
        write!(self.out, "\"}} {value} {:.3}", seconds(exemplar.at))
    }

    fn sample(&mut self, suffix: &str, attributes: &[Attribute], value: impl fmt::Display) -> fmt::Result {
        self.head(suffix, attributes, None)?;
        writeln!(self.out, "{value}")
    }

    fn head(&mut self, suffix: &str, attributes: &[Attribute], le: Option<&str>) -> fmt::Result {
        write!(self.out, "{}{suffix}", self.name)?;
        let mut separator = '{';
        for (name, value) in attributes {
            write!(self.out, "{separator}{}=\"", label(name))?;
            match value {
                Value::Text(text) => write!(self.out, "{}", LabelValue(text))?,
                other => write!(self.out, "{other}")?,
            }
            self.out.push('"');
            separator = ',';
        }
        if let Some(le) = le {
            write!(self.out, "{separator}le=\"{le}\"")?;
            separator = ',';
        }
        self.out.push_str(if separator == ',' { "} " } else { " " });
        Ok(())
    }
}

/// A bound in the canonical form of OpenMetrics, so that all exporters produce the same series: `1.0`, `0.005`, `1e+06`
/// (section "Considerations: Canonical Numbers").
fn canonical(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..6 => format!("{bound:?}"),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs()),
    }
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn hex(out: &mut String, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// A label value, escaped for both formats.
struct LabelValue<'a>(&'a str);

impl fmt::Display for LabelValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            character => f.write_char(character),
        })
    }
}

#[cfg(test)]
mod tests;
