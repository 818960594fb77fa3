//! `gatewright db copy` of databases with things of other programs, and of files that only can be read.

use super::*;
use crate::harness::HEAD;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

const CRM: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "STORE" } }
resources:
  clients:
    store: main
    access: { default: public }
    fields: { name: { type: string } }
routes: { clients: { path: /clients, resource: clients } }
"#;

/// A database with an adopted table, which has a column of another program, and with a table and a view that are not adopted.
fn crm(folder: &Path) -> String {
    let from = server::empty(folder);
    let id = if from.starts_with("sqlite") { "TEXT" } else { "uuid" };
    server::run(
        &from,
        &format!(
            "CREATE TABLE clients (id {id} PRIMARY KEY, name TEXT CHECK (name <> ''), internal TEXT);
             INSERT INTO clients VALUES ('0190a000-0000-7000-8000-000000000000', 'Ada', 'x');
             CREATE TABLE audit (entry TEXT); CREATE VIEW names AS SELECT name FROM clients"
        ),
    );
    let trigger = if from.starts_with("sqlite") {
        "CREATE TRIGGER keep BEFORE DELETE ON clients WHEN OLD.name = 'Ada' BEGIN SELECT RAISE(ABORT, 'no'); END"
    } else {
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON clients FOR EACH ROW WHEN (OLD.name = 'Ada') EXECUTE FUNCTION keep()"
    };
    server::run(&from, trigger);
    std::fs::write(folder.join("gateway.yaml"), format!("{HEAD}{}", CRM.replace("STORE", &from))).unwrap();
    let adopted = command(folder).args(["migrate", "--adopt", "--apply"]).output().unwrap();
    assert_eq!(adopted.status.code(), Some(0), "{}", err(&adopted));
    from
}

#[test]
fn what_a_copy_would_leave_out_is_named_and_nothing_is_copied_unless_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (crm(folder.path()), server::empty(folder.path()));
    let arguments = ["copy", "--from", &from, "--to", &to];
    let refused = db(folder.path(), &arguments);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let check = if from.starts_with("sqlite") { "CHECK (name <> '')" } else { "CHECK ((name <> ''::text))" };
    let of_database = format!("  trigger clients.keep\n  constraint of clients: {check}\n");
    let all = format!("  table audit\n  view names\n  column clients.internal\n{of_database}");
    assert!(
        err(&refused).contains(&format!("nothing was copied:\n{all}  help: add `--leave-out-unknown`")),
        "{refused:?}"
    );
    assert!(!server::has_rows(&to, "_gw_schema"));
    let left_out = json!({
        "tables": ["audit"], "views": ["names"], "columns": [{ "table": "clients", "column": "internal" }],
        "rules": [
            { "kind": "trigger", "table": "clients", "name": "keep" }, { "kind": "check", "table": "clients", "name": check },
        ],
    });
    let refused = db(folder.path(), &[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let printed: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(printed, json!({ "equal": false, "tables": [], "left_out": left_out }));

    let said = done(folder.path(), &[&arguments[..], &["--leave-out-unknown"]].concat());
    assert!(said.ends_with(&format!("left out:\n{all}both sides are equal, but for what was left out\n")), "{said}");
    let again = done(folder.path(), &[&arguments[..], &["--leave-out-unknown", "--format", "json"]].concat());
    let printed: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&printed["left_out"], &printed["equal"]), (&left_out, &json!(true)));
    let gateway = Gateway::start(&CRM.replace("STORE", &to));
    assert_eq!(gateway.get("/clients").json()[0]["name"], "Ada");
}

