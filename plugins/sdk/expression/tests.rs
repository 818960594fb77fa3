//! Tests of expressions: their values, and the faults of wrong ones.

use super::*;
use crate::testing::request;
use crate::{Client, Facts, Identity, Peer, RequestId, Scheme};
use http::{HeaderName, HeaderValue};
use serde_json::json;

/// A request of the user `u1`, from 10.1.2.3.
fn asked() -> Request {
    let mut request = request("GET", &[("host", "API.example.com:8080"), ("x-tenant", "acme"), ("accept", "a")]);
    *request.uri_mut() = "/api/users/7?page=2".parse().unwrap();
    request.headers_mut().append("accept", HeaderValue::from_static("b"));
    let serde_json::Value::Object(claims) = json!({
        "plan": "pro", "level": 3, "share": 0.5, "a.b": "dotted", "a": { "b": "nested", "c": [1, 2] },
        "roles": ["admin", "dev"], "scope": "read write", "none": null, "big": u64::MAX, "paid": true
    }) else {
        panic!("an object")
    };
    let facts = Facts::of_mut(&mut request);
    facts.identity = Some(Arc::new(Identity { subject: "u1".into(), method: "jwt", claims }));
    let ip: std::net::IpAddr = "::ffff:10.1.2.3".parse().unwrap();
    let peer = Peer::Tcp(std::net::SocketAddr::new(ip, 1));
    facts.client = Client { ip: ip.into(), peer, scheme: Scheme::Https, trusted: false };
    facts.route = Some("users".into());
    facts.listener = "web".into();
    facts.parameters = vec![("id".into(), "7".into())];
    facts.request_id =
        Some(RequestId { header: HeaderName::from_static("x-request-id"), value: HeaderValue::from_static("r-1") });
    request
}

fn holds(text: &str, request: &Request) -> Result<bool, String> {
    let condition: Condition = text.parse().unwrap_or_else(|fault: Fault| panic!("{text}: {fault}"));
    condition.holds(request).map_err(|error| error.to_string())
}

#[test]
fn conditions_see_the_request_the_client_and_the_identity() {
    for text in [
        "request.method == 'GET'",
        "request.path == '/api/users/7'",
        "request.path.startsWith('/api/') && !request.path.endsWith('/')",
        "request.query == 'page=2'",
        "request.host == 'api.example.com'",
        "request.scheme == 'https'",
        "request.id == 'r-1'",
        "request.headers['X-Tenant'] == 'acme' && request.headers.accept == 'a, b'",
        "'x-tenant' in request.headers && !('x-other' in request.headers)",
        "has(request.headers.accept) && !has(request.headers.cookie)",
        "request.headers[?'x-other'].orValue('none') == 'none'",
        "client.ip == '10.1.2.3' && client.ip.inNetwork('10.0.0.0/8') && !client.ip.inNetwork('fd00::/8')",
        "auth.subject == 'u1' && auth.method == 'jwt' && 'admin' in auth.roles && 'write' in auth.scopes && size(auth.roles) == 2",
        "auth.claims.plan in ['pro', 'team'] && auth.claims['plan'] == 'pro'",
        "auth.claims.level > 2 && auth.claims.level == 3 && auth.claims.share < 1.0 && auth.claims.paid",
        "auth.claims.a.b == 'nested' && auth.claims['a.b'] == 'dotted' && auth.claims.a.c[1] == 2",
        "auth.claims.a['b'] == 'nested' && 2 in auth.claims.a.c && has(auth.claims.a.b) && !has(auth.claims.a.x)",
        "has(auth.claims.plan) && !has(auth.claims.absent) && auth.claims.none == null && has(auth.subject)",
        "auth.claims.?absent.orValue('free') == 'free' && auth.claims.?plan.orValue('free') == 'pro'",
        "auth.claims.big == 18446744073709551615u",
        "route.name == 'users' && route.parameters.id == '7' && listener.name == 'web'",
        r"request.path.matches('^/api/users/[0-9]+$') && !request.path.matches(r'^/v\d')",
        "auth.roles.exists(role, role.startsWith('ad')) && auth.roles.all(role, size(role) > 2)",
        "request.path.split('/')[2] == 'users' && request.method.lowerAscii() == 'get'",
        "(request.method == 'GET' ? 'read' : 'write') in auth.scopes",
        "auth.claims.absent == 1 || true",
    ] {
        assert_eq!(holds(text, &asked()), Ok(true), "{text}");
    }
}

