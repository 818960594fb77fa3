//! Settings written as text with a syntax: one type parses each kind, and the schema names its format.

use crate::Fault;
use serde::{Deserialize, Deserializer, de};
use std::str::FromStr;

/// A kind of setting written as text: `10s`, `10.0.0.0/8`. Only its `FromStr` parses it. The fault has no path, and
/// does not show a value that may be a secret.
pub trait Written: FromStr<Err = Fault> {
    /// The `format` of its settings in the JSON Schema, by which the configuration loader recognizes them.
    const FORMAT: &'static str;

    /// A valid value that replaces an invalid text, so that the settings around it can still be checked. Without one,
    /// those settings are not parsed.
    const STAND_IN: Option<&'static str> = None;
}

/// Parses a text.
///
/// # Errors
/// What is wrong with it, and how to fix it.
pub fn read<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|fault: Fault| match fault.help {
        Some(help) => de::Error::custom(format_args!("{}; {help}", fault.message)),
        None => de::Error::custom(fault.message),
    })
}

/// A text from the file, escaped for printing between backticks and truncated.
pub fn shown(text: &str) -> String {
    let escape = |c: char| {
        let is_quote = matches!(c, '\'' | '"');
        is_quote.then_some(c).into_iter().chain(c.escape_debug().filter(move |_| !is_quote))
    };
    text.chars().take(80).flat_map(escape).collect()
}

/// Allows a [`Written`](crate::Written) kind in settings: parses it, serializes it through `Display`, and adds its
/// schema, with optional further keys. `Kind as Inner` is for a plain wrapper around `Inner`: it derefs to it, and
/// prints the same.
#[macro_export]
macro_rules! written {
    ($kind:ident as $inner:ty $(, $key:literal: $value:expr)*) => {
        impl ::std::ops::Deref for $kind {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }

        impl ::std::fmt::Display for $kind {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        $crate::written!($kind $(, $key: $value)*);
    };
    ($kind:ty $(, $key:literal: $value:expr)*) => {
        impl<'de> ::serde::Deserialize<'de> for $kind {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::written::read(deserializer)
            }
        }

        impl ::serde::Serialize for $kind {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl ::schemars::JsonSchema for $kind {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                <Self as $crate::Written>::FORMAT.into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "format": <Self as $crate::Written>::FORMAT
                    $(, $key: $value)*
                })
            }

            fn inline_schema() -> bool {
                true
            }
        }
    };
}
