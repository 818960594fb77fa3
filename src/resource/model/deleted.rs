//! The deleted items of a resource with `soft_delete`: a resource with the same fields and a table of its own, which is only read.

use super::others::Others;
use super::{Model, OPERATIONS};
use crate::config::document::resource::{FieldKind, IdKind, Operation, Resource};
use crate::resource::access::Rule;
use crate::resource::dialect::Dialect;
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::operator::OPERATORS;
use crate::resource::reply::Shape;
use crate::resource::sql::Texts;
use crate::resource::table::{Column, ColumnType, Declared, Index, Table};
use gatewright_sdk::{Code, Fault, HumanDuration};

/// The field with the time of the delete.
pub const DELETED_AT: &str = "deleted_at";
/// The column that identifies the delete.
pub const DELETION: &str = "_deletion";
/// Names that fields of such a resource cannot have.
pub(super) const RESERVED: [&str; 2] = ["deleted", DELETED_AT];
/// What the names of these tables begin with. No other table of a resource can have such a name.
const PREFIX: &str = "_gw_deleted_";

/// The name of the table with the deleted items of another one.
pub fn table_name(table: &str) -> String {
    format!("{PREFIX}{table}")
}

/// The name of the table whose deleted items a table has.
pub fn live_name(table: &str) -> Option<&str> {
    table.strip_prefix(PREFIX)
}

/// The operations that a resource serves; what contradicts `soft_delete` is a fault.
pub(super) fn operations(spec: &Resource, faults: &mut Vec<Fault>) -> Vec<Operation> {
    let mut operations = spec.operations.clone().unwrap_or_else(|| OPERATIONS.to_vec());
    let help = "add `soft_delete: true`, or remove it";
    if spec.soft_delete.on && spec.operations.is_none() {
        operations.push(Operation::Restore);
    }
    if let Some(at) = operations.iter().position(|operation| *operation == Operation::Restore && !spec.soft_delete.on) {
        let fault = Fault::new(format!("operations[{at}]"), "nothing can be restored without `soft_delete`");
        faults.push(fault.code(Code::SOFT_DELETE).help(help));
    }
    if spec.access.restore.is_some() && !spec.soft_delete.on {
        let fault = Fault::new("access.restore", "`restore` has no effect without `soft_delete`");
        faults.push(fault.code(Code::SOFT_DELETE).help(help));
    }
    if spec.soft_delete.keep.is_some_and(|keep| keep < HumanDuration::from_secs(60)) {
        let fault = Fault::new("soft_delete.keep", "`keep` must be at least 1m").code(Code::OUT_OF_RANGE);
        faults.push(fault.help("use a time such as 90d; without `soft_delete`, items are deleted for good at once"));
    }
    operations
}

/// An id that clients choose can be that of a deleted item: a rule about items would take a new item for the one that was deleted, and
/// show it to whoever made the new one.
pub(super) fn check_ids(spec: &Resource, others: Others<'_>, restore: &Rule, faults: &mut Vec<Fault>) {
    if !spec.soft_delete.on || !restore.is_about_items() {
        return;
    }
    let help = "use `id: { type: uuid }` there, or write `restore: none`, or let `access.restore` ask for a role only";
    let mut fault = |path: String, whose: &str| {
        let message = format!(
            "clients choose the ids of {whose}, and the rule for `restore` is about items: whoever makes an item with the id of a deleted \
             one would get access to what was deleted"
        );
        faults.push(Fault::new(path, message).code(Code::SOFT_DELETE).help(help));
    };
    if spec.id.r#type == IdKind::String {
        fault("soft_delete".to_owned(), "this resource");
    }
    for (name, field) in spec.fields.iter() {
        let target = field.to.as_deref().filter(|_| field.r#type == FieldKind::Ref);
        let chosen = |to: &&str| others.resources.get(to).is_some_and(|target| target.id.r#type == IdKind::String);
        if let Some(to) = target.filter(chosen) {
            fault(format!("fields.{name}.to"), &format!("`{to}`"));
        }
    }
}

/// The deleted items of `live`.
pub(super) fn of(live: Model, spec: &Resource, dialect: Dialect) -> Model {
    let mut model = live;
    let position = model.fields.len();
    model.fields.push(deleted_at());
    model.names.push(DELETED_AT.to_owned());
    model.table = table(&model.table);
    model.sql = Texts::new(dialect, &model.table, &model.fields);
    model.shape = Shape::new(&model.table, &model.fields);
    debug_assert_eq!(model.position(DELETED_AT), Some(position));
    // Who may restore them may see them.
    (model.rules.list, model.rules.read) = (model.rules.restore.clone(), model.rules.restore.clone());
    let reads = [Operation::List, Operation::Read];
    model.operations = model.operations.iter().copied().filter(|operation| reads.contains(operation)).collect();
    (model.allow_collection, model.allow_item) = super::allow(&model.operations, spec);
    (model.bulk.create, model.bulk.upsert, model.is_referenced) = (false, None, false);
    model.warnings.clear();
    model
}

/// Whether these are the deleted items of another model.
impl Model {
    pub(in crate::resource) fn is_of_deleted(&self) -> bool {
        live_name(&self.table.name).is_some()
    }
}

/// What they refer to may be deleted, and their values may be those of other items: only the table of the items that exist checks
/// that.
fn table(live: &Table) -> Table {
    let plain = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
        default: None,
        required: false,
        form: None,
        references: None,
        declared: Declared::default(),
    };
    let referring = live.columns.iter().filter(|column| column.references.is_some());
    let indexed = referring.map(|column| column.name.as_str()).chain([DELETED_AT]);
    let index =
        |name: &str| Index { columns: vec![name.to_owned()], unique: false, ignore_case: false, ordered: false };
    let indexes = indexed.map(index).collect();
    let fields = live.columns.iter().map(|column| Column { references: None, ..column.clone() });
    let own = [plain(DELETED_AT, ColumnType::Datetime), plain(DELETION, ColumnType::Text)];
    let columns = fields.chain(own).collect();
    Table { name: table_name(&live.name), id: live.id, id_counts: false, columns, indexes }
}

fn deleted_at() -> Field {
    let kind = FieldType::Datetime;
    Field {
        name: DELETED_AT.to_owned(),
        filter: OPERATORS.into_iter().filter(|operator| crate::resource::operator::filters(*operator, &kind)).collect(),
        kind,
        required: false,
        nullable: true,
        default: None,
        on_create: None,
        on_write: None,
        read_only: true,
        write_only: false,
        hidden: false,
        creates: false,
        updates: false,
        min: None,
        max: None,
        pattern: None,
        trim: false,
        lowercase: false,
        message: None,
        fold: false,
        taken: None,
        sort: true,
        description: Some("When it was deleted.".to_owned()),
        example: None,
        schema: None,
        reference: None,
    }
}
