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
  values:
    store: main
    access: { default: public }
    fields:
      whole: { type: integer, filter: [eq, in] }
      real: { type: number, filter: [eq, in] }
      exact: { type: decimal, precision: 6, scale: 2, filter: [eq, in] }
      day: { type: date, filter: [eq, in] }
      at: { type: datetime, filter: [eq, in] }
      key: { type: uuid, filter: [eq, in] }
      link: { type: url, filter: [eq, in] }
      mail: { type: email, filter: [eq, in] }
      flag: { type: boolean, filter: [eq, "null"] }
      text: { type: string, filter: [eq, in, prefix] }
      state: { type: enum, values: [draft, published], filter: [eq, in] }
      odd: { type: enum, values: ["a", "b,c", "d\"e"], filter: [eq, in] }
routes:
  values: { path: /values, resource: values }
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

#[test]
fn values_in_queries_are_read_by_one_rule() {
    let both = Both::start();
    let valid = [
        ("whole", &["5", "-5", "0", "-0", "9223372036854775807", "-9223372036854775808"][..]),
        ("real", &["5", "-5", "5.0", "5e0", "1E+3", "-1e-3", "1.5", "-0"]),
        ("exact", &["1.5", "1.50", "-0", "01.5", "1234.56"]),
        ("day", &["2026-01-01", "2024-02-29", "9999-12-31", "0001-01-01"]),
        ("at", &["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01t00:00:00.5z", "2026-01-01T00:00:00+01:00"]),
        ("key", &["01a22d86-9238-7690-93a2-0bc9d41303cc", "01A22D86-9238-7690-93A2-0BC9D41303CC"]),
        ("link", &["http://a", "https://a/b?c=d,e", "HTTP://A", "http://ä.de", "javascript:alert(1)", "ftp://a"]),
        ("mail", &["a@b.co", "a@münchen.de", "x", "", "ä@b.de"]),
        ("flag", &["true", "false"]),
        ("text", &["a", "", "a,b", "\"a\"", "a\"b", "😀"]),
        ("state", &["draft"]),
        ("odd", &["a", "b,c", "d\"e"]),
    ];
    let invalid = [
        (
            "whole",
            &["05", "+5", "5.", ".5", "5.0", "1e1", "5e0", "", "x", " 5", "0x1", "1,2", "null", "9223372036854775808"]
                [..],
        ),
        ("real", &["05", "+5", "5.", ".5", "", "x", "1e400", "NaN", "inf", "1,5", "0x1"]),
        ("exact", &["1.555", "12345.67", "+1", ".5", "1.", "1e2", "", "x"]),
        ("day", &["2026-02-30", "2026-1-1", "", "x", "2026-01-01T00:00:00Z"]),
        ("at", &["2026-13-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "x", ""]),
        ("key", &["01a22d869238769093a20bc9d41303cc", "{01a22d86-9238-7690-93a2-0bc9d41303cc}", "x", ""]),
        ("link", &["x", "", "/a", "http://", "http://a b"]),
        ("flag", &["TRUE", "1", "", "null"]),
        ("text", &["a\0"]),
        ("state", &["DRAFT", "x", "", "\"draft\""]),
        ("odd", &["x", "", "\"b,c\""]),
    ];
    for (fields, accepted) in [(&valid[..], true), (&invalid[..], false)] {
        for (field, texts) in fields {
            for text in *texts {
                both.agree("GET", &format!("/values?filter[{field}]={}", encoded(text)), "", accepted);
            }
        }
    }
    for name in ["page", "per_page"] {
        for (text, accepted) in
            [("1", true), ("01", false), ("+1", false), ("1.0", false), ("1e0", false), ("0", false)]
        {
            both.agree("GET", &format!("/values?{name}={}", encoded(text)), "", accepted);
        }
    }
}

#[test]
fn lists_in_queries_are_quoted_where_values_can_have_commas() {
    let both = Both::start();
    let key = "01a22d86-9238-7690-93a2-0bc9d41303cc";
    let hundred = ["1"; 100].join(",");
    for (field, text, accepted) in [
        ("state", "draft,published", true),
        ("state", "draft", true),
        ("state", "\"draft\",published", false),
        ("state", "\"draft\"", false),
        ("state", "draft,", false),
        ("state", "", false),
        ("odd", "a,d\"e", true),
        ("odd", "\"b,c\",a", true),
        ("odd", "\"a\",\"d\\\"e\"", true),
        ("odd", "b,c", false),
        ("odd", "\"d\"e\"", false),
        ("odd", " \"a\"", false),
        ("text", "a,b", true),
        ("text", "\"a,b\",c", true),
        ("text", "\"a\"b", false),
        ("mail", "a@b.co,c@d.co", true),
        ("mail", "\"a@b.co\",c@d.co", true),
        ("link", "http://a,https://b/?c", true),
        ("link", "\"http://a/b,c\",http://d", true),
        ("link", "http://a/b,c", false),
        ("link", "\"x\"", false),
        ("link", "http://a b", false),
        ("link", "", false),
        ("whole", "1,2", true),
        ("whole", "\"1\",2", false),
        ("whole", "1,,2", false),
        ("whole", "1,2.0", false),
        ("whole", &hundred, true),
        ("whole", &format!("{hundred},1"), false),
        ("key", key, true),
        ("key", &format!("{key},{key}"), true),
        ("key", &format!("\"{key}\""), false),
        ("exact", "1.5,2.50", true),
        ("day", "2026-01-01,2026-01-02", true),
        ("day", "\"2026-01-01\"", false),
    ] {
        both.agree("GET", &format!("/values?filter[{field}][in]={}", encoded(text)), "", accepted);
    }
}

#[test]
fn values_in_bodies_are_read_by_one_rule() {
    let both = Both::start();
    // As they are written in JSON.
    let valid = [
        (
            "whole",
            &["5", "5.0", "1e1", "1.5e1", "-0", "-0.0", "1e16", "9007199254740994.0", "1e18", "9223372036854775807"][..],
        ),
        ("real", &["5", "5.0", "1e300", "-0"]),
        ("exact", &["\"1.5\"", "\"1.50\"", "\"-0.00\"", "\"05\""]),
        ("day", &["\"2026-01-01\""]),
        ("at", &["\"2026-01-01T00:00:00Z\"", "\"2026-01-01t00:00:00.1234567891z\""]),
        ("key", &["\"01A22D86-9238-7690-93A2-0BC9D41303CC\""]),
        ("link", &["\"http://a\"", "\"HTTP://A\"", "\"http://ä.de\"", "\"http://a/{b}?c[]=d|e\"", "\"javascript:a\""]),
        ("mail", &["\"a@b.co\"", "\"a@localhost\"", "\"a@münchen.de\"", "\"a@MÜNCHEN.de\"", "\"a@xn--mnchen-3ya.de\""]),
        ("state", &["\"draft\""]),
    ];
    let invalid = [
        (
            "whole",
            &[
                "05",
                "+5",
                ".5",
                "5.",
                "1.5",
                "1e-1",
                "1e19",
                "\"5\"",
                "true",
                "9223372036854775808",
                "9223372036854775807.0",
            ][..],
        ),
        ("real", &["05", "+5", ".5", "5.", "\"1\"", "1e400"]),
        ("exact", &["1.5", "\".5\"", "\"5.\"", "\"+5\"", "\"1e1\"", "\"12345.6\""]),
        ("day", &["\"2026-02-30\"", "\"2026-01-01T00:00:00Z\""]),
        ("at", &["\"2026-01-01\"", "\"2026-01-01T00:00:00\"", "\"2026-01-01 00:00:00Z\""]),
        ("link", &["\"\"", "\"x\"", "\"http://\"", "\"http://a b\""]),
        ("mail", &["\"\"", "\"ä@b.de\"", "\"a@ü b.de\"", "\"a@b_c.de\"", "\"a@b.de.\"", "\" a@b.de\""]),
        ("state", &["\"DRAFT\"", "\"\""]),
    ];
    for (fields, accepted) in [(&valid[..], true), (&invalid[..], false)] {
        for (field, texts) in fields {
            for text in *texts {
                both.agree("POST", "/values", &format!("{{\"{field}\":{text}}}"), accepted);
            }
        }
    }
}
