//! `gatewright migrate`: what a reload does not do to tables, by command.

use crate::harness::{Gateway, HEAD, command};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const BEFORE: &str = "      name: { type: string, required: true }\n      qty: { type: integer }";
const AFTER: &str = "      title: { type: string, required: true, renamed_from: name }\n      qty: { type: number }";

fn notes(fields: &str) -> String {
    format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
stores: {{ main: {{ url: "sqlite://data/notes.db" }} }}
resources:
  notes:
    store: main
    access: {{ default: public }}
    fields:
{fields}
routes:
  notes: {{ path: /notes, resource: notes }}
"#
    )
}

/// Runs the command on a document in a folder.
fn migrate(folder: &Path, yaml: &str, arguments: &[&str]) -> Output {
    std::fs::write(folder.join("gateway.yaml"), format!("{HEAD}{yaml}")).unwrap();
    command(folder).arg("migrate").args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A database with one note, made by a gateway that has stopped.
fn stopped() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&migrate(folder.path(), &notes(BEFORE), &["--apply"])), 0);
    let item = "INSERT INTO notes (id, name, qty) VALUES ('0190a000-0000-7000-8000-000000000000', 'Ada', 7)";
    database(folder.path()).execute(item, []).unwrap();
    folder
}

fn database(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("data/notes.db")).unwrap()
}

fn title(folder: &Path) -> (String, f64) {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    database(folder).query_row("SELECT title, qty FROM notes", [], row).unwrap()
}

