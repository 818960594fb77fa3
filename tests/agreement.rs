//! What the gateway accepts is what its description says: the same requests are sent to a gateway with resources, and to one that validates
//! them by the description of the first.

use crate::harness::Gateway;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const RESOURCES: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite::memory:" } }
resources:
  cats: { store: main, id: { type: integer }, access: { default: public }, fields: { name: { type: string } } }
  lists: { store: main, access: { default: public }, fields: { name: { type: string } } }
  people: { store: main, id: { type: string }, access: { default: public }, fields: { name: { type: string } } }
  things:
    store: main
    id: { type: integer }
    access: { default: public }
    bulk: { create: true }
    soft_delete: true
    fields:
      cat: { type: ref, to: cats, filter: [eq, in] }
      list: { type: ref, to: lists, filter: [eq, in] }
      owner: { type: ref, to: people, filter: [eq, in] }
routes:
  things: { path: /things, resource: things }
  of-cats: { path: "/cats/{cat}/things", resource: things, under: cat }
  of-lists: { path: "/lists/{list}/things", resource: things, under: list }
  of-people: { path: "/people/{owner}/things", resource: things, under: owner }
  openapi: { path: /openapi.json, openapi: {} }
"#;

const VALIDATING: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
plugins: { described: { request_validation: { openapi: { file: openapi.json } } } }
routes: { all: { path_prefix: /, plugins: [described], respond: { text: valid } } }
"#;

/// A gateway with resources, and one that knows their description.
struct Both(Gateway, Gateway);

impl Both {
    fn start() -> Self {
        let gateway = Gateway::start(RESOURCES);
        let (yaml, document) = (format!("{}{VALIDATING}", crate::harness::HEAD), gateway.get("/openapi.json").body);
        let validating = Gateway::start_in(&[("gateway.yaml", &yaml), ("openapi.json", &document)]);
        Self(gateway, validating)
    }

    /// Panics unless both accept a request, or neither does.
    fn agree(&self, method: &str, path: &str, body: &str, accepted: bool) {
        let headers = if body.is_empty() { &[][..] } else { &[("content-type", "application/json")] };
        let (here, there) = (self.0.send(method, path, headers, body), self.1.send(method, path, headers, body));
        // What is not there need not be wrong.
        assert_eq!(here.status != 400, accepted, "{method} {path} {body}: {here:?}");
        assert_eq!(there.status, if accepted { 200 } else { 400 }, "{method} {path} {body}: {there:?}");
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[test]
fn ids_in_paths_have_the_format_of_the_key() {
    let both = Both::start();
    const UUID: &str = "01a22d86-9238-7690-93a2-0bc9d41303cc";
    let numbers =
        [("1", true), ("9223372036854775807", true), ("0", false), ("01", false), ("+1", false), ("x", false)];
    let upper = UUID.to_uppercase();
    let uuids =
        [(UUID, true), (&*upper, true), ("x", false), ("1", false), ("01a22d869238769093a20bc9d41303cc", false)];
    let texts = [("ann", true), ("1", true), ("a b", false), ("a@b", false)];
    for (parents, ids) in [("cats", &numbers[..]), ("lists", &uuids), ("people", &texts)] {
        for (id, accepted) in ids {
            let path = format!("/{parents}/{}/things", encoded(id));
            both.agree("GET", &path, "", *accepted);
            both.agree("GET", &format!("{path}/1"), "", *accepted);
            both.agree("POST", &format!("{path}/1/restore"), "", *accepted);
            both.agree("DELETE", &format!("{path}/1"), "", *accepted);
            both.agree("POST", &path, "{}", *accepted);
        }
    }
    for (id, accepted) in numbers {
        both.agree("GET", &format!("/things/{}", encoded(id)), "", accepted);
    }
}
