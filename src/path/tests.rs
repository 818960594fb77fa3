//! Which paths are accepted, their normal form, and their doubts.

use super::*;
use proptest::prelude::*;

fn doubts(path: &str) -> Vec<&'static str> {
    read(path).unwrap().spelling.doubts.iter().map(Doubt::word).collect()
}

#[test]
fn an_unambiguous_path_is_accepted() {
    let paths = ["/", "/a", "/a/", "/a/b.c", "/.well-known/x", "/...", "/a..b/..c", "/%41%2d", "/a%20b", "/a:b@c"];
    for path in
        paths.into_iter().chain(["/%c3%a9", "/100%25", "/100%25/x", "/a+b", "/~u/{id}", "/%25zz", "/a%2520b%253Fc"])
    {
        assert_eq!(doubts(path), [""; 0], "{path}");
    }
}

#[test]
fn a_path_that_no_server_should_interpret_is_rejected() {
    let dots = ["/.", "/..", "/./a", "/a/.", "/a/..", "/a/../b", "/%2e/a", "/a/%2E%2e", "/.%2e/a", "/a/..;/b", "/.;x"];
    let slashed = ["/..%2fa", "/a%2f..%2fb", "/a%2F.", "/.%2Fa", "/..%3b/a", "/%2e%2e%3Bx/a"];
    let escapes = ["/%5c", "/a%5Cb", "/%00", "/a%0a", "/%7f", "/%", "/%4", "/%zz", "/a%", "/%u0041", "/%%36%31"];
    let twice = ["/%252e%252e/a", "/%252f", "/%255c", "/%2500", "/%25252f", "/a%253bx"];
    let bytes = ["/a\\b", "/\u{e9}", "/a b", "/a\u{7f}", "\\a", "", "a", "*"];
    let overlong = ["/..%c0%af", "/%c0%ae%c0%ae/a", "/%e0%80%af", "/%f0%80%80%af"];
    let all = [&dots[..], &slashed, &escapes, &twice, &bytes, &overlong].concat();
    for path in all {
        assert!(read(path).is_err(), "{path}");
    }
}

#[test]
fn the_message_says_what_is_wrong_with_an_escape() {
    for (path, part) in [
        ("/a%zz", "two hex digits"),
        ("/a%4", "two hex digits"),
        ("/%00", "control character"),
        ("/a%7F", "control character"),
        ("/a%5cb", "backslash"),
        ("/a%252fb", "twice"),
        ("/a%2500", "twice"),
        ("/a%c0%af", "overlong"),
    ] {
        assert!(read(path).unwrap_err().contains(part), "{path}");
    }
}

#[test]
fn spellings_that_servers_read_differently_are_recorded() {
    for (path, words) in [
        ("/a%2fb", &["encoded_slash"][..]),
        ("/a%2F", &["encoded_slash"]),
        ("/%2fa", &["encoded_slash", "empty_segments"]),
        ("//a", &["empty_segments"]),
        ("/a//", &["empty_segments"]),
        ("/a;v=1/b", &["parameters"]),
        ("/a%3bv", &["parameters"]),
        ("/;/a", &["empty_segments", "parameters"]),
        ("/caf%e9", &["non_utf8"]),
        ("/%ff//a", &["empty_segments", "non_utf8"]),
        ("/%2561dmin", &["double_encoding"]),
        ("/%25%36%31dmin", &["double_encoding"]),
        ("/a%257E//b", &["empty_segments", "double_encoding"]),
        ("/p/%2540secret", &["double_encoding"]),
        ("/a%253Ab", &["double_encoding"]),
        ("/%2521%2524%2526%2527%2528%2529%252A%252B%252C%253D", &["double_encoding"]),
        // What a path cannot contain without an escape, and a percent sign in a text.
        ("/a%2520b%253Fc%2523%2522%25C3%25A9%257B", &[]),
        ("/100%25", &[]),
        ("/100%25%20sure", &[]),
        ("/5%25-off", &[]),
    ] {
        assert_eq!(doubts(path), words, "{path}");
    }
}

