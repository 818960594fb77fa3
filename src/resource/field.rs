//! A compiled field: its type, its rules, and the messages about broken ones.

use super::claim::claim;
use super::decimal::Decimal;
use super::email;
use super::field_type::FieldType;
use super::form::Form;
use super::json::Json;
use super::moment::Moment;
use super::store::Param;
use crate::config::document::resource::{FilterOp, IdKind, Message, OnDelete};
use gatewright_sdk::{Detail, Identity};
use regex::Regex;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// A field of a resource.
#[derive(Clone)]
pub struct Field {
    pub name: String,
    pub kind: FieldType,
    pub required: bool,
    pub nullable: bool,
    /// The value of a new item if the client sends none.
    pub default: Option<Source>,
    /// What the server sets on create.
    pub on_create: Option<Source>,
    /// What the server sets on every change.
    pub on_write: Option<Source>,
    /// Clients cannot set it.
    pub read_only: bool,
    /// Clients never see it.
    pub write_only: bool,
    /// Clients can neither set nor see it.
    pub hidden: bool,
    /// Whether a POST may carry it.
    pub creates: bool,
    /// Whether a PUT or PATCH may carry it.
    pub updates: bool,
    pub min: Option<Bound>,
    pub max: Option<Bound>,
    pub pattern: Option<Regex>,
    pub trim: bool,
    pub lowercase: bool,
    pub message: Option<Message>,
    /// Compare ASCII letters case-insensitively, as its unique index does.
    pub fold: bool,
    /// The message if the value is taken; `None` if the field is not unique.
    pub taken: Option<String>,
    pub filter: Vec<FilterOp>,
    pub sort: bool,
    /// For people.
    pub description: Option<String>,
    /// A valid value, for people.
    pub example: Option<Value>,
    /// The JSON Schema of a `json` field.
    pub schema: Option<Value>,
    /// What its values are ids of.
    pub reference: Option<Reference>,
}

/// The resource that a field refers to.
#[derive(Clone)]
pub struct Reference {
    /// Its name.
    pub to: String,
    pub table: String,
    pub id: IdKind,
    pub on_delete: OnDelete,
    /// Whether responses may contain its items.
    pub expand: bool,
    /// Its fields, for access rules.
    pub fields: Vec<Field>,
    /// The position of the field of its preset, if items of both resources belong to the same owner or tenant.
    pub belongs: Option<usize>,
}

/// Where a value comes from if not from the client.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Constant(Param),
    Now,
    Today,
    Uuid,
    Claim(String),
}

impl Source {
    /// The value of `field` for a request that writes `at` this instant; null for a claim that is absent or does not fit.
    pub fn value(&self, field: &Field, identity: Option<&Identity>, at: Moment) -> Param {
        match self {
            Self::Constant(constant) => constant.clone(),
            Self::Now => Param::Text(at.datetime()),
            Self::Today => Param::Text(at.date()),
            Self::Uuid => Param::Text(uuid::Uuid::now_v7().to_string()),
            Self::Claim(name) => {
                let claim = identity.and_then(|id| claim(id, name, &field.kind));
                claim.and_then(|value| field.read(value).ok()).unwrap_or(Param::Null)
            }
        }
    }

    /// Why the caller's claim for `field` is not a valid value of it, with the name of the claim. One without the claim does
    /// not misfit.
    pub fn misfit(&self, field: &Field, identity: Option<&Identity>) -> Option<String> {
        let Self::Claim(name) = self else { return None };
        let refused = field.read(claim(identity?, name, &field.kind)?).err()?;
        Some(match &*refused.code {
            rule @ ("min" | "max" | "pattern") => format!("claim_breaks_{rule}:{name}"),
            _ => format!("claim_not_{}:{name}", field.kind.word()),
        })
    }
}

/// A minimum or maximum.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Characters of a text, or items of a list.
    Count(usize),
    Integer(i64),
    Real(f64),
    Decimal(Decimal, String),
}

