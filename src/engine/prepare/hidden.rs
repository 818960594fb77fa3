//! Warnings about stored values that an edit hides from clients, and about a database outside its configured place.

use crate::config::diagnostic::Diagnostic;
use crate::config::document::resource::Resource;
use crate::engine::snapshot::Snapshot;
use crate::engine::stores::Used;
use crate::resource::model::deleted;
use crate::resource::store::{By, Count, HiddenColumn, Planned, Store};
use gatewright_sdk::Code;
use std::sync::Arc;

/// A field of `resource` was removed or renamed, and its column has values.
pub(super) fn column(resource: &str, used: &Used, hidden: &HiddenColumn) -> Diagnostic {
    let HiddenColumn { table, column, values, heirs, refers_to, .. } = hidden;
    let still = if values.found == 0 {
        "may still have values".to_owned()
    } else {
        format!("still has {}", values.of("value"))
    };
    let mut message = format!("field `{column}` of `{resource}` is no longer served; its column {still}");
    let mut clear = String::new();
    if let Some(to) = refers_to {
        message = format!("{message}, and what they refer to in `{to}` cannot be deleted");
        clear =
            format!("; to let go of it: UPDATE \"{table}\" SET \"{column}\" = NULL WHERE \"{column}\" IS NOT NULL;");
    }
    let (renamed, heir) = match heirs.as_slice() {
        [heir] => (format!("if you renamed it to `{heir}`"), heir.as_str()),
        _ => ("if you renamed it".to_owned(), "NEW_NAME"),
    };
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let help = format!(
        "nothing was deleted; declare `{column}` again to serve the values; {renamed}, copy them with this SQL{file}: {}{clear}",
        hidden.copy(heir)
    );
    Diagnostic::warning(Code::HIDDEN_VALUES, format!("resources.{resource}.fields"), message).help(help)
}