/// Conditions admit clients, too: who uses an address of a translator as its own must not be taken for the IPv4 client in it.
#[test]
fn a_translated_address_is_in_no_ipv4_network() {
    let mut request = asked();
    Facts::of_mut(&mut request).client.ip = "64:ff9b::10.1.2.3".parse().unwrap();
    for (text, wanted) in [
        ("client.ip.inNetwork('10.0.0.0/8')", false),
        ("client.ip.inNetwork('64:ff9b::/96')", true),
        ("client.ip.inNetwork('64:ff9b::a00:0/104')", true),
        ("client.ip.inNetwork('64:ff9b::b00:0/104')", false),
    ] {
        assert_eq!(holds(text, &request), Ok(wanted), "{text}");
    }
}

#[test]
fn what_a_request_lacks_is_an_error_and_never_true() {
    let stranger = request("GET", &[("x-a", "1"), ("x-a", "2")]);
    for (text, why) in [
        ("auth.subject == 'u1'", "no `auth.subject`"),
        ("auth.subject != 'u1'", "no `auth.subject`"),
        ("!('admin' in auth.roles)", "no `auth.roles`"),
        ("auth.claims.plan != 'free'", "no `auth.claims.plan`"),
        ("request.headers['x-b'] != 'x'", "no `request.headers.x-b`"),
        ("route.parameters.id == '7'", "no `route.parameters.id`"),
        ("request.id != ''", "no `request.id`"),
        ("client.ip.inNetwork('10.0.0.0/8') || int(request.path) == 1", ""),
        ("request.path.inNetwork('10.0.0.0/8')", "`inNetwork` failed"),
        ("1 / size(request.query) == 1", "division by zero"),
    ] {
        let result = holds(text, &stranger);
        assert!(matches!(&result, Err(error) if error.contains(why)), "{text}: {result:?}");
    }
    let user = asked();
    for text in ["auth.claims.plan", "auth.claims.plan > 3", "auth.claims.a.b.c == 1", "auth.claims.plan && true"] {
        assert!(holds(text, &user).is_err(), "{text}");
    }
    assert_eq!(holds("!('banned' in auth.claims)", &stranger), Err("no `auth.claims`".to_owned()));
    assert_eq!(holds("auth.claims.?plan.orValue('free') == 'free'", &stranger), Ok(true));
    for text in ["has(auth.subject)", "has(auth.claims.plan)", "auth.claims.?plan.hasValue()"] {
        assert_eq!(holds(text, &stranger), Ok(false), "{text}");
    }
    assert_eq!(holds("request.headers['x-a'] == '1, 2'", &stranger), Ok(true));
}

#[test]
fn an_error_never_shows_a_value_of_the_request() {
    for text in ["auth.claims.plan > 3", "auth.claims.plan[0] == 1", "auth.claims.a == 1 || auth.claims.a > 2"] {
        let error = holds(text, &asked()).unwrap_err();
        assert!(!error.contains("pro") && !error.contains("nested"), "{text}: {error}");
    }
}

#[test]
fn texts_are_strings_numbers_and_conditions() {
    for (text, value) in [
        ("auth.claims.plan + '/' + request.method", "pro/GET"),
        ("auth.claims.level", "3"),
        ("auth.claims.paid", "true"),
        ("request.headers['x-tenant']", "acme"),
    ] {
        let expression: TextExpression = text.parse().unwrap();
        assert_eq!(expression.text(&asked()).as_deref(), Ok(value), "{text}");
    }
    assert!("auth.claims".parse::<TextExpression>().is_err());
    let list: TextExpression = "auth.claims.a".parse().unwrap();
    assert_eq!(list.text(&asked()).unwrap_err().to_string(), "the value is of type map");
}

