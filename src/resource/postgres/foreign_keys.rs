//! The foreign keys of PostgreSQL, and the statements that change what the server does because of them.

use crate::resource::contract::{Cell, Error, Found, Row};
use crate::resource::migrate::families::Families;
use crate::resource::migrate::key::{Action, Actions, Constraint, Key};
use crate::resource::migrate::keys::clauses;
use crate::resource::migrate::session::{Session, text};

/// Between the parts of a list in one text.
const BETWEEN: char = '\u{1f}';

/// The name of a table that is `c`, and its schema `n`. Tables of other schemas have them before their names.
macro_rules! name {
    ($c:literal, $n:literal) => {
        concat!(
            "CASE WHEN ",
            $n,
            ".nspname = current_schema() THEN ",
            $c,
            ".relname::text ELSE ",
            $n,
            ".nspname || '.' || ",
            $c,
            ".relname END"
        )
    };
}

/// All foreign keys; those that partitions have from the whole table are that of the whole table.
const KEYS: &str = concat!(
    "SELECT ",
    name!("c", "n"),
    ", quote_ident(f.conname), pg_get_constraintdef(f.oid), \
    (SELECT string_agg(a.attname::text, chr(31) ORDER BY k.at) FROM unnest(f.conkey) WITH ORDINALITY AS k (number, at) \
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number), ",
    name!("p", "m"),
    ", (SELECT string_agg(a.attname::text, chr(31) ORDER BY k.at) FROM unnest(f.confkey) WITH ORDINALITY AS k (number, at) \
    JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number), \
    f.confdeltype::text, f.confupdtype::text, \
    CASE WHEN n.nspname = current_schema() THEN '' ELSE '\"' || replace(n.nspname, '\"', '\"\"') || '\".' END \
    || '\"' || replace(c.relname, '\"', '\"\"') || '\"', obj_description(f.oid, 'pg_constraint'), \
    EXISTS (SELECT 1 FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation WHERE NOT l.collisdeterministic \
    AND (a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey) OR a.attrelid = f.confrelid AND a.attnum = ANY (f.confkey))) \
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace \
    WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY 1, f.oid"
);

/// Each table with each one below it, and whether it is partitioned.
const BELOW: &str = concat!(
    "WITH RECURSIVE f (top, below) AS (SELECT inhparent, inhrelid FROM pg_inherits \
    UNION SELECT f.top, i.inhrelid FROM f JOIN pg_inherits i ON i.inhparent = f.below) SELECT ",
    name!("c", "n"),
    ", ",
    name!("p", "m"),
    ", c.relkind = 'p' FROM f JOIN pg_class c ON c.oid = f.top JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_class p ON p.oid = f.below JOIN pg_namespace m ON m.oid = p.relnamespace WHERE c.relkind IN ('r', 'p', 'f')"
);

pub fn all(session: &mut dyn Session) -> Result<Vec<Key>, Error> {
    let list = |text: String| text.split(BETWEEN).map(str::to_owned).collect();
    let rows = session.rows(KEYS, &[])?;
    let key = |row: &Found| Key {
        table: text(row, 0),
        constraint: Some(Constraint {
            table: text(row, 8),
            name: text(row, 1),
            definition: text(row, 2),
            comment: Some(text(row, 9)).filter(|comment| !comment.is_empty()),
        }),
        columns: list(text(row, 3)),
        parent: text(row, 4),
        to: list(text(row, 5)),
        on_delete: action(&text(row, 6)),
        on_update: action(&text(row, 7)),
        is_exact: row.cell(10) != Cell::Integer(1),
    };
    Ok(rows.iter().map(key).collect())
}

pub fn families(session: &mut dyn Session) -> Result<Families, Error> {
    let rows = session.rows(BELOW, &[])?;
    Ok(Families::new(rows.iter().map(|row| (text(row, 0), text(row, 1), row.cell(2) == Cell::Integer(1)))))
}

fn action(letter: &str) -> Action {
    match letter {
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::Check,
    }
}

/// See [`Catalog::without_actions`](crate::resource::migrate::session::Catalog::without_actions).
pub fn without_actions(keys: &[(&Key, Actions)]) -> Vec<Vec<String>> {
    let changed = keys.iter().filter(|(_, Actions { delete, update })| *delete || *update);
    let statements = changed.map(|(key, Actions { delete, update })| {
        let Some(Constraint { table, name, definition, comment }) = &key.constraint else { return Vec::new() };
        let definition = clauses::without_actions(definition, *delete, *update);
        let mut statements =
            vec![format!("ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition}")];
        if let Some(comment) = comment {
            let comment = comment.replace('\'', "''");
            statements.push(format!("COMMENT ON CONSTRAINT {name} ON {table} IS '{comment}'"));
        }
        statements
    });
    statements.collect()
}
