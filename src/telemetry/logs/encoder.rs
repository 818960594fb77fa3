//! What takes the fields of the access log: a log line and an OTLP record.

use http::HeaderValue;
use std::borrow::Cow;
use std::time::Duration;

/// The longest member of an object, and the longest object, in bytes.
pub(super) const MEMBER: usize = 512;
pub(super) const OBJECT: usize = 2048;

/// Takes the fields of a record one by one, in the order they are written in. What has no room is cut or left out.
pub(in crate::telemetry) trait Encoder {
    fn text(&mut self, name: &str, value: &str);

    /// A text that is made as it is written.
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

    /// The value of a header field, with the bytes replaced that are not UTF-8.
    fn header(&mut self, name: &str, value: Option<&HeaderValue>) {
        let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
        self.maybe(name, value.as_deref());
    }
}
