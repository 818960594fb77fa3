//! Which texts are valid as a path, and the messages for those that are not.

use super::*;

fn said<T: Written>(text: &str) -> (String, String) {
    let Err(fault) = text.parse::<T>() else { panic!("`{text}` is taken") };
    (fault.message, fault.help.unwrap())
}

#[test]
fn good_paths_pass() {
    for path in ["/", "/a", "/a/{id}", "/a/{id}/b/{x_1}", "/f/{*rest}", "/a%2Fb", "/a.b/~c", "/a//b"] {
        assert_eq!(path.parse::<PathTemplate>().unwrap().to_string(), path);
    }
    for path in ["/", "/a", "/a/b"] {
        assert_eq!(path.parse::<PathPrefix>().unwrap().to_string(), path);
        assert_eq!(path.parse::<OwnPath>().unwrap().to_string(), path);
    }
}

#[test]
fn bad_paths_do_not() {
    for path in [
        "", "a", "/:id", "/*", "/a/*rest", "/{}", "/{*}", "/{*a}/b", "/..", "/./a", "/?", "/#", "/a b", "/\u{1}", "/é",
        "/%", "/%g0", "/{a}{b}", "/{a", "/a}", "/{a}/{a}", "/{a-b}", "/x{a}", "/a;b",
    ] {
        assert!(path.parse::<PathTemplate>().is_err(), "{path}");
    }
    for path in ["/a/", "/{id}", "/a/*"] {
        assert!(path.parse::<PathPrefix>().is_err(), "{path}");
    }
    for path in ["", "health", "/a//b", "/a%2fb"] {
        assert!(path.parse::<OwnPath>().is_err(), "{path}");
    }
    assert!(format!("/{}", "a".repeat(5000)).parse::<PathTemplate>().is_err());
}

#[test]
fn a_fault_states_what_is_wrong_and_how_to_fix_it() {
    for (path, message, help) in [
        ("orders", "`orders` does not start with `/`", "write `/orders`"),
        ("/a<b", "`/a<b` contains `<`, which clients always percent-encode", "write `/a%3Cb`"),
        ("/x{id}", "`x{id}` mixes a parameter with other text", "make the parameter a whole segment: `/orders/{id}`"),
        ("/a%5Cb", "`/a%5Cb` can never match a request", "correct the path: it must not have an encoded backslash"),
    ] {
        let said = said::<PathTemplate>(path);
        assert!(said.0 == message && said.1.starts_with(help), "{said:?}");
    }
    let said = said::<PathPrefix>("/a/");
    assert_eq!(
        (&*said.0, &*said.1),
        (
            "`/a/` ends with `/`",
            "write `/a`: a prefix has no slash at its end, and the rest of the path begins with one"
        )
    );
    let said = self::said::<OwnPath>("/a//b");
    assert_eq!(said.0, "requests for `/a//b` are rejected: a path must not have empty segments (//)");
}

#[test]
fn paths_are_in_normal_form_with_their_doubts() {
    let path: PathTemplate = "/%61/b%2fc".parse().unwrap();
    assert_eq!(&*path, "/a/b%2Fc");
    assert_eq!(path.doubts().iter().map(|doubt| doubt.word()).collect::<Vec<_>>(), ["encoded_slash"]);
}

#[test]
fn parameters_have_names() {
    let path: PathTemplate = "/a/{id}/{*rest}".parse().unwrap();
    assert_eq!(path.parameters().collect::<Vec<_>>(), ["id", "rest"]);
    assert!(path.takes_rest());
    assert_eq!(
        segments(&path).collect::<Vec<_>>(),
        [TemplateSegment::Text("a"), TemplateSegment::Parameter("id"), TemplateSegment::Rest("rest")]
    );
}
