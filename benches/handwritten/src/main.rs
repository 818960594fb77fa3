//! The services of `benches/gateway.yaml`, written by hand: `handwritten MODE PORT [ARGUMENT]`.

mod api;
mod create;
mod list;
mod origin;
mod postgres;
mod proxy;
mod relations;
mod users;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use std::net::SocketAddr;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: handwritten bare|chain PORT
       handwritten jwt PORT SECRET
       handwritten users|list|create|expand|under PORT DATABASE
       handwritten users-postgres|list-postgres PORT URL
       handwritten proxy|proxy-chain PORT UPSTREAM_HOST:PORT
       handwritten upstream PORT";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (port, router) = match words[..] {
        ["upstream", port] => return origin::serve(listen(port).await?).await,
        ["bare", port] => (port, Router::new().route("/bare", get(api::hello))),
        ["chain", port] => (port, api::chain(Router::new().route("/chain", get(api::hello)))),
        ["jwt", port, secret] => (port, api::chain(api::jwt(Router::new().route("/jwt", get(api::hello)), secret))),
        ["users", port, database] => (port, api::chain(users::router(database)?)),
        ["list", port, database] => (port, api::chain(list::router(database)?)),
        ["expand" | "under", port, database] => (port, api::chain(relations::router(database)?)),
        ["create", port, database] => (port, api::chain(create::router(database)?)),
        ["users-postgres" | "list-postgres", port, url] => (port, api::chain(postgres::router(url)?)),
        ["proxy", port, upstream] => (port, proxy::router(upstream)?),
        ["proxy-chain", port, upstream] => (port, api::chain(proxy::router(upstream)?)),
        _ => return Err(USAGE.into()),
    };
    let listener = listen(port).await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn listen(port: &str) -> Result<TcpListener, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?)
}
