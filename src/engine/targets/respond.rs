//! A fixed response, prepared when the configuration is built.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::Respond;
use crate::engine::plan::PlannedTarget;
use crate::engine::reach::Reach;
use bytes::Bytes;
use gatewright_sdk::{Body, CheckContext, Code, Fault, HttpService, Reply, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::path::Path;
use std::sync::Arc;

/// Room for the header fields that a chain usually adds, so that the map does not grow on the way out. A larger map
/// takes at least a kilobyte, which costs more than growing it for a few responses.
const ROOM: usize = 6;

pub(super) struct Target<'a> {
    pub respond: &'a Respond,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, with: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        compile(self.respond, with.check).map(|service| Some(Act::Ready(service)))
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        PlannedTarget { status: Some(self.respond.status), ..PlannedTarget::of("respond") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        reached.nothing()
    }
}

struct Fixed {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

fn compile(spec: &Respond, check: &CheckContext<'_>) -> Result<HttpService, Vec<Fault>> {
    let status = StatusCode::from_u16(spec.status).unwrap_or_default();
    let (body, media_type) = body(spec, check).map_err(|fault| vec![fault])?;
    let headers = spec.headers.iter().map(|field| (field.name.clone(), field.value.expose().clone()));
    let mut headers: Vec<(HeaderName, HeaderValue)> = headers.collect();
    if let Some(media_type) = media_type.filter(|_| !headers.iter().any(|(name, _)| name == CONTENT_TYPE)) {
        headers.push((CONTENT_TYPE, HeaderValue::from_static(media_type)));
    }
    let fixed = Arc::new(Fixed { status, headers, body });
    Ok(HttpService::from_call(move |_| Reply::Ready(Some(Box::new(fixed.response())))))
}

impl Fixed {
    fn response(&self) -> Response {
        let body = if self.body.is_empty() { Body::empty() } else { Body::from(self.body.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        *headers = HeaderMap::with_capacity(ROOM);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        response
    }
}

fn body(spec: &Respond, check: &CheckContext<'_>) -> Result<(Bytes, Option<&'static str>), Fault> {
    match (&spec.json, &spec.text, &spec.body_file) {
        (Some(json), None, None) => {
            let body = serde_json::to_vec(json)
                .map_err(|error| Fault::new("json", error.to_string()).code(Code::RESPONSE_BODY))?;
            Ok((body.into(), Some("application/json")))
        }
        (None, Some(text), None) => Ok((text.clone().into(), Some("text/plain; charset=utf-8"))),
        (None, None, Some(file)) => {
            let body =
                check.read(file).map_err(|message| Fault::new("body_file", message).code(Code::RESPONSE_BODY))?;
            Ok((body, Some(media_type(file.path()))))
        }
        // Several bodies were reported when the file was checked.
        _ => Ok((Bytes::new(), None)),
    }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        _ => "application/octet-stream",
    }
}
