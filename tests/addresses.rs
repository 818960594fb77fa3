//! `Location` and `Link` of resources point to addresses that the client can reach.

use crate::harness::{Answer, Gateway};
use serde_json::json;

const REST: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite::memory:" } }
resources:
  notes: { store: main, access: { default: public }, fields: { title: { type: string } } }
  words: { store: main, id: { type: string }, access: { default: public }, fields: { title: { type: string } } }
routes:
  plain: { path: /plain, resource: notes }
  slash: { path: /slash/, resource: notes }
  tenant: { path: "/t/{tenant}/notes", resource: notes }
  words: { path: "/w/{tenant}/words", resource: words }
  root: { path: /, resource: notes }
"#;

fn linked(answer: &Answer, rel: &str) -> Option<String> {
    let wanted = format!("; rel=\"{rel}\"");
    let link = answer.header("link")?.split(", ").find(|link| link.ends_with(&wanted))?;
    Some(link.strip_prefix('<')?.strip_suffix(&wanted)?.strip_suffix('>')?.to_owned())
}

#[test]
fn an_address_that_is_given_can_be_followed() {
    let gateway = Gateway::start(REST);
    for collection in ["/plain", "/slash/", "/", "/t/acme/notes", "/t/a%20b/notes", "/t/%C3%A4%22%3C/notes"] {
        let made = gateway.json("POST", collection, &json!({ "title": "a" }));
        assert_eq!(made.status, 201, "{collection} {made:?}");
        let location = made.header("location").unwrap();
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(location, format!("{}/{id}", collection.trim_end_matches('/')));
        assert_eq!(gateway.get(location).json(), made.json(), "{location}");

        let other = gateway.json("POST", collection, &json!({ "title": "b" }));
        assert_eq!(other.status, 201);
        for method in ["GET", "HEAD"] {
            let page = gateway.send(method, &format!("{collection}?per_page=1"), &[], "");
            let next = linked(&page, "next").unwrap_or_else(|| panic!("{collection} {page:?}"));
            assert!(next.starts_with(&format!("{collection}?")), "{next}");
            assert_eq!(gateway.get(&next).status, 200, "{next}");
        }
    }
}

#[test]
fn a_put_that_creates_says_where() {
    let gateway = Gateway::start(REST);
    for id in ["a", "A.b_c~d-e", "..."] {
        let address = format!("/w/acme/words/{id}");
        let made = gateway.json("PUT", &address, &json!({ "title": "a" }));
        assert_eq!((made.status, made.header("location")), (201, Some(&*address)), "{made:?}");
        assert_eq!(gateway.get(&address).json()["id"], id);
    }
    for id in ["a%2Fb", "%2E%2E", "a%3Fb", "%C3%A4", "%2F%2Fevil.example"] {
        let refused = gateway.json("PUT", &format!("/w/acme/words/{id}"), &json!({ "title": "a" }));
        assert!((400..500).contains(&refused.status), "{id} {refused:?}");
        assert_eq!(refused.header("location"), None);
    }
}

#[test]
fn an_address_never_names_another_host() {
    let gateway = Gateway::start(REST);
    for collection in
        ["//evil.example", "//evil.example/notes", "/t//notes", "/.//evil.example", "/t/%2F%2Fevil.example/notes"]
    {
        for (method, body) in [("POST", "{\"title\":\"a\"}"), ("GET", "")] {
            let answer = gateway.send(method, collection, &[("content-type", "application/json")], body);
            for name in ["location", "link"] {
                let value = answer.header(name).unwrap_or_default();
                assert!(!value.starts_with("//") && !value.contains("<//"), "{method} {collection}: {value}");
            }
        }
    }
}
