//! What can be written in a path, a host, a method.

use super::path::{host, literal, parameters, prefix, template};

#[test]
fn good_paths_pass() {
    for path in ["/", "/a", "/a/{id}", "/a/{id}/b/{x_1}", "/f/{*rest}", "/a%2fb", "/a.b/~c", "/a//b"] {
        assert_eq!(template(path), None, "{path}");
    }
    for path in ["/", "/a", "/a/b"] {
        assert_eq!(prefix(path), None, "{path}");
    }
}

#[test]
fn bad_paths_do_not() {
    for path in [
        "", "a", "/:id", "/*", "/a/*rest", "/{}", "/{*}", "/{*a}/b", "/..", "/./a", "/?", "/#", "/a b", "/\u{1}", "/é",
        "/%", "/%g0", "/{a}{b}", "/{a", "/a}", "/{a}/{a}", "/{a-b}", "/x{a}",
    ] {
        assert!(template(path).is_some(), "{path}");
    }
    for path in ["/a/", "/{id}", "/a/*"] {
        assert!(prefix(path).is_some(), "{path}");
    }
    assert!(literal(&format!("/{}", "a".repeat(5000))).is_some());
}

#[test]
fn parameters_have_names() {
    assert_eq!(parameters("/a/{id}/{*rest}").collect::<Vec<_>>(), ["id", "rest"]);
}

#[test]
fn hosts_are_names() {
    for good in ["example", "api.example.com", "*.example.com", "127.0.0.1", "[::1]", "xn--bcher-kva.example"] {
        assert_eq!(host(good), None, "{good}");
    }
    for bad in
        ["", "a b", "a.*.example", "*", "*example", "a.example:80", "http://a", "a..b", "[::1", "bücher.example", ".a"]
    {
        assert!(host(bad).is_some(), "{bad}");
    }
}
