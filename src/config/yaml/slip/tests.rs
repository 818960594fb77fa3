//! Common mistakes in YAML, each with the marked text and what to write.

use crate::config::yaml::parse;

/// `line:column marked | message | help` of the only flaw.
fn said(text: &str) -> String {
    let (_, flaws) = parse(text, 0);
    let [flaw] = flaws.as_slice() else { panic!("{text}: {flaws:?}") };
    let marked = text.get(usize::try_from(flaw.at.start).unwrap()..usize::try_from(flaw.at.end).unwrap()).unwrap();
    format!("{}:{} {marked} | {} | {}", flaw.at.line, flaw.at.column, flaw.message, flaw.help.as_deref().unwrap_or("-"))
}

#[test]
fn a_text_that_needs_quotes_is_shown_with_them() {
    for (text, expected) in [
        (
            "a: { path: /x/{id}, b: 1 }",
            "1:12 /x/{id} | `/x/{id}` must be quoted here: it contains brackets | quote it: `\"/x/{id}\"`",
        ),
        ("a: { path: /x/{id}/y/{b} }", "1:12 /x/{id}/y/{b} | "),
        ("a: { to: /y/{rest}   # c\n }", "1:10 /y/{rest} | "),
        ("a: { text: a: b }", "1:12 a: b | a value containing `: ` must be quoted | quote it: `\"a: b\"`"),
        ("a: { text: hi: }", "1:12 hi: | "),
        (
            "a:\n  text: a: b \"c\" # d",
            "2:9 a: b \"c\" | a value containing `: ` must be quoted | quote it: `'a: b \"c\"'`",
        ),
        ("a: { text: * }", "1:12 * | a value starting with `*` must be quoted | quote it: `\"*\"`"),
        ("a:\n  text: *hello", "2:9 *hello | a value starting with `*` must be quoted"),
        ("a: { text: @hi }", "1:12 @hi | a value starting with `@` must be quoted | quote it: `\"@hi\"`"),
        ("a: { text: `hi`, b: 1 }", "1:12 `hi` | a value starting with a backtick must be quoted"),
        ("a: { text: %hi }", "1:12 %hi | a value starting with `%` must be quoted"),
        ("a:\n  text: %hi", "2:9 %hi | a value starting with `%` must be quoted"),
        ("a:\n  path: {id}/x", "2:9 {id}/x | a value starting with a bracket must be quoted | quote it: `\"{id}/x\"`"),
        ("a:\n  text: \"a\" b", "2:9 \"a\" b | unexpected text after the closing quote | quote it: `'\"a\" b'`"),
        ("a: { text: hi #b }", "1:12 hi #b | ` #` starts a comment"),
        ("a: { token: x{y} }", "1:13 x{y} | a value containing brackets must be quoted here | quote it: `\"…\"`"),
        ("a: { text: \"a\\d\" }", "1:14 \\d | `\\d` is not a valid escape sequence"),
        ("a:\n  text: - b", "2:9 - b | a list cannot start on the same line as its key"),
        ("a: { text: | }", "1:12 | | block text (`|`) is not allowed inside brackets"),
    ] {
        assert!(said(text).starts_with(expected), "{}\nnot {expected}", said(text));
    }
}

#[test]
fn brackets_quotes_and_indentation_are_pointed_at() {
    for (text, expected) in [
        (
            "r:\n  a: { path: /x, respond: { status: 1 }\n  b: { path: /y }\n",
            "2:6 { | unclosed `{` | add the missing `}`",
        ),
        ("r:\n  a: { path: /x,\n  b: { path: /y }\n", "2:6 { | unclosed `{`"),
        ("r:\n  a: { path: \"/x, b: 1 }\n", "2:14 \" | unclosed `\"`"),
        ("r: { a: [b }", "1:9 [ | mismatched brackets: `[` is closed by `}` | close it with `]`"),
        ("r: { a: b } }", "1:13 } | unmatched `}`"),
        ("r:\n  a: { path: /x respond: {} }", "2:17 respond | missing comma before `respond`"),
        ("r:\n  a { path: /x, b: { c: d } }", "2:3 a | missing colon after `a` | write `a: { … }`"),
        ("r:\n  a: b\nchains\n  b: c", "3:1 chains | missing colon after `chains` | write `chains:`"),
        ("r:\n\ta: b", "2:1 \t | indentation contains a tab | indent with spaces"),
        ("r:\n  a:\n    path: /x\n\tto: b", "4:1 \t | indentation contains a tab"),
        ("r:\n  a:\n    path: /x\n    \tto: b", "4:5 \t | indentation contains a tab"),
        (
            "r:\n  a:\n  path: /x\n    to: b",
            "3:3 path | `path` is indented by 2 spaces, which is too little | indent it by 4 spaces, as a key of `a` on line 2",
        ),
        (
            "r:\n  a:\n    path: /x\n  to: b\n    c: d\n  b:\n    to: e",
            "4:3 to | `to` is indented by 2 spaces, which is too little | indent it by 4 spaces, like `path` on line 3",
        ),
        (
            "r:\n  a: { b: c }\n  - hello: { path: / }",
            "3:3 - hello | `- hello` is an item of a list, but `a` above it is a key of a map | remove the `-`",
        ),
        (
            "r:\n  a:\n    path: /x\n   respond: b",
            "4:4 respond | `respond` is indented by 3 spaces, which matches no key above it | indent it by 4 to match `path` on line 3, or by 2 to match `a` on line 2",
        ),
        ("r:\n  a:\n    path: /x\n      respond: b", "4:7 respond | `respond` is indented more than `path` above it"),
        ("r:\n  - a: b\n  c: d", "3:3 c | `c` is not an item of the list that starts on line 2"),
    ] {
        assert!(said(text).starts_with(expected), "{}\nnot {expected}", said(text));
    }
}

#[test]
fn an_unknown_alias_is_compared_with_the_anchors() {
    for (text, expected) in [
        ("a: &greeting hi\nb: *greetng", "2:4 *greetng | unknown alias `*greetng` | did you mean `*greeting`?"),
        ("a: &greeting hi\nb: { c: *greetng, d: e }", "2:9 *greetng | unknown alias `*greetng`"),
        (
            "b: *greeting\na: &greeting hi",
            "1:4 *greeting | the alias `*greeting` comes before its anchor | move `&greeting` above this line",
        ),
        (
            "a: &greeting hi\nb: { hosts: [*.example.com] }",
            "2:14 *.example.com | `*` starts an alias, and no anchor has this name | quote a text that starts with `*`: \
             `\"*.example.com\"`, or define the anchor above it",
        ),
        (
            "a: &greeting hi\ntoken: *hush",
            "2:8 *hush | `*` starts an alias, and no anchor has this name | quote a text that starts with `*`: `\"…\"`, or",
        ),
    ] {
        assert!(said(text).starts_with(expected), "{}\nnot {expected}", said(text));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_place_make_it_panic(text in "[-a-cé:{}\\[\\]&*!|>'\"%@#,`? \n\t\\\\]{0,60}", at in 0_usize..70) {
        for found in ["tab", "unclosed bracket", "unclosed quote", "mismatched bracket '[' closed by '}'", "misplaced bracket",
            "anchor", "did not find expected ','", "mapping values", "did not find expected key", "simple key",
            "'-' indicator", "trailing content", "escape character", "block sequence entries"]
        {
            if let Some(slip) = super::explain(&text, at, found) {
                proptest::prop_assert!(!slip.message.is_empty());
            }
        }
    }
}
