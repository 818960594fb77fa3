//! Compiles the declarations of fields; contradictions are faults.

mod bounds;
pub(super) mod values;

use super::settings::{NAME_HELP, is_identifier, shown};
use crate::config::document::resource::{Field as Written, FieldKind, Resource, Writes};
use crate::resource::field::{Field, Source};
use crate::resource::field_type::FieldType;
use crate::resource::operator;
use crate::resource::store::Param;
use gatewright_sdk::Fault;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// Parameters of the query string; a field with such a name would be ambiguous.
const QUERY_WORDS: [&str; 8] = ["page", "per_page", "cursor", "sort", "fields", "filter", "count", "expand"];
/// Names that the store uses itself.
const STORE_WORDS: [&str; 4] = ["id", "rowid", "oid", "_rowid_"];
/// The maximum size of a compiled pattern, in bytes. Larger patterns could be used to fill memory.
const PATTERN_SIZE: usize = 1 << 20;

/// What is being compiled, and where its faults go.
pub(super) struct FieldContext<'a> {
    name: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl FieldContext<'_> {
    fn path(&self, key: &str) -> String {
        if key.is_empty() { format!("fields.{}", self.name) } else { format!("fields.{}.{key}", self.name) }
    }

    fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(self.path(key), message));
    }

    fn fault_with_help(&mut self, key: &str, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::new(self.path(key), message).help(help));
    }
}

pub(super) fn compile(spec: &Resource, faults: &mut Vec<Fault>) -> Vec<Field> {
    let mut fields = Vec::new();
    for (name, written) in spec.fields.iter() {
        let mut context = FieldContext { name, faults };
        check_name(&mut context);
        check_unique(spec, written, &mut context);
        fields.push(field(written, &mut context));
    }
    fields
}

fn check_name(context: &mut FieldContext<'_>) {
    let name = context.name;
    if QUERY_WORDS.contains(&name) {
        context.fault("", format!("`{name}` is a word of the query string, so it cannot be the name of a field"));
    } else if STORE_WORDS.contains(&name) {
        context.fault("", format!("`{name}` is made by the store, so it cannot be the name of a field"));
    } else if !is_identifier(name) {
        context.fault_with_help("", format!("`{}` is not a valid field name", shown(name)), NAME_HELP);
    }
}

fn check_unique(spec: &Resource, written: &Written, context: &mut FieldContext<'_>) {
    let textual = matches!(written.r#type, FieldKind::String | FieldKind::Text | FieldKind::Email | FieldKind::Enum);
    if written.unique.ignore_case && !textual {
        context.fault("unique.ignore_case", "ignore_case is for text only");
    }
    for (at, other) in written.unique.with.iter().enumerate() {
        if other == context.name || !spec.fields.contains(other) {
            context.fault(
                &format!("unique.with[{at}]"),
                format!("unique names `{}`, which is not another field", shown(other)),
            );
        }
    }
    if written.unique.unique && matches!(written.r#type, FieldKind::Password | FieldKind::Json) {
        context.fault("unique", "a password or json field cannot be unique");
    }
}

fn field(written: &Written, context: &mut FieldContext<'_>) -> Field {
    let kind = kind(written, context);
    check_shown(written, context);
    check_operators(written, &kind, context);
    let (on_create, on_write) = values::set(written, &kind, context);
    let on = |wanted| written.accept_on.as_ref().is_none_or(|list| list.contains(&wanted));
    if written.accept_on.as_ref().is_some_and(Vec::is_empty) {
        context.fault_with_help(
            "accept_on",
            "accept_on is empty",
            "write `read_only: true` where no client may set it",
        );
    }
    let taken = written.unique.unique.then(|| {
        let own = written.unique.message.clone();
        own.unwrap_or_else(|| format!("{} is already taken", capitalised(context.name)))
    });
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
        min: bounds::bound(&kind, "min", written.min.as_ref(), context),
        max: bounds::bound(&kind, "max", written.max.as_ref(), context),
        pattern: pattern(written, &kind, context),
        trim: written.trim,
        lowercase: written.lowercase,
        message: written.message.clone(),
        fold: written.unique.ignore_case,
        taken,
        filter: written.filter.clone(),
        sort: written.sort,
        kind,
    };
    bounds::check_order(&field, context);
    field.default = values::default(written, &field, context);
    if written.required && (field.read_only || field.hidden) && field.default.is_none() && field.on_create.is_none() {
        context.fault_with_help("required", "required, and no client may set it", "give it a `default`, or `set`");
    } else if (written.required || written.nullable == Some(false)) && starts_as_null(written, &field) {
        let (key, help) = if written.required {
            ("required", "add `create` to `accept_on`, or give it a `default`")
        } else {
            ("nullable", "write `required: true`, or give it a `default`")
        };
        context.fault_with_help(key, "it must not be null, but an item that is created without it has null", help);
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
            context.fault(key, format!("`{key}` is for type {kind} only"));
        }
    };
    use FieldKind as T;
    let is = written.r#type;
    only(context, written.values.is_some(), "values", "enum", is == T::Enum);
    only(context, written.schema.is_some(), "schema", "json", is == T::Json);
    only(context, written.precision.is_some(), "precision", "decimal", is == T::Decimal);
    only(context, written.scale.is_some(), "scale", "decimal", is == T::Decimal);
    only(context, written.to.is_some(), "to", "ref", is == T::Ref);
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
        T::Ref => {
            if written.to.is_none() {
                context.fault_with_help("", "a ref needs `to`", "name the resource it points to");
            }
            FieldType::Uuid
        }
    }
}

