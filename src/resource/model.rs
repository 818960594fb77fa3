//! A compiled resource: everything a request needs is computed here, once.

mod access;
mod bulk;
pub mod deleted;
mod fields;
pub mod others;
pub mod served;
mod settings;
pub mod sharing;
mod table;

#[cfg(test)]
mod tests;

pub use self::access::fixed_conditions;
use self::access::preset::Belonging;
pub(super) use self::fields::names::taken;
use self::others::Others;
pub(super) use self::settings::is_identifier;

use super::access::{Columns, Demand, Rule};
use super::dialect::Dialect;
use super::field::Field;
use super::field_type::FieldType;
use super::order::SortKey;
use super::predicate::{Column, Predicate};
use super::reply::Shape;
use super::sql::Texts;
use super::table::Table;
use crate::config::document::resource::{
    Concurrency, Count, Generate, IdKind, Idempotency, Operation, Pagination, Patch, Put, Resource, UnknownFields,
};
use gatewright_sdk::{ByteSize, Fault, HumanDuration, Problem, Request};
use http::{HeaderValue, Method};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tracing::Span;

/// The operations of every resource, in the order of their methods in `Allow`. With `soft_delete` there is one more.
pub const OPERATIONS: [Operation; 5] =
    [Operation::List, Operation::Read, Operation::Create, Operation::Update, Operation::Delete];

/// A resource, ready to serve.
#[derive(Clone)]
pub struct Model {
    pub name: Arc<str>,
    /// The store that keeps it, by name.
    pub store: String,
    /// What the store must have.
    pub table: Table,
    /// Its deleted items, if they are kept: a resource with a table of its own, which is only read.
    pub deleted: Option<Arc<Model>>,
    /// How long deleted items are kept, if not for ever.
    pub keep: Option<Duration>,
    /// Warnings for the operator.
    pub warnings: Vec<Fault>,
    pub(super) id: IdKind,
    pub(super) generate: Generate,
    pub(super) operations: Vec<Operation>,
    pub(super) put: Put,
    pub(super) patch: Patch,
    pub(super) rules: Rules,
    pub(super) concurrency: Concurrency,
    pub(super) pagination: Pagination,
    pub(super) count: Count,
    pub(super) sort: Vec<SortKey>,
    pub(super) body_limit: ByteSize,
    pub(super) unknown: UnknownFields,
    pub(super) timeout: Duration,
    pub(super) idempotency: Idempotency,
    pub(super) bulk: Bulk,
    pub(super) fields: Vec<Field>,
    /// Whether items may refer to its items.
    pub(super) is_referenced: bool,
    /// Of the fields, by position.
    pub(super) names: Vec<String>,
    pub(super) sql: Texts,
    pub(super) shape: Shape,
    pub(super) allow_collection: HeaderValue,
    pub(super) allow_item: HeaderValue,
}

/// What requests with a list may do.
#[derive(Clone)]
pub struct Bulk {
    pub create: bool,
    pub upsert: Option<Upsert>,
    /// The maximum number of items.
    pub max: u32,
}

/// The column by which an upsert knows an item.
#[derive(Debug, Clone, Copy)]
pub struct Upsert {
    pub column: Column,
    /// Whether ASCII letters are equal in either case.
    pub fold: bool,
}

/// Who may do what, by operation.
#[derive(Clone)]
pub struct Rules {
    pub list: KeyedRule,
    pub read: KeyedRule,
    pub create: KeyedRule,
    pub update: KeyedRule,
    /// What the row must fulfil after an update; `None` if the rule for `update` applies.
    pub update_check: Option<KeyedRule>,
    pub delete: KeyedRule,
    /// Also who may see deleted items.
    pub restore: KeyedRule,
    /// To whom items belong, if a preset says so.
    pub preset: Option<Belonging>,
}

/// A rule and its key in the file: `access.read`, or `access.default`.
#[derive(Clone)]
pub struct KeyedRule {
    pub key: &'static str,
    pub rule: Rule,
}

impl Deref for KeyedRule {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        &self.rule
    }
}

impl Rules {
    /// Those of all operations.
    pub(super) fn all(&self) -> impl Iterator<Item = &Rule> {
        let always = [&self.list, &self.read, &self.create, &self.update, &self.delete, &self.restore];
        always.into_iter().chain(&self.update_check).map(|keyed| &keyed.rule)
    }

