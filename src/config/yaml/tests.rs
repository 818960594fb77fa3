//! YAML that is accepted, and YAML that is rejected.

use super::*;

fn messages(text: &str) -> Vec<String> {
    let (_, flaws) = parse(text, 0);
    flaws.iter().map(|flaw| format!("{}:{} {}", flaw.at.line, flaw.at.column, flaw.message)).collect()
}

fn tree(text: &str) -> Node {
    let (node, flaws) = parse(text, 0);
    assert!(flaws.is_empty(), "{text}: {flaws:?}");
    node.unwrap()
}

#[test]
fn scalars_have_the_types_of_yaml_1_2() {
    let json = tree(
        "[1, -2, 0x1F, 0o17, 017, 1.5, 1e3, 1_000, 12:30, true, True, tRUE, yes, no, off, ~, '1', \"true\", .5, 1., =]",
    )
    .to_json();
    let expected = r#"[1,-2,31,15,"017",1.5,1000.0,"1_000","12:30",true,true,"tRUE","yes","no","off",null,"1","true",0.5,1.0,"="]"#;
    assert_eq!(json.to_string(), expected);
}

#[test]
fn places_are_those_of_the_text() {
    let root = tree("a:\n  b: [x, \"y\"]\n");
    let (key, node) = root.locate("a.b[1]");
    assert!(key.is_none());
    assert_eq!((node.at.line, node.at.column), (2, 10));
    let (key, _) = root.locate("a.b");
    assert_eq!(key.map(|key| (key.at.line, key.at.column)), Some((2, 3)));
    assert_eq!(root.locate("a.zz.c").1.at, root.locate("a").1.at, "the nearest thing that is there");
}

#[test]
fn names_with_dots_are_found() {
    let root = tree("routes: {a.b: {path: 1}, a: {b: 2}}");
    assert_eq!(root.locate("routes.a.b.path").1.to_json(), 1);
    assert_eq!(root.locate("routes.a").1.to_json(), serde_json::json!({ "b": 2 }));
}

#[test]
fn all_duplicates_are_said_with_both_places() {
    let (_, flaws) = parse("a: {x: 1, \"x\": 2}\nb: 1\nb: 2\n", 0);
    let places: Vec<_> = flaws
        .iter()
        .map(|flaw| (flaw.at.line, flaw.related.as_ref().map(|first| (first.0.line, first.0.column))))
        .collect();
    assert_eq!(places, [(1, Some((1, 5))), (3, Some((2, 1)))]);
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (text, part) in [
        ("a: !Evil 1", "1:4 YAML tags are not supported"),
        ("a: !!python/object/apply:os.system [id]", "YAML tags are not supported"),
        ("d: &d {a: 1}\nx: {<<: *d}", "2:5 YAML merge keys (`<<`) are not supported"),
        ("? [a]\n: 1", "a list or map cannot be a key"),
        ("~: 1", "missing key"),
        ("200: 1", "keys must be strings"),
        ("a: 1\n---\nb: 2", "2:1 unexpected second YAML document"),
        ("x: &a [*a]", "recursive alias: the value would contain itself"),
        ("x: *nobody", "1:4"),
        ("a: [1", ""),
        ("a: 1\n\tb: 2", ""),
    ] {
        let messages = messages(text);
        assert!(messages.iter().any(|message| message.contains(part)), "{text}: {messages:?}");
    }
}

#[test]
fn anchors_aliases_and_a_document_end_are_read() {
    let json = tree("a: &r {status: 200}\nb: *r\n...\n").to_json();
    assert_eq!(json, serde_json::json!({ "a": { "status": 200 }, "b": { "status": 200 } }));
    assert_eq!(tree("a: !!str 5\nb: ! 6").to_json(), serde_json::json!({ "a": "5", "b": "6" }));
}

#[test]
fn bombs_are_refused() {
    let laughs = (1..20).fold("l0: &l0 [a,a,a,a,a,a,a,a,a]\n".to_owned(), |text, i| {
        format!("{text}l{i}: &l{i} [{}]\n", vec![format!("*l{}", i - 1); 9].join(","))
    });
    let quadratic = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(50_000), "*a,".repeat(2000));
    let chain = (1..300).fold("l0: &l0 [a]\n".to_owned(), |text, i| format!("{text}l{i}: &l{i} [*l{}]\n", i - 1));
    let flow = format!("x: {}{}", "[".repeat(200_000), "]".repeat(200_000));
    let block: String = (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    for text in [laughs, quadratic, chain, flow, block] {
        assert_eq!(messages(&text).len(), 1, "{}", text.get(..60).unwrap());
    }
}

#[test]
fn nothing_is_no_tree() {
    for text in ["", "# only a comment\n", "\n\n", "---\n"] {
        let (node, flaws) = parse(text, 0);
        assert!(flaws.is_empty());
        assert!(node.is_none_or(|node| matches!(node.value, Value::Null)), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-a-c:{}\\[\\]&*!|>'\"%@#,? \n\t<~.0-9]{0,80}") {
        let _ = parse(&text, 0);
    }
}

#[test]
fn a_name_that_the_json_library_would_obey_is_refused() {
    for name in
        ["$serde_json::private::RawValue", "$serde_json::private::Number", "\"\\x24serde_json::private::RawValue\""]
    {
        assert_eq!(messages(&format!("a:\n  {name}: '1'\n")), ["2:3 this name is reserved"], "{name}");
    }
}
