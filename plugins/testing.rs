//! What the tests of the plugins share: settings in, answers out, no network.

use axum::response::IntoResponse;
use gatewright_sdk::plugin::CheckContext;
use gatewright_sdk::{
    Body, Context, Fault, HttpService, Install, Keep, Plugin, PluginKind, Reply, Request, Response, builtin,
};
use http_body_util::BodyExt;
use serde_json::Value;
use std::path::Path;

/// `settings` of plugin `P`, read as the engine reads them.
pub fn parse<P: Plugin>(settings: Value) -> Result<Box<dyn Install>, Fault> {
    builtin::<P>().parse(settings)
}

/// Everything wrong with `settings`, found by reading or by judging them; empty when they can be installed.
pub fn faults<P: Plugin>(settings: Value, production: bool) -> Vec<String> {
    let check = CheckContext { folder: Path::new(env!("CARGO_MANIFEST_DIR")), production };
    match parse::<P>(settings) {
        Ok(plugin) => plugin.validate(&check).iter().map(ToString::to_string).collect(),
        Err(fault) => vec![fault.to_string()],
    }
}

/// `P` in front of `next`, at the place `test/<name of P>`.
pub fn install<P: Plugin>(settings: Value, next: HttpService) -> HttpService {
    install_keeping::<P>(settings, &Keep::default(), next)
}

/// The same with state that outlives one installation, in `keep`.
pub fn install_keeping<P: Plugin>(settings: Value, keep: &Keep, next: HttpService) -> HttpService {
    let check = CheckContext { folder: Path::new(env!("CARGO_MANIFEST_DIR")), production: false };
    let plugin = parse::<P>(settings).expect("settings fit the schema");
    assert_eq!(plugin.validate(&check), [], "settings are valid");
    let place = format!("test/{}", P::NAME);
    let exposed = ["etag".to_owned()];
    let context = Context { place: &place, keep, check: &check, exposed: &exposed };
    plugin.install(&context, next).expect("valid settings install")
}

/// A target that answers at once.
pub fn answers<R: IntoResponse + 'static>(answer: impl Fn(Request) -> R + Send + Sync + 'static) -> HttpService {
    HttpService::from_call(move |request| Reply::ready(answer(request)))
}

/// A request to `/`.
pub fn request(method: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = http::Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a valid request")
}

/// Every value of a response header, joined as RFC 9110 section 5.3 allows.
pub fn header(response: &Response, name: &str) -> String {
    let values = response.headers().get_all(name).iter().map(|value| value.to_str().expect("ASCII"));
    values.collect::<Vec<_>>().join(", ")
}

/// The whole body.
pub async fn bytes(response: Response) -> Vec<u8> {
    response.into_body().collect().await.expect("a body").to_bytes().to_vec()
}
