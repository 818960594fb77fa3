//! HTTP/2 with prior knowledge, on the same port as HTTP/1.

use super::*;
use gatewright_sdk::HumanDuration;
use hyper::client::conn::http2::{Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

type Driver = Connection<TokioIo<TcpStream>, Body, TokioExecutor>;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

async fn connect(fixture: &Fixture) -> (SendRequest<Body>, Driver) {
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap()
}

async fn get(sender: &mut SendRequest<Body>, path: &str) -> hyper::Result<(u16, String)> {
    sender.ready().await?;
    let request = http::Request::get(format!("http://a{path}")).body(Body::empty()).unwrap();
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    Ok((status, String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned()))
}

#[tokio::test]
async fn both_protocols_are_distinguished_by_their_first_bytes() {
    let fixture = Fixture::new(|_| {}, &BOTH);
    assert_eq!(fixture.connect().await.get("/hello").await.2, "hi");
    let (mut sender, driver) = connect(&fixture).await;
    let driver = tokio::spawn(driver);
    assert_eq!(get(&mut sender, "/hello").await.unwrap(), (200, "hi".to_owned()));
    assert_eq!(get(&mut sender, "/a/../b").await.unwrap().0, 400);
    assert_eq!(get(&mut sender, "/big").await.unwrap().1.len(), 8 << 20);
    let worker = get(&mut sender, "/worker").await.unwrap();
    assert_eq!(get(&mut sender, "/worker").await.unwrap(), worker);
    drop(sender);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_listener_speaks_only_its_configured_protocols() {
    let only1 = Fixture::http1();
    let (mut sender, driver) = connect(&only1).await;
    tokio::spawn(driver);
    assert!(get(&mut sender, "/hello").await.is_err());
    let only2 = Fixture::new(|_| {}, &BOTH[1..]);
    let mut client = only2.connect().await;
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, client.0.read_to_end(&mut rest)).await.expect("the connection ends");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_connection_without_streams_is_ended() {
    let fixture = Fixture::new(|limits| limits.idle_timeout = HumanDuration::from_millis(300), &BOTH);
    let (mut sender, driver) = connect(&fixture).await;
    let driver = tokio::spawn(driver);
    assert_eq!(get(&mut sender, "/hello").await.unwrap().0, 200);
    tokio::time::timeout(PATIENCE, driver).await.expect("the connection ends").unwrap().unwrap();
}

#[tokio::test]
async fn streams_in_progress_survive_a_drain() {
    let fixture = Fixture::new(|_| {}, &BOTH);
    let (mut sender, driver) = connect(&fixture).await;
    let driver = tokio::spawn(driver);
    let client = async {
        let slow = get(&mut sender, "/slow");
        let release = async {
            fixture.app.reached.notified().await;
            let drained = fixture.server.shutdown(Duration::ZERO, PATIENCE);
            let let_go = async { fixture.app.release.notify_one() };
            tokio::join!(drained, let_go).0
        };
        tokio::join!(slow, release)
    };
    let (slow, cut) = client.await;
    assert_eq!(slow.unwrap(), (200, "done".to_owned()));
    assert_eq!(cut, 0);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_response_that_is_not_read_is_reset() {
    let fixture = Fixture::new(
        |limits| {
            limits.write_timeout = HumanDuration::from_millis(300);
            limits.idle_timeout = HumanDuration::from_millis(300);
        },
        &BOTH,
    );
    let (mut sender, driver) = connect(&fixture).await;
    let driver = tokio::spawn(driver);
    let request = http::Request::get("http://a/big").body(Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    tokio::time::timeout(PATIENCE, driver).await.expect("the connection ends").unwrap().ok();
    assert!(response.into_body().collect().await.is_err(), "the answer is not whole");
}

#[tokio::test]
async fn during_the_grace_period_a_new_connection_gets_its_response() {
    let fixture = Fixture::new(|_| {}, &BOTH);
    let clients = async {
        let mut kept = fixture.connect().await;
        while !kept.get("/hello").await.1.contains("connection: close") {}
        let (mut sender, driver) = connect(&fixture).await;
        let driver = tokio::spawn(driver);
        assert_eq!(get(&mut sender, "/hello").await.unwrap().0, 200);
        driver.await.unwrap().unwrap();
    };
    let grace = Duration::from_secs(3600);
    tokio::select! {
        cut = fixture.server.shutdown(grace, PATIENCE) => panic!("the grace is over, {cut} cut"),
        () = clients => {}
    }
}
