//! The foreign keys of PostgreSQL, and the statements that change what the server does because of them.

use crate::resource::contract::Error;
use crate::resource::migrate::key::{Action, Actions, Key};
use crate::resource::migrate::keys::clauses;
use crate::resource::migrate::session::{Session, text};

/// Between the parts of a list in one text.
const BETWEEN: char = '\u{1f}';

/// All foreign keys; those of partitions are those of the whole table. Tables of other schemas have them before their names.
const KEYS: &str = "SELECT CASE WHEN n.nspname = current_schema() THEN c.relname::text ELSE n.nspname || '.' || c.relname END, \
    quote_ident(f.conname), pg_get_constraintdef(f.oid), \
    (SELECT string_agg(a.attname::text, chr(31) ORDER BY k.at) FROM unnest(f.conkey) WITH ORDINALITY AS k (number, at) \
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number), \
    CASE WHEN m.nspname = current_schema() THEN p.relname::text ELSE m.nspname || '.' || p.relname END, \
    (SELECT string_agg(a.attname::text, chr(31) ORDER BY k.at) FROM unnest(f.confkey) WITH ORDINALITY AS k (number, at) \
    JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number), \
    f.confdeltype::text, f.confupdtype::text \
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace \
    WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY 1, f.oid";

pub fn all(session: &mut dyn Session) -> Result<Vec<Key>, Error> {
    let list = |text: String| text.split(BETWEEN).map(str::to_owned).collect();
    let rows = session.rows(KEYS, &[])?;
    let key = |row| Key {
        table: text(row, 0),
        constraint: Some((text(row, 1), text(row, 2))),
        columns: list(text(row, 3)),
        parent: text(row, 4),
        to: list(text(row, 5)),
        on_delete: action(&text(row, 6)),
        on_update: action(&text(row, 7)),
    };
    Ok(rows.iter().map(key).collect())
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
        let (name, definition) = key.constraint.clone().unwrap_or_default();
        let definition = clauses::without_actions(&definition, *delete, *update);
        vec![format!("ALTER TABLE \"{}\" DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition}", key.table)]
    });
    statements.collect()
}
