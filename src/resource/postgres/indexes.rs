//! Indexes in PostgreSQL: the statements that create them, and which exist.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::resource::contract::{Cell, Error, Found, Param, Row};
use crate::resource::dialect::Dialect;
use crate::resource::migrate::session::{Session, text};
use crate::resource::table::Index;

/// A table of the current schema, by the first parameter.
pub const TABLE: &str = "to_regclass(format('%I.%I', current_schema(), $1::text))";
/// The longest name; PostgreSQL truncates longer ones.
pub const LONGEST: usize = 63;

/// The name of an index in the database. A long one ends in a digest of all of it.
pub fn name(table: &str, index: &Index) -> String {
    let name = index.name(table);
    if name.len() <= LONGEST {
        return name;
    }
    let digest = Sha256::digest(&name);
    let letters = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}.{letters}", name.get(..LONGEST - 9).unwrap_or(&name))
}

/// All names were validated: small letters, digits and `_`.
pub fn create_index(table: &str, index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}{}", on_columns(table, index))
}

fn on_columns(table: &str, index: &Index) -> String {
    let columns: Vec<_> = index.columns.iter().map(|column| key(index, &format!("\"{column}\""))).collect();
    format!("INDEX \"{}\" ON \"{table}\" ({})", name(table, index), columns.join(", "))
}

/// A column as the index compares it.
fn key(index: &Index, column: &str) -> String {
    if index.ignore_case { Dialect::Postgres.folded(column) } else { column.to_owned() }
}

/// The rows that a unique index would reject, in groups.
pub fn equal(table: &str, index: &Index) -> String {
    let there: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\" IS NOT NULL")).collect();
    let columns = index.columns.iter().map(|column| format!("\"{column}\""));
    let groups: Vec<_> = columns.map(|column| key(index, &column)).collect();
    let (there, groups) = (there.join(" AND "), groups.join(", "));
    format!("FROM \"{table}\" WHERE {there} GROUP BY {groups} HAVING count(*) > 1")
}

pub fn drop(session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
    let name = name(table, index);
    session.execute(&format!("DROP TRIGGER IF EXISTS \"{name}\" ON \"{table}\""), &[])?;
    session.execute(&format!("DROP FUNCTION IF EXISTS \"{name}\"()"), &[])?;
    session.execute(&format!("DROP INDEX \"{name}\""), &[]).map(|_| ())
}

/// Enforces a unique index for new writes. A lock for each index lets no two of them look at the same time.
pub fn guard(session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
    let name = name(table, index);
    let each =
        |join: &str, one: &dyn Fn(&String) -> String| index.columns.iter().map(one).collect::<Vec<_>>().join(join);
    let same = each(" AND ", &|column| {
        let (old, new) = (key(index, &format!("\"{table}\".\"{column}\"")), key(index, &format!("NEW.\"{column}\"")));
        format!("{old} = {new}")
    });
    let kept = each(" AND ", &|column| format!("NEW.\"{column}\" IS NOT DISTINCT FROM OLD.\"{column}\""));
    session.execute(&format!("CREATE {}", on_columns(table, index)), &[])?;
    session.execute(
        &format!(
            "CREATE FUNCTION \"{name}\"() RETURNS trigger LANGUAGE plpgsql AS $guard$ BEGIN \
             IF TG_OP = 'UPDATE' THEN IF {kept} THEN RETURN NEW; END IF; END IF; \
             PERFORM pg_advisory_xact_lock(hashtextextended('{name}', 0)); \
             IF EXISTS (SELECT 1 FROM \"{table}\" WHERE {same} AND \"id\" IS DISTINCT FROM NEW.\"id\") THEN \
             RAISE unique_violation USING MESSAGE = 'duplicate value', CONSTRAINT = '{name}', TABLE = '{table}'; \
             END IF; RETURN NEW; END $guard$"
        ),
        &[],
    )?;
    let trigger = format!(
        "CREATE TRIGGER \"{name}\" BEFORE INSERT OR UPDATE ON \"{table}\" FOR EACH ROW EXECUTE FUNCTION \"{name}\"()"
    );
    session.execute(&trigger, &[]).map(|_| ())
}

