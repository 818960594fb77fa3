//! `gatewright db copy`: from SQLite to the PostgreSQL server that `.ci/postgres` starts, or else to SQLite.

use super::*;
use crate::harness::{HEAD, PATIENCE};
use std::process::Stdio;
use std::time::Instant;

/// A folder for databases, the URL of one there, and a gateway that serves it.
fn source() -> (tempfile::TempDir, String, Gateway) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let gateway = Gateway::start(&shop(&url));
    (folder, url, gateway)
}

fn copied(folder: &Path, from: &str, to: &str) -> Value {
    serde_json::from_str(&done(folder, &["copy", "--format", "json", "--from", from, "--to", to])).unwrap()
}

/// What a copy did with a table.
fn changes(copied: &Value, table: &str) -> (u64, u64) {
    let tables = copied["tables"].as_array().unwrap();
    let found = tables.iter().find(|found| found["table"] == *table).unwrap();
    assert_eq!(found["source"], found["target"], "{copied}");
    (found["inserted"].as_u64().unwrap(), found["deleted"].as_u64().unwrap())
}

fn log_in(gateway: &Gateway) -> Value {
    let session =
        gateway.json("POST", "/auth/login", &json!({ "email": "ada@example.com", "password": "correct horse" }));
    assert_eq!(session.status, 200, "{session:?}");
    session.json()
}

fn refresh(gateway: &Gateway, session: &Value) -> Answer {
    gateway.json("POST", "/auth/refresh", &json!({ "refresh_token": session["refresh_token"] }))
}

fn create_once(gateway: &Gateway) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
    let answer = gateway.send("POST", "/tickets", &headers, "{\"title\":\"once\"}");
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn next(list: &Answer) -> String {
    let link = list.header("link").unwrap();
    let end = link.split("; rel=\"next\"").next().unwrap();
    end.trim_start_matches('<').trim_end_matches('>').to_owned()
}

#[test]
fn everything_that_clients_hold_is_valid_after_the_move() {
    let (folder, from, gateway) = source();
    let to = server::empty(folder.path());
    made(&gateway, "/people", &json!({ "email": "ada@example.com", "password": "correct horse" }));
    for number in 1..=5 {
        made(&gateway, "/people", &person(number));
    }
    let once = create_once(&gateway);
    for title in ["two", "three"] {
        made(&gateway, "/tickets", &json!({ "title": title }));
    }
    let (session, first) = (log_in(&gateway), gateway.get("/people?per_page=2"));
    let whole = copied(folder.path(), &from, &to);
    assert_eq!((changes(&whole, "people"), changes(&whole, "tickets")), ((6, 0), (3, 0)));
    assert_eq!((changes(&whole, "_gw_sessions"), changes(&whole, "_gw_idempotency")), ((1, 0), (1, 0)));
    // Writes between the runs: one item is changed, one deleted, one made, and one takes the address of the deleted one.
    let people = gateway.get("/people?sort=created_at&per_page=100").json();
    let address = |number: usize| format!("/people/{}", people[number]["id"].as_str().unwrap());
    assert_eq!(gateway.send("DELETE", &address(2), &[], "").status, 204);
    let moved = json!({ "email": people[2]["email"], "height": 0.1, "married": true });
    assert_eq!(gateway.json("PATCH", &address(1), &moved).status, 200);
    made(&gateway, "/people", &person(7));
    assert_eq!(gateway.send("DELETE", "/tickets/3", &[], "").status, 204);
    assert_eq!(refresh(&gateway, &session).status, 200);
    let second = gateway.get(&next(&first));
    let items: Vec<_> = [0, 1, 3].map(|number| gateway.get(&address(number))).into();
    stopped(gateway);
    let rest = copied(folder.path(), &from, &to);
    assert_eq!((changes(&rest, "people"), changes(&rest, "tickets")), ((2, 2), (0, 1)));
    assert_eq!(changes(&rest, "_gw_sessions"), (1, 1));
    assert_eq!(changes(&copied(folder.path(), &from, &to), "people"), (0, 0));

    let gateway = Gateway::start(&shop(&to));
    for (number, before) in [0, 1, 3].into_iter().zip(items) {
        let after = gateway.get(&address(number));
        assert_eq!((after.header("etag"), &after.body), (before.header("etag"), &before.body));
        let tag = before.header("etag").unwrap();
        assert_eq!(gateway.send("GET", &address(number), &[("if-none-match", tag)], "").status, 304);
    }
    assert_eq!(gateway.get(&next(&first)).body, second.body);
    log_in(&gateway);
    assert_eq!(refresh(&gateway, &session).status, 401, "its token was replaced before the move");
    let again = create_once(&gateway);
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&once.body, Some("true")));
    assert_eq!(gateway.json("POST", "/people", &json!({ "email": "ADA@EXAMPLE.COM" })).status, 409);
    assert_eq!(made(&gateway, "/tickets", &json!({ "title": "four" })).json()["id"], 4, "3 is not given twice");
}