/// Tables with rows that were served and no longer are.
pub(super) async fn tables(next: &Snapshot, serving: &Snapshot, renewed: &[Arc<str>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for old in &serving.stores {
        let same_store = |used: &&Used| {
            Arc::ptr_eq(&used.store, &old.store) || used.name == old.name && renewed.contains(&used.name)
        };
        for (resource, table) in &old.tables {
            let in_same_store = next.stores.iter().filter(same_store).flat_map(|used| &used.tables);
            let served = in_same_store.clone().any(|(_, other)| other.name == table.name);
            let without_route = next.plan.document.resources.get(resource).is_some_and(|spec| {
                uses(resource, spec, &table.name)
                    && next.stores.iter().any(|used| *used.name == *spec.store && same_store(&used))
            });
            if served || without_route {
                continue;
            }
            // A table that cannot be counted is not a reason to refuse an edit.
            let Some(rows) = old.store.count(&table.name).await.ok().filter(|rows| rows.found > 0) else { continue };
            if let Some(live) = deleted::live_name(&table.name) {
                let kept = next.plan.document.resources.get(resource).is_some();
                let path = if kept { format!("resources.{resource}") } else { "resources".to_owned() };
                found.push(deleted_items(path, old, live, &table.name, rows));
                continue;
            }
            let known = |name: &str| serving.plan.document.resources.get(name).is_some();
            let added: Vec<_> = in_same_store.filter(|(name, _)| !known(name)).map(|(name, _)| name).collect();
            found.push(table_warning(next, old, (resource, &table.name), &rows.of("row"), &added));
        }
    }
    found
}

fn table_warning(
    next: &Snapshot,
    old: &Used,
    (resource, table): (&str, &str),
    rows: &str,
    added: &[&String],
) -> Diagnostic {
    let moved = next.stores.iter().find(|used| used.tables.iter().any(|(name, _)| name == resource));
    if let Some(used) = moved {
        let message = format!("`{resource}` now uses another table; the table `{table}` still has {rows}");
        let store = if used.name == old.name { String::new() } else { format!("`store: {}` and ", old.name) };
        let help = format!("nothing was deleted; to serve the rows again, write {store}`table: {table}`");
        return Diagnostic::warning(Code::HIDDEN_VALUES, format!("resources.{resource}"), message).help(help);
    }
    let message = format!("resource `{resource}` is no longer served; its table `{table}` still has {rows}");
    let (path, renamed) = match added {
        [name] => (format!("resources.{name}"), format!("if you renamed it to `{name}`, add `table: {table}` to it")),
        _ => ("resources".to_owned(), format!("if you renamed it, add `table: {table}` to the renamed resource")),
    };
    let help = format!("nothing was deleted; declare `{resource}` again to serve the rows; {renamed}");
    Diagnostic::warning(Code::HIDDEN_VALUES, path, message).help(help)
}

/// Tables with rows that no resource uses, at the start: the resource may have been renamed while the gateway was stopped.
pub(super) fn unused_tables(next: &Snapshot, used: &Used, planned: &Planned) -> Vec<Diagnostic> {
    let here = |other: &&Used| Arc::ptr_eq(&other.store, &used.store);
    let needs = |table: &str| {
        let declares = |other: &Used| {
            next.plan
                .document
                .resources
                .iter()
                .any(|(name, spec)| *spec.store == *other.name && uses(name, spec, table))
        };
        next.stores.iter().filter(here).any(declares)
    };
    let mut empty = used.tables.iter().filter(|(_, table)| planned.empty.contains(&table.name));
    let heir = empty.next().filter(|_| empty.next().is_none()).map(|(resource, _)| resource);
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let mut found = Vec::new();
    for (table, rows) in planned.unused.iter().filter(|(table, _)| !needs(table)) {
        if let Some(live) = deleted::live_name(table) {
            let resource = used.tables.iter().find(|(_, table)| table.name == live).map(|(resource, _)| resource);
            let path = resource.map_or_else(|| format!("stores.{}", used.name), |name| format!("resources.{name}"));
            found.push(deleted_items(path, used, live, table, *rows));
            continue;
        }
        let message = format!("no resource uses the table `{table}`, which has {}", rows.of("row"));
        let (path, renamed) = match heir {
            Some(name) => {
                (format!("resources.{name}"), format!("if it is the table of `{name}`, add `table: {table}` to it"))
            }
            None => (format!("stores.{}", used.name), format!("if a resource was renamed, add `table: {table}` to it")),
        };
        let help = format!(
            "nothing was deleted; {renamed}; if the rows are not needed, run `gatewright migrate --prune`, or this SQL{file}: DELETE FROM \"{table}\";"
        );
        found.push(Diagnostic::warning(Code::HIDDEN_VALUES, path, message).help(help));
    }
    found
}

/// Whether a resource has this table, or would have it for its deleted items.
fn uses(name: &str, spec: &Resource, table: &str) -> bool {
    let own = spec.table.as_deref().unwrap_or(name);
    own == table || spec.soft_delete.on && deleted::live_name(table) == Some(own)
}

/// Deleted items that were kept, and that no one can restore.
fn deleted_items(path: String, used: &Used, live: &str, table: &str, rows: Count) -> Diagnostic {
    let message =
        format!("{} of `{live}` cannot be restored, because it has no `soft_delete`", rows.of("deleted item"));
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let help = format!(
        "they stay in the table `{table}`; write `soft_delete: true` to restore them; to remove them for good, run `gatewright migrate \
         --prune`, or this SQL{file}: DELETE FROM \"{table}\";"
    );
    Diagnostic::warning(Code::HIDDEN_VALUES, path, message).help(help)
}

/// A store without rows, although there is a database with rows where earlier versions looked.
pub(super) async fn unused_file(used: &Used, planned: &Planned) -> Option<Diagnostic> {
    let url = used.unused.as_ref().filter(|_| planned.empty.len() == used.tables.len() && planned.unused.is_empty())?;
    let tables: Vec<_> = used.tables.iter().map(|(_, table)| table.clone()).collect();
    // Dropped at once: it must not keep the lock.
    let former = Store::new(url)?;
    let has_rows = former.plan(&tables, &By::default()).await.is_ok_and(|plan| plan.empty.len() < tables.len());
    let (old, file) = (former.file()?.display().to_string(), used.store.file()?.display().to_string());
    let message = format!(
        "store `{}` uses {file}, which has no items; {old} has some, where the path was relative to the working directory",
        used.name
    );
    let help = format!("write `sqlite://{old}`, or stop the gateway and move that file to {file}");
    has_rows.then(|| Diagnostic::warning(Code::STORE_PLACE, format!("stores.{}.url", used.name), message).help(help))
}

/// A store whose file is in the working directory and not where the configuration says.
pub(super) fn place(used: &Used) -> Option<Diagnostic> {
    let (vacant, file) = (used.vacant.as_ref()?.display().to_string(), used.store.file()?.display().to_string());
    let message = format!(
        "store `{}` uses {file}, relative to the working directory; paths are now relative to the configuration, but {vacant} \
         does not exist",
        used.name
    );
    let help = format!("write `sqlite://{file}`, or stop the gateway and move the file to {vacant}");
    Some(Diagnostic::warning(Code::STORE_PLACE, format!("stores.{}.url", used.name), message).help(help))
}