/// The indexes of a table by name, and whether each is partial. One that was left behind unfinished does not count.
pub fn found(session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, (Index, bool)>, Error> {
    let sql = format!(
        "SELECT c.relname::text, i.indisunique, i.indpred IS NOT NULL, \
         pg_get_indexdef(i.indexrelid, k.position, true) \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         CROSS JOIN LATERAL generate_series(1, i.indnkeyatts::int) AS k(position) \
         WHERE i.indrelid = {TABLE} AND NOT i.indisprimary AND i.indisvalid ORDER BY 1, k.position"
    );
    let is = |row: &Found, column| row.cell(column) == Cell::Integer(1);
    let mut found: BTreeMap<String, (Index, bool)> = BTreeMap::new();
    for row in session.rows(&sql, &[Param::Text(table.to_owned())])? {
        let (column, folded) = column(&text(&row, 3));
        let new =
            (Index { columns: Vec::new(), unique: is(&row, 1), ignore_case: folded, ordered: false }, is(&row, 2));
        let (index, _) = found.entry(text(&row, 0)).or_insert(new);
        index.ignore_case &= folded;
        // A part of an index of another program: the id itself may still be the same.
        index.columns.push(if folded && column == "id" { text(&row, 3) } else { column });
    }
    // A short name stands for the whole one.
    let whole = |(found, (index, partial)): (String, (Index, bool))| {
        let own = found == name(table, &index);
        (if own { index.name(table) } else { found }, (index, partial))
    };
    Ok(found.into_iter().map(whole).collect())
}

/// The column of a key as the catalog writes it, and whether case is ignored: `email`, `"order"`, or `lower((email COLLATE "C"))`.
pub fn column(key: &str) -> (String, bool) {
    let inner = key.strip_prefix("lower(");
    if !is_column(inner.unwrap_or(key)) {
        return (key.to_owned(), false);
    }
    let name = inner.unwrap_or(key).trim_start_matches('(');
    let name = match name.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => name.split([' ', ')', ':']).next(),
    };
    (name.unwrap_or_default().to_owned(), inner.is_some())
}

/// Whether a key is a column, in parentheses or not, as text and in a collation or not; or another expression.
fn is_column(key: &str) -> bool {
    let key = key.trim_start_matches('(');
    let rest = match key.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map_or("", |(_, rest)| rest),
        None => key.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$'),
    };
    let mut rest = rest.to_owned();
    for part in ["::text", "::character varying", "COLLATE \"C\"", "COLLATE \"default\"", ")", " "] {
        rest = rest.replace(part, "");
    }
    rest.is_empty()
}

pub fn is_guarded(session: &mut dyn Session, table: &str, index: &Index) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM pg_trigger WHERE tgrelid = {TABLE} AND tgname::text = $2::text");
    let parameters = [Param::Text(table.to_owned()), Param::Text(name(table, index))];
    Ok(!session.rows(&sql, &parameters)?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_catalog_is_read() {
        assert_eq!(column("email"), ("email".to_owned(), false));
        assert_eq!(column("\"order\""), ("order".to_owned(), false));
        assert_eq!(column("lower((email COLLATE \"C\"))"), ("email".to_owned(), true));
        assert_eq!(column("lower(email)"), ("email".to_owned(), true));
        assert_eq!(column("lower((email)::text)"), ("email".to_owned(), true));
        for expression in
            ["(price * 2)", "(email || 'x'::text)", "upper(email)", "lower((email || name))", "(tags ->> 'a'::text)"]
        {
            assert_eq!(column(expression), (expression.to_owned(), false), "it is not the index of a column");
        }
        assert_eq!(column("lower((\"user\" COLLATE \"C\"))"), ("user".to_owned(), true));
    }
}
