//! A reload always completes, whoever requested it, and a rejected one changes nothing.

use crate::harness::{ADMIN_TOKEN, Gateway, PATIENCE, connect};
use rusqlite::Connection;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

const LISTENER: &str = "listeners: { web: { address: \"127.0.0.1:0\" } }\n";

/// Resources, each in its own store: their names, and their fields as YAML.
fn resources(all: &[(&str, &str)]) -> String {
    let part = |write: &dyn Fn(&str, &str) -> String| {
        all.iter().map(|(name, fields)| write(name, fields)).collect::<Vec<_>>().join(", ")
    };
    let stores = part(&|name, _| format!("{name}: {{ url: \"sqlite://data/{name}.db\" }}"));
    let routes = part(&|name, _| format!("{name}: {{ path: /{name}, resource: {name} }}"));
    let resources = part(&|name, fields| {
        format!("{name}: {{ store: {name}, access: {{ default: public }}, fields: {{ {fields} }} }}")
    });
    format!("{LISTENER}stores: {{ {stores} }}\nresources: {{ {resources} }}\nroutes: {{ {routes} }}\n")
}

const TITLE: &str = "title: { type: string }";
const MORE: &str = "title: { type: string }, more: { type: integer }";

fn columns(folder: &Path, table: &str) -> Vec<String> {
    let database = Connection::open(folder.join(format!("data/{table}.db"))).unwrap();
    let mut statement = database.prepare("SELECT name FROM pragma_table_info(?)").unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("data")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn if_one_store_fails_no_store_is_changed() {
    let gateway = Gateway::start(&resources(&[("a", TITLE), ("m", TITLE), ("z", TITLE)]));
    let data = gateway.folder().join("data");
    let held = File::create(data.join("held.db.lock")).unwrap();
    held.try_lock().unwrap();
    fs::write(data.join("text.db"), "this is not a database, however long one looks at it").unwrap();
    fs::create_dir(data.join("folder.db")).unwrap();
    Connection::open(data.join("foreign.db")).unwrap().execute_batch("CREATE TABLE \"foreign\" (x)").unwrap();
    let index = "CREATE TABLE other (x); CREATE INDEX indexed ON other (x)";
    Connection::open(data.join("indexed.db")).unwrap().execute_batch(index).unwrap();
    let bytes = |name: &str| fs::read(data.join(name)).unwrap();
    let (foreign, present) = (bytes("foreign.db"), files(gateway.folder()));
    let before = columns(gateway.folder(), "a");
    for (name, fields, reason) in [
        ("m", "title: { type: integer }", "cannot become"),
        ("held", TITLE, "in use by another gatewright"),
        ("text", TITLE, "not a database"),
        ("folder", TITLE, "is a directory"),
        ("foreign", TITLE, "not created by gatewright"),
        ("indexed", TITLE, "not created by gatewright"),
        ("text.db/below", TITLE, "not a directory"),
    ] {
        let (resource, url) = (name.rsplit('/').next().unwrap(), format!("data/{name}.db"));
        let yaml = resources(&[("a", MORE), (resource, fields), ("z", MORE), ("fresh", TITLE)]);
        let refused = gateway.reload(&yaml.replace(&format!("data/{resource}.db"), &url));
        assert_eq!(refused.status, 422, "{name}: {refused:?}");
        assert!(refused.body.contains(reason), "{name}: {refused:?}");
        for table in ["a", "z"] {
            assert_eq!(columns(gateway.folder(), table), before, "{name}");
        }
        assert_eq!(files(gateway.folder()), present, "{name}");
        assert_eq!(bytes("foreign.db"), foreign, "{name}");
        assert_eq!(gateway.get("/a").status, 200);
    }
    assert_eq!(gateway.reload(&resources(&[("a", MORE), ("fresh", TITLE), ("z", MORE)])).status, 200);
    assert_eq!(columns(gateway.folder(), "a").len(), before.len() + 1);
}

#[test]
fn two_names_for_a_new_file_are_rejected_before_it_is_created() {
    let gateway = Gateway::start(&resources(&[("a", TITLE)]));
    let present = files(gateway.folder());
    std::os::unix::fs::symlink("data", gateway.folder().join("linked")).unwrap();
    for other in ["data/../data/b.db", "linked/b.db"] {
        let yaml = resources(&[("a", MORE), ("b", TITLE), ("c", TITLE)]).replace("data/c.db", other);
        let refused = gateway.reload(&yaml);
        assert_eq!(refused.status, 422, "{other}");
        assert!(refused.body.contains("uses the same file"), "{refused:?}");
        assert_eq!(files(gateway.folder()), present, "{other}");
        assert_eq!(columns(gateway.folder(), "a").len(), 3, "{other}");
    }
}

/// A locked database, and a gateway that waits for it in the middle of a reload.
struct Waiting {
    gateway: Gateway,
    lock: Connection,
    client: std::net::TcpStream,
}

impl Waiting {
    fn begin() -> Self {
        let gateway = Gateway::start(&resources(&[("a", TITLE)]));
        let lock = Connection::open(gateway.folder().join("data/b.db")).unwrap();
        lock.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
        let yaml = format!("{}{}", crate::harness::HEAD, resources(&[("a", MORE), ("b", TITLE)]));
        fs::write(gateway.file(), yaml).unwrap();
        let mut client = connect(gateway.admin);
        let admin = gateway.admin;
        let head = format!("POST /reload HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        let until = Instant::now() + PATIENCE;
        let descriptors = format!("/proc/{}/fd", gateway.pid());
        let open = || {
            let links = fs::read_dir(&descriptors).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            links.into_iter().any(|file| file.ends_with("data/b.db"))
        };
        while !open() {
            assert!(Instant::now() < until, "the reload did not reach the store");
        }
        Self { gateway, lock, client }
    }

    fn release(&self) {
        self.lock.execute_batch("ROLLBACK").unwrap();
    }
}

#[test]
fn a_reload_goes_on_when_the_admin_client_that_asked_for_it_leaves() {
    let mut waiting = Waiting::begin();
    waiting.client.shutdown(std::net::Shutdown::Both).unwrap();
    let until = Instant::now() + PATIENCE;
    while waiting.gateway.admin("GET", "/status").json()["connections"] != 1 {
        assert!(Instant::now() < until, "the gateway has not noticed that the client left");
    }
    waiting.release();
    waiting.gateway.wait_for_log(|line| line["message"] == "configuration reloaded" && line["generation"] == 2);
    waiting.gateway.wait_for_log(|line| line["message"] == "configuration reloaded through the admin API");
    assert_eq!(waiting.gateway.get("/b").status, 200);
    assert!(columns(waiting.gateway.folder(), "a").contains(&"more".to_owned()));
}

#[test]
fn a_reload_that_is_under_way_at_sigterm_is_finished() {
    let mut waiting = Waiting::begin();
    waiting.gateway.signal("TERM");
    waiting.gateway.wait_for_log(|line| line["message"] == "shutting down");
    waiting.release();
    waiting.gateway.wait_for_log(|line| line["message"] == "configuration reloaded" && line["generation"] == 2);
    assert_eq!(waiting.gateway.wait(), Some(0));
    assert!(columns(waiting.gateway.folder(), "a").contains(&"more".to_owned()));
}
