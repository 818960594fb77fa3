//! The foreign keys of SQLite, which are part of the statement that made their table.

use crate::resource::contract::{Error, Found, Param};
use crate::resource::migrate::key::{Action, Actions, Key};
use crate::resource::migrate::keys::clauses;
use crate::resource::migrate::session::{Session, text};

/// The columns of all foreign keys, the key that was declared first before the others. Without a name, a column refers to that of the
/// primary key. Names of tables may be written in another case.
const KEYS: &str = "SELECT t.name, k.id, coalesce(p.name, k.\"table\"), k.\"from\", \
                    lower(coalesce(k.\"to\", (SELECT name FROM pragma_table_info(k.\"table\") WHERE pk = k.seq + 1))), \
                    k.on_delete, k.on_update FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k \
                    LEFT JOIN sqlite_schema AS p ON p.type = 'table' AND lower(p.name) = lower(k.\"table\") \
                    WHERE t.type = 'table' ORDER BY t.name, k.id DESC, k.seq";

/// Makes this connection read the schema again, and then all others: it gets another number.
const READ_AGAIN: [&str; 4] = [
    "PRAGMA writable_schema = OFF",
    "CREATE VIEW \"_gw_changed\" AS SELECT 1",
    "DROP VIEW \"_gw_changed\"",
    "PRAGMA writable_schema = RESET",
];

pub fn all(session: &mut dyn Session) -> Result<Vec<Key>, Error> {
    let (mut keys, mut last) = (Vec::<Key>::new(), None);
    for row in session.rows(KEYS, &[])? {
        let Found(cells) = &row;
        let this = cells.iter().take(2).cloned().collect::<Vec<_>>();
        if last.as_ref() != Some(&this) {
            keys.push(Key {
                table: text(&row, 0),
                constraint: None,
                columns: Vec::new(),
                parent: text(&row, 2),
                to: Vec::new(),
                on_delete: action(&text(&row, 5)),
                on_update: action(&text(&row, 6)),
                is_exact: true,
            });
            last = Some(this);
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(text(&row, 3));
            key.to.push(text(&row, 4));
        }
    }
    for key in &mut keys {
        if let ([column], [to]) = (key.columns.as_slice(), key.to.as_slice()) {
            key.is_exact = is_exact(session, &key.table, column)? && is_exact(session, &key.parent, to)?;
        }
    }
    Ok(keys)
}

/// Whether texts of a column are the same only if all their bytes are. `UNION` compares as its first part says, and its names may be
/// written in another case.
fn is_exact(session: &mut dyn Session, table: &str, column: &str) -> Result<bool, Error> {
    let known = "SELECT 1 FROM pragma_table_xinfo($1) WHERE lower(name) = lower($2)";
    if session.rows(known, &[Param::Text(table.to_owned()), Param::Text(column.to_owned())])?.is_empty() {
        return Ok(true);
    }
    let (table, column) = (table.replace('"', "\"\""), column.replace('"', "\"\""));
    let sql =
        format!("SELECT \"{column}\" FROM \"{table}\" WHERE 0 UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a '");
    Ok(session.rows(&sql, &[])?.len() == 3)
}

fn action(word: &str) -> Action {
    match word {
        "CASCADE" => Action::Cascade,
        "SET NULL" => Action::SetNull,
        "SET DEFAULT" => Action::SetDefault,
        _ => Action::Check,
    }
}

/// See [`Catalog::without_actions`](crate::resource::migrate::session::Catalog::without_actions). SQLite has no statement for
/// it. This does not change what is stored in the table, so its definition may be written anew (section 7 of SQLite's page about
/// `ALTER TABLE`).
pub fn without_actions(session: &mut dyn Session, keys: &[(&Key, Actions)]) -> Result<Vec<Vec<String>>, Error> {
    let Some((first, _)) = keys.first() else { return Ok(Vec::new()) };
    let find = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = $1";
    let found = session.rows(find, &[Param::Text(first.table.clone())])?;
    let mut made = found.first().map(|row| text(row, 0)).unwrap_or_default();
    let mut statements = Vec::new();
    for (at, (key, Actions { delete, update })) in
        keys.iter().enumerate().filter(|(_, (_, Actions { delete, update }))| *delete || *update)
    {
        let places = clauses::references(&made);
        let Some(place) = places.get(at).filter(|_| places.len() == keys.len()) else {
            let why = format!("the definition of table `{}` cannot be read", key.table);
            return Err(Error::Internal(why));
        };
        let clause = clauses::without_actions(made.get(place.clone()).unwrap_or_default(), *delete, *update);
        let before = std::mem::take(&mut made);
        made = before.clone();
        made.replace_range(place.clone(), &clause);
        let quoted = |text: &str| text.replace('\'', "''");
        let change = format!(
            "UPDATE sqlite_schema SET sql = '{}' WHERE type = 'table' AND name = '{}' AND sql = '{}'",
            quoted(&made),
            quoted(&key.table),
            quoted(&before)
        );
        let begin = ["PRAGMA writable_schema = ON".to_owned(), change];
        statements.push(begin.into_iter().chain(READ_AGAIN.map(str::to_owned)).collect());
    }
    Ok(statements)
}
