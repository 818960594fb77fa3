//! Generates requests from a file's own hosts, paths and methods, and others that just miss them. Every run is the
//! same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

/// A request to explain and to send.
pub struct Asked {
    /// The name by which its span is found.
    pub name: String,
    pub listener: String,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    body: &'static str,
}

impl Asked {
    /// The request as sent.
    pub fn written(&self) -> String {
        let Self { name, method, target, body, .. } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nuser-agent: {name}\r\nconnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        format!("{head}\r\n{body}")
    }
}

/// A route of the file.
struct Route {
    listeners: Vec<String>,
    hosts: Vec<String>,
    path: String,
    methods: Vec<String>,
    /// Whether it requires `x-canary`.
    canary: bool,
}

pub struct Generator {
    routes: Vec<Route>,
    runner: TestRunner,
}

/// Random choices for one request.
struct Draw(std::vec::IntoIter<usize>);

impl Draw {
    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn owned(&mut self, list: &[String]) -> String {
        list[self.below(list.len())].clone()
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.next().expect("so many choices are drawn") % end
    }
}

/// Changes to a path after which servers may read it as another, or reject it.
const DOUBTFUL: [&str; 13] =
    ["%2f", "//", "/../", "/./", ";a=b/", "/%2e%2E/", "%00", "%zz", "%", "%2561", "%5c", "%c0%af", "%252f"];

const WRONG_HOSTS: [&str; 5] = ["a b", "a.example:x", "user@a.example", "", "a..example"];

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];

impl Generator {
    pub fn new(routes: &Value, listeners: &[&str]) -> Self {
        let strings = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        let route = |route: &Value| Route {
            listeners: Some(strings(&route["listeners"]))
                .filter(|named| !named.is_empty())
                .unwrap_or_else(|| listeners.iter().map(|name| (*name).to_owned()).collect()),
            hosts: strings(&route["hosts"]),
            path: match (route["path"].as_str(), route["path_prefix"].as_str()) {
                (Some(path), _) => path.to_owned(),
                (None, prefix) => format!("{}/{{**}}", prefix.unwrap().trim_end_matches('/')),
            },
            methods: strings(&route["methods"]),
            canary: !route["headers"].as_object().is_none_or(serde_json::Map::is_empty),
        };
        let routes = routes.as_object().unwrap().values().map(route).collect();
        Self { routes, runner: TestRunner::deterministic() }
    }

    /// Request `number`; its kind follows from the number.
    pub fn request(&mut self, number: usize) -> Asked {
        let choices = vec(any::<usize>(), 24).new_tree(&mut self.runner).expect("nothing is rejected").current();
        let mut draw = Draw(choices.into_iter());
        let with_methods = |route: &&Route| !route.methods.is_empty();
        let routes: Vec<&Route> = match number % 12 {
            6..9 => self.routes.iter().filter(with_methods).collect(),
            _ => self.routes.iter().collect(),
        };
        let route = draw.of(&routes);
        let mut asked = taken(route, &mut draw);
        asked.name = format!("request-{number}");
        match number % 12 {
            0 => own(&mut asked, &mut draw),
            1 if number % 24 == 1 => spell(&mut asked, &mut draw),
            1 | 2 => preflight(route, &mut asked, &mut draw),
            3..6 => miss(route, &mut asked, &mut draw),
            6..9 => {
                let others: Vec<&str> =
                    METHODS.into_iter().filter(|other| !route.methods.iter().any(|own| own == other)).collect();
                draw.of(&others).clone_into(&mut asked.method);
            }
            _ => doubt(&mut asked, &mut draw),
        }
        // The request target may name the host as well.
        let host = asked.headers[0].1.clone();
        if asked.target.starts_with('/')
            && !host.is_empty()
            && draw.below(8) == 0
            && host.parse::<http::uri::Authority>().is_ok()
        {
            asked.target = format!("http://{host}{}", asked.target);
        }
        asked
    }
}

/// A request that `route` takes, unless there is a better match.
fn taken(route: &Route, draw: &mut Draw) -> Asked {
    let listener = draw.owned(&route.listeners);
    let others = ["127.0.0.1", "c.example:8080", "a.example", "B.example.", "x.shop.example"].map(str::to_owned);
    let host = if route.hosts.is_empty() { draw.owned(&others) } else { draw.owned(&route.hosts) };
    let mut headers = vec![("host".to_owned(), host.replace('*', draw.of(&["x", "y.z"])))];
    let methods = if route.methods.is_empty() { METHODS.map(str::to_owned).to_vec() } else { route.methods.clone() };
    let mut method = draw.owned(&methods);
    if method == "GET" && draw.below(6) == 0 {
        method = "HEAD".to_owned();
    }
    if route.canary {
        headers.push(("x-canary".to_owned(), draw.of(&["yes", "yes", "no"]).to_owned()));
    }
    let target = route
        .path
        .replace("{id}", draw.of(&["7", "a-b", "caf%C3%A9", "top"]))
        .replace("{*rest}", draw.of(&["a", "a/b", "a/b/"]))
        .replace("{**}", draw.of(&["", "x", "x/y"]));
    Asked { name: String::new(), listener, method, target, headers, body: "" }
}

