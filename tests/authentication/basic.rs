//! Names and passwords.

use super::{Gateway, HTPASSWD, basic, echo, values};
use crate::harness::{HEAD, command};

fn yaml() -> String {
    format!(
        r#"{head}listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
plugins:
  staff: {{ basic: {{ htpasswd_file: htpasswd, realm: Staff }} }}
  forward: {{ headers: {{ request: {{ set: {{ x-user: "{{auth.subject}}", x-how: "{{auth.method}}" }} }} }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes: {{ app: {{ path: /app, plugins: [staff, forward], upstream: app }} }}
"#,
        head = HEAD
            .replace("level: info", "level: info, access: { fields: [path, status, subject, auth_method, reason] }"),
        upstream = echo(),
    )
}

fn get(gateway: &Gateway, name: &str, password: &str) -> crate::harness::Answer {
    gateway.send("GET", "/app", &[("authorization", &basic(name, password)), ("x-user", "root")], "")
}

#[test]
fn users_of_the_file_get_in_and_upstreams_see_no_password() {
    let mut gateway = Gateway::start_in(&[("gateway.yaml", &yaml()), ("htpasswd", HTPASSWD)]);
    for _ in 0..2 {
        let answer = get(&gateway, "ada", "correct horse");
        assert_eq!((answer.status, values(&answer, "x-user")), (200, vec!["ada"]), "{answer:?}");
        assert_eq!(values(&answer, "x-how"), ["basic"]);
        assert!(values(&answer, "authorization").is_empty(), "{}", answer.body);
    }
    for (name, password) in [("ada", "wrong"), ("eve", "correct horse")] {
        let answer = get(&gateway, name, password);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"Staff\", charset=\"UTF-8\""));
    }
    assert_eq!(gateway.get("/app").status, 401);
    let line = gateway.wait_for_log(|line| line["path"] == "/app" && line["status"] == 200);
    assert_eq!((&line["subject"], &line["auth_method"]), (&"ada".into(), &"basic".into()), "{line}");
}

#[test]
fn an_edit_of_the_file_is_applied_and_without_the_file_nothing_new_is_let_in() {
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml()), ("htpasswd", HTPASSWD)]);
    assert_eq!(get(&gateway, "ada", "correct horse").status, 200);
    let file = gateway.folder().join("htpasswd");
    std::fs::write(&file, HTPASSWD.replace("ada:", "bob:")).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    assert_eq!(get(&gateway, "ada", "correct horse").status, 401, "a removed user is out, cached or not");
    assert_eq!(get(&gateway, "bob", "correct horse").status, 200);

    // A reload without the file is rejected, and the last users remain.
    std::fs::remove_file(&file).unwrap();
    let answer = gateway.admin("POST", "/reload");
    assert!(answer.status >= 400 && answer.body.contains("GW0437"), "{answer:?}");
    for (name, password, status) in
        [("ada", "correct horse", 401), ("bob", "wrong", 401), ("bob", "correct horse", 200)]
    {
        assert_eq!(get(&gateway, name, password).status, status, "{name}");
    }
    assert_eq!(gateway.get("/app").status, 401);

    // And so is a start.
    let started = command(gateway.folder()).args(["run", "gateway.yaml"]).output().unwrap();
    assert!(!started.status.success() && String::from_utf8_lossy(&started.stderr).contains("GW0437"));
}
