//! Which foreign key a write does not satisfy, and whose it is. SQLite does not tell.

use super::rows::Writer;
use crate::resource::contract::{Cell, Error, ForeignKey, Found, Param, Row, Side, Sql, Verb, written};

/// A foreign key of a table.
struct Key {
    /// The table that it refers to, or whose rows refer.
    other: String,
    /// The columns that refer, and those that they refer to.
    columns: Vec<(String, String)>,
}

/// The columns of all keys of a table, the key that was declared first before the others. Without a name, a column refers to that of the
/// primary key.
const KEYS: &str = "SELECT k.id, k.\"table\", k.\"from\", coalesce(k.\"to\", (SELECT name FROM pragma_table_info(k.\"table\") \
                    WHERE pk = k.seq + 1)) FROM pragma_foreign_key_list($1) AS k ORDER BY k.id DESC, k.seq";

/// The same of all keys that refer to a table.
const REFERRING: &str = "SELECT t.name || '/' || k.id, t.name, k.\"from\", coalesce(k.\"to\", (SELECT name FROM \
                         pragma_table_info($1) WHERE pk = k.seq + 1)) FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k \
                         WHERE t.type = 'table' AND lower(k.\"table\") = lower($1) ORDER BY t.name, k.id, k.seq";

/// A key by which rows refer to the one that a statement is about, and the values that they refer to.
struct Referring {
    key: Key,
    values: Vec<Param>,
}

impl Writer<'_> {
    /// What a statement has failed for: the first foreign key of the row that is not satisfied, one by which others refer to the row,
    /// or one of something else. The job fails in any case, so what this does is undone.
    pub fn unsatisfied(&mut self, statement: &Sql) -> Result<Error, Error> {
        let mut key = ForeignKey { version: statement.version(), ..ForeignKey::default() };
        let Some((verb, table)) = written(&statement.text) else { return Ok(Error::Referenced(key)) };
        let is_single = statement.of_row;
        let id = statement.parameters.last().cloned().filter(|_| is_single);
        let referring = match &id {
            Some(id) if verb != Verb::Insert => self.referring(table, id)?,
            _ => Vec::new(),
        };
        let refers = |key: &mut ForeignKey, own: Key| {
            key.table = table.to_owned();
            key.columns = own.columns.into_iter().map(|(own, _)| own).collect();
            (key.parent, key.side) = (own.other.into(), Side::Refers);
        };
        let referred = |key: &mut ForeignKey, Referring { key: Key { other, columns }, .. }: Referring| {
            (key.table, key.parent, key.side) = (other, table.into(), Side::Referred);
            key.columns = columns.into_iter().map(|(own, _)| own).collect();
        };
        if verb == Verb::Delete {
            match referring.into_iter().next() {
                Some(other) => referred(&mut key, other),
                None if is_single => key.side = Side::Neither,
                None => {}
            }
            return Ok(Error::Referenced(key));
        }
        let Some(version) = key.version else { return Ok(Error::Referenced(key)) };
        let Some(id) = self.written_anyway(statement)? else {
            // A key with `RESTRICT` is checked at once in any case.
            match referring.into_iter().next() {
                Some(other) => referred(&mut key, other),
                None if is_single => key.side = Side::Neither,
                None => {}
            }
            return Ok(Error::Referenced(key));
        };
        for own in self.keys(KEYS, table)? {
            if self.is_missing(table, (&id, version), &own)? {
                refers(&mut key, own);
                return Ok(Error::Referenced(key));
            }
        }
        for other in referring {
            if !self.is_there(table, &other)? {
                referred(&mut key, other);
                return Ok(Error::Referenced(key));
            }
        }
        if is_single {
            key.side = Side::Neither;
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

    /// The keys by which other rows refer to the one with this id.
    fn referring(&mut self, table: &str, id: &Param) -> Result<Vec<Referring>, Error> {
        let mut found = Vec::new();
        for key in self.keys(REFERRING, table)? {
            let equal: Vec<_> =
                key.columns.iter().map(|(own, to)| format!("p.{} = +c.{}", quoted(to), quoted(own))).collect();
            let shown: Vec<_> = key.columns.iter().map(|(_, to)| format!("p.{}", quoted(to))).collect();
            let sql = format!(
                "SELECT {} FROM {} AS p WHERE p.\"id\" = $1 AND EXISTS (SELECT 1 FROM {} AS c WHERE {})",
                shown.join(", "),
                quoted(table),
                quoted(&key.other),
                equal.join(" AND ")
            );
            let row = self.all(&Sql::new(sql, [id.clone()]))?.into_iter().next();
            found.extend(row.map(|Found(values)| Referring { key, values }));
        }
        Ok(found)
    }

    /// Whether there is still a row with the values that others refer to.
    fn is_there(&mut self, table: &str, Referring { key, values }: &Referring) -> Result<bool, Error> {
        let same: Vec<_> =
            key.columns.iter().enumerate().map(|(at, (_, to))| format!("{} = ${}", quoted(to), at + 1)).collect();
        let sql = format!("SELECT 1 FROM {} WHERE {}", quoted(table), same.join(" AND "));
        self.query(&sql, values, |rows| Ok(rows.next()?.is_some()))
    }

    fn keys(&mut self, sql: &str, table: &str) -> Result<Vec<Key>, Error> {
        self.query(sql, &[Param::Text(table.to_owned())], |rows| {
            let (mut keys, mut last) = (Vec::<Key>::new(), None);
            while let Some(row) = rows.next()? {
                let number = row.cell(0).owned();
                if last.replace(number.clone()) != Some(number) {
                    keys.push(Key { other: text(row, 1), columns: Vec::new() });
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
        Key { other: parent, columns }: &Key,
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
