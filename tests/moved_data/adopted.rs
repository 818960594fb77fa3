//! `gatewright resource`: a resource for a table that another program made.

use super::*;

fn printed(folder: &Path, url: &str, table: &str) -> Output {
    command(folder).args(["resource", "--from", url, "--table", table]).output().unwrap()
}

/// The resource for a table, which `gatewright check` accepts.
fn resource(folder: &Path, url: &str, table: &str) -> String {
    let output = printed(folder, url, table);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = out(&output);
    std::fs::write(folder.join("gateway.yaml"), &text).unwrap();
    let checked = command(folder).args(["check", "gateway.yaml"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{text}\n{}", err(&checked));
    text
}

/// Comments without their line breaks.
fn flat(text: &str) -> String {
    text.lines().map(|line| line.trim().trim_start_matches("# ")).collect::<Vec<_>>().join(" ")
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found.trim() == *line), "{line}\n{text}");
    }
}

#[test]
fn a_table_of_sqlite_becomes_a_resource_that_no_one_can_use_yet() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("crm.db").display());
    server::run(
        &url,
        "CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE customers (
           id INTEGER PRIMARY KEY, email VARCHAR(120) NOT NULL COLLATE NOCASE UNIQUE, \"firstName\" TEXT, nick TEXT DEFAULT 'it''s',
           company_id INTEGER NOT NULL REFERENCES companies (id) ON DELETE CASCADE, credit DECIMAL(12,2) NOT NULL DEFAULT 0,
           vip BOOLEAN NOT NULL DEFAULT FALSE, photo BLOB, password_hash TEXT NOT NULL, page INTEGER, score REAL,
           code TEXT NOT NULL DEFAULT (hex(randomblob(4))), created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
           twice INTEGER GENERATED ALWAYS AS (page * 2), CHECK (/* ) */ credit >= 0), UNIQUE (nick, company_id),
           FOREIGN KEY (nick, \"firstName\") REFERENCES names (a, b) ON UPDATE CASCADE,
           FOREIGN KEY (page) REFERENCES companies DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER keep BEFORE DELETE ON customers WHEN old.vip BEGIN SELECT RAISE(ABORT, 'no'); END;
         CREATE INDEX by_company ON customers (company_id);
         CREATE INDEX rich ON customers (credit) WHERE credit > 100;",
    );
    let text = resource(folder.path(), &url, "customers");
    has(
        &text,
        &[
            "id: { type: integer }",
            "access: { default: none }",
            "email: { type: string, max: 120, required: true, unique: { ignore_case: true } }",
            "# The column `firstName` (TEXT) is left out: names of fields have small letters, digits and `_`; rename the column.",
            "nick: { type: string, default: \"it's\", unique: { with: [company_id] } }",
            "# FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE",
            "# The table also has: FOREIGN KEY (page) REFERENCES companies DEFERRABLE INITIALLY DEFERRED",
            "# The table also has: FOREIGN KEY (nick, firstName) REFERENCES names(a, b) ON UPDATE CASCADE",
            "# The table also has: CREATE TRIGGER keep BEFORE DELETE ON customers WHEN old.vip …",
            "company_id: { type: integer, required: true, index: true }",
            "# Before `migrate --adopt`: the column needs the type TEXT, because SQLite stores DECIMAL(12,2) as a number",
            "credit: { type: decimal, precision: 12, scale: 2, default: \"0\", nullable: false }",
            "vip: { type: boolean, default: false, nullable: false }",
            "password_hash: { type: string, required: true, write_only: true }",
            "score: { type: number }",
            "# Its default is not applied, because every field is written: hex(randomblob(4))",
            "code: { type: string, required: true }",
            "created_at: { type: datetime, set: on_create }",
            "# The column `twice` (INTEGER) is left out: the database computes it.",
            "# The table also has: CREATE INDEX rich ON customers (credit) WHERE credit > 100",
            "# The table also has: CHECK (credit >= 0)",
        ],
    );
    assert!(text.contains("gatewright migrate --adopt FILE"), "{text}");
    let missing = err(&printed(folder.path(), &url, "clients"));
    assert!(missing.contains("there is no table `clients` in"), "{missing}");
    assert!(missing.ends_with("  help: it has `companies`, `customers`\n"), "{missing}");
}

