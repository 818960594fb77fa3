//! Notes the statements that a step runs, so that a plan can show them.

use super::session::Session;
use crate::resource::contract::{Error, Found, Param};

/// A session that notes what is executed on it.
pub struct Recorder<'a> {
    pub session: &'a mut dyn Session,
    pub statements: Vec<String>,
}

impl<'a> Recorder<'a> {
    pub fn new(session: &'a mut dyn Session) -> Self {
        Self { session, statements: Vec::new() }
    }
}

impl Session for Recorder<'_> {
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error> {
        self.statements.push(written(sql, parameters));
        self.session.execute(sql, parameters)
    }

    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error> {
        self.session.rows(sql, parameters)
    }
}

/// The statement with its values, as one could type it. Values are from the document, never from a request.
fn written(sql: &str, parameters: &[Param]) -> String {
    // White space within quotes means something.
    let text = if sql.contains('\'') { sql.to_owned() } else { sql.split_whitespace().collect::<Vec<_>>().join(" ") };
    if parameters.is_empty() {
        return text + ";";
    }
    let mut pieces = text.split('$');
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let parameter = number.parse::<usize>().ok().and_then(|number| parameters.get(number.checked_sub(1)?));
        match parameter {
            Some(parameter) => written.push_str(&literal(parameter)),
            None => written.push_str(&format!("${number}")),
        }
        written.push_str(rest);
    }
    written + ";"
}

fn literal(parameter: &Param) -> String {
    match parameter {
        Param::Null => "NULL".to_owned(),
        Param::Integer(number) => number.to_string(),
        Param::Real(number) => format!("{number:?}"),
        Param::Text(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_written_with_its_values() {
        let values = [Param::Text("it's $2".into()), Param::Integer(7), Param::Null];
        assert_eq!(
            written("INSERT INTO t\n  VALUES ($1, $2, $3)", &values),
            "INSERT INTO t VALUES ('it''s $2', 7, NULL);"
        );
        assert_eq!(written("ALTER TABLE t ADD c TEXT DEFAULT 'a  b'", &[]), "ALTER TABLE t ADD c TEXT DEFAULT 'a  b';");
        assert_eq!(written("AS $guard$ BEGIN", &[]), "AS $guard$ BEGIN;");
    }
}
