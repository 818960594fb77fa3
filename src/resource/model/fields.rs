//! Compiles the declarations of fields; contradictions are faults.

mod bounds;
pub mod names;
mod reference;
pub(super) mod values;

use super::deleted;
use super::others::Others;
use super::settings::shown;
use crate::config::document::resource::{Field as Written, FieldKind, Resource, Writes};
use crate::resource::field::{Field, Source};
use crate::resource::field_type::FieldType;
use crate::resource::operator;
use crate::resource::store::Param;
use gatewright_openapi::json_schema;
use gatewright_sdk::{Code, Fault};
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::sync::Arc;

/// The maximum size of a compiled pattern, in bytes. Larger patterns could be used to fill memory.
const PATTERN_SIZE: usize = 1 << 20;

/// What is being compiled, and where its faults go.
pub(super) struct FieldContext<'a> {
    /// The resource, and what else there is.
    resource: &'a str,
    spec: &'a Resource,
    others: Others<'a>,
    /// How many levels of references are followed.
    levels: u8,
    name: &'a str,
    faults: &'a mut Vec<Fault>,
    warnings: &'a mut Vec<Fault>,
}

impl FieldContext<'_> {
    fn path(&self, key: &str) -> String {
        if key.is_empty() { format!("fields.{}", self.name) } else { format!("fields.{}.{key}", self.name) }
    }

    fn fault(&mut self, code: Code, key: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(self.path(key), message).code(code));
    }

    fn fault_with_help(&mut self, code: Code, key: &str, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::new(self.path(key), message).code(code).help(help));
    }

    fn warn(&mut self, code: Code, key: &str, message: impl Into<String>, help: &str) {
        self.warnings.push(Fault::new(self.path(key), message).code(code).help(help));
    }
}

/// The fields of a resource. Its access rules see those of a resource that it refers to, and the rules of that one those of
/// a third.
pub(super) fn compile(
    (resource, spec): (&str, &Resource),
    others: Others<'_>,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Vec<Field> {
    compiled((resource, spec), others, 2, faults, warnings)
}

