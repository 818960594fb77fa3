//! The clauses of foreign keys in the text of a statement.

use std::ops::Range;

/// A word, a quoted name or text, or a sign.
struct Token<'a> {
    place: Range<usize>,
    /// `None` if it is quoted.
    word: Option<&'a str>,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.word.is_some_and(|own| own.eq_ignore_ascii_case(word))
    }
}

/// The tokens of a statement, without comments.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(rest) = sql.get(from..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        // Databases take all that is not ASCII for letters.
        let is_word =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$') || !letter.is_ascii();
        let until = |end: &str, start: usize| {
            let tail = rest.get(start..).unwrap_or_default();
            tail.find(end).map_or(rest.len(), |at| start + at + end.len())
        };
        let (length, is_token) = match first {
            _ if rest.starts_with("--") => (until("\n", 2), false),
            _ if rest.starts_with("/*") => (until("*/", 2), false),
            space if space.is_ascii_whitespace() => (space.len_utf8(), false),
            '\'' | '"' | '`' => (until(&first.to_string(), 1), true),
            '[' => (until("]", 1), true),
            letter if is_word(letter) => (rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()), true),
            sign => (sign.len_utf8(), true),
        };
        let place = from..from + length;
        if is_token {
            let quoted = matches!(first, '\'' | '"' | '`' | '[');
            found.push(Token { word: sql.get(place.clone()).filter(|_| !quoted), place });
        }
        from += length;
    }
    found
}