#[test]
fn a_plan_changes_nothing_and_after_an_apply_there_is_none() {
    let folder = stopped();
    let planned = migrate(folder.path(), &notes(AFTER), &[]);
    assert_eq!(code(&planned), 2, "{}", err(&planned));
    let text = out(&planned);
    for part in [
        "rename column notes.name to title\n",
        "change the type of notes.qty from integer to number\n",
        "2 changes; to apply: gatewright migrate --apply gateway.yaml\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let file = ["--config", "gateway.yaml", "--format", "json", "--plan"];
    let planned = migrate(folder.path(), &notes(AFTER), &file);
    assert_eq!(code(&planned), 2, "{}", err(&planned));
    let plan: Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert_eq!(plan["stores"][0]["steps"][0]["kind"], "rename_column", "{plan}");
    assert_eq!(
        plan["stores"][0]["steps"][0]["sql"],
        json!(["ALTER TABLE \"notes\" RENAME COLUMN \"name\" TO \"title\";"])
    );
    let applied = migrate(folder.path(), &notes(AFTER), &["--apply"]);
    assert_eq!((code(&applied), err(&applied)), (0, String::new()));
    assert!(out(&applied).contains("renamed column notes.name to title"), "{}", out(&applied));
    let again = migrate(folder.path(), &notes(AFTER), &[]);
    assert_eq!((code(&again), out(&again)), (0, "the tables are as the configuration needs them\n".to_owned()));
    assert_eq!(title(folder.path()), ("Ada".to_owned(), 7.0));
}

#[test]
fn the_printed_sql_makes_the_change() {
    let folder = stopped();
    let printed = migrate(folder.path(), &notes(AFTER), &["--format", "sql"]);
    assert_eq!(code(&printed), 2, "{}", err(&printed));
    database(folder.path()).execute_batch(&out(&printed)).unwrap();
    assert_eq!(code(&migrate(folder.path(), &notes(AFTER), &[])), 0);
    assert_eq!(title(folder.path()), ("Ada".to_owned(), 7.0));
}

#[test]
fn a_reload_that_needs_the_command_names_the_line_and_the_command() {
    let mut gateway = Gateway::start(&notes(BEFORE));
    assert_eq!(gateway.json("POST", "/notes", &json!({"name": "Ada", "qty": 7})).status, 201);
    let refused = gateway.reload(&notes(AFTER));
    let found = &refused.json()["diagnostics"][0];
    assert_eq!(
        (found["code"].as_str(), found["path"].as_str()),
        (Some("GW0630"), Some("resources.notes.fields.title.renamed_from"))
    );
    let help = found["help"].as_str().unwrap();
    assert!(
        help.starts_with("stop the gateway, run `gatewright migrate --apply ") && help.ends_with("and start it"),
        "{help}"
    );
    assert_eq!(gateway.get("/notes").json()[0]["name"], "Ada");
    // The file belongs to the gateway, and the command says so.
    let busy = migrate(gateway.folder(), &notes(AFTER), &["--apply", "gateway.yaml"]);
    assert_eq!(code(&busy), 1);
    assert!(err(&busy).contains("is in use by another gatewright process"), "{}", err(&busy));
    assert!(err(&busy).contains("nothing was changed: stop that gateway, then run this command again"));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    assert_eq!(code(&migrate(gateway.folder(), &notes(AFTER), &["--apply", "gateway.yaml"])), 0);
    let folder = gateway.folder().to_owned();
    let after = notes(AFTER).replace("data/notes.db", &folder.join("data/notes.db").display().to_string());
    let again = Gateway::start(&after);
    let rows = again.get("/notes").json();
    assert_eq!((rows[0]["title"].clone(), rows[0]["qty"].as_f64()), (json!("Ada"), Some(7.0)), "{rows}");
}

#[test]
fn duplicates_are_listed_by_the_plan() {
    let folder = stopped();
    let more = "INSERT INTO notes (id, name) VALUES ('0190a000-0000-7000-8000-000000000001', 'Ada')";
    database(folder.path()).execute(more, []).unwrap();
    let unique = notes(BEFORE).replace("required: true", "required: true, unique: true");
    let refused = migrate(folder.path(), &unique, &[]);
    assert_eq!(code(&refused), 1);
    let text = err(&refused);
    assert!(text.contains("duplicates of `resources.notes.fields.name`:\n  \"Ada\": 2 items\n"), "{text}");
    let refused = migrate(folder.path(), &unique, &["--format", "json"]);
    let body: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(body["duplicates"][0]["values"], json!([{"values": ["Ada"], "items": 2}]), "{body}");
    let hidden = unique.replace("unique: true", "unique: true, write_only: true");
    let text = err(&migrate(folder.path(), &hidden, &[]));
    assert!(text.contains("  (hidden): 2 items\n") && !text.contains("Ada"), "{text}");
    database(folder.path()).execute("DELETE FROM notes WHERE id LIKE '%1'", []).unwrap();
    assert_eq!(code(&migrate(folder.path(), &unique, &["--apply"])), 0);
}

#[test]
fn a_prune_makes_a_copy_first_and_only_if_the_loss_is_intended() {
    let folder = stopped();
    let less = notes("      name: { type: string, required: true }");
    assert_eq!(code(&migrate(folder.path(), &less, &["--apply"])), 0);
    let planned = migrate(folder.path(), &less, &["--prune"]);
    assert_eq!(code(&planned), 2);
    assert!(out(&planned).contains("drop column notes.qty and its 1 value (loses values)"), "{}", out(&planned));
    let refused = migrate(folder.path(), &less, &["--prune", "--apply"]);
    assert_eq!(code(&refused), 1);
    assert!(err(&refused).contains("add `--allow-destructive`"), "{}", err(&refused));
    assert_eq!(code(&migrate(folder.path(), &less, &["--prune", "--allow-destructive"])), 2, "without --apply");
    let done = migrate(folder.path(), &less, &["--prune", "--apply", "--allow-destructive"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let copy = err(&done).trim().strip_prefix("copied main to ").unwrap().to_owned();
    assert!(copy.contains("/data/backups/") && copy.ends_with(".db"), "{copy}");
    let kept = rusqlite::Connection::open(&copy).unwrap();
    assert_eq!(kept.query_row("SELECT qty FROM notes", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    assert!(database(folder.path()).prepare("SELECT qty FROM notes").is_err());
    assert_eq!(code(&migrate(folder.path(), &less, &["--prune"])), 0);
}

#[test]
fn the_tables_of_resources_without_a_route_are_not_dropped() {
    let folder = stopped();
    let spare =
        "resources:\n  spare:\n    store: main\n    access: { default: none }\n    fields: { a: { type: string } }\n";
    let both = notes(BEFORE).replace("resources:\n", spare);
    let routed = both.replace("routes:\n", "routes:\n  spare: { path: /spare, resource: spare }\n");
    assert_eq!(code(&migrate(folder.path(), &routed, &["--apply"])), 0);
    assert_eq!(code(&migrate(folder.path(), &both, &["--prune"])), 0);
    let planned = migrate(folder.path(), &notes(BEFORE), &["--prune"]);
    assert!(out(&planned).contains("drop table spare"), "{}", out(&planned));
}

#[test]
fn a_store_that_only_the_command_or_only_others_change_starts_when_nothing_is_to_be_done() {
    for (policy, applies) in [("manual", true), ("none", false)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/notes.db").display().to_string();
        let yaml = notes(BEFORE).replace("sqlite://data/notes.db\"", &format!("sqlite://{file}\", migrate: {policy}"));
        let applied = migrate(folder.path(), &yaml, &["--apply"]);
        assert_eq!(code(&applied) == 0, applies, "{}", err(&applied));
        if !applies {
            assert!(err(&applied).contains("`migrate: none`"), "{}", err(&applied));
            let printed = out(&migrate(folder.path(), &yaml, &["--format", "sql"]));
            std::fs::create_dir_all(folder.path().join("data")).unwrap();
            database(folder.path()).execute_batch(&printed).unwrap();
        }
        let gateway = Gateway::start(&yaml);
        assert_eq!(gateway.json("POST", "/notes", &json!({"name": "Ada"})).status, 201);
        let refused = gateway.reload(&yaml.replace("qty:", "number:"));
        let found = &refused.json()["diagnostics"][0];
        assert_eq!(found["path"], "resources.notes.fields.number", "{refused:?}");
        assert!(found["message"].as_str().unwrap().contains(&format!("`migrate: {policy}`")), "{found}");
        assert_eq!(gateway.get("/notes").status, 200);
        assert_eq!(gateway.reload(&yaml.replace("required: true", "required: true, max: 9")).status, 200);
    }
}

/// A row is there with its old type or its new one, whenever the process is killed.
#[test]
fn a_command_that_is_killed_leaves_the_old_tables_or_the_new_ones() {
    let folder = stopped();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) \
                INSERT INTO notes (id, name, qty) SELECT printf('0190a000-0000-7000-8001-%012d', i), 'x', i FROM n";
    database(folder.path()).execute(many, []).unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{}", notes(AFTER))).unwrap();
    let mut finished = false;
    for delay in (0..).map(|turn| turn * 20) {
        let mut child = command(folder.path()).args(["migrate", "--apply"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().unwrap();
        finished |= child.wait().unwrap().success();
        let database = database(folder.path());
        let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        let kind = "SELECT type FROM pragma_table_xinfo('notes') WHERE name = 'qty'";
        let kind: String = database.query_row(kind, [], |row| row.get(0)).unwrap();
        let column = if kind == "REAL" { "title" } else { "name" };
        let sum = format!("SELECT count({column}), CAST(total(qty) AS INTEGER) FROM notes");
        let sum: (i64, i64) = database.query_row(&sum, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!((sound.as_str(), sum), ("ok", (60_001, 60_000 * 60_001 / 2 + 7)), "{kind}");
        if kind == "REAL" {
            break;
        }
        assert!(!finished);
    }
    assert_eq!(code(&migrate(folder.path(), &notes(AFTER), &[])), 0);
}

#[test]
fn a_table_that_was_changed_by_hand_stops_a_start_and_a_reload_and_nothing_else() {
    let two = notes(BEFORE)
        .replace(
            "resources:\n",
            "resources:\n  tags:\n    store: main\n    access: { default: public }\n    fields: { a: { type: string } }\n",
        )
        .replace("routes:\n", "routes:\n  tags: { path: /tags, resource: tags }\n");
    let mut gateway = Gateway::start(&two);
    let file = gateway.folder().join("data/notes.db");
    rusqlite::Connection::open(&file).unwrap().execute("ALTER TABLE notes DROP COLUMN qty", []).unwrap();
    let refused = gateway.reload(&two.replace("a: { type: string }", "a: { type: string, max: 9 }"));
    let errors = refused.json()["diagnostics"].as_array().unwrap().clone();
    let found: Vec<_> = errors.iter().filter(|found| found["severity"] == "error").collect();
    assert_eq!((found.len(), &found[0]["path"]), (1, &json!("resources.notes.fields.qty")), "{errors:?}");
    let help = found[0]["help"].as_str().unwrap().to_owned();
    assert!(help.ends_with("ALTER TABLE \"notes\" ADD COLUMN \"qty\" INTEGER;"), "{help}");
    assert_eq!(gateway.json("POST", "/tags", &json!({"a": "more than nine"})).status, 201);
    assert_eq!(gateway.get("/tags").json()[0]["a"], "more than nine");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let planned = migrate(gateway.folder(), &two, &["gateway.yaml"]);
    assert_eq!(code(&planned), 1);
    assert!(err(&planned).contains("the column `qty` is missing"), "{}", err(&planned));
    let started = command(gateway.folder()).args(["run", "gateway.yaml"]).output().unwrap();
    assert_eq!(code(&started), 1);
    let undo = &help[help.find("ALTER TABLE").unwrap()..];
    rusqlite::Connection::open(&file).unwrap().execute(undo, []).unwrap();
    assert_eq!(code(&migrate(gateway.folder(), &two, &["gateway.yaml"])), 0);
}

#[test]
fn a_previous_name_that_no_column_has_is_reported_at_its_line() {
    let folder = stopped();
    let typo = notes(AFTER).replace("renamed_from: name", "renamed_from: nmae");
    let planned = migrate(folder.path(), &typo, &[]);
    assert_eq!(code(&planned), 1, "{}", out(&planned));
    let said = err(&planned);
    for part in [
        "`renamed_from` of `title` names `nmae`, and table `notes` has no such column",
        "did you mean `name`?",
        "if `title` is a new field, remove `renamed_from`",
        "renamed_from: nmae",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json = migrate(folder.path(), &typo, &["--format", "json"]);
    let found: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["diagnostics"][0]["path"], "resources.notes.fields.title.renamed_from", "{found}");
    let mut gateway = Gateway::start(&notes(BEFORE));
    assert_eq!(gateway.json("POST", "/notes", &json!({"name": "Ada", "qty": 7})).status, 201);
    let refused = gateway.reload(&typo).json();
    assert_eq!(refused["diagnostics"][0]["path"], "resources.notes.fields.title.renamed_from", "{refused}");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    // A leftover of a rename that was made is no news.
    assert_eq!(code(&migrate(folder.path(), &notes(AFTER), &["--apply"])), 0);
    let again = migrate(folder.path(), &notes(AFTER), &[]);
    assert_eq!((code(&again), err(&again)), (0, String::new()));
}

#[test]
fn a_previous_name_whose_column_is_still_there_is_reported_with_the_statement_that_copies_its_values() {
    let folder = stopped();
    let both = notes(BEFORE).replace("name: {", "title: { type: string, renamed_from: name }\n      name: {");
    assert_eq!(code(&migrate(folder.path(), &both, &[])), 1, "the old name is still a field");
    let new =
        notes(BEFORE).replace(", required: true", "").replace("name: {", "title: { type: string }\n      name: {");
    assert_eq!(code(&migrate(folder.path(), &new, &["--apply"])), 0);
    let late = notes(AFTER).replace("required: true, ", "").replace("type: number", "type: integer");
    let planned = migrate(folder.path(), &late, &[]);
    let said = err(&planned);
    for part in [
        "warning[GW0633]",
        "`title` of `notes` cannot be renamed from `name` any more: table `notes` has both columns, and `name` still has 1 value",
        "UPDATE \"notes\" SET \"title\" = \"name\"",
        "then remove `renamed_from`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json = migrate(folder.path(), &late, &["--format", "json"]);
    let found: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["diagnostics"][0]["path"], "resources.notes.fields.title.renamed_from", "{found}");
    let (_, sql) = said.split_once("run this SQL in ").unwrap();
    let (_, sql) = sql.split_once("UPDATE").unwrap();
    let sql = format!("UPDATE{}", sql.split_inclusive(';').next().unwrap().replace('\n', " "));
    database(folder.path()).execute_batch(&sql).unwrap();
    assert_eq!(title(folder.path()).0, "Ada");
}
