//! Compression as clients and caches see it.

use super::*;
use futures_util::{FutureExt, StreamExt, stream};
use gatewright_sdk::HttpService;
use gatewright_sdk::testing::{answers, bytes, faults, header, install, request};
use http::header::ETAG;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use std::convert::Infallible;

/// A response of two thousand letters with these headers.
fn page(headers: &'static [(&'static str, &'static str)]) -> HttpService {
    answers(move |request| {
        let mut response = Response::new(Body::from("a".repeat(2000)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("2000"));
        for (name, value) in headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        for name in [IF_MATCH, IF_NONE_MATCH] {
            if let Some(tags) = request.headers().get(&name) {
                response.headers_mut().insert("seen", tags.clone());
            }
        }
        if *request.method() == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        if request.headers().get(IF_NONE_MATCH).is_some_and(|tag| tag == "\"x\"") {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        }
        response
    })
}

async fn get(page: HttpService, headers: &[(&str, &str)]) -> Response {
    install::<Compression>(json!({}), page).call(request("GET", headers)).await
}

#[tokio::test]
async fn every_algorithm_shrinks_the_response_and_is_announced() {
    for (coding, magic) in [("zstd", &[0x28, 0xb5, 0x2f, 0xfd][..]), ("br", &[]), ("gzip", &[0x1f, 0x8b])] {
        let response =
            get(page(&[("etag", "\"x\""), ("accept-ranges", "bytes")]), &[("accept-encoding", coding)]).await;
        assert_eq!(header(&response, "content-encoding"), coding);
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(header(&response, "etag"), format!("\"x+{coding}\""));
        assert_eq!(header(&response, "content-length") + &header(&response, "accept-ranges"), "");
        let body = bytes(response).await;
        assert!(body.starts_with(magic) && (1..200).contains(&body.len()), "{coding}: {} bytes", body.len());
    }
}

#[tokio::test]
async fn responses_that_must_not_change_do_not() {
    let untouchable: [&[(&str, &str)]; 9] = [
        &[("content-type", "image/png")],
        &[("content-type", "text/event-stream")],
        &[("content-encoding", "br")],
        &[("cache-control", "public, No-Transform")],
        &[("content-digest", "sha-256=:AA==:")],
        &[("repr-digest", "sha-256=:AA==:")],
        &[("digest", "sha-256=AA==")],
        &[("content-md5", "AA==")],
        &[("trailer", "x-more, Repr-Digest")],
    ];
    for headers in untouchable {
        let response = get(page(headers), &[("accept-encoding", "gzip")]).await;
        assert_eq!(header(&response, "vary"), "", "{headers:?}");
        assert_eq!(bytes(response).await.len(), 2000, "{headers:?}");
    }
}

#[tokio::test]
async fn errors_stay_uncompressed_so_that_they_can_be_rewritten() {
    let failing = answers(|_| Problem::validation("a".repeat(2000)));
    let response = get(failing, &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&response, "content-encoding"), "");
    assert!(bytes(response).await.len() > 2000);
}

#[tokio::test]
async fn clients_that_do_not_ask_get_an_uncompressed_response_with_vary() {
    for headers in [&[][..], &[("accept-encoding", "identity;q=0")], &[("accept-encoding", "gzip"), ("cookie", "a=b")]]
    {
        let response = get(page(&[("etag", "\"x\"")]), headers).await;
        assert_eq!((response.status(), header(&response, "vary")), (StatusCode::OK, "accept-encoding".into()));
        assert_eq!(header(&response, "etag"), "\"x\"");
        assert_eq!(bytes(response).await.len(), 2000);
    }
    let service = install::<Compression>(json!({ "with_cookies": true, "min_size": "2000B" }), page(&[]));
    let response = service.call(request("GET", &[("accept-encoding", "gzip"), ("cookie", "a=b")])).await;
    assert_eq!(header(&response, "content-encoding"), "gzip");
    let service = install::<Compression>(json!({ "min_size": "2001B" }), page(&[]));
    assert_eq!(header(&service.call(request("GET", &[("accept-encoding", "gzip")])).await, "content-encoding"), "");
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let service = install::<Compression>(json!({}), page(&[("etag", "\"x\"")]));
    let ask = [("accept-encoding", "br")];
    let (get, head) = (service.call(request("GET", &ask)).await, service.call(request("HEAD", &ask)).await);
    assert_eq!(get.headers(), head.headers());
    assert!(head.body().is_end_stream());
}

