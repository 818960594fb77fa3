//! `gatewright db backup` and `gatewright db restore`.

use super::*;
use crate::harness::HEAD;
use std::os::unix::fs::PermissionsExt;

/// A folder with a configuration `gateway.yaml` for a SQLite store, and a gateway that serves it.
fn served() -> (tempfile::TempDir, Gateway) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("data/shop.db").display());
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{}", shop(&url))).unwrap();
    let gateway = Gateway::start(&shop(&url));
    (folder, gateway)
}

fn titles(gateway: &Gateway) -> Vec<String> {
    let tickets = gateway.get("/tickets").json();
    tickets.as_array().unwrap().iter().map(|ticket| ticket["title"].as_str().unwrap().to_owned()).collect()
}

fn ticket(title: &str) -> Value {
    json!({ "title": title })
}

#[test]
fn a_backup_is_made_while_the_gateway_serves_and_restored_while_it_does_not() {
    let (folder, gateway) = served();
    let folder = folder.path();
    made(&gateway, "/tickets", &ticket("one"));
    let said = done(folder, &["backup", "--config", "gateway.yaml", "backup.db"]);
    assert!(said.starts_with("backed up the store `main` to backup.db: 1 row in 2 tables, "), "{said}");
    assert_eq!(std::fs::metadata(folder.join("backup.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let tag = gateway.get("/tickets/1").header("etag").unwrap().to_owned();
    made(&gateway, "/tickets", &ticket("two"));
    let said = refused(folder, &["restore", "--config", "gateway.yaml", "backup.db"]);
    assert!(said.contains("is used by a running gateway, and nothing was changed\n  help: stop the gateway"), "{said}");
    assert_eq!(titles(&gateway), ["one", "two"]);
    stopped(gateway);
    let data = folder.join("data/shop.db");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o640)).unwrap();
    // Without a name, the configuration is looked up.
    let said = done(folder, &["restore", "backup.db"]);
    let kept = said.lines().find_map(|line| line.strip_prefix("the replaced database is kept as ")).unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o640);
    let url = |file: &Path| format!("sqlite://{}", file.display());
    let gateway = Gateway::start(&shop(&url(&data)));
    assert_eq!(titles(&gateway), ["one"]);
    assert_eq!(gateway.get("/tickets/1").header("etag"), Some(&*tag));
    assert_eq!(titles(&Gateway::start(&shop(&url(Path::new(kept))))), ["one", "two"]);
}

