//! Sets, adds and removes headers of requests and responses.

use gatewright_sdk::fields::SERVER_OWNED;
use gatewright_sdk::plugin::Setting;
use gatewright_sdk::{Context, Fault, Filter, HttpService, Plugin, Request, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

/// Changes headers: of the request on its way in, of the response on its way out.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// What to change on requests, before the rest of the chain sees them.
    request: Changes,
    /// What to change on responses, errors from further inside included.
    response: Changes,
}

/// First `remove`, then `set`, then `add`.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderChanges")]
struct Changes {
    /// Headers to set; values that are there already give way.
    set: BTreeMap<String, String>,
    /// Headers to add; values that are there already stay.
    add: BTreeMap<String, String>,
    /// Headers to remove.
    remove: Vec<String>,
}

impl Plugin for Headers {
    const NAME: &'static str = "headers";

    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        let (request, response) = (self.request.compile("request"), self.response.compile("response"));
        match (request, response) {
            (Ok(request), Ok(response)) if response.is_empty() => Ok(context.filter(next, Inward(request))),
            (Ok(request), Ok(response)) => Ok(context.filter(next, BothWays { request, response })),
            (Err(mut faults), _) | (_, Err(mut faults)) => Err(faults.swap_remove(0)),
        }
    }

    fn validate(&self, _: &Setting<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut empty = true;
        for compiled in [self.request.compile("request"), self.response.compile("response")] {
            match compiled {
                Ok(edit) => empty &= edit.is_empty(),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() && empty {
            faults.push(Fault::new("", "no header to change").help("name some under `request` or `response`"));
        }
        faults
    }
}

impl Changes {
    /// The edit these settings ask for, or all that is wrong with them; `side` is `request` or `response`.
    fn compile(&self, side: &str) -> Result<Edit, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut edit = Edit::default();
        let mut touched = HashSet::new();
        for (index, name) in self.remove.iter().enumerate() {
            match known(name, format!("{side}.remove[{index}]")) {
                Ok(name) if touched.insert(name.clone()) => edit.remove.push(name),
                Ok(_) => faults.push(twice(format!("{side}.remove[{index}]"), name)),
                Err(fault) => faults.push(fault),
            }
        }
        for (name, value) in &self.set {
            match pair(name, value, format!("{side}.set.{name}")) {
                Ok((name, value)) if touched.insert(name.clone()) => edit.set.push((name, value)),
                Ok(_) => faults.push(twice(format!("{side}.set.{name}"), name)),
                Err(fault) => faults.push(fault),
            }
        }
        for (name, value) in &self.add {
            match pair(name, value, format!("{side}.add.{name}")) {
                Ok(pair) => edit.add.push(pair),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(edit) } else { Err(faults) }
    }
}

fn twice(path: String, name: &str) -> Fault {
    Fault::new(path, format!("`{name}` is named twice")).help("`set` replaces what was there; `remove` is for the rest")
}

fn pair(name: &str, value: &str, path: String) -> Result<(HeaderName, HeaderValue), Fault> {
    let broken = || Fault::new(&*path, "a header value has no line breaks or other control characters");
    let value = HeaderValue::from_str(value).map_err(|_| broken())?;
    known(name, path).map(|name| (name, value))
}

fn known(name: &str, path: String) -> Result<HeaderName, Fault> {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(Fault::new(path, format!("`{name}` is no header name")));
    };
    if SERVER_OWNED.contains(&name.as_str()) {
        return Err(Fault::new(path, format!("`{name}` belongs to the connection and cannot be changed")));
    }
    Ok(name)
}

/// Changes ready to be made.
#[derive(Default)]
struct Edit {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Edit {
    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

/// Only requests change: the way out is not touched.
struct Inward(Edit);

impl Filter for Inward {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn request(&self, request: &mut Request) -> ControlFlow<Response, ()> {
        self.0.apply(request.headers_mut());
        ControlFlow::Continue(())
    }
}

struct BothWays {
    request: Edit,
    response: Edit,
}

impl Filter for BothWays {
    type Ticket = ();

    fn request(&self, request: &mut Request) -> ControlFlow<Response, ()> {
        self.request.apply(request.headers_mut());
        ControlFlow::Continue(())
    }

    fn response(&self, (): (), response: &mut Response) {
        self.response.apply(response.headers_mut());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::testing::{answers, faults, header, install, request};
    use serde_json::json;

    fn echo() -> HttpService {
        answers(|request| {
            let mut response = http::Response::builder().header("x-inner", "1").header("server", "inner");
            for (name, value) in request.headers() {
                response = response.header(format!("seen-{name}"), value);
            }
            response.body(gatewright_sdk::Body::empty()).unwrap()
        })
    }

    #[tokio::test]
    async fn requests_and_responses_change_on_their_way() {
        let settings = json!({
            "request": { "set": { "X-A": "set" }, "add": { "x-b": "added" }, "remove": ["x-c"] },
            "response": { "set": { "x-inner": "2" }, "add": { "x-inner": "3" }, "remove": ["server"] },
        });
        let sent = [("x-a", "old"), ("x-b", "old"), ("x-c", "old")];
        let response = install::<Headers>(settings, echo()).call(request("GET", &sent)).await;
        assert_eq!(header(&response, "seen-x-a"), "set");
        assert_eq!(header(&response, "seen-x-b"), "old, added");
        assert_eq!(header(&response, "seen-x-c"), "");
        assert_eq!(header(&response, "x-inner"), "2, 3");
        assert_eq!(header(&response, "server"), "");
    }

    #[tokio::test]
    async fn changes_to_requests_alone_leave_responses_alone() {
        let settings = json!({ "request": { "set": { "x-a": "1" } } });
        let response = install::<Headers>(settings, echo()).call(request("GET", &[])).await;
        assert_eq!((header(&response, "seen-x-a"), header(&response, "server")), ("1".into(), "inner".into()));
    }

    #[test]
    fn faults_come_all_at_once_and_name_the_header() {
        let found = faults::<Headers>(
            json!({
                "request": { "set": { "x y": "1", "x-a": "a\r\nb", "Transfer-Encoding": "chunked" } },
                "response": { "remove": ["content-length", "x-b", "X-B"] },
            }),
            false,
        );
        let starts = [
            "request.set.Transfer-Encoding: ",
            "request.set.x y: ",
            "request.set.x-a: ",
            "response.remove[0]: ",
            "response.remove[2]: ",
        ];
        assert_eq!(found.len(), starts.len(), "{found:?}");
        assert!(found.iter().zip(starts).all(|(fault, start)| fault.starts_with(start)), "{found:?}");
        assert_eq!(faults::<Headers>(json!({}), false), ["no header to change"]);
    }
}
