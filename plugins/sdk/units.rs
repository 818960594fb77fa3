//! Durations and sizes as people write them: `10s`, `200ms`, `2MiB`.

use crate::written::{self, Written, shown};
use crate::{Code, Fault};
use humantime::DurationError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration with its unit: `10s`, `200ms`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    pub const fn get(self) -> Duration {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// The units that `humantime` spells out, with the abbreviations that it reads.
const SHORT_UNITS: [(&str, &str); 6] =
    [("years", "y"), ("year", "y"), ("months", "M"), ("month", "M"), ("days", "d"), ("day", "d")];

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = humantime::format_duration(self.0).to_string();
        for (long, short) in SHORT_UNITS {
            text = text.replace(long, short);
        }
        f.write_str(&text)
    }
}

impl HumanDuration {
    /// What a duration looks like, for editors: numbers with units, as `humantime` reads them.
    pub const PATTERN: &str = concat!(
        r"^\s*(0|([0-9][0-9\s]*(\.[0-9\s]+)?",
        r"(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h",
        r"|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\s*)+)\s*$"
    );
}

/// The maximum duration: ten years. Longer ones overflow timers.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl FromStr for HumanDuration {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let value = humantime::parse_duration(text.trim()).map_err(|error| {
            let why = match error {
                DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
                    format!(": unknown unit `{}`", shown(&unit))
                }
                _ => String::new(),
            };
            let help = "write a number and a unit, such as 10s, 200ms or 5m";
            Fault::new("", format!("`{}` is not a valid duration{why}", shown(text)))
                .code(Code::INVALID_DURATION)
                .help(help)
        })?;
        if value > LONGEST {
            return Err(Fault::new("", format!("`{}` is too long", shown(text)))
                .code(Code::INVALID_DURATION)
                .help("use at most ten years"));
        }
        Ok(Self(value))
    }
}

impl Written for HumanDuration {
    const FORMAT: &'static str = "human-duration";
    const STAND_IN: Option<&'static str> = Some("1s");
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::read(deserializer)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "description": "A duration with its unit: `10s`, `200ms`, `5m`, `1h 30m`.",
            "pattern": Self::PATTERN,
            "patternErrorMessage": "Write a number and a unit, such as 10s, 200ms or 1h 30m.",
            "examples": ["10s"]
        })
    }
}

/// Written as in settings.
impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A size in bytes with its unit: `2MiB`, `64KiB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// What a size looks like, for editors.
    pub const PATTERN: &str = r"^\s*\+?[0-9]+\s*(KiB|MiB|GiB|TiB|kB|KB|MB|GB|B)\s*$";

    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// As a length in memory; a size beyond the address space means unlimited.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl ByteSize {
    /// The number, and the largest binary unit that divides the size.
    fn in_unit(self) -> (u64, &'static str) {
        let binary = UNITS.iter().take(4).rev().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        binary.map_or((self.0, "B"), |(unit, factor)| (self.0 / factor, unit))
    }
}

/// For use in sentences: `256 KiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.in_unit();
        write!(f, "{number} {unit}")
    }
}

impl FromStr for ByteSize {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let number = || {
            let text = text.trim();
            let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let number = text.strip_suffix(unit)?.trim_end();
            number.parse::<u64>().ok()?.checked_mul(*factor).map(Self)
        };
        number().ok_or_else(|| {
            let help = "write a whole number and a unit, such as 512B, 64KiB or 2MiB";
            Fault::new("", format!("`{}` is not a valid size", shown(text))).code(Code::INVALID_SIZE).help(help)
        })
    }
}

impl Written for ByteSize {
    const FORMAT: &'static str = "byte-size";
    const STAND_IN: Option<&'static str> = Some("64KiB");
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::read(deserializer)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "description": "A size with its unit: `512B`, `64KiB`, `2MiB`.",
            "pattern": Self::PATTERN,
            "patternErrorMessage": "Write a whole number and a unit, such as 512B, 64KiB or 2MiB.",
            "examples": ["64KiB"]
        })
    }
}

/// Written as in settings: `256KiB`.
impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (number, unit) = self.in_unit();
        serializer.collect_str(&format_args!("{number}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print_as_written() {
        let size = |text: &str| text.parse::<ByteSize>().ok().map(|s| s.to_string());
        assert_eq!(size("256KiB").as_deref(), Some("256 KiB"));
        assert_eq!(size("2 MiB").as_deref(), Some("2 MiB"));
        let kept = serde_json::to_value(ByteSize::mib(1)).and_then(serde_json::from_value::<ByteSize>);
        assert_eq!(kept.ok(), Some(ByteSize::mib(1)));
        assert_eq!(serde_json::to_value(ByteSize::kib(64)).ok(), Some("64KiB".into()));
        assert_eq!(size("512B").as_deref(), Some("512 B"));
        assert_eq!(size("10XB"), None);
        assert_eq!(size("99999999999GB"), None);
        assert_eq!(size("-1B"), None);
        assert_eq!(size("1.5MiB"), None);
    }

    #[test]
    fn invalid_durations_name_the_fault_and_the_fix() {
        let parse = |text: &str| serde_json::from_value::<HumanDuration>(text.into()).map_err(|e| e.to_string());
        assert_eq!(parse("1h 30m"), Ok(HumanDuration::from_secs(5400)));
        let day = parse("1day").map(|day| day.to_string());
        assert_eq!(day.as_deref(), Ok("1d"));
        let written = serde_json::to_value(HumanDuration::from_secs(5400)).unwrap_or_default();
        assert_eq!(parse(written.as_str().unwrap_or_default()), Ok(HumanDuration::from_secs(5400)));
        assert!(parse("10").is_err_and(|e| e.contains("10s")));
        assert!(parse("99999999999999h").is_err());
        assert!(parse("200years").is_err_and(|e| e.contains("ten years")));
    }
}