#[test]
fn a_backup_replaces_nothing_that_is_there_unless_it_is_told_to() {
    let (folder, gateway) = served();
    let folder = folder.path();
    std::fs::write(folder.join("backup.db"), "precious").unwrap();
    let said = refused(folder, &["backup", "backup.db"]);
    assert!(said.contains("backup.db exists already\n  help: choose another name, or add `--force`"), "{said}");
    // A file that is no database is not replaced at all, so a mistyped name costs nothing.
    for (file, why) in [
        ("backup.db", "backup.db is not a SQLite database, and is not replaced\n  help: choose another name"),
        ("gateway.yaml", "gateway.yaml is not a SQLite database, and is not replaced"),
        ("/dev/full", "/dev/full is not a regular file, and is not replaced"),
    ] {
        let said = refused(folder, &["backup", "--force", file]);
        assert!(said.contains(why), "{file}: {said}");
    }
    assert_eq!(std::fs::read(folder.join("backup.db")).unwrap(), b"precious");
    for (file, rest) in [("empty.db", ""), ("short.db", "SQLite format 3")] {
        std::fs::write(folder.join(file), rest).unwrap();
    }
    assert!(refused(folder, &["backup", "--force", "short.db"]).contains("is not a SQLite database"));
    for _ in 0..2 {
        let said = done(folder, &["backup", "--force", "empty.db"]);
        assert!(said.contains("to empty.db: 0 rows in 2 tables"), "{said}");
    }
    for own in ["data/shop.db", "data/shop.db-wal", "data/shop.db-shm", "data/shop.db.lock"] {
        let said = refused(folder, &["backup", "--force", own]);
        assert!(said.contains("belongs to the database itself"), "{own}: {said}");
    }
    // Another one's database.
    let (other, second) = served();
    let live = other.path().join("data/shop.db").display().to_string();
    let said = refused(folder, &["backup", "--force", &live]);
    assert!(said.contains("is the database of a running gateway") || said.contains("has"), "{said}");
    made(&second, "/tickets", &ticket("still there"));
    made(&gateway, "/tickets", &ticket("still there"));
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn half_of_a_copy_is_neither_backed_up_nor_restored() {
    let (folder, gateway) = served();
    let folder = folder.path();
    made(&gateway, "/tickets", &ticket("one"));
    stopped(gateway);
    let url = |file: &str| format!("sqlite://{}", folder.join(file).display());
    server::run(&url("data/shop.db"), "UPDATE tickets SET title = CAST(x'ff' AS TEXT)");
    let copy = ["copy", "--from", &url("data/shop.db"), "--to", &url("half.db")];
    refused(folder, &copy);
    let yaml = std::fs::read_to_string(folder.join("gateway.yaml")).unwrap();
    std::fs::write(folder.join("half.yaml"), yaml.replace("data/shop.db", "half.db")).unwrap();
    let why = [
        format!(
            "`gatewright db copy` from {} to this database has not finished",
            folder.join("data/shop.db").display()
        ),
        "help: run `gatewright db copy` again until its exit code is 0".to_owned(),
    ];
    let back = ["copy", "--from", &url("half.db"), "--to", &url("further.db")];
    for arguments in [&["backup", "--config", "half.yaml", "backup.db"][..], &["restore", "half.db"], &back] {
        let said = refused(folder, arguments);
        assert!(said.contains("half.db: ") && why.iter().all(|why| said.contains(why)), "{said}");
    }
    assert!(!folder.join("backup.db").exists() && !folder.join("further.db").exists());
    server::run(&url("data/shop.db"), "UPDATE tickets SET title = 'one'");
    done(folder, &copy);
    done(folder, &["backup", "--config", "half.yaml", "backup.db"]);
}

#[test]
fn what_a_killed_backup_left_behind_is_replaced() {
    let (folder, _gateway) = served();
    std::fs::write(folder.path().join(".backup.db.partial"), "half").unwrap();
    done(folder.path(), &["backup", "backup.db"]);
    assert!(!folder.path().join(".backup.db.partial").exists());
}

#[test]
fn only_a_whole_backup_that_fits_the_configuration_is_restored() {
    let (folder, gateway) = served();
    let folder = folder.path();
    for number in 0..50 {
        made(&gateway, "/tickets", &ticket(&format!("{number} {}", "long ".repeat(30))));
    }
    done(folder, &["backup", "backup.db"]);
    stopped(gateway);
    let before = std::fs::read(folder.join("data/shop.db")).unwrap();
    let mut bytes = std::fs::read(folder.join("backup.db")).unwrap();
    // The header of a page with rows.
    let page = bytes.windows(5).rposition(|part| part == b"long ").unwrap() / 4096 * 4096;
    bytes[page..page + 8].fill(0x5a);
    std::fs::write(folder.join("damaged.db"), &bytes).unwrap();
    std::fs::write(folder.join("short.db"), &bytes[..page]).unwrap();
    std::fs::write(folder.join("text.db"), "not a database, but long enough to be one of them").unwrap();
    rusqlite::Connection::open(folder.join("foreign.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    for (file, why) in [
        ("damaged.db", "damaged.db cannot be restored: "),
        ("short.db", "short.db cannot be restored: "),
        ("text.db", "text.db cannot be restored: it is not a SQLite database"),
        ("foreign.db", "is a SQLite database, but not one of gatewright"),
        ("missing.db", "cannot open missing.db"),
        ("data/shop.db", "is the database itself, not a backup of it"),
    ] {
        let said = refused(folder, &["restore", file]);
        assert!(said.contains(why), "{file}: {said}");
    }
    let yaml = std::fs::read_to_string(folder.join("gateway.yaml")).unwrap();
    std::fs::write(folder.join("other.yaml"), yaml.replace("title: { type: string", "title: { type: boolean")).unwrap();
    let said = refused(folder, &["restore", "--config", "other.yaml", "backup.db"]);
    assert!(said.contains("the configuration cannot serve what is in"), "{said}");
    assert!(said.contains("`title` has text values in table `tickets`"), "{said}");
    assert_eq!(std::fs::read(folder.join("data/shop.db")).unwrap(), before);
}

#[test]
fn a_store_is_restored_where_there_is_none() {
    let (folder, gateway) = served();
    made(&gateway, "/tickets", &ticket("one"));
    done(folder.path(), &["backup", "backup.db"]);
    stopped(gateway);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let said = done(folder.path(), &["restore", "backup.db"]);
    assert!(!said.contains("kept"), "{said}");
    let data = folder.path().join("data/shop.db");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(titles(&Gateway::start(&shop(&format!("sqlite://{}", data.display())))), ["one"]);
}

#[test]
fn other_stores_are_told_what_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let write = |url: &str| std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{}", shop(url))).unwrap();
    write("postgres://app:hunter2@db.internal:6432/shop?sslmode=require");
    let said = refused(folder.path(), &["backup", "my shop.dump"]);
    let url = "'postgres://app@db.internal:6432/shop?sslmode=require'";
    assert!(said.contains(&format!("pg_dump --format=custom --no-owner --file='my shop.dump' {url}")), "{said}");
    let restored = refused(folder.path(), &["restore", "shop.dump"]);
    assert!(
        restored.contains(&format!("pg_restore --clean --if-exists --no-owner --dbname={url} shop.dump")),
        "{restored}"
    );
    assert!(!said.contains("hunter2") && !restored.contains("hunter2"), "{said}{restored}");
    write("sqlite::memory:");
    assert!(refused(folder.path(), &["backup", "x.db"]).contains("is in memory and has no file"));
    write("sqlite://a.db");
    let yaml = std::fs::read_to_string(folder.path().join("gateway.yaml")).unwrap();
    let two = yaml.replace("stores: {", "stores: { second: { url: \"sqlite://b.db\" },");
    std::fs::write(folder.path().join("gateway.yaml"), two).unwrap();
    let said = refused(folder.path(), &["backup", "x.db"]);
    assert!(said.contains("has several stores\n  help: add `--store NAME` with one of `second`, `main`"), "{said}");
    let said = refused(folder.path(), &["backup", "--store", "third", "x.db"]);
    assert!(said.contains("the store `third` does not exist"), "{said}");
    assert!(refused(folder.path(), &["backup", "--store", "main", "x.db"]).contains("cannot open"), "no file yet");
}
