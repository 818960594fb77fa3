//! Validates single values (type, words, bounds), and converts external values to the required type.

use super::{Shape, example, shown};
use crate::config::diagnostic::Diagnostic;
use crate::config::document::fields::FieldValue;
use crate::config::document::store_url::StoreUrl;
use crate::config::format::Format;
use crate::config::schema::ConfigSchema;
use crate::config::sources::with_origin;
use crate::config::tree::{At, Node, Origin, Value};
use crate::config::words;
use crate::config::yaml::write::BOOLEANS;
use gatewright_sdk::{ByteSize, Code, HumanDuration, Written};
use regex::Regex;
use serde_json::Value as Json;

/// The types in a schema; empty if it accepts any.
fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("enum").is_some() || schema.get("const").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

/// The words in a schema.
pub fn words(schema: &Json) -> impl Iterator<Item = &str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Json::as_str)
}

/// Whether this kind of value is allowed by the schema. An external value is text that can become anything.
pub fn admits(node: &Node, schema: &Json) -> bool {
    let types = types(schema);
    let outside = matches!(node.origin, Origin::Expanded(_) | Origin::Variable(_));
    types.is_empty()
        || types.iter().any(|kind| match (&node.value, *kind) {
            (Value::Bool(_), "boolean") | (Value::Int(_), "integer" | "number") | (Value::Float(_), "number") => true,
            (Value::Str(_), "string") | (Value::Seq(_), "array") | (Value::Map(_), "object") => true,
            (Value::Str(text), kind) if outside => read(text, kind).is_some(),
            _ => false,
        })
}

/// Whether the value may be a secret although its setting is not: the content of a file, an external value in a header field,
/// the URL of a store with a password.
pub fn may_hold_secret(node: &Node, schema: &Json) -> bool {
    let Value::Str(text) = &node.value else { return false };
    let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
    node.origin.is_file()
        || (format == FieldValue::FORMAT && node.origin.outside().is_some())
        || (format == StoreUrl::FORMAT && StoreUrl::may_hold_password(text))
}

/// Whether it may contain a name and password: they are before an `@`.
pub fn may_hold_credentials(node: &Node) -> bool {
    matches!(&node.value, Value::Str(text) if text.contains('@')) || node.items().iter().any(may_hold_credentials)
}

/// Whether the default of such a setting can replace a rejected value: a number, a duration, a size, a word. Other texts may
/// be names of definitions.
pub fn has_default(all: &ConfigSchema, kind: &Json) -> bool {
    let simple = |branch: &Json| {
        let format = branch.get("format").and_then(Json::as_str).unwrap_or_default();
        [HumanDuration::FORMAT, ByteSize::FORMAT].contains(&format)
            || words(branch).next().is_some()
            || types(branch).iter().all(|kind| ["integer", "number", "boolean"].contains(kind))
                && !types(branch).is_empty()
    };
    all.branches(kind).iter().all(|(_, branch)| simple(branch))
}

/// Parses external text as this type.
fn read(text: &str, kind: &str) -> Option<Value> {
    let text = text.trim();
    match kind {
        "boolean" => text.parse().ok().map(Value::Bool),
        "integer" => text.parse().ok().map(Value::Int),
        "number" => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        _ => None,
    }
}