#[test]
fn wrong_expressions_are_faults_with_a_way_out() {
    for (text, message, help) in [
        ("", "an expression must not be empty", "write a condition"),
        ("request.method = 'GET'", "the expression is not valid at", "compare with `==`"),
        ("a and b", "the expression is not valid at", "write `&&` for and"),
        ("request.method ==", "the expression ends too early", "it is written in CEL"),
        ("request.metod == 'GET'", "unknown name `request.metod`", "did you mean `request.method`?"),
        ("auth.claim.plan == 'pro'", "unknown name `auth.claim`", "did you mean `auth.claims`?"),
        ("auth.plan == 'pro'", "unknown name `auth.plan`", "available: `auth.subject`"),
        ("pro == auth.claims.plan", "unknown name `pro`", "for a string, write `'pro'`"),
        ("request == 'x'", "`request` alone is not a value", "write one of `request.method`"),
        ("request.path", "`request.path` is a string, not a condition", "compare it"),
        ("auth.roles", "`auth.roles` is a list, not a condition", "test what it contains"),
        ("request.path.startWith('/a')", "unknown function `startWith`", "did you mean `startsWith`?"),
        ("startsWith(request.path, '/a')", "unknown function `startsWith`", "write `value.startsWith(…)`"),
        ("request.headers.contains('a')", "`contains` cannot be called on a map", "write `'name' in …`"),
        ("auth.roles.contains('admin')", "`contains` cannot be called on a list", "write `'name' in …`"),
        ("request.path.contains('a', 'b')", "`contains` takes 1 argument, not 2", "add or remove"),
        ("'a' in request.path", "what stands after `in` is a string", "request.path.contains"),
        ("request.method == 1", "`==` compares a string with a number", "one type"),
        ("request.path && true", "an operand of `&&` is a string, not a condition", "compare it"),
        ("request.path.foo == 1", "`request.path` is a string, which has no field `foo`", "write `request.path`"),
        ("request.headers.a.b == 1", "`request.headers.a` is a string, which has no field `b`", ""),
        ("request.path.matches('(')", "`(` is not a valid regular expression", "raw string"),
        ("request.path.matches(request.query)", "the argument of `matches` must be a literal string", ""),
        ("client.ip.inNetwork('10.0.0.0/33')", "`10.0.0.0/33` is not a valid network", ""),
        ("Thing{a: 1} == 1", "there is no type `Thing`", ""),
        ("request.path.exists(x, x == 'a')", "a string has no elements", ""),
        ("auth.claims.?plan != 'free'", "`!=` compares an optional value with a string", ".orValue('free')"),
        ("request.query.replace('a', request.query) == ''", "unknown function `replace`", "available"),
        ("request.query.split(',').all(x, request.query.split(',').all(y, x == y))", "cannot be nested", "split"),
        ("auth.roles.map(x, x + x) == []", "`map` and `filter` are not supported", "use `exists`"),
        ("request.path + 1 == 'a'", "`+` combines a string and a number", ""),
        ("request.method == 'get'", "`request.method` is never `get`", "write `GET`"),
        ("'Post' != request.method", "`request.method` is never `Post`", "write `POST`"),
        ("request.method in ['GET', 'head']", "`request.method` is never `head`", "write `HEAD`"),
        ("request.scheme == 'HTTPS'", "`request.scheme` is never `HTTPS`", "write `https`"),
        ("request.host == 'Example.com'", "it is in lower case", "write `example.com`"),
        ("request.host == 'example.com:8080'", "it has no port", "write `example.com`"),
        ("request.host == '[::1]:8080'", "it has no port", "write `[::1]`"),
        ("request.host == 'https://example.com'", "it is only the name", "example.com"),
        ("request.path == 'api'", "it begins with a slash", "write `/api`"),
        ("client.ip == '10.0.0.0/8'", "it is an address, not a network", "client.ip.inNetwork('10.0.0.0/8')"),
        ("client.ip == '::ffff:10.0.0.1'", "in its shortest form", "write `10.0.0.1`"),
        ("client.ip == 'localhost'", "it is an address", "10.0.0.1"),
    ] {
        let fault = text.parse::<Condition>().expect_err(text);
        let way_out = fault.help.clone().unwrap_or_default();
        assert!(fault.message.contains(message) && way_out.contains(help), "{text}: {fault} / {way_out}");
        assert!(!way_out.is_empty(), "{text}");
    }
    assert!(format!("'{}' == ''", "a".repeat(5000)).parse::<Condition>().is_err());
}