#[tokio::test]
async fn the_tag_of_a_compressed_response_is_recognized() {
    let response =
        get(page(&[("etag", "\"x\"")]), &[("accept-encoding", "gzip"), ("if-none-match", "\"x+gzip\"")]).await;
    assert_eq!((response.status(), header(&response, "etag")), (StatusCode::NOT_MODIFIED, "\"x+gzip\"".into()));
    assert_eq!(header(&response, "vary"), "accept-encoding");
    let response =
        get(page(&[]), &[("accept-encoding", "gzip"), ("if-match", "\"a+br\", W/\"b+zstd\", \"c+d\"")]).await;
    assert_eq!(header(&response, "seen"), "\"a\", W/\"b\", \"c+d\"");
    let weak = get(page(&[("etag", "W/\"x\"")]), &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&weak, "etag"), "W/\"x\"", "a weak tag covers every form");
}

/// A target whose only tag is `"v1"`.
fn versioned() -> HttpService {
    answers(|request| {
        let tags = request.headers().get_all(IF_NONE_MATCH).iter();
        let known = tags.into_iter().any(|tags| tags.to_str().unwrap().split(", ").any(|tag| tag == "\"v1\""));
        let mut response = Response::new(Body::from(if known { String::new() } else { "a".repeat(2000) }));
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"v1\""));
        if !known {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        response
    })
}

#[tokio::test]
async fn a_304_has_the_vary_and_the_tag_of_the_copy_that_the_client_has() {
    for (accept, tags, status, tag) in [
        ("gzip", "\"v0+gzip\", \"v1\"", 304, "\"v1\""),
        ("gzip", "\"v1+gzip\"", 304, "\"v1+gzip\""),
        ("gzip", "\"v1\", \"v1+gzip\"", 304, "\"v1+gzip\""),
        ("br, gzip", "\"v1+gzip\", \"v1+br\"", 304, "\"v1+br\""),
        ("identity", "\"v1\", \"v1+gzip\"", 304, "\"v1\""),
        ("gzip", "\"v1+br\"", 200, "\"v1+gzip\""),
        ("gzip;q=0", "\"v1+gzip\"", 200, "\"v1\""),
        ("gzip", "\"v0+gzip\"", 200, "\"v1+gzip\""),
        ("gzip", "\"v1\"", 304, "\"v1\""),
        ("", "\"v1\"", 304, "\"v1\""),
    ] {
        for method in ["GET", "HEAD"] {
            let service = install::<Compression>(json!({}), versioned());
            let ask = [("accept-encoding", accept), ("if-none-match", tags)];
            let response = service.call(request(method, &ask)).await;
            assert_eq!((response.status().as_u16(), &*header(&response, "etag")), (status, tag), "{accept}: {tags}");
            assert_eq!(header(&response, "vary"), "accept-encoding", "{accept}: {tags}");
        }
    }
    let silent = get(versioned(), &[("if-none-match", "\"v1+gzip\"")]).await;
    assert_eq!(silent.status(), 304, "who says nothing about codings reads them all");
    let service = install::<Compression>(json!({}), versioned());
    let write = service.call(request("PUT", &[("accept-encoding", "br"), ("if-none-match", "\"v1+gzip\"")])).await;
    assert_eq!(write.status(), 304, "a condition of a write is about the resource, not about a copy");
}