#[test]
fn a_table_whose_key_does_not_fit_says_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("crm.db").display());
    server::run(
        &url,
        "CREATE TABLE a (code TEXT PRIMARY KEY, n INTEGER); CREATE TABLE b (x INTEGER, y INTEGER, PRIMARY KEY (x, y));
         CREATE TABLE c (note TEXT); CREATE TABLE d (id TEXT PRIMARY KEY, b BLOB); CREATE TABLE \"E\" (id INTEGER PRIMARY KEY);",
    );
    let renamed = "# The primary key is `code`, and a resource needs `id`. Before `migrate --adopt`: run this on the database: ALTER TABLE \"a\"";
    let text = resource(folder.path(), &url, "a");
    let whole = flat(&text);
    assert!(
        whole.contains(renamed.trim_start_matches("# ")) && whole.contains("RENAME COLUMN \"code\" TO \"id\";"),
        "{whole}"
    );
    has(&text, &["id: { type: string }", "n: { type: integer }"]);
    let text = resource(folder.path(), &url, "b");
    assert!(
        text.contains("# The table has the primary key (x, y), and a resource needs one column `id` as its key."),
        "{text}"
    );
    assert!(
        flat(&text).contains(
            "create a new one with `\"id\" INTEGER PRIMARY KEY` and the columns of `b` and UNIQUE (\"x\", \"y\")"
        ),
        "{text}"
    );
    let text = resource(folder.path(), &url, "c");
    assert!(
        text.contains("# The table has no primary key, and a resource needs one column `id` as its key."),
        "{text}"
    );
    has(&resource(folder.path(), &url, "d"), &["fields: {}"]);
    let said = err(&printed(folder.path(), &url, "E"));
    assert!(said.contains("a resource cannot use the table `E`"), "{said}");
}