impl<'a> Shape<'a> {
    /// Validates a scalar of the right type.
    pub(super) fn scalar(&mut self, node: &mut Node, schema: &'a Json) -> bool {
        let types = types(schema);
        if let Value::Str(text) = &node.value
            && !types.is_empty()
            && !types.contains(&"string")
            && let Some(value) = types.iter().find_map(|kind| read(text, kind))
        {
            node.value = value;
        }
        match &node.value {
            Value::Float(number) if !number.is_finite() => self.fault(
                Code::OUT_OF_RANGE,
                node.at,
                format!("`{}` is not a finite number", self.last()),
                "write a number such as 0.5".to_owned(),
            ),
            // JSON of any kind: only what JSON parsers accept as a number.
            Value::Int(number)
                if types.is_empty() && (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number) =>
            {
                true
            }
            Value::Int(_) if types.is_empty() => self.fault(
                Code::OUT_OF_RANGE,
                node.at,
                format!("`{}` does not fit in 64 bits", self.last()),
                "quote it".to_owned(),
            ),
            Value::Int(number) => {
                let (least, most) = integer_bounds(schema.get("format").and_then(Json::as_str));
                let bounds = (whole(schema, "minimum").unwrap_or(least), whole(schema, "maximum").unwrap_or(most));
                // Larger ones are no limit that a person had in mind.
                let open = (false, bounds.1 >= 9_000_000_000_000_000);
                if let Some(bound) = self.bounds(node, *number, bounds, open) {
                    node.value = Value::Int(bound);
                }
                true
            }
            Value::Float(number) => {
                let bound = |key: &str, kind: f64| schema.get(key).and_then(Json::as_f64).unwrap_or(kind);
                let (least, most) = (bound("minimum", f64::MIN), bound("maximum", f64::MAX));
                if let Some(bound) = self.bounds(node, *number, (least, most), (least <= f64::MIN, most >= 9e15)) {
                    node.value = Value::Float(bound);
                }
                true
            }
            Value::Str(_) => {
                let words: Vec<&str> = words(schema).collect();
                if words.is_empty() { self.text(node, schema) } else { self.word(node, &words) }
            }
            _ => true,
        }
    }