#[test]
fn values_that_a_name_may_have_are_no_faults() {
    for text in [
        "request.method == 'GET' || request.method in ['POST', 'M-SEARCH']",
        "request.scheme != 'http'",
        "request.host == '[::1]' || request.host == '::1' || request.host == '' || request.host == 'a.example'",
        "request.path == '/Api' || request.path == '*'",
        "client.ip == '10.0.0.1' || client.ip == '2001:db8::1' || client.ip == 'unix:'",
        "request.query == 'get' && auth.method == 'Own' && request.headers['x'] == 'get'",
    ] {
        assert!(text.parse::<Condition>().is_ok(), "{text}");
    }
}

#[test]
fn no_expression_overflows_the_stack() {
    let shapes = [
        ("!", "true", ""),
        ("-", "1", ""),
        ("- ", "1", ""),
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{1:", "1", "}"),
        ("size(", "''", ")"),
        ("true ? 1 : ", "2", ""),
        ("true && ", "true", ""),
        ("1 + ", "1", ""),
        ("a.", "b", ""),
        ("auth.claims.a", "", "['b']"),
        ("auth.claims", "", ".b"),
        ("has(", "auth.claims.a", ")"),
        ("auth.roles.exists(x, ", "true", ")"),
        ("x[?", "1", "]"),
        ("''.replace(", "''", ", '')"),
        ("'\\'(", "", ""),
        ("true || true ? ", "1", " : 2"),
        ("auth.claims.?a", "", ".?b"),
        ("((", "", ""),
        ("'a'+", "'a'", ""),
    ];
    for (before, middle, after) in shapes {
        for times in [20, 60, 2048 / (before.len() + after.len())] {
            let text = format!("{}{middle}{}", before.repeat(times), after.repeat(times));
            eprintln!("{before} {middle} {after} {times}");
            // The thread that reads configurations has a stack of 2 MiB.
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            let parsed = thread.spawn(move || {
                if let Ok(condition) = text.parse::<Condition>() {
                    drop(condition.holds(&asked()));
                }
            });
            parsed.unwrap().join().unwrap();
        }
    }
    assert_eq!(holds(&vec!["request.method == 'GET'"; 60].join(" && "), &asked()), Ok(true));
    assert_eq!(holds(&format!("({}) || true", "auth.claims.a".to_owned() + &".b".repeat(30)), &asked()), Ok(true));
}

#[test]
fn expressions_know_whether_they_use_the_identity() {
    let uses = |text: &str| text.parse::<Condition>().unwrap().uses_identity();
    assert!(uses("auth.subject == 'a'") && uses("request.path == '/' && has(auth.claims.a)"));
    assert!(!uses("request.path == '/auth.subject'"));
}

#[test]
fn conditions_know_whom_they_tell_apart() {
    let condition = |text: &str| text.parse::<Condition>().unwrap();
    for (text, reads) in [
        ("auth.subject == 'a'", true),
        ("!(auth.claims.sub in ['a', 'b'])", true),
        ("['a'].exists(one, one == auth.subject)", true),
        ("auth.claims[?'sub'].orValue('') == 'a'", true),
        ("has(auth.subject) && has(auth.claims.sub)", false),
        ("auth.claims.subject == 'auth.subject'", false),
    ] {
        assert_eq!(condition(text).reads_subject(), reads, "{text}");
    }
    for (text, issuers) in [
        ("auth.claims.iss == 'a'", Some(vec!["a"])),
        ("'a' == auth.claims['iss'] && request.method == 'GET'", Some(vec!["a"])),
        ("auth.claims.iss in ['a', 'b'] && auth.claims.iss in ['b', 'c']", Some(vec!["b"])),
        ("auth.claims.iss == 'a' || (auth.claims.iss == 'b' && auth.claims.paid)", Some(vec!["a", "b"])),
        ("auth.claims.iss == 'a' || auth.claims.paid", None),
        ("auth.claims.iss != 'a'", None),
        ("!(auth.claims.iss == 'a')", None),
        ("auth.claims.iss == auth.claims.azp", None),
    ] {
        let issuers = issuers.map(|names| names.into_iter().map(str::to_owned).collect());
        assert_eq!(condition(text).issuers(), issuers, "{text}");
    }
}