    /// That of `operation`.
    pub(super) const fn of(&self, operation: Operation) -> &KeyedRule {
        match operation {
            Operation::List => &self.list,
            Operation::Read => &self.read,
            Operation::Create => &self.create,
            Operation::Update => &self.update,
            Operation::Delete => &self.delete,
            Operation::Restore => &self.restore,
        }
    }

    /// Whether the response to an update depends on the caller.
    pub fn update_asks_who(&self) -> bool {
        self.update.asks_who() || self.update_check.as_ref().is_some_and(|check| check.asks_who())
    }
}

impl Model {
    /// The name of the field, or `id`.
    pub(super) fn name_of(&self, column: Column) -> &str {
        match column {
            Column::Id => "id",
            Column::Field(position) | Column::Of(position, _) => self.names.get(position).map_or("", String::as_str),
        }
    }

    /// The position of a field that clients can see or that rules can use.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The condition on rows that `rule` sets for the caller, or the rejection. The span and the debug log name the rule.
    pub(super) fn admit(&self, rule: &KeyedRule, request: &Request) -> Result<Option<Predicate>, Problem> {
        let admitted = self.condition(rule, request);
        if !matches!(**rule, Rule::Always) {
            let outcome = match &admitted {
                Ok(None) => "allowed",
                Ok(Some(_)) => "allowed for some items",
                Err(_) => "denied",
            };
            Span::current().record("gateway.rule", rule.key);
            tracing::debug!(resource = &*self.name, rule = rule.key, outcome, "access rule applied");
        }
        admitted
    }

    /// The same for a rule that does not decide about the request as a whole.
    pub(super) fn condition(&self, rule: &Rule, request: &Request) -> Result<Option<Predicate>, Problem> {
        rule.admit(Columns { id: self.id, fields: &self.fields }, request)
    }

    /// Whether its own rules ask who sends a request with `method`, or let no one send it: they hold on every route.
    pub fn asks_who(&self, method: &Method, on_item: bool) -> bool {
        let (operation, asks) = match (method.as_str(), on_item) {
            ("GET" | "HEAD", false) => (Operation::List, self.rules.list.asks_who()),
            ("GET" | "HEAD", true) => (Operation::Read, self.rules.read.asks_who()),
            ("POST", false) => (Operation::Create, self.rules.create.asks_who()),
            // It needs both.
            ("PUT", false) if self.bulk.upsert.is_some() => {
                return self.rules.create.asks_who() || self.rules.update_asks_who();
            }
            ("PUT" | "PATCH", true) => (Operation::Update, self.rules.update_asks_who()),
            ("DELETE", true) => (Operation::Delete, self.rules.delete.asks_who()),
            _ => return true,
        };
        asks || !self.has(operation)
    }

    /// The same for requests that restore items.
    pub fn asks_who_to_restore(&self, method: &Method) -> bool {
        *method != Method::POST || !self.has(Operation::Restore) || self.rules.restore.asks_who()
    }

    /// Whether PUT of the collection takes a list.
    pub const fn upserts(&self) -> bool {
        self.bulk.upsert.is_some()
    }

    /// The rule of `operation` in words, its key in the file, and the rule for an item as an update leaves it, if that is another one.
    pub fn shown_rule(&self, operation: Operation) -> Option<(String, &'static str, Option<String>)> {
        let rule = self.rules.of(operation);
        let check = self.rules.update_check.as_ref().filter(|_| operation == Operation::Update);
        let after = check.map(|check| check.shown(&self.fields));
        self.has(operation).then(|| (rule.shown(&self.fields), rule.key, after))
    }

    /// What `operation` requires of callers, if the resource has it.
    pub fn demand(&self, operation: Operation) -> Option<Demand> {
        let after = self.rules.update_check.as_ref().filter(|_| operation == Operation::Update);
        let demand = self.rules.of(operation).demand().max(after.map_or(Demand::Nothing, |check| check.demand()));
        self.has(operation).then_some(demand)
    }

