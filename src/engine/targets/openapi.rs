//! The description of the API as a target: as an OpenAPI document, or as a page.

use super::{Act, Installed, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::{OpenApi, Show};
use crate::engine::plan::{Below, Described, PlannedTarget};
use crate::engine::reach::Reach;
use crate::etag::Tags;
use crate::openapi::viewer::{self, DOCUMENT, FILES};
use crate::resource::email::normal;
use bytes::Bytes;
use gatewright_sdk::{Body, Code, Facts, Fault, HttpService, Problem, Reply, Request, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use url::Url;

pub(super) struct Target<'a> {
    pub at: &'a str,
    pub settings: &'a OpenApi,
}

const GET: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Clients may keep a response, and ask whether it is still valid before they use it.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let faults = self.contact_faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let (at, settings) = (self.at.to_owned(), self.settings.clone());
        Ok(Some(Act::With(Box::new(move |installed| Some(service(&at, &settings, installed))))))
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        let described = Described::OpenApi(Box::new(self.settings.clone()));
        PlannedTarget { described, ..PlannedTarget::of("openapi") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        reached.nothing()
    }

    fn below(&self, _: &Document) -> Below {
        match self.settings.show {
            Show::Document => Below::Nothing,
            Show::Page => Below::Files(FILES),
        }
    }
}

impl Target<'_> {
    fn contact_faults(&self) -> Vec<Fault> {
        let contact = self.settings.contact.clone().unwrap_or_default();
        let url = contact.url.filter(|text| !Url::parse(text).is_ok_and(|url| url.has_host()));
        let email = contact.email.filter(|text| normal(text).is_none());
        let url = url.map(|_| {
            let fault = Fault::new("contact.url", "not an absolute URL").code(Code::INVALID_URL);
            fault.help("write scheme and host, such as `https://example.com/support`")
        });
        let email = email.map(|_| {
            let fault = Fault::new("contact.email", "not an e-mail address").code(Code::FIELD_VALUE);
            fault.help("write an address such as `api@example.com`")
        });
        url.into_iter().chain(email).collect()
    }
}

/// A document, ready to send.
struct Published {
    body: Bytes,
    /// Its entity tag, without quotes.
    tag: String,
}

impl Published {
    /// The generation is a count of this process, so the tag also depends on the content.
    fn new(body: Vec<u8>, generation: u64) -> Self {
        let hash = gatewright_sdk::hex(Sha256::digest(&body).get(..8).unwrap_or_default());
        Self { body: body.into(), tag: format!("{generation}-{hash}") }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.insert(CACHE_CONTROL, REVALIDATE);
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.tag)) {
            fields.insert(ETAG, tag);
        }
        // A malformed `If-None-Match` matches nothing.
        let known = Tags::of(headers, &IF_NONE_MATCH).ok().flatten();
        if known.is_some_and(|known| known.have(&self.tag)) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        fields.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        *response.body_mut() = Body::from(self.body.clone());
        response
    }
}

fn service(at: &str, settings: &OpenApi, installed: &Installed<'_>) -> HttpService {
    let descriptions = &installed.descriptions;
    let serving = descriptions.plan.routes.iter().find(|route| route.name == at);
    let listeners = descriptions.plan.listeners.iter();
    let listeners = listeners.filter(|listener| serving.is_some_and(|route| route.serves(&listener.name)));
    // One for each listener, because each serves other routes.
    let published = listeners.map(|listener| {
        let document = descriptions.of(listener, Some(settings));
        let body = serde_json::to_vec(&document).unwrap_or_default();
        (listener.name.clone(), Published::new(body, installed.generation))
    });
    let published: HashMap<String, Published> = published.collect();
    let show = settings.show;
    HttpService::from_call(move |request| {
        let head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            Method::OPTIONS => return Reply::ready(options()),
            _ => return Reply::ready(Problem::method_not_allowed(GET)),
        };
        let mut response = answer(show, &published, &request);
        if head {
            *response.body_mut() = Body::empty();
        }
        Reply::ready(response)
    })
}

fn answer(show: Show, published: &HashMap<String, Published>, request: &Request) -> Response {
    let document = || match published.get(&*Facts::of(request).listener) {
        Some(document) => document.answer(request.headers()),
        None => Problem::not_found().into(),
    };
    if show == Show::Document {
        return document();
    }
    match request.uri().path().rsplit('/').next() {
        Some(DOCUMENT) => document(),
        Some(name) if FILES.contains(&name) => viewer::file(name, request.headers()),
        last => viewer::page(last.unwrap_or_default()),
    }
}

fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, GET);
    response
}
