//! Which foreign key a written row does not satisfy. SQLite does not tell.

use super::rows::Writer;
use super::touched::written;
use crate::resource::contract::{Cell, Error, ForeignKey, Param, Row, Sql};

/// A foreign key of a table.
struct Key {
    parent: String,
    /// The columns of the table, and those that they refer to.
    columns: Vec<(String, String)>,
}

/// The columns of all keys of a table, the key that was declared first before the others. Without a name, a column refers to that of the
/// primary key.
const KEYS: &str = "SELECT k.id, k.\"table\", k.\"from\", coalesce(k.\"to\", (SELECT name FROM pragma_table_info(k.\"table\") \
                    WHERE pk = k.seq + 1)) FROM pragma_foreign_key_list($1) AS k ORDER BY k.id DESC, k.seq";

impl Writer<'_> {
    /// What a statement that writes a row has failed for: the first foreign key of the row that is not satisfied, or one of something
    /// else. The job fails in any case, so what this does is undone.
    pub fn unsatisfied(&mut self, statement: &Sql) -> Result<Error, Error> {
        let mut key = ForeignKey { version: statement.version(), ..ForeignKey::default() };
        if let (Some(version), Some(table)) = (key.version, written(&statement.text))
            && !statement.text.starts_with("DELETE")
            && let Some(id) = self.written_anyway(statement)?
        {
            for Key { parent, columns } in self.keys(table)? {
                if self.is_missing(table, (&id, version), (&parent, &columns))? {
                    key.table = table.to_owned();
                    key.columns = columns.into_iter().map(|(own, _)| own).collect();
                    break;
                }
            }
        }
        Ok(Error::Referenced(key))
    }

    /// Writes the row although a foreign key is not satisfied; its id: an insert returns it, and a change ends with it.
    fn written_anyway(&mut self, statement: &Sql) -> Result<Option<Param>, Error> {
        self.execute("PRAGMA defer_foreign_keys = ON", &[])?;
        let done = self.run(statement);
        self.execute("PRAGMA defer_foreign_keys = OFF", &[])?;
        Ok(match done {
            Ok(done) if done.first != Param::Null => Some(done.first),
            Ok(_) => statement.parameters.last().cloned(),
            // Some keys are checked at once in any case.
            Err(Error::Referenced(_)) => None,
            Err(error) => return Err(error),
        })
    }

    fn keys(&mut self, table: &str) -> Result<Vec<Key>, Error> {
        self.query(KEYS, &[Param::Text(table.to_owned())], |rows| {
            let (mut keys, mut last) = (Vec::<Key>::new(), None);
            while let Some(row) = rows.next()? {
                let number = row.cell(0).owned();
                if last.replace(number.clone()) != Some(number) {
                    keys.push(Key { parent: text(row, 1), columns: Vec::new() });
                }
                if let Some(key) = keys.last_mut() {
                    key.columns.push((text(row, 2), text(row, 3)));
                }
            }
            Ok(keys)
        })
    }

    /// Whether the row refers to one that does not exist. The one with the id may be another than the one that was written, if a trigger
    /// has changed that.
    fn is_missing(
        &mut self,
        table: &str,
        (id, version): (&Param, i64),
        (parent, columns): (&str, &[(String, String)]),
    ) -> Result<bool, Error> {
        let all = |of: &dyn Fn(&(String, String)) -> String| columns.iter().map(of).collect::<Vec<_>>().join(" AND ");
        let given = all(&|(own, _)| format!("c.{} IS NOT NULL", quoted(own)));
        // Compared as SQLite does: with the type of the column that is referred to.
        let equal = all(&|(own, other)| format!("p.{} = +c.{}", quoted(other), quoted(own)));
        let sql = format!(
            "SELECT 1 FROM {} AS c WHERE c.\"id\" = $1 AND c.\"_version\" = $2 AND {given} \
             AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {equal})",
            quoted(table),
            quoted(parent)
        );
        self.query(&sql, &[id.clone(), Param::Integer(version)], |rows| Ok(rows.next()?.is_some()))
    }
}

fn text(row: &dyn Row, column: usize) -> String {
    match row.cell(column) {
        Cell::Text(text) => text.to_owned(),
        _ => String::new(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
