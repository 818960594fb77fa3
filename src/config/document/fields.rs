//! Header fields in a configuration: names, and values that are secrets.

use super::field_name::FieldName;
use gatewright_sdk::{Code, Fault, Secret, Written};
use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Header fields, in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name as written.
    pub written: String,
    pub name: HeaderName,
    pub value: FieldValue,
}

/// The value of a header field. It may be a secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldValue(HeaderValue);

impl Fields {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    /// The names as written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|field| field.written.as_str())
    }
}

impl FieldValue {
    pub const fn expose(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for FieldValue {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        HeaderValue::from_str(text).map(Self).map_err(|_| {
            Fault::new("", "a header value must not contain a line break or control character")
                .code(Code::INVALID_HEADER_VALUE)
                .help("write the value on one line")
        })
    }
}

impl Written for FieldValue {
    const FORMAT: &'static str = "field-value";
    const STAND_IN: Option<&'static str> = Some("stand-in");
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer)?.expose().parse().map_err(|fault: Fault| de::Error::custom(fault.message))
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names of header fields to their values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((written, value)) = map.next_entry::<String, FieldValue>()? {
                    let name: FieldName = written.parse().map_err(de::Error::custom)?;
                    fields.push(Field { name: HeaderName::clone(&name), written, value });
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|field| (&field.written, &field.value)))
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "format": FieldName::FORMAT },
            "additionalProperties": { "type": "string", "format": FieldValue::FORMAT, "writeOnly": true }
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_spelling_and_show_no_value() {
        let fields: Fields = serde_json::from_str(r#"{"X-Tenant": "hunter2", "accept": "a, é"}"#).unwrap();
        assert_eq!(fields.names().collect::<Vec<_>>(), ["X-Tenant", "accept"]);
        assert_eq!(fields.iter().next().map(|field| field.name.as_str()), Some("x-tenant"));
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"X-Tenant":"***","accept":"***"}"#);
        assert!(!format!("{fields:?}").contains("hunter2"));
    }

    #[test]
    fn a_value_is_one_line_and_is_not_shown() {
        for bad in ["hunter2\r\nset-cookie: a=b", "hunter2\0", "hunter2\u{7f}"] {
            let fault = bad.parse::<FieldValue>().unwrap_err();
            assert!(fault.message.starts_with("a header value must not contain") && fault.help.is_some());
            let read = serde_json::from_value::<Fields>(serde_json::json!({ "x-a": bad })).unwrap_err();
            assert!(!format!("{fault:?} {read}").contains("hunter2"));
        }
        assert_eq!("".parse::<FieldValue>().unwrap().expose(), "");
    }
}
