//! Shared by plugin tests: settings in, responses out, no network.

use crate::items::NoResources;
use crate::{
    Body, CheckContext, Compiled, FetchError, Fetching, Files, HttpService, Keep, Needs, Place, Plugin, PluginKind,
    Reply, Request, Response, Services, Stores, Usages, builtin,
};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Reads files; relative paths start in the folder of the tested package.
pub struct Disk;

impl Files for Disk {
    fn content(&self, file: &Path) -> Result<Bytes, String> {
        std::fs::read(file).map(Bytes::from).map_err(|error| error.to_string())
    }
}

/// Services that provide nothing.
pub struct Nothing;

impl Services for Nothing {
    fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Fetching {
        Box::pin(std::future::ready(Err(FetchError("there is no network".to_owned()))))
    }
}

/// Compiles `settings` of plugin `P` as the engine does.
pub fn compile<P: Plugin>(settings: Value, production: bool) -> Compiled {
    builtin::<P>().compile(settings, &CheckContext { files: &Disk, production }).1
}

/// All faults in `settings`; empty if they can be installed.
pub fn faults<P: Plugin>(settings: Value, production: bool) -> Vec<String> {
    compile::<P>(settings, production).faults.iter().map(ToString::to_string).collect()
}

/// Installs `P` in front of `next`, at the place `test/<name of P>`.
pub fn install<P: Plugin>(settings: Value, next: HttpService) -> HttpService {
    install_keeping::<P>(settings, &Keep::default(), next)
}

/// The same with kept state that outlives one installation.
pub fn install_keeping<P: Plugin>(settings: Value, keep: &Keep, next: HttpService) -> HttpService {
    let compiled = compile::<P>(settings, false);
    assert_eq!(compiled.faults, [], "settings are valid");
    install_act(&compiled, P::NAME, keep, &(Arc::new(Nothing) as Arc<dyn Services>), next)
}

/// The same for a plugin that only observes.
pub fn install_observing<P: Plugin>(settings: Value, keep: &Keep, next: HttpService) -> HttpService {
    let compiled = compile::<P>(settings, false);
    assert_eq!(compiled.faults, [], "settings are valid");
    let services = Arc::new(Nothing) as Arc<dyn Services>;
    let place = Place {
        name: "test/observed",
        plugin: P::NAME,
        keep,
        exposed: &[],
        services: &services,
        resources: &NoResources,
        needs: &Needs::default(),
        stores: &Stores::default(),
        usages: &Usages::default(),
    };
    compiled.act.expect("valid settings act").install(&place, |_| Vec::new(), true, next)
}

/// Installs a compiled plugin at the place `test/<plugin>`.
pub fn install_act(
    compiled: &Compiled,
    plugin: &str,
    keep: &Keep,
    services: &Arc<dyn Services>,
    next: HttpService,
) -> HttpService {
    install_needing(compiled, plugin, keep, services, &Needs::default(), next)
}

/// The same, and collects what the plugin needs.
pub fn install_needing(
    compiled: &Compiled,
    plugin: &str,
    keep: &Keep,
    services: &Arc<dyn Services>,
    needs: &Needs,
    next: HttpService,
) -> HttpService {
    let (name, exposed) = (format!("test/{plugin}"), ["etag".to_owned()]);
    let (resources, stores, usages) = (&NoResources, &Stores::default(), &Usages::default());
    let place = Place { name: &name, plugin, keep, exposed: &exposed, services, resources, needs, stores, usages };
    compiled.act.as_ref().expect("valid settings act").install(&place, |_| Vec::new(), false, next)
}

/// Installs a compiled plugin at the place `name`, with stores that count, and collects what it reports.
pub fn install_at(
    compiled: &Compiled,
    (name, plugin): (&str, &str),
    keep: &Keep,
    (stores, usages): (&Stores, &Usages),
    next: HttpService,
) -> HttpService {
    let services = Arc::new(Nothing) as Arc<dyn Services>;
    let (needs, services, resources, exposed) = (&Needs::default(), &services, &NoResources, &[]);
    let place = Place { name, plugin, keep, exposed, services, resources, needs, stores, usages };
    compiled.act.as_ref().expect("valid settings act").install(&place, |_| Vec::new(), false, next)
}

/// A target that responds at once.
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
