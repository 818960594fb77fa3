//! Names of fields: which ones are valid and free, and what a field was called before.

use super::super::settings::{NAME_HELP, is_identifier, shown};
use super::{FieldContext, Written, deleted};
use gatewright_sdk::Code;

/// Parameters of the query string; a field with such a name would be ambiguous.
const QUERY_WORDS: [&str; 8] = ["page", "per_page", "cursor", "sort", "fields", "filter", "count", "expand"];
/// What every row of SQLite is numbered with, under three names. A column with one of them would hide it.
const ROW_NUMBERS: [&str; 3] = ["rowid", "oid", "_rowid_"];
/// Columns that every table of PostgreSQL has: it creates none with such a name.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Why a field cannot have this name, although it is well formed.
pub fn taken(name: &str) -> Option<&'static str> {
    if QUERY_WORDS.contains(&name) {
        Some("is reserved for a query parameter")
    } else if name == "id" {
        Some("is reserved by the store: every item has one")
    } else if ROW_NUMBERS.contains(&name) {
        Some("is reserved by the store: SQLite numbers the rows of each table under this name")
    } else if SYSTEM_COLUMNS.contains(&name) {
        Some("is reserved by the store: each table of PostgreSQL has a system column with this name")
    } else {
        None
    }
}

pub(super) fn check(context: &mut FieldContext<'_>) {
    let name = context.name;
    if context.spec.soft_delete.on && deleted::RESERVED.contains(&name) {
        let message = format!("`{name}` belongs to `soft_delete` and cannot be a field name");
        context.fault(Code::FIELD_NAME, "", message);
    } else if let Some(why) = taken(name) {
        let message = format!("`{name}` cannot be a field name: it {why}");
        let help = match name {
            "id" => "the key `id` of the resource says what ids are like",
            _ if SYSTEM_COLUMNS.contains(&name) => {
                "use another name; if SQLite has the column already, write the old name in `renamed_from` to keep its values"
            }
            _ => "use another name",
        };
        context.fault_with_help(Code::FIELD_NAME, "", message, help);
    } else if !is_identifier(name) {
        let message = format!("`{}` is not a valid field name", shown(name));
        context.fault_with_help(Code::FIELD_NAME, "", message, NAME_HELP);
    }
}

/// The previous name becomes part of SQL too.
pub(super) fn check_former(written: &Written, context: &mut FieldContext<'_>) {
    let Some(former) = &written.renamed_from else { return };
    let spec = context.spec;
    let mut twice = spec.fields.iter().take_while(|(name, _)| *name != context.name);
    let twice = twice.find(|(_, other)| other.renamed_from.as_ref() == Some(former));
    if former == "id" {
        let message = "`renamed_from` names `id`, which is the id of each item and no field";
        let help = "a resource needs it: if the column was called `id`, rename it in the database, and give the table another `id`";
        context.fault_with_help(Code::FIELD_NAME, "renamed_from", message, help);
    } else if !is_identifier(former) || ROW_NUMBERS.contains(&former.as_str()) {
        let message = format!("`{}` is not a valid field name", shown(former));
        context.fault_with_help(Code::FIELD_NAME, "renamed_from", message, NAME_HELP);
    } else if spec.fields.contains(former) {
        let message = format!("`renamed_from` names `{former}`, which is still a field");
        let help = "remove one of the two: a column has one name";
        context.fault_with_help(Code::FIELD_CONTRADICTION, "renamed_from", message, help);
    } else if let Some((other, _)) = twice {
        let message = format!("`{other}` is already renamed from `{former}`");
        context.fault_with_help(Code::FIELD_CONTRADICTION, "renamed_from", message, "remove one of the two");
    }
}
