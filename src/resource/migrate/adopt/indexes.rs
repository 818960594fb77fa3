//! Unique indexes of a table of another program that no field expresses: writes that they reject would be errors of the server.

use super::{Adoption, Reason};
use crate::resource::migrate::{Step, duplicates};
use crate::resource::table::{Index, Table};

impl Adoption<'_> {
    pub(super) fn indexes(&mut self) {
        let (wanted, strange, table) = (self.wanted, self.strange, self.wanted.name.clone());
        for (name, (index, partial)) in &strange.indexes {
            if let Some(definition) = strange.definitions.get(name) {
                let known = |column: &String| strange.columns.iter().any(|found| found.name == *column);
                let (why, help) = unwanted(name, (index, *partial), definition, known);
                self.not(None, why, help);
            }
        }
        for columns in &strange.constraints {
            let declared = |index: &Index| index.unique && index.columns == *columns;
            if let Some((first, with)) = columns.split_first()
                && !has_id(columns)
                && !wanted.indexes.iter().any(declared)
            {
                let together = if with.is_empty() { "" } else { " together" };
                let why = format!("its `{}` is unique{together}, and that is not in the file", columns.join("`, `"));
                let help = format!(
                    "write `unique: {}` at the field `{first}`; or, as SQLite cannot drop the rule, create a table without it, copy \
                     the rows, drop `{table}`, and give the new table its name",
                    unique(false, with)
                );
                self.not(Some(first), why, help);
            }
        }
        for index in &wanted.indexes {
            let own = index.name(&table);
            let same = strange.indexes.iter().find(|(_, (other, partial))| other == index && !partial);
            if let Some((_, found)) = strange.equal.iter().find(|(other, _)| other == index) {
                let there = |name: &str| strange.columns.iter().any(|found| found.name == name);
                let before = duplicates::before(wanted, index, there).unwrap_or_else(|| index.clone());
                let (why, help) = duplicates::why(self.dialect, &table, index, &before);
                let columns = index.columns.join("`, `");
                let message = format!("table `{table}` cannot be adopted: `{columns}` cannot become unique: {why}");
                let help = help.replace(", then reload", "");
                let place = index.columns.first().map(String::as_str);
                (self.refuse)(Reason::new(place, message, help).because_of(found.clone()));
            }
            match same {
                Some((name, _)) if *name == own => {}
                Some((name, _)) => {
                    let sql = self.dialect.take_index(&table, name, index);
                    self.adopt(None, ("rename index", "renamed index", format!("{name} to {own}")), sql);
                }
                None => self.steps.push(Step::CreateIndex { table: table.clone(), index: index.clone() }),
            }
        }
    }
}

/// Whether a table has an index that the document does not declare, and that rejects writes.
pub fn is_unwanted(wanted: &Table, index: &Index, partial: bool) -> bool {
    index.unique && !has_id(&index.columns) && (partial || !wanted.indexes.contains(index))
}

/// Whether an index includes the id as it is, so that it rejects nothing that the primary key does not reject.
pub fn has_id(columns: &[String]) -> bool {
    columns.iter().any(|column| column == "id")
}

/// What is wrong with such an index, and what can be done. `known` tells the columns of the table from expressions.
pub fn unwanted(
    name: &str,
    (index, partial): (&Index, bool),
    definition: &str,
    known: impl Fn(&String) -> bool,
) -> (String, String) {
    let drop = format!("DROP INDEX \"{name}\";");
    let descending = |column: &String| column.strip_suffix(" DESC").is_some_and(|column| known(&column.to_owned()));
    let what = if partial {
        Some("is only for some rows")
    } else if index.columns.iter().any(descending) {
        Some("is in descending order")
    } else if !index.columns.iter().all(known) {
        Some("is on an expression")
    } else {
        None
    };
    if let Some(what) = what {
        let why = format!("its unique index `{name}` {what}, which no field can express: {definition}");
        let help = format!(
            "drop it, and write `unique` at the field if all rows must differ, with `ignore_case: true` for lower(…); \
             gatewright makes an index of its own: {drop}"
        );
        return (why, help);
    }
    let (first, with) = index.columns.split_first().map_or(("", &[][..]), |(first, with)| (first.as_str(), with));
    let value = unique(index.ignore_case, with);
    let why = format!("its unique index `{name}` on `{}` is not in the file", index.columns.join("`, `"));
    (why, format!("write `unique: {value}` at the field `{first}`, or drop the index: {drop}"))
}

/// What `unique` of a field says, in YAML: whether case counts, and the other fields.
pub fn unique(ignore_case: bool, with: &[String]) -> String {
    let mut parts = Vec::new();
    if ignore_case {
        parts.push("ignore_case: true".to_owned());
    }
    if !with.is_empty() {
        parts.push(format!("with: [{}]", with.join(", ")));
    }
    if parts.is_empty() { "true".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
}
