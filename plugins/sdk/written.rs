//! Settings that are written as text in a form of their own: each kind is read in one place, and the schema names its form.

use crate::Fault;
use serde::{Deserialize, Deserializer, de};
use std::str::FromStr;

/// A kind of setting that is written as text: `10s`, `10.0.0.0/8`. Its `FromStr` is all that reads it. The fault has no path,
/// and shows nothing of a value that may be a secret.
pub trait Written: FromStr<Err = Fault> {
    /// The `format` of its settings in the JSON Schema. The reader of a configuration knows it by that.
    const FORMAT: &'static str;

    /// What stands in for a text that is none of these, so that what it is part of can be judged all the same. Without it,
    /// that is not read.
    const STAND_IN: Option<&'static str> = None;
}

/// Reads a text.
///
/// # Errors
/// What is wrong with it, and the way out.
pub fn read<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|fault: Fault| match fault.help {
        Some(help) => de::Error::custom(format_args!("{}; {help}", fault.message)),
        None => de::Error::custom(fault.message),
    })
}

/// A text from the file, safe to print and not endless.
pub fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

/// Lets a [`Written`](crate::Written) kind stand in settings: it is read, printed as its `Display` says, and has a schema, with
/// further keys where they are given. `Kind as Inner` is for one that is nothing but an `Inner`: it derefs to it, and prints as
/// it does.
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