#[test]
fn a_table_of_postgresql_becomes_a_resource() {
    let Some(_) = server::server() else {
        eprintln!("skipped: run `.ci/postgres cargo test --test main -- moved_data`, which sets TEST_POSTGRES");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}%20-cquote_all_identifiers%3Don", server::empty(folder.path()));
    server::run(
        &url,
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN short AS varchar(9);
         CREATE TABLE towns (id int PRIMARY KEY) PARTITION BY HASH (id);
         CREATE TABLE towns_0 PARTITION OF towns FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE towns_1 PARTITION OF towns FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         CREATE TABLE people (
           id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL, age smallint CHECK (age >= 0), size integer,
           mood mood NOT NULL DEFAULT 'sad', word short, tags text[] NOT NULL, price numeric, fee numeric(10,2) DEFAULT 1.50,
           data jsonb NOT NULL DEFAULT '{}', ref uuid DEFAULT gen_random_uuid(), born date, seen timestamp, api_token text,
           active boolean NOT NULL DEFAULT true, number bigint GENERATED BY DEFAULT AS IDENTITY,
           parent uuid REFERENCES people (id), town int REFERENCES towns, updated_at timestamptz NOT NULL DEFAULT now(), \"true\" boolean, joined timestamptz DEFAULT now());
         CREATE UNIQUE INDEX ON people (lower(email)); CREATE UNIQUE INDEX ON people (word, age); CREATE INDEX ON people (born);
         CREATE INDEX ON people ((age + 1)); ALTER TABLE people ADD UNIQUE (word, born);
         ALTER TABLE people ADD FOREIGN KEY (word, born) REFERENCES people (word, born) ON DELETE SET NULL DEFERRABLE;
         CREATE TRIGGER same BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();",
    );
    let text = resource(folder.path(), &url, "people");
    has(
        &text,
        &[
            "id: { type: uuid }",
            "access: { default: none }",
            "email: { type: string, required: true, unique: { ignore_case: true } }",
            "# CHECK (age >= 0)",
            "age: { type: integer, min: -32768, max: 32767 }",
            "size: { type: integer, min: -2147483648, max: 2147483647 }",
            "mood: { type: enum, values: [\"sad\", \"it's ok\"], default: \"sad\", nullable: false }",
            "word: { type: string, max: 9, unique: { with: [age] } }",
            "# Before `migrate --adopt`: ALTER TABLE \"people\" ALTER COLUMN \"seen\" TYPE timestamptz USING \"seen\" AT TIME ZONE 'UTC';",
            "# The column is numeric: write how many digits it has, at most 38. Give the column as many, such as ALTER TABLE \"people\" ALTER COLUMN",
            "fee: { type: decimal, precision: 10, scale: 2, default: \"1.50\" }",
            "data: { type: json, default: {}, nullable: false }",
            "ref: { type: uuid, default: uuid }",
            "born: { type: date, index: true }",
            "api_token: { type: string, write_only: true }",
            "active: { type: boolean, default: true, nullable: false }",
            "# FOREIGN KEY (parent) REFERENCES people(id)",
            "# The table also has: FOREIGN KEY (word, born) REFERENCES people(word, born) ON DELETE SET NULL DEFERRABLE",
            "# The table also has: CREATE TRIGGER same BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "updated_at: { type: datetime, set: on_write }",
            "\"true\": { type: boolean }",
            "joined: { type: datetime, default: now }",
        ],
    );
    assert_eq!(text.matches("FOREIGN KEY (town)").count(), 1, "{text}");
    assert!(text.contains("The column `tags` (text[]) is left out: no field has this type. To serve it"), "{text}");
    assert!(text.contains("Creates fail, because the column has neither null nor a default."), "{text}");
    assert!(text.contains("url: \"${env.DATABASE_URL:-postgres://gw@"), "{text}");
}

/// Opens what `gatewright resource` printed to everyone, lets gatewright take the table, and returns what a gateway serves.
fn taken(folder: &Path, text: &str) -> String {
    let open = text.replace("access: { default: none }", "access: { default: public }");
    let open = open.replace("127.0.0.1:3000", "127.0.0.1:0").replace("version: 1\n", "");
    std::fs::write(folder.join("gateway.yaml"), format!("{}{open}", crate::harness::HEAD)).unwrap();
    let taken = command(folder).args(["migrate", "--adopt", "--apply", "gateway.yaml"]).output().unwrap();
    assert_eq!(taken.status.code(), Some(0), "{open}\n{taken:?}");
    open
}

#[test]
fn a_table_is_described_taken_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let url = server::empty(folder.path());
    let id = match server::server() {
        Some(_) => "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        None => "INTEGER PRIMARY KEY AUTOINCREMENT",
    };
    server::run(
        &url,
        &format!(
            "CREATE TABLE books (id {id}, title varchar(80) NOT NULL, isbn text UNIQUE, pages bigint);
             INSERT INTO books (title, isbn, pages) VALUES ('Sand', '1', 7)"
        ),
    );
    let open = taken(folder.path(), &resource(folder.path(), &url, "books"));
    let gateway = Gateway::start(&open);
    assert_eq!(gateway.get("/books").json(), json!([{ "id": 1, "title": "Sand", "isbn": "1", "pages": 7 }]));
    assert_eq!(made(&gateway, "/books", &json!({ "title": "Sea", "isbn": "2" })).json()["id"], 2);
    assert_eq!(gateway.json("POST", "/books", &json!({ "title": "Sky", "isbn": "2" })).status, 409);
    assert_eq!(gateway.json("POST", "/books", &json!({ "title": "x".repeat(81) })).status, 400);
}

#[test]
fn references_come_after_the_rows_and_hold_after_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (format!("sqlite://{}", folder.path().join("books.db").display()), server::empty(folder.path()));
    server::run(
        &from,
        "CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, sequel INTEGER REFERENCES books (id));
         INSERT INTO books (id, title, sequel) VALUES (1, 'first', 2), (2, 'second', NULL), (3, 'third', 1)",
    );
    taken(folder.path(), &resource(folder.path(), &from, "books"));
    let copy = ["copy", "--from", &from, "--to", &to];
    done(folder.path(), &copy);
    server::run(
        &from,
        "UPDATE books SET sequel = 3 WHERE id = 1; UPDATE books SET sequel = NULL WHERE id = 3; DELETE FROM books WHERE id = 2",
    );
    assert!(done(folder.path(), &copy).contains("both sides are equal"));
    if server::server().is_some() {
        assert!(server::refuses(&to, "INSERT INTO books (id, title, sequel) VALUES (9, 'x', 7)"));
        assert!(!server::refuses(&to, "INSERT INTO books (id, title, sequel) VALUES (9, 'x', 3)"));
    }
}