#[tokio::test]
async fn a_part_stays_uncompressed_and_has_the_vary_of_the_whole() {
    let part = answers(|_| {
        let mut response = Response::new(Body::from("a".repeat(2000)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_static("bytes 0-1999/4000"));
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"v1\""));
        response
    });
    let response = get(part, &[("accept-encoding", "gzip"), ("range", "bytes=0-1999")]).await;
    assert_eq!((header(&response, "etag"), header(&response, "vary")), ("\"v1\"".into(), "accept-encoding".into()));
    assert_eq!(bytes(response).await.len(), 2000);
}

#[tokio::test]
async fn a_request_may_forbid_compression() {
    let ask = [("accept-encoding", "gzip"), ("cache-control", "no-cache, No-Transform")];
    let response = get(page(&[("etag", "\"x\"")]), &ask).await;
    assert_eq!((header(&response, "etag"), header(&response, "vary")), ("\"x\"".into(), "accept-encoding".into()));
    assert_eq!(bytes(response).await.len(), 2000);
}

#[tokio::test]
async fn a_piece_of_a_stream_does_not_wait_for_the_next() {
    for coding in ["zstd", "br", "gzip"] {
        let endless = answers(|_| {
            let pieces = stream::iter([Ok::<_, Infallible>("{\"piece\":1}\n")]).chain(stream::pending());
            ([("content-type", "application/x-ndjson")], Body::from_stream(pieces))
        });
        let mut body = get(endless, &[("accept-encoding", coding)]).await.into_body();
        let mut seen = 0;
        while let Some(frame) = body.frame().now_or_never() {
            seen += frame.unwrap().unwrap().into_data().unwrap().len();
        }
        assert!(seen > 8, "{coding}: {seen} bytes");
    }
}

#[tokio::test]
async fn a_body_is_not_polled_after_its_end() {
    let once = answers(|_| {
        let piece = Some("a".repeat(3000));
        let pieces = stream::unfold(piece, |piece| async { piece.map(|piece| (Ok::<_, Infallible>(piece), None)) });
        ([("content-type", "text/plain")], Body::from_stream(pieces))
    });
    let response = get(once, &[("accept-encoding", "gzip")]).await;
    assert!(bytes(response).await.len() > 20);
}

/// Decompresses a gzip body to text.
fn gunzip(packed: &[u8]) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).unwrap();
    text
}

#[tokio::test]
async fn decompression_restores_the_body_and_trailers_follow_it() {
    // Little at first, then more than a portion, and some that compresses to almost nothing.
    let pieces: Vec<String> =
        (0..400_u32).map(|n| format!("{n:x}-{}\n", "z".repeat(usize::try_from(n).unwrap() * 7))).collect();
    let whole = pieces.concat();
    let sent = pieces.clone();
    let streamed = answers(move |_| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checked", HeaderValue::from_static("yes"));
        let data = sent.clone().into_iter().map(|piece| Frame::data(bytes::Bytes::from(piece)));
        let frames = data.chain([Frame::trailers(trailers)]).map(Ok::<_, Infallible>);
        ([("content-type", "text/plain")], Body::new(StreamBody::new(stream::iter(frames))))
    });
    let collected = get(streamed, &[("accept-encoding", "gzip")]).await.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-checked"], "yes");
    assert_eq!(gunzip(&collected.to_bytes()), whole);
}

#[tokio::test]
async fn a_body_that_fails_also_fails_when_compressed() {
    let broken = answers(|_| {
        let pieces = stream::iter([Ok("a".repeat(5000)), Err(std::io::Error::other("gone"))]);
        ([("content-type", "text/plain")], Body::from_stream(pieces))
    });
    let mut body = get(broken, &[("accept-encoding", "br")]).await.into_body();
    let mut last = body.frame().await.unwrap();
    while let Ok(frame) = last {
        assert!(frame.is_data());
        last = body.frame().await.unwrap();
    }
    assert!(last.unwrap_err().to_string().contains("gone"));
}

#[test]
fn an_empty_list_is_a_fault() {
    assert!(faults::<Compression>(json!({ "algorithms": [] }), false)[0].starts_with("algorithms: "));
    assert!(faults::<Compression>(json!({ "algorithms": ["lzma"] }), false)[0].starts_with("algorithms[0]: "));
}
