//! The user and the password of a PostgreSQL store change while it is used: on the server that `.ci/postgres` starts.

use crate::harness::{Gateway, send};
use crate::moved_data::server::run;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

fn notes(url: &str) -> String {
    format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
stores: {{ main: {{ url: "{url}" }} }}
resources:
  notes:
    store: main
    access: {{ default: public }}
    pagination: {{ max_per_page: 100 }}
    fields:
      title: {{ type: string, required: true }}
routes:
  notes: {{ path: /notes, resource: notes }}
"#
    )
}

#[test]
fn credentials_change_with_a_reload_and_no_request_is_lost() {
    let Some(server) = std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty()) else {
        return eprintln!("skipped: run `.ci/postgres cargo test --test main -- credentials`");
    };
    let name = format!("rotated{}", std::process::id());
    run(
        &server,
        &format!(
            "CREATE SCHEMA {name}; CREATE SCHEMA other_{name}; CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'one' IN ROLE secretive;
             CREATE ROLE second_{name} LOGIN SUPERUSER PASSWORD 'three' IN ROLE secretive"
        ),
    );
    let at = |user: &str, password: &str| {
        let server = server.replace("gw@", &format!("{user}:{password}@"));
        format!("{server}?options=-csearch_path%3D{name}")
    };
    let gateway = Gateway::start(&notes(&at(&name, "one")));
    let (done, address) = (AtomicBool::new(false), gateway.address);
    let made: usize = std::thread::scope(|scope| {
        let create = || {
            let mut made = 0;
            while !done.load(Ordering::Relaxed) {
                let headers = [("content-type", "application/json")];
                let answer = send(address, "POST", "/notes", &headers, "{\"title\":\"x\"}");
                assert_eq!(answer.status, 201, "{answer:?}");
                made += 1;
            }
            made
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        let outcomes = [
            gateway.reload(&notes(&at(&format!("second_{name}"), "three"))).status == 200,
            gateway.reload(&notes(&at(&name, "one"))).status == 200,
            !gateway.admin("GET", "/diagnostics").body.contains("GW0633"),
        ];
        done.store(true, Ordering::Relaxed);
        let made = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(outcomes, [true; 3]);
        made
    });
    assert!(made > 0);
    let count = gateway.get("/notes?count=exact&per_page=1").header("x-total-count").unwrap().parse();
    assert_eq!(count, Ok(made));
    // A password that is changed on the server first; a wrong one changes nothing.
    run(&server, &format!("ALTER ROLE {name} PASSWORD 'two'"));
    let refused = gateway.reload(&notes(&at(&name, "wrong")));
    assert!(refused.body.contains("GW0810") && refused.body.contains("password authentication failed"), "{refused:?}");
    assert!(!refused.body.contains("wrong@"), "{refused:?}");
    assert_eq!(gateway.reload(&notes(&at(&name, "two"))).status, 200);
    assert_eq!(gateway.json("POST", "/notes", &json!({ "title": "y" })).status, 201);
    // Another database is another one, with whatever credentials.
    let current = at(&name, "two");
    for other in [
        current.replace("/gw?", "/postgres?"),
        current.replace("%3D", "%3Dother_"),
        current.replace("127.0.0.1", "localhost"),
    ] {
        let refused = gateway.reload(&notes(&other));
        assert!(refused.body.contains("GW0632"), "{refused:?}");
    }
    assert_eq!(gateway.get("/notes").status, 200);
}
