//! Fields that were renamed in the document or in the database, and in the other not yet.

use super::reason::Reason;
use super::session::{Dialect, Session};
use super::{Demands, Index, Ours, Step, hidden};
use crate::resource::contract::{DoubledColumn, Error, HiddenColumn};
use crate::resource::table::{Column, Table};
use gatewright_sdk::nearest;

/// The columns of `recorded` that the document names differently and whose new names are free: the old names and the new ones.
pub fn renames(wanted: &Table, recorded: &Table) -> Vec<(String, String)> {
    let has = |name: &str| recorded.columns.iter().any(|column| column.name == name);
    let former = wanted.columns.iter().filter_map(|column| Some((column.declared.renamed_from.clone()?, &column.name)));
    former.filter(|(old, new)| has(old) && !has(new)).map(|(old, new)| (old, new.clone())).collect()
}

/// The columns of `recorded` whose previous names are recorded, too, and have values: a rename is not possible any more.
pub fn doubled(
    session: &mut dyn Session,
    dialect: &dyn Dialect,
    wanted: &Table,
    ours: &Ours,
) -> Result<Vec<DoubledColumn>, Error> {
    let column = |name: &str| ours.recorded.columns.iter().find(|column| column.name == name);
    let mut found = Vec::new();
    for field in &wanted.columns {
        let Some(former) = &field.declared.renamed_from else { continue };
        let (Some(old), Some(new)) = (column(former), column(&field.name)) else { continue };
        let (values, _) = hidden::count(session, &wanted.name, former)?;
        if values.found == 0 && values.complete {
            continue;
        }
        let (table, name) = (wanted.name.clone(), field.name.clone());
        let mut sql = String::new();
        if old.kind == new.kind {
            sql = dialect.set(&table, &name, &format!("\"{former}\""), "IS NULL");
        }
        found.push(DoubledColumn { table, column: name, former: former.clone(), values, sql });
    }
    Ok(found)
}

/// Why a field is not an old one with a new name, if it claims to be: the table has neither of the columns. `known` are those that
/// it has, or could have had its values in.
pub fn unknown<'a>(table: &str, field: &Column, known: impl Iterator<Item = &'a str> + Clone) -> Option<Reason> {
    let former = field.declared.renamed_from.as_deref()?;
    let name = &field.name;
    if known.clone().any(|known| known == name || known == former) {
        return None;
    }
    let message = format!("`renamed_from` of `{name}` names `{former}`, and table `{table}` has no such column");
    let meant = nearest(former, known.clone()).map(|near| format!("did you mean `{near}`? "));
    let names = known.map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    let help =
        format!("{}it has {names}; if `{name}` is a new field, remove `renamed_from`", meant.unwrap_or_default());
    Some(Reason::new(Some(&format!("{name}.renamed_from")), message, help))
}

/// Why a column that no field had when its table was adopted cannot get a field with another name.
pub fn of_others(table: &str, field: &str, former: &str) -> Reason {
    let message = format!(
        "`renamed_from` of `{field}` names `{former}`, a column of table `{table}` that no field had when it was adopted"
    );
    let help = format!(
        "what is in it is not known to fit: copy its values into a new field `{field}` without `renamed_from`, by SQL, and drop `{former}`"
    );
    Reason::new(Some(&format!("{field}.renamed_from")), message, help)
}

impl Ours {
    /// Follows columns that the operator renamed in the database: `found` has the names of its columns in their order, other than
    /// `id` and `_version`. A rename keeps the order, so the old names are known. Only names that the document has too are
    /// followed.
    pub fn follow_renames(&mut self, found: &[String], wanted: &Table) {
        let declares = |name: &String| wanted.columns.iter().any(|column| column.name == *name);
        if found.len() != self.recorded.columns.len() {
            return;
        }
        let mut renamed = Vec::new();
        for (column, new) in self.recorded.columns.iter().zip(found) {
            let old = &column.name;
            if old == new {
                continue;
            }
            if declares(old) || !declares(new) || found.contains(old) {
                return;
            }
            renamed.push((old.clone(), new.clone()));
        }
        self.rename(renamed);
    }

    /// Takes columns that were renamed in the database: the old names and the new ones.
    pub fn rename(&mut self, renamed: Vec<(String, String)>) {
        let rename = |name: &mut String| {
            if let Some((_, new)) = renamed.iter().find(|(old, _)| old == name) {
                name.clone_from(new);
            }
        };
        self.recorded.columns.iter_mut().for_each(|column| rename(&mut column.name));
        self.recorded.indexes.iter_mut().flat_map(|index| &mut index.columns).for_each(rename);
        if let Some(demands) = &mut self.demands {
            demands.rename(&rename);
        }
        self.renamed = renamed;
    }

    /// A recorded index as the database still names it.
    pub fn stored(&self, index: &Index) -> Index {
        let former =
            |name: &String| self.renamed.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old).clone();
        Index { columns: index.columns.iter().map(former).collect(), ..index.clone() }
    }

    /// The steps that give the indexes of renamed columns their new names.
    pub(super) fn rename_indexes(&self) -> Vec<Step> {
        let table = &self.recorded.name;
        let guarded = |index: &Index| self.demands.as_ref().is_some_and(|demands| demands.guarded.contains(index));
        let mut steps = Vec::new();
        for index in self.recorded.indexes.iter().filter(|index| !self.missing.contains(index)) {
            let stored = self.stored(index);
            if stored != *index {
                let (table, index) = (table.clone(), index.clone());
                steps.push(Step::DropIndex { table: table.clone(), index: stored });
                steps.push(match guarded(&index) {
                    true => Step::GuardIndex { table, index },
                    false => Step::CreateIndex { table, index },
                });
            }
        }
        steps
    }

    /// Columns that are no longer declared and could now have the name of `added`: they have values of its type.
    pub(super) fn former(&self, added: &Column) -> Vec<&HiddenColumn> {
        let fits = |old: &&Column| (old.kind, &old.references) == (added.kind, &added.references);
        let could = |name: &str| self.recorded.columns.iter().filter(fits).any(|column| column.name == name);
        self.hidden.iter().filter(|hidden| could(&hidden.column)).collect()
    }
}

impl Demands {
    /// Forgets a column that is dropped.
    pub(super) fn forget(&mut self, column: &String) {
        let columns = [&mut self.declared, &mut self.required, &mut self.pinned, &mut self.loosened];
        columns.into_iter().for_each(|names| names.retain(|name| name != column));
        let indexes = [&mut self.released, &mut self.guarded];
        indexes.into_iter().for_each(|known| known.retain(|index| !index.columns.contains(column)));
    }

    fn rename(&mut self, rename: &impl Fn(&mut String)) {
        let columns = [&mut self.declared, &mut self.required, &mut self.pinned, &mut self.loosened];
        columns.into_iter().flatten().for_each(rename);
        let indexes = [&mut self.released, &mut self.guarded];
        indexes.into_iter().flatten().flat_map(|index| &mut index.columns).for_each(rename);
    }
}
