//! The interface through which the access log writes its fields, to a log line or an OTLP record.

use http::HeaderValue;
use std::borrow::Cow;
use std::time::Duration;

/// The maximum length of an object member, and of an object, in bytes.
pub(super) const MEMBER: usize = 512;
pub(super) const OBJECT: usize = 2048;

/// Receives the fields of a record in order. Fields that do not fit are truncated or omitted.
pub(in crate::telemetry) trait Encoder {
    fn text(&mut self, name: &str, value: &str);

    /// A text that is formatted as it is written.
    fn display(&mut self, name: &str, value: std::fmt::Arguments<'_>);

    fn number(&mut self, name: &str, value: u64);

    /// A duration in milliseconds, to the microsecond.
    fn millis(&mut self, name: &str, value: Duration);

    /// Texts by their names.
    fn object(&mut self, name: &str, members: &mut dyn Iterator<Item = (&str, Cow<'_, str>)>);

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// The value of a header field; bytes that are not valid UTF-8 are replaced.
    fn header(&mut self, name: &str, value: Option<&HeaderValue>) {
        let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
        self.maybe(name, value.as_deref());
    }
}