/// The foreign keys of a `CREATE TABLE` in their order: the text from each `REFERENCES` to the next one. Only foreign keys
/// have the clauses that are looked for in it.
pub fn references(sql: &str) -> Vec<Range<usize>> {
    let starts: Vec<_> =
        tokens(sql).iter().filter(|token| token.is("references")).map(|token| token.place.start).collect();
    let ends = starts.iter().skip(1).copied().chain([sql.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// The text of one foreign key without what the database does on a delete, on a change, or on both.
pub fn without_actions(sql: &str, delete: bool, update: bool) -> String {
    let tokens = tokens(sql);
    let (mut text, mut from) = (String::new(), 0);
    for (at, on) in tokens.iter().enumerate().filter(|(_, token)| token.is("on")) {
        let mut after = tokens.iter().skip(at + 1);
        let event = after.next();
        let meant = event.is_some_and(|event| delete && event.is("delete") || update && event.is("update"));
        let first = after.next();
        let length = match first {
            Some(action) if action.is("cascade") => 1,
            Some(action) if action.is("set") => 2,
            _ => continue,
        };
        if !meant || on.place.start < from {
            continue;
        }
        // PostgreSQL can set some of the columns: `SET NULL (a, b)`.
        let rest = tokens.get(at + 2 + length..).unwrap_or_default();
        let listed = match rest.first() {
            Some(open) if length == 2 && open.is("(") => {
                rest.iter().position(|token| token.is(")")).map_or(0, |at| at + 1)
            }
            _ => 0,
        };
        let (Some(first), Some(last)) = (first, tokens.get(at + 1 + length + listed)) else { continue };
        text.push_str(sql.get(from..first.place.start).unwrap_or_default());
        text.push_str("NO ACTION");
        from = last.place.end;
    }
    text + sql.get(from..).unwrap_or_default()
}

/// When a foreign key is checked, if its text says that: `DEFERRABLE INITIALLY DEFERRED`.
pub fn timing(sql: &str) -> Option<String> {
    let tokens = tokens(sql);
    let at = tokens.iter().position(|token| token.is("deferrable"))?;
    if at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is("not")) {
        return None;
    }
    let mut after = tokens.iter().skip(at + 1);
    let initially = after.next().is_some_and(|token| token.is("initially"));
    let deferred = initially && after.next().is_some_and(|token| token.is("deferred"));
    Some(if deferred { "DEFERRABLE INITIALLY DEFERRED" } else { "DEFERRABLE" }.to_owned())
}

/// The `CHECK (…)` of a `CREATE TABLE`, without comments and with single spaces.
pub fn checks(created: &str) -> Vec<String> {
    let (tokens, mut found) = (tokens(created), Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if !token.is("check") || !tokens.get(at).is_some_and(|next| next.is("(")) {
            continue;
        }
        let (mut text, mut depth, mut end) = ("CHECK ".to_owned(), 0_usize, token.place.end);
        for (count, inner) in tokens.iter().skip(at).enumerate() {
            depth = if inner.is("(") { depth + 1 } else { depth - usize::from(inner.is(")")) };
            if count > 0 && inner.place.start > end && !text.ends_with('(') && !inner.is(")") {
                text.push(' ');
            }
            text.push_str(created.get(inner.place.clone()).unwrap_or_default());
            end = inner.place.end;
            if depth == 0 {
                found.push(text);
                at += count;
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_taken_out_and_everything_else_stays() {
        for (sql, delete, update, wanted) in [
            ("REFERENCES a ON DELETE CASCADE", true, false, "REFERENCES a ON DELETE NO ACTION"),
            ("REFERENCES a(id) on\n delete set /* x */ null,", true, false, "REFERENCES a(id) on\n delete NO ACTION,"),
            (
                "REFERENCES a ON UPDATE CASCADE ON DELETE SET DEFAULT DEFERRABLE",
                true,
                false,
                "REFERENCES a ON UPDATE CASCADE ON DELETE NO ACTION DEFERRABLE",
            ),
            (
                "REFERENCES a ON UPDATE CASCADE ON DELETE SET DEFAULT",
                false,
                true,
                "REFERENCES a ON UPDATE NO ACTION ON DELETE SET DEFAULT",
            ),
            ("ON DELETE SET NULL (a, b) NOT VALID", true, true, "ON DELETE NO ACTION NOT VALID"),
            ("REFERENCES a ON DELETE RESTRICT", true, true, "REFERENCES a ON DELETE RESTRICT"),
            (
                "\"on delete cascade\" TEXT DEFAULT 'ON DELETE CASCADE' -- ON DELETE CASCADE\n",
                true,
                true,
                "\"on delete cascade\" TEXT DEFAULT 'ON DELETE CASCADE' -- ON DELETE CASCADE\n",
            ),
        ] {
            assert_eq!(without_actions(sql, delete, update), wanted);
        }
    }

    #[test]
    fn checks_are_found_in_a_statement() {
        let sql =
            "CREATE TABLE t (a TEXT CHECK (a IN ('x)', 'y')), checked INTEGER, CONSTRAINT c check(checked >\n 0))";
        assert_eq!(checks(sql), ["CHECK (a IN ('x)', 'y'))", "CHECK (checked > 0)"]);
        let sql = "CREATE TABLE t (a TEXT CHECK (/* ) */ a <> 'it''s  )' -- )\n AND [b)]/**/> 0), \"check\" TEXT, é CHECK ((é) > 1))";
        assert_eq!(checks(sql), ["CHECK (a <> 'it''s  )' AND [b)] > 0)", "CHECK ((é) > 1)"]);
        assert!(checks("CREATE TABLE t (a CHECK (").is_empty());
    }

    #[test]
    fn foreign_keys_are_found_in_a_statement() {
        let sql = "CREATE TABLE t (\"references\" TEXT REFERENCES a, [x references] TEXT, é TEXT references \"b\" (id) \
                   NOT DEFERRABLE, `c` TEXT DEFAULT 'it''s references', FOREIGN KEY (c) REFERENCES d DEFERRABLE INITIALLY DEFERRED)";
        let found: Vec<_> = references(sql).into_iter().map(|place| &sql[place]).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("REFERENCES a, [x") && found[1].starts_with("references \"b\""), "{found:?}");
        let timings: Vec<_> = found.iter().map(|text| timing(text)).collect();
        assert_eq!(timings, [None, None, Some("DEFERRABLE INITIALLY DEFERRED".to_owned())]);
        let one = "REFERENCES a ON DELETE CASCADE, on\u{a0}delete\u{a0}cascade TEXT, x\u{1f600}references TEXT";
        assert_eq!(references(one).len(), 1);
        assert_eq!(without_actions(one, true, false), one.replace("ON DELETE CASCADE", "ON DELETE NO ACTION"));
        assert_eq!(timing("REFERENCES a DEFERRABLE, b TEXT"), Some("DEFERRABLE".to_owned()));
    }
}
