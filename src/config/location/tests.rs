//! A table of redirects.

use super::*;
use proptest::prelude::*;

fn route(key: &str, path: &str) -> Route {
    serde_json::from_value(serde_json::json!({ key: path })).unwrap()
}

fn read(to: &str, route: &Route) -> Result<Location, Fault> {
    Location::new(&to.parse()?, route)
}

fn led(to: &str, route: &Route, values: &[&str], query: Option<&str>) -> String {
    read(to, route).unwrap().render("/v0", |index| values[index], query)
}

#[test]
fn the_rest_of_the_path_begins_a_segment_whatever_it_is_called() {
    let prefix = route("path_prefix", "/v0");
    for (to, rest, expected) in [
        ("https://a.example/api{rest}", "x/y", "https://a.example/api/x/y"),
        ("/new/{rest}", "x", "/new/x"),
        ("/new/{rest}", "/x", "/new//x"),
        ("/new{rest}", "/x", "/new//x"),
        ("/{rest}", "//x", "/x"),
        ("https://a.example/{rest}", "/x", "https://a.example//x"),
        ("/new{rest}", "", "/new"),
        ("/a/{rest}/b", "", "/a/b"),
        ("/{rest}/b", "", "/b"),
    ] {
        assert_eq!(led(to, &prefix, &[rest], None), expected, "{to}");
    }
    let all = route("path", "/v0/{*tail}");
    assert_eq!(led("/new{tail}", &all, &["x/y"], None), "/new/x/y");
    let one = route("path", "/v0/{id}");
    assert_eq!(led("/order-{id}.html", &one, &["7"], None), "/order-7.html");
}

#[test]
fn the_slash_at_the_end_of_a_prefix_is_kept() {
    let prefix = route("path_prefix", "/docs");
    for (to, bare, slash) in [
        ("/new{rest}", "/new", "/new/"),
        ("https://a.example/new{rest}", "https://a.example/new?q=1", "https://a.example/new/?q=1"),
        ("/new/{rest}", "/new/", "/new/"),
        ("/{rest}", "/", "/"),
        ("/new{rest}/b", "/new/b", "/new/b"),
    ] {
        let led = |path| read(to, &prefix).unwrap().render(path, |_| "", to.starts_with("https").then_some("q=1"));
        assert_eq!((&*led("/docs"), &*led("/docs/")), (bare, slash), "{to}");
    }
    let rest = Template::of_route(&"/new{rest}".parse::<RedirectTo>().unwrap().path, &prefix).unwrap();
    assert_eq!(rest.render("/docs/", |_| ""), "/new/");
    assert_eq!(rest.render("/docs/x/", |_| "x/"), "/new/x/");
}

#[test]
fn the_query_of_the_request_joins_that_of_the_redirect_and_the_fragment_ends_the_address() {
    let route = route("path", "/v0/{id}");
    for (to, query, expected) in [
        ("/docs#install", Some("utm=x"), "/docs?utm=x#install"),
        ("/docs?a=1", Some("q=2"), "/docs?a=1&q=2"),
        ("/docs?a=1#b?c", Some("q=2"), "/docs?a=1&q=2#b?c"),
        ("/docs?", Some("q=2"), "/docs?q=2"),
        ("/docs?a=1&", Some("q=2"), "/docs?a=1&q=2"),
        ("/docs?a=1", None, "/docs?a=1"),
        ("/docs?a=1", Some(""), "/docs?a=1"),
        ("https://a.example", Some("q=2"), "https://a.example?q=2"),
        ("https://a.example#{id}", Some("q=2"), "https://a.example?q=2#7&x=%3F"),
        ("/find?id={id}", Some("q=2"), "/find?id=7%26x%3D%3F&q=2"),
        ("/find/{id}", Some("q=2"), "/find/7&x=%3F?q=2"),
    ] {
        assert_eq!(led(to, &route, &["7&x=?"], query), expected, "{to}");
    }
}

#[test]
fn a_parameter_is_one_of_the_path() {
    let (none, one, two) = (route("path", "/t"), route("path", "/t/{a}"), route("path", "/t/{a}/{b}"));
    for (route, to, help) in [
        (&none, "/{a}", "the `path` of this route has no parameters"),
        (&one, "/x?y={nope}", "available: `{a}`"),
        (&two, "/{}", "available: `{a}`, `{b}`"),
    ] {
        let fault = read(to, route).unwrap_err();
        assert!(fault.message.contains("unknown placeholder"), "{to}: {fault}");
        assert_eq!(fault.help.as_deref(), Some(help));
    }
}

proptest! {
    /// Whatever the values, browsers read the configured host.
    #[test]
    fn no_value_changes_the_host(
        to in r"(https://host\.example(:81)?)?/(\{a\}|\{b\}|/|x|@|:|\?|#){0,6}",
        a in r"[/\\@:.a?#%25\t]{0,8}",
        b in "\\PC{0,8}",
        query in proptest::option::of(r"[/\\@a=&]{0,8}"),
    ) {
        let written = to.starts_with("https");
        if let Ok(location) = read(&to, &route("path", "/{a}/{b}")) {
            let led = location.render("/a/b", |index| [a.as_str(), b.as_str()][index], query.as_deref());
            let rest = led.strip_prefix("https://host.example").unwrap_or(&led);
            let rest = rest.strip_prefix(":81").unwrap_or(rest);
            prop_assert_eq!(led.len() > rest.len(), written);
            prop_assert!(rest.starts_with('/'), "{}", led);
            prop_assert!(written || !rest.starts_with("//"), "{}", led);
            prop_assert!(!rest.split(['?', '#']).next().unwrap().contains('\\'), "{}", led);
        }
    }
}
