//! Several ways to prove who asks, of which one suffices.

use super::{Gateway, HTPASSWD, basic, echo, jwt, new_key, token, values};
use crate::harness::{HEAD, command};

#[test]
fn a_later_rejection_asks_for_the_credentials_that_earlier_plugins_accept() {
    let yaml = format!(
        r#"{HEAD}listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
plugins:
  staff: {{ basic: {{ htpasswd_file: htpasswd, on_missing: continue }} }}
  partners: {{ api_key: {{ header: x-partner, keys: {{ file: keys.yaml }}, on_missing: continue }} }}
  known: {{ authorize: {{ claims: {{ sub: ada }} }} }}
stores: {{ main: {{ url: "sqlite://data/notes.db" }} }}
resources: {{ notes: {{ store: main, access: {{ default: authenticated }}, fields: {{ title: {{ type: string }} }} }} }}
routes:
  known: {{ path: /known, plugins: [staff, partners, known], respond: {{ text: in }} }}
  notes: {{ path: /notes, plugins: [staff], resource: notes }}
"#
    );
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("keys.yaml", "[]"), ("htpasswd", HTPASSWD)]);
    let realm = "Basic realm=\"gatewright\", charset=\"UTF-8\"";
    for (path, challenges) in [("/known", &[realm, "ApiKey header=\"x-partner\""][..]), ("/notes", &[realm])] {
        let answer = gateway.get(path);
        let found: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).collect();
        assert_eq!(answer.status, 401);
        assert_eq!(found.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), challenges, "{path}");
        let ada = basic("ada", "correct horse");
        assert_eq!(gateway.send("GET", path, &[("authorization", &ada)], "").status, 200);
    }
}

#[test]
fn one_of_several_credentials_suffices_and_a_wrong_one_is_rejected() {
    let (key, hash) = new_key();
    let yaml = format!(
        r#"{HEAD}listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
plugins:
  {jwt}
  partners: {{ api_key: {{ keys: {{ file: keys.yaml }}, on_missing: continue }} }}
  staff: {{ basic: {{ htpasswd_file: htpasswd }} }}
  who: {{ any_of: [login, partners, staff] }}
  admins: {{ authorize: {{ role: admin }} }}
  forward: {{ headers: {{ request: {{ set: {{ x-user: "{{auth.subject}} by {{auth.method}}" }} }} }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  app: {{ path: /app, plugins: [who, forward], upstream: app }}
  admin: {{ path: /admin, plugins: [who, admins], respond: {{ text: admin }} }}
"#,
        jwt = jwt(),
        upstream = echo(),
    );
    let keys = format!("- {{ owner: acme, hash: \"{hash}\", roles: [admin] }}\n");
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("keys.yaml", &keys), ("htpasswd", HTPASSWD)]);
    let bearer = format!("Bearer {}", token(&gateway, &["--sub", "u1", "--role", "admin"]));
    let (right, wrong) = (basic("ada", "correct horse"), basic("ada", "wrong"));
    for (sent, user) in [
        (&[("authorization", bearer.as_str())][..], "u1 by jwt"),
        (&[("x-api-key", key.as_str())], "acme by api_key"),
        (&[("authorization", right.as_str())], "ada by basic"),
        (&[("authorization", bearer.as_str()), ("x-api-key", key.as_str())], "u1 by jwt"),
    ] {
        let answer = gateway.send("GET", "/app", sent, "");
        assert_eq!((answer.status, values(&answer, "x-user")), (200, vec![user]), "{answer:?}");
    }
    for sent in [
        &[][..],
        &[("authorization", "Bearer no")],
        &[("authorization", "Bearer no"), ("x-api-key", key.as_str())],
        &[("x-api-key", "no")],
        &[("x-api-key", "no"), ("authorization", right.as_str())],
        &[("authorization", wrong.as_str())],
    ] {
        let answer = gateway.send("GET", "/app", sent, "");
        assert_eq!(answer.status, 401, "{sent:?}");
        let challenges: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).collect();
        for scheme in ["Bearer", "ApiKey", "Basic"] {
            let count = challenges.iter().filter(|(_, value)| value.starts_with(scheme)).count();
            assert_eq!(count, 1, "{scheme} for {sent:?}: {challenges:?}");
        }
    }
    for (sent, status) in [
        (("authorization", bearer.as_str()), 200),
        (("x-api-key", key.as_str()), 200),
        (("authorization", right.as_str()), 403),
    ] {
        assert_eq!(gateway.send("GET", "/admin", &[sent], "").status, status, "roles are found whatever the source");
    }
    let explained = command(gateway.folder()).args(["explain", "GET", "/app", "gateway.yaml"]).output().unwrap();
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains(". who (any_of: login, partners, staff): plugins of route `app`"), "{text}");
}