#[test]
fn ids_go_on_after_a_copy_of_a_table_that_counts_without_autoincrement() {
    let folder = tempfile::tempdir().unwrap();
    for (number, other) in ["", "CREATE TABLE other (id INTEGER PRIMARY KEY AUTOINCREMENT);"].iter().enumerate() {
        let file = folder.path().join(format!("books{number}.db"));
        let (from, to) = (format!("sqlite://{}", file.display()), server::empty(folder.path()));
        let books = "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO books VALUES (7, 'Sand')";
        server::run(&from, &format!("{other}{books}"));
        let open = taken(folder.path(), &resource(folder.path(), &from, "books"));
        let copied = done(folder.path(), &["copy", "--leave-out-unknown", "--from", &from, "--to", &to]);
        assert!(copied.contains("both sides are equal"), "{copied}");
        let gateway = Gateway::start(&open.replace(&from, &to));
        assert_eq!(made(&gateway, "/books", &json!({ "title": "Sea" })).json()["id"], 8);
    }
}

#[test]
fn the_statement_for_moments_converts_what_it_knows_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crm.db");
    let url = format!("sqlite://{}", file.display());
    let values = [
        ("'2026-01-31 12:00:00'", "'2026-01-31T12:00:00.000000Z'"),
        ("'2026-01-31 12:00:59.999999'", "'2026-01-31T12:00:59.999999Z'"),
        ("'2026-01-31T12:00:00.5Z'", "'2026-01-31T12:00:00.500000Z'"),
        ("'2026-01-31T12:00:00Z'", "'2026-01-31T12:00:00.000000Z'"),
        ("'2026-01-31T12:00:00.000001Z'", "'2026-01-31T12:00:00.000001Z'"),
        ("'2026-01-31 12:00:00.1234567'", ""),
        ("'2026-01-31 12:00:00+02:00'", ""),
        ("'2026-01-31 12:00:00.5+02:00'", ""),
        ("'2026-02-31 12:00:00'", ""),
        ("'2026-01-31 24:00:00'", ""),
        ("'2026-01-31 12:00:00.'", ""),
        ("'2026-01-31 12:00'", ""),
        ("'31.1.2026'", ""),
        ("'now'", ""),
        ("''", ""),
        ("1769860800", ""),
        ("2461072.5", ""),
        ("NULL", ""),
        ("X'00'", ""),
    ];
    let rows = values.map(|(value, _)| format!("({value})")).join(", ");
    server::run(
        &url,
        &format!(
            "CREATE TABLE visits (id INTEGER PRIMARY KEY, \"at\" TIMESTAMP); INSERT INTO visits (\"at\") VALUES {rows}"
        ),
    );
    resource(folder.path(), &url, "visits");
    let refused = || {
        let output = command(folder.path()).args(["migrate", "--adopt", "gateway.yaml"]).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        format!("{}{}", out(&output), err(&output))
    };
    let said = refused();
    let at = said.find("UPDATE \"visits\" SET \"at\" = ").unwrap_or_else(|| panic!("{said}"));
    let statement = said[at..].split_inclusive(';').next().unwrap();
    server::run(&url, statement);
    let database = rusqlite::Connection::open(&file).unwrap();
    for (id, (before, after)) in (1..).zip(values) {
        let sql = format!("SELECT quote(\"at\") FROM visits WHERE id = {id}");
        let found: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, if after.is_empty() { before } else { after }, "{before}");
    }
    assert!(
        refused().contains("some values of `at` are no moments, or are not written as"),
        "the rest has to be looked at"
    );
    server::run(&url, "DELETE FROM visits WHERE id > 5");
    let taken = command(folder.path()).args(["migrate", "--adopt", "--apply", "gateway.yaml"]).output().unwrap();
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
}

