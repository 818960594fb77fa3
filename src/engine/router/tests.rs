//! The routing rules as a table.

use super::*;

fn route(hosts: &[&str], path: &str, methods: &[Method], headers: &[(&'static str, &'static str)]) -> Match {
    let pattern = path.strip_suffix("/**").map_or_else(|| Pattern::whole(path), Pattern::prefix);
    let preflights = false;
    Match {
        listeners: Listeners::ALL,
        hosts: Hosts::new(&hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()),
        pattern,
        methods: methods.to_vec(),
        headers: headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect(),
        preflights,
    }
}

fn ask(router: &Router, host: Option<&str>, path: &str, method: &Method, headers: &HeaderMap) -> Found {
    let reading = crate::path::read(path).unwrap();
    let normal = reading.normal.as_deref().unwrap_or(path);
    router.find(&Lookup { listener: 0, host, path: normal, spelling: reading.spelling, method, headers })
}

fn found(router: &Router, host: &str, path: &str, method: &Method) -> Option<usize> {
    match ask(router, Some(host), path, method, &HeaderMap::new()) {
        Found::Route { index, .. } => Some(index),
        _ => None,
    }
}

#[test]
fn exact_beats_template_beats_longest_prefix() {
    let routes = ["/x/me", "/x/{id}", "/x/**", "/**", "/x/y/z/**"].map(|path| route(&[], path, &[], &[]));
    let router = Router::build(routes.to_vec()).unwrap();
    let paths = ["/x/me", "/x/7", "/x/7/8", "/x", "/x/", "/other", "/", "/x/y/z", "/x/y/z/1", "/x/y/zz"];
    let indices = paths.map(|path| found(&router, "h", path, &Method::GET));
    assert_eq!(indices, [0, 1, 2, 2, 2, 3, 3, 4, 4, 2].map(Some));
}

#[test]
fn a_prefix_matches_whole_segments_only() {
    let router = Router::build(vec![route(&[], "/api/**", &[], &[])]).unwrap();
    assert_eq!(found(&router, "h", "/apiary", &Method::GET), None);
    assert_eq!(found(&router, "h", "/api", &Method::GET), Some(0));
}

#[test]
fn exact_host_beats_wildcard_beats_none() {
    let hosts: [&[&str]; 4] = [&["a.example"], &["*.example"], &["*.b.example"], &[]];
    let router = Router::build(hosts.map(|hosts| route(hosts, "/x", &[], &[])).to_vec()).unwrap();
    let asked = ["a.example", "A.Example", "c.example", "c.b.example", "example", "other"];
    assert_eq!(asked.map(|host| found(&router, host, "/x", &Method::GET)), [0, 0, 1, 2, 3, 3].map(Some));
}

#[test]
fn parameters_are_ranges_of_the_path() {
    let router = Router::build(vec![route(&[], "/a/{one}/b/{two}", &[], &[])]).unwrap();
    let path = "/a/11/b/222";
    let Found::Route { parameters, .. } = ask(&router, None, path, &Method::GET, &HeaderMap::new()) else { panic!() };
    assert_eq!(parameters.iter().map(|r| &path[r.clone()]).collect::<Vec<_>>(), ["11", "222"]);
}

#[test]
fn a_wrong_method_lists_what_all_routes_of_the_path_allow() {
    let routes = vec![route(&[], "/x", &[Method::GET], &[]), route(&[], "/x", &[Method::POST], &[])];
    let router = Router::build(routes).unwrap();
    let allow = match ask(&router, None, "/x", &Method::PUT, &HeaderMap::new()) {
        Found::WrongMethod { allow } => allow,
        other => panic!("{other:?}"),
    };
    assert_eq!(allow, [Method::GET, Method::HEAD, Method::POST]);
    assert_eq!(ask(&router, None, "/y", &Method::PUT, &HeaderMap::new()), Found::Nothing);
}