impl Bound {
    const fn plural(&self) -> &'static str {
        if matches!(self, Self::Count(1)) { "" } else { "s" }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Integer(bound) => bound.fmt(f),
            Self::Real(bound) => bound.fmt(f),
            Self::Decimal(_, text) => text.fmt(f),
        }
    }
}

/// The maximum length of a password in bytes: hashing a longer one only costs time.
pub const LONGEST_PASSWORD: usize = 1024;

impl Field {
    /// Whether a response shows it.
    pub const fn visible(&self) -> bool {
        !self.hidden && !self.write_only
    }

    /// Whether a response may have the item it refers to.
    pub fn expands(&self) -> bool {
        self.visible() && self.reference.as_ref().is_some_and(|reference| reference.expand)
    }

    /// The value from a body, normalised and validated against every rule. The first broken rule is reported.
    pub fn read(&self, value: impl Into<Json>) -> Result<Param, Detail> {
        let value = match value.into() {
            Json::Null if self.nullable => return Ok(Param::Null),
            Json::Null => return Err(self.broken("null", "must not be null")),
            Json::String(text) if text.contains('\0') => return Err(self.broken("nul", "must not contain NUL")),
            Json::String(text) => Json::String(self.normalise(text)),
            other => other,
        };
        let items = if let Json::Array(items) = &value { Some(items.len()) } else { None };
        let value = self.kind.read(value).map_err(|mismatch| {
            self.broken(mismatch.code, mismatch.text.unwrap_or_else(|| self.kind_demand(mismatch.code)))
        })?;
        self.judge(&value, items)?;
        Ok(value)
    }

    /// The value of a merge document. An object for a json field is a patch of what is there (RFC 7396): the rules
    /// are for [`Field::merge`] to apply.
    pub fn read_patch(&self, value: Json) -> Result<Param, Detail> {
        match (&self.kind, value) {
            (FieldType::Json(_), patch @ Json::Object(_)) => Ok(Param::Text(patch.write())),
            (_, value) => self.read(value),
        }
    }

    /// The result of merging a value from [`Field::read_patch`] into `current`.
    pub fn merge(&self, current: &Param, given: Param) -> Result<Param, Detail> {
        let patch = match (&self.kind, &given) {
            (FieldType::Json(_), Param::Text(text)) => {
                Json::stored(text).filter(|patch| matches!(patch, Json::Object(_)))
            }
            _ => None,
        };
        let Some(patch) = patch else { return Ok(given) };
        let mut merged = match current {
            // What cannot be read cannot be merged into, and must not be lost.
            Param::Text(text) => Json::stored(text).ok_or_else(|| {
                let text = "cannot be merged with the stored value, which is not readable: replace the whole with PUT";
                Detail::new(&*self.name, "unreadable", text)
            })?,
            _ => Json::Null,
        };
        merged.merge(patch);
        self.read(merged)
    }

    /// The text of a query in the form in which values of this field are stored.
    pub fn stored_text(&self, text: &str) -> Option<Param> {
        self.kind.parse(&self.normalise(text.to_owned()))
    }

    /// A piece of a text as it would be in a stored one: its start for `prefix`, else some part of it. A blank at an end
    /// of the piece may be inside of the whole, but for one at its start.
    pub fn stored_piece(&self, operator: FilterOp, text: &str) -> Param {
        let text = if self.trim && operator == FilterOp::Prefix { text.trim_start() } else { text };
        let text = self.lowered(text.to_owned());
        Param::Text(if matches!(self.kind, FieldType::Email) { email::normal_piece(&text) } else { text })
    }

    /// The form in which its texts are stored.
    pub const fn form(&self) -> Form {
        Form { trim: self.trim, lowercase: self.lowercase, email: self.kind.is_email(), scale: self.kind.scale() }
    }

    /// A stored value as JSON; `None` for null.
    pub fn json(&self, value: &Param) -> Option<Value> {
        Some(match (&self.kind, value) {
            (_, Param::Null) => return None,
            (FieldType::Boolean, Param::Integer(truth)) => Value::Bool(*truth != 0),
            (FieldType::Json(_), Param::Text(text)) => serde_json::from_str(text).ok()?,
            (_, Param::Integer(number)) => Value::from(*number),
            (_, Param::Real(number)) => Value::Number(Number::from_f64(*number)?),
            (_, Param::Text(text)) => Value::String(text.clone()),
        })
    }

