//! HTTP/2 upstreams through the real program, with all its workers.

use crate::harness::{Gateway, send};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

#[test]
fn the_connections_of_all_workers_count_for_max_connections() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let service =
                service_fn(|_| async { Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from("ok")))) });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    let gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams:
  app: {{ protocol: http2, targets: [{{ url: \"http://{address}\" }}], circuit_breaker: {{ max_connections: 1 }} }}
routes: {{ app: {{ path_prefix: /, upstream: app }} }}\n"
    ));
    let to = gateway.address;
    // Each client connection goes to one of the workers.
    let clients: Vec<_> = (0..16)
        .map(|_| std::thread::spawn(move || (0..8).map(|_| send(to, "GET", "/", &[], "").status).collect::<Vec<_>>()))
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), [200; 8]);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