#[test]
fn the_normal_form_decodes_what_makes_no_difference_and_nothing_else() {
    for (path, form) in [
        ("/%61dmin", "/admin"),
        ("/%7Eada/%2d%5F%2E", "/~ada/-_."),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%2fb%40c", "/a%2Fb%40c"),
        ("/Admin", "/Admin"),
        ("/100%25", "/100%25"),
    ] {
        assert_eq!(normal(path), form, "{path}");
    }
    assert_eq!(read("/caf%C3%A9").unwrap().normal, None, "nothing is written anew that is in order");
}

#[test]
fn an_escaped_escape_is_checked_like_its_result() {
    for path in ["/%25%32%66admin", "/%252%66admin", "/x/%25%32%65%25%32%65/admin", "/%25%35%63x", "/%25%32%35%32f"] {
        assert!(read(path).is_err(), "{path}");
    }
    assert_eq!(normal("/%25%36%31"), "/%2561");
}

#[test]
fn a_prefix_is_stripped_by_whole_segments_however_they_are_spelled() {
    for (path, prefix, rest) in [
        ("/api", "/api", Some("")),
        ("/api/x", "/api", Some("/x")),
        ("/apix", "/api", None),
        ("/%40me/x", "/@me", Some("/x")),
        ("/@me/x%2Fy", "/%40me", Some("/x%2Fy")),
        ("/a;v=1/b/c", "/a/b", Some("/c")),
        ("/a%20b", "/a%20b/c", None),
        ("/a%20b", "/a", None),
    ] {
        assert_eq!(strip(path, prefix), rest, "{path} {prefix}");
    }
}

#[test]
fn an_ambiguous_path_has_other_readings() {
    let readings = |path: &str| other_readings(path, read(path).unwrap().spelling.doubts);
    assert_eq!(readings("/a%2Fb"), ["/a/b"]);
    assert_eq!(readings("//a//b/"), ["/a/b/"]);
    assert_eq!(readings("/a%2F/b"), ["/a//b", "/a%2F/b", "/a/b"]);
    assert_eq!(readings("/;x/a"), ["/a"]);
    assert!(readings("/a;x").is_empty());
    assert_eq!(readings("/%2561dmin%2520"), ["/admin%20"]);
    assert_eq!(readings("//%2561"), ["//a", "/%2561", "/a"]);
}

/// Parts of paths that servers read differently, and their neighbors.
const PIECES: &str = "/([a./;%]|%2[5ef]|%3b|%25|%c3%a9|%61|%6A|%3[256]|%65|%66|%ff|%c0%af|@|%40|//){0,12}";

proptest! {
    #[test]
    fn the_normal_form_is_stable_never_longer_and_equivalent(path in PIECES) {
        if let Ok(reading) = read(&path) {
            let form = normal(&path).into_owned();
            prop_assert!(form.len() <= path.len());
            let again = read(&form).unwrap();
            prop_assert_eq!(again.normal, None);
            prop_assert_eq!(again.spelling.doubts, reading.spelling.doubts);
            let decoded = |path: &str| percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
            prop_assert_eq!(decoded(&form), decoded(&path));
        }
    }

    #[test]
    fn decoding_an_unambiguous_path_adds_no_segment(path in PIECES) {
        if read(&path).is_ok_and(|reading| reading.spelling.doubts.is_empty()) {
            let once = percent_encoding::percent_decode_str(&path).decode_utf8().expect("only UTF-8 is without doubt");
            let twice = percent_encoding::percent_decode_str(&once).decode_utf8_lossy();
            for decoded in [&once, &twice] {
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
                prop_assert!(decoded.split('/').all(|s| s.split(';').next() != Some("..") && s != "."));
            }
        }
    }

    #[test]
    fn no_reading_of_a_path_leads_to_a_parent(path in PIECES) {
        if read(&path).is_ok() {
            let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
            prop_assert!(decoded.split('/').all(|s| !matches!(s.split(';').next(), Some("." | ".."))));
        }
    }
}