    /// Validates a number by its bounds, of which one may be `open`. Returns the nearest bound for a number out of range, as its stand-in.
    fn bounds<N: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        node: &Node,
        number: N,
        (least, most): (N, N),
        open: (bool, bool),
    ) -> Option<N> {
        if (least..=most).contains(&number) {
            return None;
        }
        let small = number < least;
        let help = match open {
            (true, _) | (_, true) if small => format!("use {least} or more"),
            (true, _) | (_, true) => format!("use {most} or less"),
            _ if least >= most => format!("write `{}: {least}`", self.last()),
            _ => format!("use a number from {least} to {most}"),
        };
        let too = if small { "small" } else { "large" };
        let found = if self.is_hidden(node) { String::new() } else { format!(": {number}") };
        let message = match least >= most {
            true => format!("`{}` must be {least}{}{}", self.last(), found.replace(": ", ", not "), self.from(node)),
            false => format!("`{}` is too {too}{found}{}", self.last(), self.from(node)),
        };
        self.fault(Code::OUT_OF_RANGE, node.at, message, help);
        self.stood_in = true;
        Some(if small { least } else { most })
    }

    /// ` (from …)` for an external value.
    fn from(&self, node: &Node) -> String {
        match node.origin.outside_only().filter(|_| self.is_hidden(node)) {
            Some(from) => format!(" (from {from})"),
            None => node.origin.suffix(),
        }
    }

    /// Whether the value must not be shown.
    fn is_hidden(&self, node: &Node) -> bool {
        self.secrets.last() == Some(&node.at) || node.origin.is_file()
    }

    /// Validates a word from a list.
    pub(super) fn word(&mut self, node: &Node, known: &[&str]) -> bool {
        let Value::Str(text) = &node.value else { return true };
        if known.contains(&text.as_str()) {
            return true;
        }
        let hidden = node.origin.outside_only().filter(|_| self.is_hidden(node));
        let near = words::nearest(text, known).filter(|_| hidden.is_none());
        let found = hidden.map_or_else(|| format!("`{}`", shown(text)), |from| format!("the value of {from}"));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let help = format!("{near}allowed values: {}", words::list(known));
        let message = format!("{found} is not a valid value for `{}`", self.last());
        let from = if message.contains("${") { String::new() } else { self.from(node) };
        self.fault(Code::UNKNOWN_WORD, node.at, message + &from, help)
    }

    fn text(&mut self, node: &mut Node, schema: &'a Json) -> bool {
        let Value::Str(text) = &node.value else { return true };
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let length = text.chars().count();
        if bound("minLength").is_some_and(|least| length < least) {
            let short = if text.is_empty() { "is empty" } else { "is too short" };
            return self.fault(
                Code::WRONG_LENGTH,
                node.at,
                format!("`{}` {short}", self.last()),
                "add a value".to_owned(),
            );
        }
        if let Some(most) = bound("maxLength").filter(|most| length > *most) {
            return self.fault(
                Code::WRONG_LENGTH,
                node.at,
                format!("`{}` is too long", self.last()),
                format!("use at most {most} characters"),
            );
        }
        if node.origin == Origin::Plain && BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            let message = format!("`{text}` is a boolean in YAML 1.1, but `{}` must be a string", self.last());
            return self.fault(Code::UNQUOTED_BOOLEAN, node.at, message, format!("quote it: `\"{text}\"`"));
        }
        if let Some(format) = Format::named_by(schema) {
            return self.format(node, format);
        }
        let pattern = schema.get("pattern").and_then(Json::as_str);
        let regex = pattern
            .and_then(|pattern| self.patterns.entry(pattern).or_insert_with(|| Regex::new(pattern).ok()).as_ref());
        if regex.is_some_and(|regex| !regex.is_match(text)) {
            let examples = schema.get("examples").and_then(Json::as_array).into_iter().flatten();
            let examples: Vec<&str> = examples.filter_map(Json::as_str).collect();
            let help = match pattern {
                _ if !examples.is_empty() => format!("use a value such as {}", words::list(&examples)),
                Some("^/") => "write a path that starts with `/`".to_owned(),
                Some(pattern) => format!("use a value that matches `{pattern}`"),
                None => String::new(),
            };
            let message = match self.is_hidden(node) {
                true => format!("`{}` is not valid{}", self.last(), self.from(node)),
                false => format!("`{}` is not a valid `{}`{}", shown(text), self.last(), self.from(node)),
            };
            return self.fault(Code::WRONG_FORM, node.at, message, help);
        }
        true
    }

    /// Validates a text by its format. A rejected text is replaced by a stand-in if there is one, so that the values
    /// around it can be checked as well. A document with faults is never served.
    fn format(&mut self, node: &mut Node, format: &Format) -> bool {
        let Value::Str(text) = &node.value else { return true };
        let Err(fault) = (format.check)(text) else { return true };
        // There is a name and password before the `@`. If the fault does not show them, the line must not either.
        if text.contains('@') && !fault.message.contains(text.as_str()) {
            self.secrets.push(node.at);
        }
        let hidden = self.is_hidden(node);
        let fault = with_origin(Diagnostic::fault(&self.path, fault), node, &self.last(), hidden);
        self.note(node.at, fault);
        let Some(stand_in) = format.stand_in else { return false };
        node.value = Value::Str(stand_in.to_owned());
        self.stood_in = true;
        true
    }

    /// Reports that another kind of value was expected.
    pub(super) fn wrong_type(&mut self, node: &Node, branches: &[(Option<&'a str>, &'a Json)], here: At) -> bool {
        // Text where something with a secret in it is expected is often the secret.
        branches.iter().for_each(|(_, branch)| self.hide_as(node, branch));
        if matches!(node.value, Value::Null) {
            let wanted = expected(branches);
            return self.fault(
                Code::NO_VALUE,
                here,
                format!("`{}` has no value", self.last()),
                format!("expected {wanted}"),
            );
        }
        let at = if matches!(node.value, Value::Map(_) | Value::Seq(_)) { here } else { node.at };
        let takes = |kind: &str| branches.iter().any(|(_, branch)| types(branch).contains(&kind));
        let name = branches.iter().find_map(|(name, _)| *name);
        let shape = example::shape(self.schema, branches);
        let lists_maps = || shape.as_ref().is_some_and(|shape| shape.starts_with("[{"));
        let help = match &node.value {
            Value::Str(_) | Value::Int(_) if takes("boolean") => "write `true` or `false`, without quotes".to_owned(),
            Value::Int(_) | Value::Float(_) if matches!(name, Some("Duration" | "Size")) => String::new(),
            Value::Bool(_) | Value::Int(_) | Value::Float(_)
                if takes("string") && branches.iter().all(|(_, branch)| words(branch).next().is_none()) =>
            {
                // Quotes help only if the text is valid.
                let text = match &node.value {
                    Value::Int(number) => number.to_string(),
                    Value::Float(number) => number.to_string(),
                    _ => String::new(),
                };
                let fault = branches.iter().find_map(|(_, branch)| (Format::named_by(branch)?.check)(&text).err());
                fault.and_then(|fault| fault.help).unwrap_or_else(|| "quote it".to_owned())
            }
            Value::Seq(_) if shape.is_none() && takes("string") && !takes("array") => {
                "write a single value, not a list".to_owned()
            }
            Value::Str(text) if (takes("integer") || takes("number")) && text.trim().parse::<f64>().is_ok() => {
                "remove the quotes".to_owned()
            }
            Value::Str(text) if takes("array") && node.origin == Origin::Plain && !lists_maps() => {
                format!("write a list: `[{}]`", shown(text))
            }
            Value::Map(_) if takes("array") => "write a list: start each entry with `- `, or use `[…]`".to_owned(),
            _ => String::new(),
        };
        let last = self.last();
        let help = match &shape {
            Some(shape) if help.is_empty() && last.ends_with(']') => format!("write `{shape}`"),
            Some(shape) if help.is_empty() => format!("write `{last}: {shape}`"),
            _ if help.is_empty() && takes("string") => "write a single value in quotes".to_owned(),
            _ if help.is_empty() && (takes("integer") || takes("number")) => format!("write a number: `{last}: 10`"),
            _ => help,
        };
        let message = format!("`{last}` must be {}{}", expected(branches), self.found(node));
        self.fault(Code::WRONG_TYPE, at, message, help)
    }

    /// `, not …`: the actual value, but never an external one or a secret.
    fn found(&self, node: &Node) -> String {
        // A value of another type may be anything, such as the secret of another variable.
        if let Some(from) = node.origin.outside_only() {
            return format!(", not the value of {from}");
        }
        match &node.value {
            _ if self.is_hidden(node) => String::new(),
            Value::Null => ", not null".to_owned(),
            Value::Bool(value) => format!(", not `{value}`"),
            Value::Int(value) => format!(", not `{value}`"),
            Value::Float(value) => format!(", not `{value}`"),
            Value::Str(text) if text.is_empty() => ", not an empty string".to_owned(),
            Value::Str(text) => format!(", not `{}`", shown(text)),
            Value::Seq(_) => ", not a list".to_owned(),
            Value::Map(_) => ", not a map".to_owned(),
        }
    }
}

fn expected(branches: &[(Option<&str>, &Json)]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for (name, branch) in branches {
        let named = match name {
            Some("Duration") => Some("a duration such as `10s`"),
            Some("Size") => Some("a size such as `64KiB`"),
            Some("Plugin") => Some("a plugin type with its settings, such as `timeout: { request: 10s }`"),
            _ => None,
        };
        let listed = types(branch).into_iter().map(|kind| match kind {
            "object" => "a map",
            "array" => "a list",
            "integer" => "an integer",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            _ => "a string",
        });
        for kind in named.map_or_else(|| listed.collect(), |named| vec![named]) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds.join(" or ")
}

/// The bounds of the integer type.
fn integer_bounds(format: Option<&str>) -> (i128, i128) {
    match format {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// A bound for integers, which a schema may write as `1.0`.
fn whole(schema: &Json, key: &str) -> Option<i128> {
    let bound = schema.get(key)?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stops at the ends of the type")]
    let rounded = |bound: f64| if key == "minimum" { bound.ceil() as i128 } else { bound.floor() as i128 };
    bound.as_i64().map(i128::from).or_else(|| bound.as_u64().map(i128::from)).or_else(|| bound.as_f64().map(rounded))
}
