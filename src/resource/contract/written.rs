//! What a statement writes to.

/// What a statement does with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Insert,
    Update,
    Delete,
}

/// What a statement does, and to which table. The texts are our own, so their first words say it.
pub fn written(sql: &str) -> Option<(Verb, &str)> {
    let starts = [
        ("INSERT INTO \"", Verb::Insert),
        ("INSERT OR ABORT INTO \"", Verb::Insert),
        ("UPDATE \"", Verb::Update),
        ("DELETE FROM \"", Verb::Delete),
    ];
    starts.into_iter().find_map(|(start, verb)| Some((verb, sql.strip_prefix(start)?.split('"').next()?)))
}
