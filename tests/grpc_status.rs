//! The status of gRPC calls in log lines, spans and metrics, and copies of requests in traces.

use crate::collector::{Collector, Received};
use crate::failures::observed;
use crate::harness::head_of;
use crate::http2::Client;
use crate::metrics::Scraped;
use crate::tracing::{CLIENT, SERVER, span};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use tokio::runtime::Runtime;

const ERROR: i32 = 2;

/// A gRPC server that ends each call with the status in the last segment of its path.
fn server(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let status = request.uri().path().rsplit('/').next().unwrap().to_owned();
                let trailers = async move {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", status.parse().unwrap());
                    Some(Ok::<_, Infallible>(trailers))
                };
                let body = Full::new(Bytes::from("message")).with_trailers(trailers);
                let response = http::Response::builder().header("content-type", "application/grpc").body(body);
                Ok::<_, Infallible>(response.unwrap())
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[test]
fn a_call_is_seen_with_its_status() {
    let runtime = Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2] }} }}
plugins: {{ login: {{ jwt: {{ issuer: iss, audiences: [api], algorithms: [HS256], secret: "${{env.JWT_SECRET}}" }} }} }}
upstreams:
  calls: {{ protocol: http2, targets: [{{ url: "http://{}" }}] }}
  gone:  {{ protocol: http2, targets: [{{ url: "http://127.0.0.1:1" }}] }}
routes:
  calls:  {{ path_prefix: /shop.Orders, upstream: calls }}
  gone:   {{ path_prefix: /shop.Gone, upstream: gone }}
  locked: {{ path_prefix: /shop.Locked, plugins: [login], upstream: calls }}
"#,
        server(&runtime)
    );
    let mut gateway = observed(&collector.endpoint, &yaml);
    let mut client = Client::new(gateway.address);
    for (path, route, name, level, is_error) in [
        ("/shop.Orders/0", "calls", "OK", "INFO", false),
        ("/shop.Orders/5", "calls", "NOT_FOUND", "INFO", false),
        ("/shop.Orders/13", "calls", "INTERNAL", "INFO", true),
        ("/shop.Gone/1", "gone", "UNAVAILABLE", "WARN", true),
        ("/shop.Locked/1", "locked", "UNAUTHENTICATED", "INFO", false),
    ] {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        assert_eq!(client.send("POST", path, &headers, "").status, 200, "{path}");
        let line = gateway.wait_for_log(|line| line["path"] == path);
        let logged = (line["grpc_status"].as_str().unwrap(), line["level"].as_str().unwrap());
        assert_eq!((logged, &line["status"]), ((name, level), &200.into()), "{line}");

        let of = |found: &Received| found.kind == SERVER && found.attributes["url.path"] == path;
        let found = span(&collector, of);
        assert_eq!(found.attributes["rpc.status_code"], name);
        assert_eq!(found.attributes["rpc.method"], path[1..]);
        if route == "calls" {
            let of = |attempt: &Received| attempt.kind == CLIENT && attempt.parent == found.id;
            let attempt = span(&collector, of);
            assert_eq!(attempt.attributes["rpc.status_code"], name);
            let error = attempt.attributes.get("error.type").map(String::as_str);
            assert_eq!((attempt.status == ERROR, error), (name != "OK", Some(name).filter(|name| *name != "OK")));
        }
        assert_eq!((found.status == ERROR, found.attributes.contains_key("error.type")), (is_error, is_error));

        let scraped = Scraped::of(&gateway);
        let call = [("gateway_route", route), ("rpc_status_code", name), ("rpc_system_name", "grpc")];
        assert_eq!(scraped.value("rpc_server_call_duration_seconds_count", &call), 1.0, "{path}");
        let failed = [("gateway_route", route), ("error_type", name)];
        let count = f64::from(u8::from(is_error));
        assert_eq!(scraped.sum("http_server_request_duration_seconds_count", &failed), count, "{path}");
        assert_eq!(scraped.sum("rpc_server_call_duration_seconds_count", &failed), count, "{path}");
    }
    assert_eq!(client.send("GET", "/shop.Orders/9", &[], "").status, 200);
    let line = gateway.wait_for_log(|line| line["path"] == "/shop.Orders/9");
    assert_eq!(line.get("grpc_status"), None, "it is not a call: {line}");
}

#[test]
fn a_copy_has_its_own_span_below_that_of_its_request() {
    let runtime = Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let status = if head.contains("x-mirrored") { "503 x" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            sender.send(head).unwrap();
        }
    });
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams: {{ real: {{ targets: [{{ url: "http://{address}" }}] }}, copies: {{ targets: [{{ url: "http://{address}" }}] }} }}
routes: {{ app: {{ path: /app, upstream: real, mirror: {{ upstream: copies }} }} }}
"#
    );
    let gateway = observed(&collector.endpoint, &yaml);
    assert_eq!(gateway.get("/app").status, 200);
    let request = span(&collector, |span| span.kind == SERVER);
    let copy = span(&collector, |span| span.name == "mirror copies");
    assert_eq!((&copy.trace, &copy.parent), (&request.trace, &request.id));
    let attribute = |name: &str| copy.attributes[name].as_str();
    assert_eq!((attribute("gateway.outcome"), attribute("error.type"), copy.status), ("failed", "503", ERROR));
    assert_eq!(attribute("http.response.status_code"), "503");
    let sent = span(&collector, |span| span.kind == CLIENT && span.attributes["gateway.upstream"] == "copies");
    assert_eq!((&sent.trace, &sent.parent), (&copy.trace, &copy.id));
    let heads = [heads.recv().unwrap(), heads.recv().unwrap()];
    let copied = heads.iter().find(|head| head.contains("x-mirrored")).unwrap();
    assert!(copied.contains(&format!("traceparent: 00-{}-{}-01", sent.trace, sent.id)), "{copied}");
}