#[test]
fn what_is_no_database_or_no_table_is_reported_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("notes.db"),
        "this is a text, and no database, although it is long enough for one",
    )
    .unwrap();
    std::fs::write(folder.path().join("plain"), "x").unwrap();
    for (from, why) in [
        ("notes.db", "`notes.db` is not the name of a store\n  help: for a SQLite file, write `sqlite://notes.db`"),
        ("plain", "for a SQLite file, write `sqlite://plain`"),
        ("data/other", "for a SQLite file, write `sqlite://data/other`"),
        ("sqlite://notes.db", "notes.db is not a SQLite database"),
        ("sqlite://nothing.db", "there is no file nothing.db"),
    ] {
        let said = err(&printed(folder.path(), from, "t"));
        assert!(said.contains(why), "{from}: {said}");
    }
    let url = server::empty(folder.path());
    server::run(&url, "CREATE TABLE t (id integer PRIMARY KEY, a text); CREATE VIEW v AS SELECT * FROM t");
    let said = err(&printed(folder.path(), &url, "v"));
    assert!(said.contains(" is a view\n  help: a resource needs a table"), "{said}");
}

#[test]
fn types_that_no_field_has_and_keys_that_nothing_counts_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let url = server::empty(folder.path());
    let on_postgres = server::server().is_some();
    server::run(
        &url,
        if on_postgres {
            "CREATE TABLE t (id integer PRIMARY KEY, tags text[], data bytea, address inet NOT NULL, amount numeric(65,30), free numeric);
         CREATE TABLE pair (a integer, b integer, PRIMARY KEY (a, b)); CREATE TABLE bare (note text);
         INSERT INTO pair VALUES (1, 2); INSERT INTO bare VALUES ('x')"
        } else {
            "CREATE TABLE t (id INT PRIMARY KEY, data BLOB, loose, amount DECIMAL(65,30))"
        },
    );
    let text = flat(&resource(folder.path(), &url, "t"));
    let parts: &[&str] = if on_postgres {
        &[
            "Before `migrate --adopt`: its `id` is not counted up, so each create would fail; run this on the database: ALTER TABLE",
            "ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 1);",
            "ALTER TABLE \"t\" ALTER COLUMN \"tags\" TYPE json USING to_json(\"tags\");",
            "ALTER TABLE \"t\" ALTER COLUMN \"data\" TYPE text USING encode(\"data\", 'base64');",
            "ALTER COLUMN \"address\" TYPE text USING \"address\"::text; Creates fail,",
            "The column `amount` (numeric(65,30)) is left out: a decimal field has at most 38 digits, and the column 65.",
            "ALTER TABLE \"t\" ALTER COLUMN \"amount\" TYPE numeric(38,10);",
            "The column is numeric: write how many digits it has, at most 38. Give the column as many, such as ALTER TABLE \"t\"",
        ]
    } else {
        &[
            "Before `migrate --adopt`: SQLite does not count its `id` up; only `\"id\" INTEGER PRIMARY KEY` is counted",
            "UPDATE \"t\" SET \"data_text\" = hex(\"data\");",
            "The column `loose` (without a type) is left out",
            "The column `amount` (DECIMAL(65,30)) is left out: a decimal field has at most 38 digits, and the column 65.",
        ]
    };
    for part in parts {
        assert!(text.contains(part), "{part}\n{text}");
    }
    if !on_postgres {
        return;
    }
    // The statements do what they should: the table can be adopted.
    for table in ["pair", "bare"] {
        let text = flat(&resource(folder.path(), &url, table));
        let (_, sql) = text.split_once("run this on the database: ").unwrap();
        server::run(&url, sql.split_inclusive(';').next().unwrap());
        let text = resource(folder.path(), &url, table);
        assert!(!text.contains("Before `migrate --adopt`") && text.contains("id: { type: integer }"), "{text}");
        let adopted = command(folder.path()).args(["migrate", "--adopt", "--apply", "gateway.yaml"]).output().unwrap();
        assert_eq!(adopted.status.code(), Some(0), "{}", err(&adopted));
    }
}
