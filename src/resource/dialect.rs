//! How the SQL of the stores differs: types of values, case, and what a column looks like in a row.

use super::table::ColumnType;

/// The end of a `SELECT` in PostgreSQL whose rows stay as they are.
pub const SHARED: &str = " FOR SHARE";

/// The SQL of a kind of store. Both number their parameters: `$1`.
///
/// Values and cells have the same few storage classes in every store: integers (also for booleans), floating-point numbers and
/// texts. PostgreSQL keeps them in columns of its own types and converts them, so that nothing else has to know these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// A parameter as a value for columns of this type.
    pub fn value(self, number: usize, kind: ColumnType) -> String {
        match (self, kind) {
            (Self::Sqlite, _) => format!("${number}"),
            (Self::Postgres, ColumnType::Text | ColumnType::Password) => format!("${number}::text"),
            (Self::Postgres, ColumnType::Integer) => format!("${number}::int8"),
            (Self::Postgres, ColumnType::Number) => format!("${number}::float8"),
            (Self::Postgres, ColumnType::Boolean) => format!("(${number}::int8 <> 0)"),
            (Self::Postgres, ColumnType::Uuid) => format!("${number}::text::uuid"),
            (Self::Postgres, ColumnType::Decimal) => format!("${number}::text::numeric"),
            (Self::Postgres, ColumnType::Datetime) => format!("${number}::text::timestamptz"),
            (Self::Postgres, ColumnType::Date) => format!("${number}::text::date"),
            (Self::Postgres, ColumnType::Json) => format!("${number}::text::json"),
        }
    }

    /// A column as a cell of a row.
    pub fn cell(self, column: &str, kind: ColumnType) -> String {
        match (self, kind) {
            (Self::Postgres, ColumnType::Uuid | ColumnType::Decimal | ColumnType::Json) => format!("{column}::text"),
            (Self::Postgres, ColumnType::Datetime) => {
                let text = "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'";
                // Infinite moments, which only other programs write, are no values without one.
                format!("COALESCE(to_char({column} AT TIME ZONE 'UTC', {text}), {column}::text)")
            }
            (Self::Postgres, ColumnType::Date) => format!("COALESCE(to_char({column}, 'YYYY-MM-DD'), {column}::text)"),
            _ => column.to_owned(),
        }
    }

    /// A column of a table in conditions and orders. Texts compare byte by byte.
    pub fn compared(self, table: &str, column: &str, kind: ColumnType) -> String {
        match (self, kind) {
            (Self::Sqlite, _) => column.to_owned(),
            (Self::Postgres, ColumnType::Text | ColumnType::Password) => format!("{table}.{column} COLLATE \"C\""),
            (Self::Postgres, _) => format!("{table}.{column}"),
        }
    }

    /// A column in a condition, if it would not compare byte by byte otherwise: one that was adopted may ignore case.
    pub fn exact(self, column: &str, kind: ColumnType) -> Option<String> {
        (self == Self::Sqlite && kind == ColumnType::Text).then(|| format!("{column} COLLATE BINARY"))
    }

    /// A column or a value in orders and in the conditions `<` and `>`, if it would not have the order of its type otherwise.
    ///
    /// SQLite keeps decimals as texts, with the same number of digits after the point in each. Their order is exact with any number of
    /// digits: that of their lengths, then that of their texts; with negative ones it is the reverse, so a `-` makes the length and
    /// each digit count down. Only functions of SQLite itself are used, so that other programs can write to a table with an index on it.
    pub fn ordered(self, text: &str, kind: ColumnType) -> Option<String> {
        if self != Self::Sqlite || kind != ColumnType::Decimal {
            return None;
        }
        let reversed = ('0'..='9')
            .zip(('a'..='j').rev())
            .fold(text.to_owned(), |reversed, (digit, letter)| format!("replace({reversed}, '{digit}', '{letter}')"));
        Some(format!(
            "CASE WHEN {text} >= '0' THEN char(80 + length({text})) || {text} ELSE char(80 - length({text})) || {reversed} END"
        ))
    }

    /// A column or a value, so that ASCII letters are equal in either case.
    pub fn folded(self, text: &str) -> String {
        match self {
            Self::Sqlite => format!("{text} COLLATE NOCASE"),
            Self::Postgres => {
                let text = text.strip_suffix(" COLLATE \"C\"").unwrap_or(text);
                format!("lower({text}::text COLLATE \"C\")")
            }
        }
    }

    /// The id that the store counted up in the statement before, as text.
    pub const fn last_id(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(last_insert_rowid() AS text)",
            Self::Postgres => "lastval()::text",
        }
    }

    /// The end of a `SELECT` whose rows others may read but not change until the transaction ends.
    pub const fn shared(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => SHARED,
        }
    }

    /// The end of a `SELECT` whose rows are going to be changed.
    pub const fn locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// How an `INSERT` of items begins. In SQLite the definition of an adopted table may say `ON CONFLICT REPLACE`, with which a new item
    /// would replace another one.
    pub const fn insert(self) -> &'static str {
        match self {
            Self::Sqlite => "INSERT OR ABORT INTO",
            Self::Postgres => "INSERT INTO",
        }
    }

    /// The end of a `SELECT` whose rows are deleted: those that another transaction works on are left to it.
    pub const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// A column that tells whether something was written, if the store knows that only within a statement: its text is the same
    /// for two statements only if they see the same rows of all tables.
    ///
    /// In PostgreSQL it is the transactions that the statement sees, and the start of the server, because another server may
    /// count its transactions alike. A standby does not tell which ones it has not applied yet.
    pub const fn revision(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(
                "(SELECT CASE WHEN NOT pg_is_in_recovery() \
                 THEN pg_current_snapshot()::text || ' ' || extract(epoch FROM pg_postmaster_start_time()) END)",
            ),
        }
    }

    /// What a statement selects that counts rows, of which there must be this many. PostgreSQL commits without waiting for the count, so
    /// the statement fails there, with the reason, which is no number.
    pub fn must_count(self, rows: u8, reason: &str) -> String {
        match self {
            Self::Sqlite => "count(*)".to_owned(),
            Self::Postgres => format!("CAST(CASE count(*) WHEN {rows} THEN '0' ELSE '{reason}' END AS integer)"),
        }
    }

    /// Whether the text in a column has a part.
    pub const fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }
}