/// Whether `office` runs must not depend on how the upstream reads the path.
#[test]
fn a_condition_on_an_ambiguous_path_holds_for_every_reading_or_has_no_value() {
    let at = |path: &str| {
        let mut request = asked();
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let internal = "request.path.startsWith('/internal/')";
    let ambiguous = Err("`request.path` or `route.parameters` is ambiguous".to_owned());
    for path in ["/internal%2Fx", "//internal/x", "/internal;a/x", "/;/internal/x", "/%2569nternal/x"] {
        assert_eq!(holds(internal, &at(path)), ambiguous, "{path}");
        assert_eq!(holds(&format!("!{internal}"), &at(path)), ambiguous, "{path}");
        assert_eq!(holds("request.method == 'GET'", &at(path)), Ok(true), "{path}");
    }
    for (path, expected) in [
        ("/internal/a%2Fb", true),
        ("/open/a%2Fb;c", false),
        ("/internal/x", true),
        ("/a%20b", false),
        ("/internal/a%40b", true),
    ] {
        assert_eq!(holds(internal, &at(path)), Ok(expected), "{path}");
    }
    // Routes and most servers take `%40` for `@`.
    for (path, expected) in [("/@team", Ok(true)), ("/%40team", ambiguous.clone()), ("/%40tea", Ok(false))] {
        assert_eq!(holds("request.path == '/@team'", &at(path)), expected, "{path}");
    }
    assert_eq!(holds("!request.path.endsWith(':delete')", &at("/a%3Adelete")), ambiguous);
}

#[test]
fn the_same_holds_for_the_parameters_of_a_path() {
    let at = |value: &str| {
        let mut request = asked();
        *request.uri_mut() = format!("/par/{value}").parse().unwrap();
        Facts::of_mut(&mut request).parameters = vec![("id".into(), value.into())];
        request
    };
    let ambiguous = Err("`request.path` or `route.parameters` is ambiguous".to_owned());
    for value in ["admin;x", "admin;", "admin%3Bx", "%2561dmin"] {
        assert_eq!(holds("route.parameters.id == 'admin'", &at(value)), ambiguous, "{value}");
        assert_eq!(holds("route.parameters['id'] != 'admin'", &at(value)), ambiguous, "{value}");
    }
    for (value, expected) in [("admin", true), ("other;x", false), ("a%2Fb", false)] {
        assert_eq!(holds("route.parameters.id == 'admin'", &at(value)), Ok(expected), "{value}");
    }
}

#[test]
fn a_text_is_the_same_for_all_spellings_of_a_path() {
    let text = |text: &str, path: &str, parameter: &str| {
        let mut request = asked();
        *request.uri_mut() = path.parse().unwrap();
        Facts::of_mut(&mut request).parameters = vec![("id".into(), parameter.into())];
        text.parse::<TextExpression>().unwrap().text(&request)
    };
    for (path, parameter) in [("/@a/b", "@a"), ("/%40a/b", "%40a"), ("//@a;x/b", "@a;x"), ("/@a%2Fb;y", "@a;z")] {
        assert_eq!(text("request.path", path, parameter), Ok("/@a/b".into()), "{path}");
        assert_eq!(text("route.parameters.id + request.query", path, parameter), Ok("@a".into()), "{path}");
    }
    assert_eq!(text("request.query", "/a;x?b;c%40", ""), Ok("b;c%40".into()), "only paths have readings");
}

#[test]
fn every_function_in_the_table_works() {
    let user = asked();
    for text in [
        "'abc'.charAt(1) == 'b' && 'abc'.indexOf('c') == 2 && 'aba'.lastIndexOf('a') == 2",
        "'aB'.upperAscii() == 'AB'",
        "'abc'.substring(1) == 'bc' && 'abc'.substring(1, 2) == 'b' && ' a '.trim() == 'a' && 'abc'.contains('b')",
        "'a'.size() == 1 && ['a'].size() == 1",
        "int('1') == 1 && uint(1) == 1u && double('0.5') == 0.5 && string(1) == '1' && type(1) == int",
    ] {
        assert_eq!(holds(text, &user), Ok(true), "{text}");
    }
}