#[test]
fn a_session_goes_on_after_the_move() {
    let (folder, from, gateway) = source();
    let to = server::empty(folder.path());
    made(&gateway, "/people", &json!({ "email": "ada@example.com", "password": "correct horse" }));
    let session = log_in(&gateway);
    stopped(gateway);
    copied(folder.path(), &from, &to);
    assert_eq!(refresh(&Gateway::start(&shop(&to)), &session).status, 200);
}

#[test]
fn a_row_that_cannot_be_copied_is_named_and_the_next_run_goes_on() {
    let (folder, from, gateway) = source();
    let to = server::empty(folder.path());
    made(&gateway, "/people", &person(1));
    made(&gateway, "/tickets", &json!({ "title": "one" }));
    server::run(&from, "UPDATE tickets SET title = CAST(x'ff' AS TEXT)");
    let said = refused(folder.path(), &["copy", "--from", &from, "--to", &to]);
    assert!(said.contains("a text in the column title is not UTF-8"), "{said}");
    // No gateway serves half of it.
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{}", shop(&to))).unwrap();
    let output = command(folder.path()).arg("run").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = format!("{}{}", out(&output), err(&output));
    assert!(said.contains("to this database has not finished"), "{said}");
    assert!(said.contains("run `gatewright db copy` again until its exit code is 0"), "{said}");
    let further = format!("sqlite://{}", folder.path().join("further.db").display());
    let said = refused(folder.path(), &["copy", "--from", &to, "--to", &further]);
    assert!(said.contains("to this database has not finished"), "{said}");
    server::run(&from, "UPDATE tickets SET title = 'one'");
    let rest = copied(folder.path(), &from, &to);
    assert_eq!((changes(&rest, "people"), changes(&rest, "tickets")), ((0, 0), (1, 0)));
    assert_eq!(Gateway::start(&shop(&to)).get("/tickets").json()[0]["title"], "one");
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_so_is_one_that_a_gateway_has_used() {
    let (folder, from, gateway) = source();
    made(&gateway, "/tickets", &json!({ "title": "one" }));
    let copy = |to: &str| refused(folder.path(), &["copy", "--from", &from, "--to", to]);
    let is_refused = |to: &str, table: &str| {
        let said = copy(to);
        assert!(said.contains(&format!("is not empty: it has `{table}`, which no copy from ")), "{said}");
        assert!(said.contains("and nothing was changed\n  help: copy to an empty database"), "{said}");
    };
    // What a gateway that serves the target writes stays, also if its tables were empty before.
    let served = server::empty(folder.path());
    let other = Gateway::start(&shop(&served));
    is_refused(&served, "people");
    made(&other, "/tickets", &json!({ "title": "other" }));
    is_refused(&served, "people");
    stopped(other);
    is_refused(&served, "people");
    assert_eq!(Gateway::start(&shop(&served)).get("/tickets").json()[0]["title"], "other");
    // Tables of other programs, whether the copy would write them or not.
    for table in ["tickets", "notes"] {
        let foreign = server::empty(folder.path());
        server::run(&foreign, &format!("CREATE TABLE {table} (a integer)"));
        let file = foreign.strip_prefix("sqlite://").map(|file| (file, std::fs::read(file).unwrap()));
        is_refused(&foreign, table);
        if let Some((file, before)) = file {
            assert_eq!(std::fs::read(file).unwrap(), before);
        }
    }
    let to = server::empty(folder.path());
    copied(folder.path(), &from, &to);
    let (second, elsewhere, third) = source();
    made(&third, "/tickets", &json!({ "title": "elsewhere" }));
    let said = refused(second.path(), &["copy", "--from", &elsewhere, "--to", &to]);
    assert!(said.contains("holds a copy of"), "{said}");
    let moved = Gateway::start(&shop(&to));
    is_refused(&to, "people");
    made(&moved, "/tickets", &json!({ "title": "new" }));
    stopped(moved);
    is_refused(&to, "people");
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_next_one() {
    let (folder, from, gateway) = source();
    let to = server::empty(folder.path());
    stopped(gateway);
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
                INSERT INTO tickets (id, title) SELECT i, 'ticket ' || i FROM n";
    server::run(&from, rows);
    let mut copy = command(folder.path());
    let arguments = ["db", "copy", "--from", &from, "--to", &to];
    let mut copy = copy.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The first rows are there: it is under way, or has ended.
    let until = Instant::now() + PATIENCE;
    while copy.try_wait().unwrap().is_none() && !server::has_rows(&to, "tickets") {
        assert!(Instant::now() < until, "the copy does not begin");
    }
    copy.kill().unwrap();
    copy.wait().unwrap();
    let (inserted, deleted) = changes(&copied(folder.path(), &from, &to), "tickets");
    assert!(inserted < 20000 && deleted == 0, "{inserted} {deleted}");
    let gateway = Gateway::start(&shop(&to));
    assert_eq!(gateway.get("/tickets?count=exact&per_page=1").header("x-total-count"), Some("20000"));
}

#[test]
fn what_the_tables_have_is_copied_whatever_the_document_declares() {
    let (folder, from, gateway) = source();
    let to = server::empty(folder.path());
    let with = shop_with(&from, "nick: { type: string, unique: true }\n      shoe: { type: integer }");
    let loose = shop_with(&from, "nick: { type: string }");
    assert_eq!(gateway.reload(&with).status, 200);
    made(&gateway, "/people", &json!({ "email": "a@x.com", "nick": "x", "shoe": 44 }));
    assert_eq!(gateway.reload(&loose).status, 200);
    made(&gateway, "/people", &json!({ "email": "b@x.com", "nick": "x" }));
    assert_eq!(gateway.reload(&with).status, 200, "the rule returns, and the duplicate stays");
    assert_eq!(gateway.reload(&shop_with(&from, "nick: { type: string, unique: true }")).status, 200);
    stopped(gateway);
    for _ in 0..2 {
        copied(folder.path(), &from, &to);
    }
    let gateway = Gateway::start(&with.replace(&from, &to));
    let people = gateway.get("/people?sort=created_at").json();
    assert_eq!((&people[0]["shoe"], &people[1]["nick"]), (&json!(44), &json!("x")));
    assert_eq!(gateway.json("POST", "/people", &json!({ "email": "c@x.com", "nick": "x" })).status, 409);
}

#[test]
fn stores_can_be_named_and_a_wrong_name_is_reported() {
    let (folder, from, gateway) = source();
    made(&gateway, "/tickets", &json!({ "title": "one" }));
    let to = server::empty(folder.path());
    let both = shop(&from).replace("stores: {", &format!("stores: {{ new: {{ url: \"{to}\" }},"));
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{both}")).unwrap();
    let said = done(folder.path(), &["copy", "--from", "main", "--to", "new"]);
    assert!(said.contains("both sides are equal"), "{said}");
    for (from, to, why) in [
        ("main", "main", "both sides are"),
        ("mian", "new", "the store `mian` does not exist\n  help: the stores are `new`, `main`"),
        ("main", "redis://h", "a Redis store holds limits, and no tables"),
        ("main", "mysql://root:hunter2@h", "the URL does not start with a supported scheme"),
        ("sqlite://nothing.db", "new", "there is no file"),
    ] {
        let said = refused(folder.path(), &["copy", "--from", from, "--to", to]);
        assert!(said.contains(why) && !said.contains("hunter2"), "{from} {to}: {said}");
    }
}

#[test]
fn a_copy_can_be_copied_back() {
    let (folder, from, gateway) = source();
    for number in 1..=3 {
        made(&gateway, "/people", &person(number));
    }
    let people = gateway.get("/people");
    let (to, back) = (server::empty(folder.path()), format!("sqlite://{}", folder.path().join("back.db").display()));
    copied(folder.path(), &from, &to);
    copied(folder.path(), &to, &back);
    assert_eq!(Gateway::start(&shop(&back)).get("/people").body, people.body);
}