    fn kind_demand(&self, code: &str) -> String {
        // An e-mail address that is not a string gets this message first.
        if code == "type" && self.kind.is_free_text() { "must be a string".into() } else { self.kind.demand() }
    }

    /// A value as it is stored, for comparisons: of the field's type and form, without checking its rules.
    pub fn stored(&self, value: Value) -> Option<Param> {
        let value = match value {
            Value::String(text) => Value::String(self.normalise(text)),
            other => other,
        };
        self.kind.read(value).ok()
    }

    fn normalise(&self, text: String) -> String {
        let text = if self.trim { text.trim().to_owned() } else { text };
        self.lowered(text)
    }

    /// Letter by letter, so that a piece of a text becomes a piece of the whole: Rust would lower a sigma at the end of a
    /// word in another way. An address has ASCII only before its `@`, and its domain is lowered by its own rule.
    fn lowered(&self, text: String) -> String {
        match (self.lowercase, &self.kind) {
            (false, _) => text,
            (true, FieldType::Email) => text.to_ascii_lowercase(),
            (true, _) => text.chars().flat_map(char::to_lowercase).collect(),
        }
    }

    /// `items` is the length of a list. The bounds of a json field are for lists: any other JSON is free of them.
    fn judge(&self, value: &Param, items: Option<usize>) -> Result<(), Detail> {
        if matches!(self.kind, FieldType::Json(_)) && items.is_none() {
            return Ok(());
        }
        if let Some(min) = self.min.as_ref().filter(|min| compare(value, items, min) == Some(Ordering::Less)) {
            return Err(self.broken("min", self.bound_text("at least", min)));
        }
        if let Some(max) = self.max.as_ref().filter(|max| compare(value, items, max) == Some(Ordering::Greater)) {
            return Err(self.broken("max", self.bound_text("at most", max)));
        }
        let Param::Text(text) = value else { return Ok(()) };
        if matches!(self.kind, FieldType::Password) && text.len() > LONGEST_PASSWORD {
            return Err(Detail::new(&*self.name, "max", "Password must be at most 1024 bytes"));
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => Err(self.broken("pattern", "does not match the pattern")),
            _ => Ok(()),
        }
    }

    fn bound_text(&self, word: &str, bound: &Bound) -> String {
        match self.kind {
            FieldType::Integer | FieldType::Number | FieldType::Decimal { .. } => format!("must be {word} {bound}"),
            FieldType::Json(_) => format!("must have {word} {bound} item{}", bound.plural()),
            _ => format!("must be {word} {bound} character{}", bound.plural()),
        }
    }

    /// The error about a broken rule, with the operator's message if there is one.
    pub fn broken(&self, rule: &'static str, otherwise: impl Into<String>) -> Detail {
        let own = match &self.message {
            Some(Message::All(text)) if !matches!(rule, "required" | "type" | "null" | "nul") => Some(text),
            Some(Message::Each(texts)) => texts.get(if rule == "schema" { "format" } else { rule }),
            _ => None,
        };
        Detail::new(&*self.name, rule, own.cloned().unwrap_or_else(|| otherwise.into()))
    }
}

fn compare(value: &Param, items: Option<usize>, bound: &Bound) -> Option<Ordering> {
    match (bound, value) {
        (Bound::Count(bound), _) if items.is_some() => items.map(|items| items.cmp(bound)),
        // Counting characters stops one after the bound.
        (Bound::Count(bound), Param::Text(text)) => Some(text.chars().take(bound.saturating_add(1)).count().cmp(bound)),
        (Bound::Integer(bound), Param::Integer(value)) => Some(value.cmp(bound)),
        (Bound::Real(bound), Param::Real(value)) => value.partial_cmp(bound),
        (Bound::Decimal(bound, _), Param::Text(text)) => Decimal::parse(text)?.partial_cmp(bound),
        _ => None,
    }
}