fn compiled(
    (resource, spec): (&str, &Resource),
    others: Others<'_>,
    levels: u8,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Vec<Field> {
    let mut fields = Vec::new();
    for (name, written) in spec.fields.iter() {
        let mut context = FieldContext { resource, spec, others, levels, name, faults, warnings };
        names::check(&mut context);
        check_unique(spec, written, &mut context);
        names::check_former(written, &mut context);
        fields.push(field(written, &mut context));
    }
    fields
}

/// The fields of a resource that is referred to, whose faults are reported there.
fn of_target(name: &str, spec: &Resource, context: &FieldContext<'_>) -> Vec<Field> {
    match context.levels.checked_sub(1) {
        Some(levels) => compiled((name, spec), context.others, levels, &mut Vec::new(), &mut Vec::new()),
        None => Vec::new(),
    }
}

fn check_unique(spec: &Resource, written: &Written, context: &mut FieldContext<'_>) {
    let textual = matches!(written.r#type, FieldKind::String | FieldKind::Text | FieldKind::Email | FieldKind::Enum);
    if written.unique.ignore_case && !textual {
        context.fault(Code::FIELD_OPTION, "unique.ignore_case", "`ignore_case` works only with text");
    }
    for (at, other) in written.unique.with.iter().enumerate() {
        if other == context.name || !spec.fields.contains(other) {
            let message = format!("`unique` contains `{}`, which is not another field", shown(other));
            context.fault(Code::UNKNOWN_FIELD, &format!("unique.with[{at}]"), message);
        }
    }
    if written.unique.unique && matches!(written.r#type, FieldKind::Password | FieldKind::Json) {
        context.fault(Code::FIELD_OPTION, "unique", "a password or json field cannot be unique");
    }
}

fn field(written: &Written, context: &mut FieldContext<'_>) -> Field {
    let kind = kind(written, context);
    check_shown(written, context);
    check_operators(written, &kind, context);
    let (on_create, on_write) = values::set(written, &kind, context);
    let on = |wanted| written.accept_on.as_ref().is_none_or(|list| list.contains(&wanted));
    if written.accept_on.as_ref().is_some_and(Vec::is_empty) {
        let help = "write `read_only: true` if clients must not set it";
        context.fault_with_help(Code::WRONG_LENGTH, "accept_on", "`accept_on` is empty", help);
    }
    let taken = written.unique.unique.then(|| {
        let own = written.unique.message.clone();
        own.unwrap_or_else(|| format!("{} is already taken", capitalised(context.name)))
    });
    let is_value = written.r#type != FieldKind::Ref;
    let mut field = Field {
        name: context.name.to_owned(),
        required: written.required,
        nullable: written.nullable.unwrap_or(!written.required),
        default: None,
        read_only: written.read_only == Some(true) || written.set.is_some(),
        on_create,
        on_write,
        write_only: written.write_only == Some(true) || matches!(kind, FieldType::Password),
        hidden: written.hidden == Some(true),
        creates: on(Writes::Create),
        updates: on(Writes::Update),
        min: bounds::bound(&kind, "min", written.min.as_ref().filter(|_| is_value), context),
        max: bounds::bound(&kind, "max", written.max.as_ref().filter(|_| is_value), context),
        pattern: if is_value { pattern(written, &kind, context) } else { None },
        trim: written.trim,
        lowercase: written.lowercase,
        message: written.message.clone(),
        fold: written.unique.ignore_case,
        taken,
        filter: written.filter.clone(),
        sort: written.sort,
        description: written.description.clone(),
        example: written.example.clone(),
        schema: written.schema.clone(),
        reference: reference::compile(written, context),
        kind,
    };
    bounds::check_order(&field, context);
    check_example(&field, context);
    field.default = values::default(written, &field, context);
    if written.required && (field.read_only || field.hidden) && field.default.is_none() && field.on_create.is_none() {
        let message = "the field is required, but no client can set it";
        context.fault_with_help(Code::FIELD_CONTRADICTION, "required", message, "add `default` or `set`");
    } else if (written.required || written.nullable == Some(false)) && starts_as_null(written, &field) {
        let (key, help) = if written.required {
            ("required", "add `create` to `accept_on`, or add a `default`")
        } else {
            ("nullable", "write `required: true`, or add a `default`")
        };
        let message = "the field is not nullable, but items created without it would be null";
        context.fault_with_help(Code::FIELD_CONTRADICTION, key, message, help);
    }
    field
}

/// Whether an item can be created without a value for it.
fn starts_as_null(written: &Written, field: &Field) -> bool {
    let asked_for = field.required && field.creates && !field.read_only && !field.hidden;
    !asked_for && written.default.is_none() && written.set.is_none()
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn kind(written: &Written, context: &mut FieldContext<'_>) -> FieldType {
    let only = |context: &mut FieldContext<'_>, given: bool, key: &str, kind: &str, is: bool| {
        if given && !is {
            context.fault(Code::FIELD_OPTION, key, format!("`{key}` works only with type {kind}"));
        }
    };
    use FieldKind as T;
    let is = written.r#type;
    only(context, written.values.is_some(), "values", "enum", is == T::Enum);
    only(context, written.schema.is_some(), "schema", "json", is == T::Json);
    only(context, written.precision.is_some(), "precision", "decimal", is == T::Decimal);
    only(context, written.scale.is_some(), "scale", "decimal", is == T::Decimal);
    only(context, written.to.is_some(), "to", "ref", is == T::Ref);
    only(context, written.on_delete.is_some(), "on_delete", "ref", is == T::Ref);
    only(context, written.expand, "expand", "ref", is == T::Ref);
    let textual = matches!(is, T::String | T::Text | T::Email | T::Url);
    only(context, written.trim, "trim", "string, text, email, url", textual);
    only(context, written.lowercase, "lowercase", "string, text, email, url", textual);
    match is {
        T::String => FieldType::String,
        T::Text => FieldType::Text,
        T::Email => FieldType::Email,
        T::Uuid => FieldType::Uuid,
        T::Url => FieldType::Url,
        T::Integer => FieldType::Integer,
        T::Number => FieldType::Number,
        T::Decimal => decimal(written, context),
        T::Boolean => FieldType::Boolean,
        T::Datetime => FieldType::Datetime,
        T::Date => FieldType::Date,
        T::Enum => FieldType::Enum(values::choices(written, context)),
        T::Json => FieldType::Json(schema(written.schema.as_ref(), context)),
        T::Password => FieldType::Password,
        T::Ref => reference::kind(written, context),
    }
}

fn decimal(written: &Written, context: &mut FieldContext<'_>) -> FieldType {
    let (precision, scale) = (written.precision.unwrap_or(38), written.scale.unwrap_or(0));
    if !(1..=38).contains(&precision) {
        context.fault(Code::OUT_OF_RANGE, "precision", "`precision` must be between 1 and 38");
    }
    if scale > precision {
        context.fault(
            Code::OUT_OF_RANGE,
            "scale",
            format!("`scale` ({scale}) is greater than `precision` ({precision})"),
        );
    }
    FieldType::Decimal { precision, scale }
}

fn schema(schema: Option<&Value>, context: &mut FieldContext<'_>) -> Option<Arc<jsonschema::Validator>> {
    match json_schema().build(schema?) {
        Ok(validator) => Some(Arc::new(validator)),
        Err(error) => {
            let message = format!("not a valid JSON Schema (2020-12): {}", shown(&error.to_string()));
            context.fault(Code::FIELD_SCHEMA, "schema", message);
            None
        }
    }
}

fn pattern(written: &Written, kind: &FieldType, context: &mut FieldContext<'_>) -> Option<Regex> {
    let text = written.pattern.as_ref()?;
    if !kind.is_free_text() {
        context.fault(Code::FIELD_OPTION, "pattern", "`pattern` works only with text");
        return None;
    }
    if text.chars().count() > 512 {
        context.fault(Code::FIELD_PATTERN, "pattern", "the pattern is longer than 512 characters");
        return None;
    }
    match RegexBuilder::new(text).size_limit(PATTERN_SIZE).build() {
        Ok(pattern) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = "the compiled pattern is too large";
            context.fault_with_help(Code::FIELD_PATTERN, "pattern", message, "use smaller repetition counts");
            None
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "use the syntax of Rust's regex crate: no look-around, no backreferences";
            let message = format!("the pattern is not a valid regular expression: {reason}");
            context.fault_with_help(Code::FIELD_PATTERN, "pattern", message, help);
            None
        }
    }
}

fn check_shown(written: &Written, context: &mut FieldContext<'_>) {
    let password = written.r#type == FieldKind::Password;
    let (read_only, write_only, hidden) =
        (written.read_only == Some(true), written.write_only == Some(true), written.hidden == Some(true));
    let secret = write_only || hidden || password;
    if secret && !written.filter.is_empty() {
        let message = "a field that clients cannot see must not be filterable: that would reveal its values";
        context.fault(Code::FIELD_CONTRADICTION, "filter", message);
    }
    if secret && written.sort {
        let message = "a field that clients cannot see must not be sortable: that would reveal its values";
        context.fault(Code::FIELD_CONTRADICTION, "sort", message);
    }
    if password {
        for (key, value) in [("hidden", written.hidden), ("write_only", written.write_only)] {
            if value == Some(false) {
                let text = format!("a password is never returned, so `{key}: false` is not allowed");
                context.fault_with_help(Code::FIELD_CONTRADICTION, key, text, &format!("remove `{key}`"));
            }
        }
        if hidden || read_only || written.set.is_some() {
            let key = if hidden {
                "hidden"
            } else if read_only {
                "read_only"
            } else {
                "set"
            };
            let text = format!("clients must be able to set a password, so `{key}` is not allowed");
            context.fault_with_help(Code::FIELD_CONTRADICTION, key, text, &format!("remove `{key}`"));
        }
    }
    if written.set.is_some() && written.read_only == Some(false) {
        let text = "the server sets this field, so `read_only: false` is not allowed";
        let help = "remove `read_only`, or use `default` instead of `set`";
        context.fault_with_help(Code::FIELD_CONTRADICTION, "read_only", text, help);
    }
    if write_only && (read_only || hidden || written.set.is_some()) {
        let message = "`write_only` conflicts with `read_only`, `hidden` and `set`: the field would be unusable";
        context.fault(Code::FIELD_CONTRADICTION, "write_only", message);
    }
    if (read_only || written.set.is_some()) && written.accept_on.is_some() {
        let message = "`accept_on` has no effect: no client can set this field";
        context.fault(Code::FIELD_CONTRADICTION, "accept_on", message);
    }
}

fn check_operators(written: &Written, kind: &FieldType, context: &mut FieldContext<'_>) {
    if written.sort && !kind.is_sortable() {
        let help = "remove it; sortable types: string, email, url, uuid, enum, integer, number, decimal, boolean, \
                    datetime, date, ref";
        let message = format!("values of the type `{}` cannot be sorted", kind.word());
        context.fault_with_help(Code::SORT, "sort", message, help);
    }
    for (at, operator) in written.filter.iter().enumerate() {
        if !operator::filters(*operator, kind) {
            let word = operator::operator_word(*operator);
            let message = format!("`{word}` is not supported for this type");
            context.fault(Code::FILTER, &format!("filter[{at}]"), message);
        }
    }
}

/// An example that the gateway itself would reject misleads clients.
fn check_example(field: &Field, context: &mut FieldContext<'_>) {
    let Some(Err(wrong)) = field.example.clone().map(|example| field.read(example)) else { return };
    let message = format!("the example is not a valid value of this field: {}", wrong.message);
    context.fault_with_help(Code::FIELD_VALUE, "example", message, "clients copy it: write a value that is accepted");
}

/// A constant from the file as a value of the field, or why it is not one.
fn constant(field: &Field, value: &Value) -> Result<Source, String> {
    let plain = field.read(value.clone());
    match plain {
        Ok(Param::Null) => Err("null is already the default".into()),
        Ok(value) => Ok(Source::Constant(value)),
        Err(detail) => Err(detail.message),
    }
}
