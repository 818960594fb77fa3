//! Decimals that other programs wrote to PostgreSQL, copied to SQLite.

use super::*;

/// Where the copy goes.
fn file(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("copy.db").display())
}

/// A store on the server with people whose balances another program wrote; `None` without a server.
fn written(folder: &Path, balances: &[&str]) -> Option<String> {
    server::server()?;
    let from = server::empty(folder);
    let gateway = Gateway::start(&shop(&from));
    for (number, balance) in (1..).zip(balances) {
        let id = made(&gateway, "/people", &person(number)).json()["id"].as_str().unwrap().to_owned();
        server::run(&from, &format!("UPDATE people SET balance = '{balance}' WHERE id = '{id}'"));
    }
    stopped(gateway);
    Some(from)
}

#[test]
fn decimals_get_the_form_of_their_field() {
    let folder = tempfile::tempdir().unwrap();
    let Some(from) = written(folder.path(), &["10", "9.5", "22.000", "-0.50", "-3", "0"]) else { return };
    let to = file(folder.path());
    let first = done(folder.path(), &["copy", "--from", &from, "--to", &to]);
    assert!(first.contains("both sides are equal"), "{first}");
    let again: Value =
        serde_json::from_str(&done(folder.path(), &["copy", "--format", "json", "--from", &from, "--to", &to]))
            .unwrap();
    let people = again["tables"].as_array().unwrap().iter().find(|table| table["table"] == "people").unwrap();
    assert_eq!((&people["inserted"], &people["deleted"]), (&json!(0), &json!(0)), "{again}");
    let sorted = "balance: { type: decimal, precision: 12, scale: 2, sort: true, filter: [eq] }";
    let gateway = Gateway::start(&shop(&to).replace("balance: { type: decimal, precision: 12, scale: 2 }", sorted));
    let list = gateway.get("/people?sort=balance").json();
    let balances: Vec<_> = list.as_array().unwrap().iter().map(|person| person["balance"].as_str().unwrap()).collect();
    assert_eq!(balances, ["-3.00", "-0.50", "0.00", "9.50", "10.00", "22.00"]);
    assert_eq!(gateway.get("/people?filter[balance]=22").json().as_array().unwrap().len(), 1);
}

#[test]
fn a_value_that_no_decimal_of_the_field_can_be_is_named_and_nothing_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let digits = "1".repeat(40);
    let Some(from) = written(folder.path(), &["10", "NaN", "22.005", "-Infinity", &digits]) else { return };
    let to = file(folder.path());
    let said = refused(folder.path(), &["copy", "--from", &from, "--to", &to]);
    let what = "nothing was copied: in table `people`, `balance` has 4 values that a decimal with 2 digits after the point cannot be:\n";
    assert!(said.contains(what), "{said}");
    for value in ["NaN", "22.005", "-Infinity", &digits] {
        assert!(said.contains(&format!(": {value}\n")), "{said}");
    }
    assert!(!said.contains(": 10\n") && said.contains("  help: correct them in "), "{said}");
    assert!(!folder.path().join("copy.db").exists());
    // The statement of the message finds them.
    let find = said.split("to find them: SELECT").nth(1).unwrap().trim().trim_end_matches(';');
    let correct = format!("UPDATE people SET balance = 1 WHERE id IN (SELECT id FROM (SELECT {find}) AS those)");
    server::run(&from, &correct);
    done(folder.path(), &["copy", "--from", &from, "--to", &to]);
    let gateway = Gateway::start(&shop(&to));
    let list = gateway.get("/people?sort=created_at").json();
    let balances: Vec<_> = list.as_array().unwrap().iter().map(|person| person["balance"].as_str().unwrap()).collect();
    assert_eq!(balances, ["10.00", "1.00", "1.00", "1.00", "1.00"]);
}
