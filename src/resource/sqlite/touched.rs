//! What a transaction writes to.

use crate::resource::contract::written;

/// The tables that a transaction wrote to.
#[derive(Debug, Default)]
pub struct Touched {
    pub tables: Vec<String>,
    /// Something unknown.
    pub any: bool,
}

impl Touched {
    /// Notes a writing statement.
    pub fn note(&mut self, sql: &str) {
        match written(sql).map(|(_, table)| table) {
            Some(table) if self.tables.iter().any(|known| known == table) => {}
            Some(table) => self.tables.push(table.to_owned()),
            None => self.any = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_writes_to_is_in_its_first_words() {
        let mut touched = Touched::default();
        for sql in ["INSERT OR ABORT INTO \"a\" (x) VALUES (?)", "UPDATE \"b\" SET x = 1", "DELETE FROM \"a\" WHERE 1"]
        {
            touched.note(sql);
        }
        assert_eq!((touched.tables, touched.any), (vec!["a".to_owned(), "b".to_owned()], false));
        for sql in ["WITH x AS (SELECT 1) DELETE FROM \"a\"", "INSERT OR REPLACE INTO \"a\" VALUES (1)", "DROP TABLE a"]
        {
            let mut touched = Touched::default();
            touched.note(sql);
            assert!(touched.any, "{sql}");
        }
    }
}