#[test]
fn a_prefix_accepts_the_methods_that_the_whole_path_does_not() {
    let routes = vec![route(&[], "/x", &[Method::GET], &[]), route(&[], "/**", &[], &[])];
    let router = Router::build(routes).unwrap();
    assert_eq!(found(&router, "h", "/x", &Method::POST), Some(1));
}

#[test]
fn header_fields_decide_among_routes_of_one_path() {
    let routes = vec![route(&[], "/x", &[], &[]), route(&[], "/x", &[], &[("x-beta", "1")])];
    let router = Router::build(routes).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-beta", HeaderValue::from_static("1"));
    let beta = ask(&router, None, "/x", &Method::GET, &headers);
    assert_eq!(beta, Found::Route { index: 1, parameters: vec![], preflight: false });
    assert_eq!(found(&router, "h", "/x", &Method::GET), Some(0));
}

#[test]
fn routes_that_could_both_match_are_named() {
    let ambiguous = [
        (route(&[], "/a/{id}", &[], &[]), route(&[], "/a/{name}", &[], &[])),
        (route(&["a.example"], "/x", &[], &[]), route(&["A.EXAMPLE", "b"], "/x", &[], &[])),
        (route(&[], "/x", &[], &[("x-a", "1")]), route(&[], "/x", &[], &[("x-a", "1")])),
        (route(&[], "/x", &[], &[("x-a", "1")]), route(&[], "/x", &[], &[("x-b", "1")])),
        (route(&[], "/x", &[Method::GET], &[]), route(&[], "/x", &[Method::GET, Method::PUT], &[])),
        (route(&[], "/x/**", &[], &[]), route(&[], "/x/**", &[], &[])),
        (route(&[], "/x/{one}", &[], &[]), route(&[], "/x/{*all}", &[], &[])),
        (route(&[], "/~x/%40", &[], &[]), route(&[], "/~x/@", &[], &[])),
    ];
    for (first, second) in ambiguous {
        let clashes = Router::build(vec![first, second]).err().unwrap();
        assert_eq!((clashes[0].first, clashes[0].second), (0, 1));
    }
    let distinct = [
        (route(&["a"], "/x", &[], &[]), route(&[], "/x", &[], &[])),
        (route(&[], "/x", &[Method::GET], &[]), route(&[], "/x", &[Method::PUT], &[])),
        (route(&[], "/x", &[], &[("x-a", "1")]), route(&[], "/x", &[], &[("x-a", "2")])),
        (route(&[], "/x", &[Method::GET], &[]), route(&[], "/x", &[], &[])),
        (route(&[], "/x/{a}/y", &[], &[]), route(&[], "/x/{b}/z", &[], &[])),
        (route(&[], "/x/{a}", &[Method::GET], &[]), route(&[], "/x/{*b}", &[], &[])),
        (route(&[], "/x/{a}/y", &[], &[]), route(&[], "/x/{*b}", &[], &[])),
    ];
    for (first, second) in distinct {
        assert!(Router::build(vec![first, second]).is_ok());
    }
}

#[test]
fn conflicting_routes_are_named_as_written() {
    let routes = vec![route(&[], "/files/{name}", &[], &[]), route(&[], "/files/{*rest}", &[], &[])];
    let clashes = Router::build(routes).err().unwrap();
    assert_eq!(clashes[0].why, "match the same requests: `/files/{name}` and `/files/{*rest}`");
}

#[test]
fn from_the_left_a_literal_beats_a_parameter_which_beats_the_rest() {
    let paths = ["/{a}/b", "/a/{b}", "/{a}/{b}", "/a/{b}/c", "/{*rest}"];
    let router = Router::build(paths.map(|path| route(&[], path, &[], &[])).to_vec()).unwrap();
    for (path, index) in [("/a/b", 1), ("/x/b", 0), ("/x/y", 2), ("/a/x/c", 3), ("/a/x/d", 4), ("/a", 4)] {
        assert_eq!(found(&router, "h", path, &Method::GET), Some(index), "{path}");
    }
    assert_eq!(found(&router, "h", "/", &Method::GET), None, "a rest is not empty");
}

