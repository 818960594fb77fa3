//! Bodies as clients and attackers send them.
use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::sync::LazyLock;

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| vec!["email".into(), "name".into()]);

fn message(body: &[u8]) -> String {
    parse(body, &NAMES).err().unwrap().message().to_owned()
}

#[test]
fn c11_invalid_json_says_where() {
    assert_eq!(message(b"{"), "body: invalid JSON at line 1 column 2");
    assert_eq!(message(b"{\"name\":\"a\",}"), "body: invalid JSON at line 1 column 13");
    assert_eq!(message(b"{\n  'name': 1}"), "body: invalid JSON at line 2 column 3");
    for bad in [
        &b"{}x"[..],
        b"{}{}",
        b"{/**/}",
        b"{\"name\":007}",
        b"{\"name\":1e}",
        b"\xef\xbb\xbf{}",
        b"[",
        b"nul",
        b"{\"name\":\"\\ud800\"}",
        b"{\"name\":\"\\x41\"}",
    ] {
        assert!(message(bad).starts_with("body: invalid JSON at line 1 column "), "{bad:?}");
    }
}

#[test]
fn c12_an_empty_body_is_told_so() {
    assert_eq!(message(b""), "body: must not be empty");
}

#[test]
fn c13_only_an_object_will_do() {
    for other in ["[]", "\"x\"", "5", "1e400", "null", " true", "-1", "[{}]"] {
        assert_eq!(message(other.as_bytes()), "body: must be a JSON object", "{other}");
    }
}

#[test]
fn c14_duplicate_keys_are_refused() {
    let problem = parse(b"{\"name\":\"a\",\"name\":\"b\",\"email\":1}", &NAMES).err().unwrap();
    assert_eq!(problem.message(), "name: duplicate key");
    assert!(String::from_utf8(problem.brief()).unwrap().contains("\"code\":\"duplicate\""));
    assert_eq!(message(b"{\"name\":1,\"n\\u0061me\":2}"), "name: duplicate key", "escapes do not hide it");
    assert_eq!(message(b"{\"id\":1,\"id\":2}"), "id: duplicate key");
    assert_eq!(message(b"{\"x\":1,\"x\":2}"), "x: duplicate key", "unknown keys too");
    assert_eq!(message(b"{\"name\":{\"a\":[{\"b\":1,\"b\":1}]}}"), "name: duplicate key at /a/0/b");
    assert_eq!(message(b"{\"x\":{\"a\":1,\"\\u0061\":1}}"), "x: duplicate key at /a");
}

#[test]
fn c15_bytes_that_are_no_text_are_refused() {
    assert_eq!(message(b"{\"name\":\"\xc0\xaf\"}"), "body: invalid UTF-8");
}

#[test]
fn c16_nesting_ends_at_32() {
    let nested = |depth: usize| format!("{{\"name\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(parse(nested(32).as_bytes(), &NAMES).is_ok());
    assert_eq!(message(nested(33).as_bytes()), "body: nested too deeply");
    assert_eq!(message("[".repeat(400_000).as_bytes()), "body: nested too deeply");
    let brackets = format!("{{\"name\":\"{}\\\"[\"}}", "[".repeat(100));
    assert!(parse(brackets.as_bytes(), &NAMES).is_ok(), "brackets in a string are letters");
}

#[test]
fn unknown_keys_are_kept_short_and_few() {
    let many: Vec<String> = (0..1000).map(|n| format!("\"{}{n}\":1", "k".repeat(100))).collect();
    let entries = parse(format!("{{{}}}", many.join(",")).as_bytes(), &NAMES).unwrap();
    assert_eq!(entries.unknown.len(), 16);
    assert!(entries.unknown.iter().all(|name| name.len() == 64));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_fall_over(bytes: Vec<u8>) {
        if let Err(problem) = parse(&bytes, &NAMES) {
            prop_assert_eq!(problem.status().as_u16(), 400);
        }
    }

    #[test]
    fn what_serde_json_takes_as_an_object_is_taken(text in "\\{(\"(name|email|x)\":(1|\"a\"|\\[\\]|null),?){0,4}\\}") {
        let theirs = serde_json::from_str::<serde_json::Map<String, Value>>(&text).is_ok();
        match parse(text.as_bytes(), &NAMES) {
            Ok(_) => prop_assert!(theirs),
            Err(problem) => prop_assert!(!theirs || problem.message().ends_with("duplicate key")),
        }
    }
}