#[test]
fn a_file_that_can_only_be_read_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let from = format!("sqlite://{}", path.display());
    let gateway = Gateway::start(&shop(&from));
    made(&gateway, "/tickets", &json!({ "title": "one" }));
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let open = tempfile::tempdir().unwrap();
    mode(open.path(), 0o777);
    let copied = |name: &str| {
        let to = format!("sqlite://{}", open.path().join(name).display());
        // Root may write everywhere.
        let mut copy = command(open.path());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            copy.uid(65534).gid(65534);
        }
        copy.args(["db", "copy", "--from", &from, "--to", &to]).output().unwrap()
    };
    for ending in ["", "-wal", "-shm", ".lock"] {
        let file = folder.path().join(format!("shop.db{ending}"));
        if file.exists() {
            mode(&file, 0o444);
        }
    }
    mode(folder.path(), 0o555);
    // While the gateway serves, its log can be read, too.
    let output = copied("first.db");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    mode(folder.path(), 0o755);
    stopped(gateway);
    assert!(!folder.path().join("shop.db-wal").exists());
    mode(folder.path(), 0o555);
    let output = copied("second.db");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(out(&output).contains("both sides are equal"), "{output:?}");
    // A part of it is in the log, which cannot be used without a file that would have to be created.
    std::fs::write(folder.path().join("shop.db-wal"), "log").ok();
    mode(folder.path(), 0o755);
    std::fs::write(folder.path().join("shop.db-wal"), "log").unwrap();
    mode(folder.path(), 0o555);
    let output = copied("third.db");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains("`-wal`, which only a user who may write there can read"), "{output:?}");
    assert!(err(&output).contains("help: run the command as the user of the gateway"), "{output:?}");
    mode(folder.path(), 0o755);
}

#[test]
fn a_text_that_is_too_long_for_an_index_is_named() {
    if server::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --test main -- moved_data`");
    }
    let folder = tempfile::tempdir().unwrap();
    let from = format!("sqlite://{}", folder.path().join("shop.db").display());
    let gateway = Gateway::start(&shop_with(&from, "code: { type: string, unique: true }"));
    let to = server::empty(folder.path());
    // It cannot be compressed.
    let long: String =
        (0..6000_u32).map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 20000).unwrap()).collect();
    made(&gateway, "/people", &json!({ "email": "a@x.com", "code": "short" }));
    let id = made(&gateway, "/people", &json!({ "email": "b@x.com", "code": long })).json()["id"].clone();
    stopped(gateway);
    let said = refused(folder.path(), &["copy", "--from", &from, "--to", &to]);
    let why = format!(
        "`code` of table `people` has texts that PostgreSQL cannot index, which takes about 2,700 bytes; the longest ones are in \
         the rows with the ids {} (18,000 bytes)",
        id.as_str().unwrap()
    );
    assert!(said.contains(&why), "{said}");
    assert!(said.contains("help: shorten them in the source"), "{said}");
    server::run(&from, "UPDATE people SET code = 'long' WHERE length(code) > 9");
    // PostgreSQL indexes what other transactions can still see, so the copy waits for them.
    let other = std::thread::spawn({
        let to = to.clone();
        move || server::run(&to, "SELECT pg_sleep(3), 'sees the long text'")
    });
    let sleeping =
        "pg_stat_activity WHERE query LIKE '%sees the long%' AND pid <> pg_backend_pid() AND state = 'active'";
    while !server::has_rows(&to, sleeping) {
        std::thread::yield_now();
    }
    done(folder.path(), &["copy", "--from", &from, "--to", &to]);
    other.join().unwrap();
    assert!(server::refuses(&to, "INSERT INTO people (id, code) VALUES (gen_random_uuid(), 'long')"));
}

#[test]
fn rows_that_row_security_hides_are_not_left_out_silently() {
    let folder = tempfile::tempdir().unwrap();
    let (all, to) = (server::empty(folder.path()), server::empty(folder.path()));
    // Only PostgreSQL has row security.
    let Some((_, schema)) = all.split_once("search_path%3D") else { return };
    let role = format!("owner_of_{schema}");
    server::run(&all, &format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA {schema} TO {role}"));
    let from = all.replace("gw@", &format!("{role}@"));
    let gateway = Gateway::start(&CRM.replace("STORE", &from));
    made(&gateway, "/clients", &json!({ "name": "Ada" }));
    made(&gateway, "/clients", &json!({ "name": "Bob" }));
    drop(gateway);
    server::run(
        &all,
        "ALTER TABLE clients ENABLE ROW LEVEL SECURITY; ALTER TABLE clients FORCE ROW LEVEL SECURITY;
         CREATE POLICY one ON clients USING (name = 'Ada')",
    );
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{}", CRM.replace("STORE", &from))).unwrap();
    let refused = db(folder.path(), &["copy", "--from", &from, "--to", &to]);
    assert_ne!(refused.status.code(), Some(0), "{refused:?}");
    assert!(err(&refused).contains("row-level security policy for table \"clients\""), "{refused:?}");
}