#[test]
fn one_host_has_one_route_however_it_is_written() {
    let routes = vec![route(&["[0:0::1]", "a.example"], "/x", &[], &[]), route(&[], "/x", &[], &[])];
    let router = Router::build(routes).unwrap();
    for host in ["[::1]", "[0::0:1]", "A.example.", "a.EXAMPLE"] {
        assert_eq!(found(&router, host, "/x", &Method::GET), Some(0), "{host}");
    }
}

proptest::proptest! {
    #[test]
    fn escapes_make_no_difference_to_the_route(escaped in proptest::collection::vec(0_u8..3, 12)) {
        let routes = ["/admin/**", "/~x/{id}", "/@a/b+c", "/**"].map(|path| route(&[], path, &[], &[]));
        let router = Router::build(routes.to_vec()).unwrap();
        for (path, index) in [("/admin/x", 0), ("/~x/7", 1), ("/@a/b+c", 2), ("/administer", 3)] {
            let spelled: String = path.bytes().zip(&escaped).map(|(byte, how)| match how {
                1 if byte != b'/' => format!("%{byte:02x}"),
                2 if byte != b'/' => format!("%{byte:02X}"),
                _ => char::from(byte).to_string(),
            }).collect();
            proptest::prop_assert_eq!(found(&router, "h", &spelled, &Method::GET), Some(index), "{}", spelled);
        }
    }
}

#[test]
fn a_pattern_matches_the_paths_for_which_a_router_finds_it() {
    let patterns = ["/**", "/a/**", "/a", "/a/", "/a/{id}", "/{id}", "/{id}/", "/a/{*rest}", "/{*rest}", "/%40/{id}/b"];
    let paths = ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/b", "/b/", "/@/7/b", "/%40/7/b", "/@//b", "/%61"];
    for written in patterns {
        let only = route(&[], written, &[], &[]);
        let router = Router::build(vec![only.clone()]).unwrap();
        for path in paths {
            let takes = only.pattern.takes(&crate::path::normal(path));
            assert_eq!(takes, found(&router, "h", path, &Method::GET).is_some(), "{written} {path}");
        }
    }
}

#[test]
fn a_route_serves_requests_on_its_listeners() {
    let on = |listeners: &[usize], path: &str, methods: &[Method]| {
        let listeners = if listeners.is_empty() { Listeners::ALL } else { listeners.iter().copied().collect() };
        Match { listeners, ..route(&[], path, methods, &[]) }
    };
    let clashes = Router::build(vec![on(&[0, 1], "/a", &[]), on(&[1, 2], "/a", &[])]).err().unwrap();
    assert_eq!(clashes.len(), 1, "both could win on 1");
    let get = [Method::GET];
    let routes = vec![on(&[], "/a", &[]), on(&[1], "/a", &[]), on(&[2], "/a", &[]), on(&[1], "/b", &get)];
    let router = Router::build(routes).unwrap();
    let ask = |listener, path, method: &Method| {
        let (spelling, headers) = (Spelling::default(), HeaderMap::new());
        router.find(&Lookup { listener, host: None, path, spelling, method, headers: &headers })
    };
    let index = |found| if let Found::Route { index, .. } = found { Some(index) } else { None };
    assert_eq!([0, 1, 2].map(|listener| index(ask(listener, "/a", &Method::GET))), [0, 1, 2].map(Some));
    assert_eq!(index(ask(1, "/b", &Method::GET)), Some(3));
    assert_eq!(ask(0, "/b", &Method::GET), Found::Nothing);
    assert_eq!(ask(0, "/b", &Method::POST), Found::Nothing, "nor is anything said of its methods elsewhere");
    assert!(matches!(ask(1, "/b", &Method::POST), Found::WrongMethod { .. }));
}