    /// Whether its items have passwords, and so may be accounts.
    pub(super) fn has_passwords(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, FieldType::Password))
    }

    /// Whether it serves this operation.
    pub fn has_operation(&self, operation: Operation) -> bool {
        self.has(operation)
    }

    /// The preset and its field, if there are callers who say to whom a new item belongs.
    pub(super) fn excepted(&self) -> Option<(&Belonging, &Field)> {
        let preset = self.rules.preset.as_ref().filter(|preset| preset.has_exceptions())?;
        Some((preset, self.fields.get(preset.field).filter(|field| !field.hidden)?))
    }

    /// Whether requests can ask for its deleted items: only if they can be restored.
    pub fn shows_deleted(&self) -> bool {
        self.deleted.is_some() && self.has(Operation::Restore)
    }

    pub(super) fn has(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }
}

/// Compiles the resource `name` for a kind of store. `production` is the word of `environment`.
/// Finds every fault, not only the first; paths are relative to `resources.<name>`.
pub fn compile(
    (name, spec): (&str, &Resource),
    others: Others<'_>,
    dialect: Dialect,
    production: bool,
) -> Result<Model, Vec<Fault>> {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let table_name = spec.table.clone().unwrap_or_else(|| name.to_owned());
    settings::check(name, &table_name, spec, &mut faults);
    let fields = fields::compile((name, spec), others, &mut faults, &mut warnings);
    let operations = deleted::operations(spec, &mut faults);
    let beside = (others, production);
    let rules = access::compile((name, spec), &fields, &operations, beside, &mut faults, &mut warnings);
    deleted::check_ids(spec, others, &rules.restore, &mut faults);
    access::beyond::warn((name, spec), others, (&fields, &rules), &mut warnings);
    let sort = settings::sort(spec, &fields, &mut faults);
    let indexes = settings::indexes(spec, &mut faults);
    let bulk = bulk::compile(spec, &fields, &operations, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let generate =
        spec.id.generate.unwrap_or(if spec.id.r#type == IdKind::Integer { Generate::Auto } else { Generate::V7 });
    let table = table::table((table_name, dialect), spec, &fields, indexes);
    let (collection, item) = allow(&operations, spec);
    let mut model = Model {
        name: name.into(),
        store: spec.store.clone(),
        deleted: None,
        keep: spec.soft_delete.keep.map(HumanDuration::get),
        warnings,
        id: spec.id.r#type,
        generate,
        put: spec.put,
        patch: spec.patch,
        rules,
        concurrency: spec.concurrency,
        pagination: spec.pagination.clone(),
        count: spec.count,
        sort,
        body_limit: spec.body_limit,
        unknown: spec.unknown_fields,
        timeout: spec.timeout.get(),
        idempotency: spec.idempotency.clone(),
        bulk,
        sql: Texts::new(dialect, &table, &fields),
        shape: Shape::new(&table, &fields),
        allow_collection: collection,
        allow_item: item,
        table,
        operations,
        is_referenced: others.refer_to(name),
        names: fields.iter().map(|field| field.name.clone()).collect(),
        fields,
    };
    if spec.soft_delete.on {
        model.deleted = Some(Arc::new(deleted::of(model.clone(), spec, dialect)));
    }
    Ok(model)
}

/// For tests: a resource that refers to no other, with a route.
#[cfg(test)]
pub fn alone(name: &str, spec: &Resource, dialect: Dialect, production: bool) -> Result<Model, Vec<Fault>> {
    let resources = crate::config::named::Named::default();
    let routes = serde_yaml::from_str(&format!("{name}: {{ path: /{name}, resource: {name} }}")).expect("a route");
    let served = served::Served::of(&routes);
    compile((name, spec), Others { resources: &resources, served: &served }, dialect, production)
}

/// The `Allow` values of collection and item (RFC 9110 section 10.2.1).
fn allow(operations: &[Operation], spec: &Resource) -> (HeaderValue, HeaderValue) {
    let has = |operation| operations.contains(&operation);
    let update = has(Operation::Update);
    let words = |list: &[(bool, &str)]| {
        let known: Vec<_> = list.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect();
        HeaderValue::from_str(&known.join(", ")).expect("method names are visible ASCII")
    };
    let collection = words(&[
        (has(Operation::List), "GET, HEAD"),
        (has(Operation::Create), "POST"),
        (spec.bulk.upsert.is_some(), "PUT"),
        (true, "OPTIONS"),
    ]);
    let item = words(&[
        (has(Operation::Read), "GET, HEAD"),
        (update && spec.put != Put::None, "PUT"),
        (update && spec.patch != Patch::None, "PATCH"),
        (has(Operation::Delete), "DELETE"),
        (true, "OPTIONS"),
    ]);
    (collection, item)
}