fn decimal(written: &Written, context: &mut FieldContext<'_>) -> FieldType {
    let (precision, scale) = (written.precision.unwrap_or(38), written.scale.unwrap_or(0));
    if !(1..=38).contains(&precision) {
        context.fault("precision", "precision must be from 1 to 38");
    }
    if scale > precision {
        context.fault("scale", format!("scale is {scale}, which is more than precision, {precision}"));
    }
    FieldType::Decimal { precision, scale }
}

fn schema(schema: Option<&Value>, context: &mut FieldContext<'_>) -> Option<Box<jsonschema::Validator>> {
    let linear = jsonschema::PatternOptions::regex().size_limit(PATTERN_SIZE);
    let options =
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).with_pattern_options(linear).offline();
    match options.build(schema?) {
        Ok(validator) => Some(Box::new(validator)),
        Err(error) => {
            context.fault("schema", format!("no JSON Schema (2020-12): {}", shown(&error.to_string())));
            None
        }
    }
}

fn pattern(written: &Written, kind: &FieldType, context: &mut FieldContext<'_>) -> Option<Regex> {
    let text = written.pattern.as_ref()?;
    if !kind.is_free_text() {
        context.fault("pattern", "`pattern` is for text only");
        return None;
    }
    if text.chars().count() > 512 {
        context.fault("pattern", "the pattern is longer than 512 characters");
        return None;
    }
    match RegexBuilder::new(text).size_limit(PATTERN_SIZE).build() {
        Ok(pattern) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            context.fault_with_help("pattern", "the pattern is too big once compiled", "use smaller repetitions");
            None
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "the syntax is that of Rust's regex crate: no look-around, no backreferences";
            context.fault_with_help("pattern", format!("the pattern does not compile: {reason}"), help);
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
        context.fault("filter", "a field that clients cannot see cannot be filtered by: that would reveal it");
    }
    if secret && written.sort {
        context.fault("sort", "a field that clients cannot see cannot be sorted by: that would reveal it");
    }
    if password {
        for (key, value) in [("hidden", written.hidden), ("write_only", written.write_only)] {
            if value == Some(false) {
                let text = format!("a password is never shown, so it cannot be `{key}: false`");
                context.fault_with_help(key, text, &format!("remove `{key}`"));
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
            let text = format!("a password that clients cannot set is not useful: `{key}` contradicts its type");
            context.fault_with_help(key, text, &format!("remove `{key}`"));
        }
    }
    if written.set.is_some() && written.read_only == Some(false) {
        let text = "the server sets this field, so it cannot be `read_only: false`";
        context.fault_with_help("read_only", text, "remove `read_only`, or use `default` in context of `set`");
    }
    if write_only && (read_only || hidden || written.set.is_some()) {
        context
            .fault("write_only", "write_only contradicts `read_only`, `hidden` and `set`: the field would be unusable");
    }
    if (read_only || written.set.is_some()) && written.accept_on.is_some() {
        context.fault("accept_on", "`accept_on` lists the requests that may set it, and no client may set it");
    }
}

fn check_operators(written: &Written, kind: &FieldType, context: &mut FieldContext<'_>) {
    if written.sort && !kind.is_ordered() {
        let help = "string, email, url, uuid, enum, integer, number, datetime and date are sortable";
        context.fault_with_help("sort", "values of this type cannot be sorted", help);
    }
    for (at, operator) in written.filter.iter().enumerate() {
        if !operator::fits(*operator, kind) {
            let word = operator::operator_word(*operator);
            context.fault(&format!("filter[{at}]"), format!("`{word}` does not fit values of this type"));
        }
    }
}

/// A constant from the file as a value of the field, or why it is not one.
fn constant(field: &Field, value: &Value) -> Result<Source, String> {
    let plain = field.read(value.clone());
    match plain {
        Ok(Param::Null) => Err("null is what it is anyway".into()),
        Ok(value) => Ok(Source::Constant(value)),
        Err(detail) => Err(detail.message),
    }
}