/// A request with a body, or about the gateway itself.
fn own(asked: &mut Asked, draw: &mut Draw) {
    match draw.below(6) {
        0 => asked.target = draw.of(&["/health", "/health/live", "/health/ready", "/he%61lth"]).to_owned(),
        1 => {
            draw.of(&["OPTIONS", "OPTIONS", "GET"]).clone_into(&mut asked.method);
            "*".clone_into(&mut asked.target);
            if draw.below(2) == 0 {
                asked.headers.push(("origin".to_owned(), "https://a.example".to_owned()));
                asked.headers.push(("access-control-request-method".to_owned(), "GET".to_owned()));
            }
        }
        _ if ["POST", "PUT", "PATCH"].contains(&&*asked.method) => {
            asked.body = draw.of(&[r#"{"a":1}"#, r#"{"name":"longer"}"#]);
        }
        _ => {}
    }
}

/// The same path in another spelling.
fn spell(asked: &mut Asked, draw: &mut Draw) {
    let letters: Vec<usize> = asked.target.match_indices(char::is_alphabetic).map(|(at, _)| at).collect();
    let Some(&at) = letters.get(draw.below(letters.len().max(1))) else { return };
    if !asked.target.contains('%') {
        let escaped = format!("%{:02x}", asked.target.as_bytes()[at]);
        asked.target.replace_range(at..=at, &escaped);
    }
}

/// The preflight of a browser for the request.
fn preflight(route: &Route, asked: &mut Asked, draw: &mut Draw) {
    let origin = draw.of(&["https://a.example", "https://b.example", "https://c.example"]);
    let about = draw.of(&[&asked.method[..], "DELETE", "PUT", "P(T"]).to_owned();
    asked.headers.push(("origin".to_owned(), origin.to_owned()));
    asked.headers.push(("access-control-request-method".to_owned(), about));
    "OPTIONS".clone_into(&mut asked.method);
    if draw.below(5) == 0 {
        miss(route, asked, draw);
    }
}

/// A host or path that almost matches a route.
fn miss(route: &Route, asked: &mut Asked, draw: &mut Draw) {
    let first = asked.target.split('/').nth(1).unwrap_or_default().to_owned();
    let host = &mut asked.headers[0].1;
    if !route.hosts.is_empty() && (route.path == "/{**}" || draw.below(2) == 0) {
        *host = match draw.below(4) {
            0 => format!("x{}", host.trim_start_matches("x.").trim_start_matches("y.z.")),
            1 => host.replace(".example", ".exampl"),
            2 => "shop.example".to_owned(),
            _ => format!("{host}.org"),
        };
    } else {
        let other = match draw.below(5) {
            0 => format!("{first}x"),
            1 => first.get(..first.len().saturating_sub(1)).unwrap_or_default().to_owned(),
            2 => first.to_uppercase(),
            3 => format!("{first}-"),
            _ => format!("x/{first}"),
        };
        let rest = asked.target.get(1 + first.len()..).unwrap_or_default();
        asked.target = format!("/{other}{rest}");
        if host.contains("shop") {
            "c.example".clone_into(host);
        }
    }
}

/// A path or head that two servers may interpret differently.
fn doubt(asked: &mut Asked, draw: &mut Draw) {
    match draw.below(8) {
        0 => draw.of(&WRONG_HOSTS).clone_into(&mut asked.headers[0].1),
        1 => asked.headers.push(("host".to_owned(), "a.example".to_owned())),
        2 if draw.below(2) == 0 => asked.headers.push(("expect".to_owned(), "200-ok".to_owned())),
        2 => {
            asked.headers.push(("upgrade".to_owned(), "websocket".to_owned()));
            asked.headers.push(("connection".to_owned(), "upgrade".to_owned()));
        }
        3 => "TRACE".clone_into(&mut asked.method),
        4 | 5 => asked.target.insert_str(0, draw.of(&["/", "/%2F", "//"])),
        _ => {
            let places: Vec<usize> =
                asked.target.match_indices('/').map(|(at, _)| at).chain([asked.target.len()]).collect();
            let at = places[draw.below(places.len())];
            let doubtful = draw.of(&DOUBTFUL);
            let at = if at == 0 && !doubtful.starts_with('/') { 1 } else { at };
            asked.target.insert_str(at, doubtful);
        }
    }
}
