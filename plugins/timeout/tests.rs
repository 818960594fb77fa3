//! Late responses, stalled ones, and slow clients.

use super::*;
use futures_util::{StreamExt, stream};
use gatewright_sdk::testing::{answers, bytes, faults, header, install, request};
use http_body_util::BodyExt;
use serde_json::json;
use std::convert::Infallible;
use tokio::time::sleep;

fn short() -> serde_json::Value {
    json!({ "request": "1s", "stream_idle": "2s" })
}

#[tokio::test(start_paused = true)]
async fn a_late_response_is_a_504_of_the_plugin() {
    let service = install::<Timeout>(short(), HttpService::from_fn(|_| std::future::pending::<Response>()));
    let response = service.call(request("GET", &[])).await;
    assert_eq!(response.status(), 504);
    let refusal = response.extensions().get::<Refusal>().unwrap();
    assert_eq!((refusal.plugin.as_deref(), &*refusal.reason), (Some("test/timeout"), "timeout"));
    assert_eq!(header(&response, "content-type"), "application/json");
}

#[tokio::test(start_paused = true)]
async fn a_response_just_in_time_passes() {
    let slow = HttpService::from_fn(|_| async {
        sleep(Duration::from_millis(900)).await;
        "made it"
    });
    let response = install::<Timeout>(short(), slow).call(request("GET", &[])).await;
    assert_eq!(bytes(response).await, b"made it");
}

/// An endless response: three pieces a second and a half apart, then silence.
fn stalling() -> Body {
    let pieces = stream::iter(0..3).then(|_| async {
        sleep(Duration::from_millis(1500)).await;
        Ok::<_, Infallible>("piece")
    });
    Body::from_stream(pieces.chain(stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_cut_and_a_lively_one_is_not() {
    for next in [answers(|_| stalling()), HttpService::from_fn(|_| async { stalling() })] {
        let mut body = install::<Timeout>(short(), next).call(request("GET", &[])).await.into_body();
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        }
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("stalled"), "{error}");
        assert_eq!(start.elapsed().as_millis() / 100, 65, "4.5 s of pieces, then 2 s of silence");
    }
}

#[tokio::test]
async fn a_response_in_memory_is_not_changed() {
    let reply = install::<Timeout>(short(), answers(|_| "here")).call(request("GET", &[]));
    let Reply::Ready(Some(response)) = reply else { panic!("unexpected status there at once") };
    assert_eq!(response.body().size_hint().exact(), Some(4));
}

#[test]
fn zero_is_a_fault_in_either_place() {
    let found = faults::<Timeout>(json!({ "request": "0s", "stream_idle": "0ms" }), false);
    assert!(found[0].starts_with("request: ") && found[1].starts_with("stream_idle: "), "{found:?}");
    assert!(faults::<Timeout>(json!({ "request": [1] }), false)[0].starts_with("request: "));
    assert!(faults::<Timeout>(json!({ "requst": "1s" }), false)[0].contains("requst"));
}

/// A request whose body arrives in `pieces`, each after a pause.
fn upload(pieces: usize, pause: Duration) -> gatewright_sdk::Request {
    let body = stream::iter(0..pieces).then(move |_| async move {
        sleep(pause).await;
        Ok::<_, Infallible>("piece")
    });
    let mut request = request("POST", &[]);
    *request.body_mut() = Body::from_stream(body);
    request
}

/// Reads the request to its end, then takes `time`.
fn reader(time: Duration) -> HttpService {
    HttpService::from_fn(move |request: gatewright_sdk::Request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        sleep(time).await;
        body
    })
}

#[tokio::test(start_paused = true)]
async fn an_ongoing_upload_does_not_count_as_server_delay() {
    let service = install::<Timeout>(short(), reader(Duration::from_millis(900)));
    for (pieces, pause) in [(20, 500), (3, 5000), (1, 3_600_000)] {
        let response = service.call(upload(pieces, Duration::from_millis(pause))).await;
        assert_eq!((response.status(), bytes(response).await.len()), (http::StatusCode::OK, 5 * pieces));
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_from_the_last_byte_of_the_request() {
    let service = install::<Timeout>(short(), reader(Duration::from_millis(1100)));
    let start = Instant::now();
    assert_eq!(service.call(upload(20, Duration::from_millis(500))).await.status(), 504);
    assert_eq!(start.elapsed(), Duration::from_secs(11), "10 s of upload, then 1 s");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_ignores_an_upload_still_times_out() {
    let deaf = HttpService::from_fn(|request: gatewright_sdk::Request| async move {
        let mut body = request.into_body();
        let _ = body.frame().await;
        std::future::pending::<Response>().await
    });
    let start = Instant::now();
    let service = install::<Timeout>(short(), deaf);
    assert_eq!(service.call(upload(20, Duration::from_millis(500))).await.status(), 504);
    assert_eq!(start.elapsed(), Duration::from_millis(1500), "1 s after the last piece it took");
    let dropping = HttpService::from_fn(|_| std::future::pending::<Response>());
    let start = Instant::now();
    let service = install::<Timeout>(short(), dropping);
    assert_eq!(service.call(upload(20, Duration::from_millis(500))).await.status(), 504);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
