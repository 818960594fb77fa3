//! The upstream of the proxy benchmark: plain hyper with a fixed response.

use crate::Failure;
use axum::body::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

pub async fn serve(listener: TcpListener) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(r#"{"hello":"world"}"#));
    let json: HeaderMap =
        [(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"))].into_iter().collect();
    *response.headers_mut() = json;
    Ok(response)
}
