//! Which header fields an upstream and a client receive from each other.

use super::server::{Act, Server};
use super::*;
use crate::upstream::headers::{inbound, outbound, unify_length};
use gatewright_sdk::{ClientAddress, Peer};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

async fn echoed(client: Client, headers: &[(&str, &str)]) -> String {
    let server = Server::start(vec![Act::Echo]).await;
    let mut request = get("/0/x?y=%2f");
    for (name, value) in headers {
        request.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Facts::of_mut(&mut request).client = client;
    text(proxy(&[&server.url]).call(request).await).await.to_ascii_lowercase()
}

fn stranger() -> Client {
    let peer = Peer::Tcp("203.0.113.9:1234".parse().unwrap());
    Client { ip: peer.address(), peer, scheme: Scheme::Http, trusted: false }
}

#[tokio::test]
async fn hop_by_hop_fields_are_not_forwarded_and_connection_cannot_remove_ours() {
    // Without any subscriber, spans count as enabled once another test has installed one, and `traceparent` is replaced.
    let _guard = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    let head = echoed(
        stranger(),
        &[
            ("connection", "close, X-Secret, Authorization, X-Request-Id, Host, X-Forwarded-For"),
            ("connection", "Content-Length, traceparent"),
            ("x-secret", "hop"),
            ("authorization", "Bearer x"),
            ("x-request-id", "id1"),
            ("traceparent", "00-1"),
            ("te", "gzip;q=0.5, trailers;q=1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("proxy-authorization", "Basic x"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
        ],
    )
    .await;
    assert!(head.starts_with("get /0/x?y=%2f http/1.1\r\n"), "{head}");
    for gone in ["x-secret", "keep-alive", "proxy-", "upgrade", "expect", "gzip", "close", "10.0.0.1", "evil"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    for there in [
        "authorization: bearer x",
        "x-request-id: id1",
        "traceparent: 00-1",
        "te: trailers",
        "via: 1.1 gatewright",
        "x-forwarded-for: 203.0.113.9\r\n",
        "x-forwarded-host: gate.example\r\n",
        "x-forwarded-proto: http\r\n",
        "host: 127.0.0.1:",
    ] {
        assert!(head.contains(there), "{there} not in {head}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_appended_to_the_chain() {
    let client = Client { trusted: true, scheme: Scheme::Https, ..stranger() };
    let head = echoed(
        client,
        &[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.0.0.2"), ("x-forwarded-host", "shop.example")],
    )
    .await;
    assert!(head.contains("x-forwarded-for: 198.51.100.7, 10.0.0.2, 203.0.113.9\r\n"), "{head}");
    assert!(head.contains("x-forwarded-host: shop.example\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
}

#[tokio::test]
async fn a_peer_without_an_address_adds_none_to_the_chain() {
    let client = Client { ip: ClientAddress::Unix, peer: Peer::Unix, ..stranger() };
    let head = echoed(client, &[("x-forwarded-for", "198.51.100.7")]).await;
    assert!(!head.contains("x-forwarded-for") && head.contains("x-forwarded-proto: http\r\n"), "{head}");
    let trusted = Client { trusted: true, ..client };
    let head = echoed(trusted, &[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.0.0.2")]).await;
    assert!(head.contains("x-forwarded-for: 198.51.100.7, 10.0.0.2\r\n"), "{head}");
    assert!(!echoed(trusted, &[]).await.contains("x-forwarded-for"));
}

#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let server = Server::start(vec![Act::Echo]).await;
    let pieces =
        futures_util::stream::iter([Ok::<_, axum::Error>(http_body::Frame::data(Bytes::from_static(b"query")))]);
    let mut request = get("/0");
    *request.body_mut() = Body::new(StreamBody::new(pieces));
    assert!(text(proxy(&[&server.url]).call(request).await).await.ends_with("5\r\nquery\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn hop_by_hop_fields_of_a_response_are_not_forwarded() {
    let answer = "HTTP/1.1 200 Fine\nConnection: X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5\nUpgrade: h2c\nX-End: 1\nSet-Cookie: \
                  a=1\nSet-Cookie: b=2\nContent-Length: 2\n\nok";
    let server = Server::start(vec![said(answer)]).await;
    let response = proxy(&[&server.url]).call(get("/0")).await;
    let mut names: Vec<_> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "set-cookie", "set-cookie", "x-end"]);
}

#[tokio::test]
async fn the_upstream_continues_the_trace() {
    use opentelemetry::trace::TracerProvider as _;
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    // Registers the span. If another test did so while the subscriber is set, the span could stay disabled.
    echoed(stranger(), &[]).await;
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    // Without a dynamic filter, spans would also be enabled in tests on other threads, which have no subscriber.
    let everything = tracing_subscriber::filter::dynamic_filter_fn(|_, _| true);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_filter(everything);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let head = echoed(stranger(), &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]).await;
    let parents: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("traceparent: ")).collect();
    assert_eq!(parents.len(), 1, "{head}");
    assert!(parents[0].ends_with("-01") && !parents[0].contains("b7ad6b7169203331"), "ours, not the client's: {head}");
}

#[tokio::test]
async fn an_http2_request_becomes_an_http1_one() {
    let server = Server::start(vec![Act::Echo]).await;
    let mut request = get("http://gate.example/0?q");
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().remove("host");
    for crumb in ["a=1", "b=2", "c=3"] {
        request.headers_mut().append("cookie", crumb.parse().unwrap());
    }
    let head = text(proxy(&[&server.url]).call(request).await).await;
    assert!(head.starts_with("GET /0?q HTTP/1.1\r\n"), "{head}");
    for there in ["cookie: a=1; b=2; c=3\r\n", "x-forwarded-host: gate.example\r\n", "via: 2 gatewright\r\n"] {
        assert!(head.contains(there), "{there} not in {head}");
    }
}

#[tokio::test]
async fn each_hop_by_hop_field_is_removed_also_if_it_is_the_only_one() {
    for (name, value) in [
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("proxy-authorization", "Basic x"),
        ("te", "gzip"),
        ("trailer", "x-sum"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("connection", "x-secret"),
    ] {
        let mut headers: HeaderMap = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = headers.clone();
        outbound(&mut request);
        assert!(!request.headers().contains_key(name), "{name} in {:?}", request.headers());
        if !["trailer", "expect", "proxy-authorization"].contains(&name) {
            assert!(inbound(&mut headers), "{name}");
            assert!(headers.is_empty(), "{headers:?}");
        }
    }
    let mut headers: HeaderMap = [(http::header::PROXY_AUTHENTICATE, "Basic".parse().unwrap())].into_iter().collect();
    assert!(inbound(&mut headers) && headers.is_empty(), "{headers:?}");
    let mut headers: HeaderMap = [(http::header::TRANSFER_ENCODING, "gzip".parse().unwrap())].into_iter().collect();
    assert!(!inbound(&mut headers), "only chunked is decoded");
}

#[test]
fn equal_lengths_become_one() {
    for (sent, expected) in [
        (&[][..], Some("")),
        (&["5"][..], Some("5")),
        (&["5", "5"][..], Some("5")),
        (&["5, 5"][..], Some("5")),
        (&["5, 5", " 5"][..], Some("5")),
        (&["5", "6"][..], None),
        (&["5, 6"][..], None),
        (&["5, x"][..], None),
        (&["-5"][..], None),
        (&[""][..], None),
    ] {
        let mut headers = HeaderMap::new();
        for length in sent {
            headers.append(CONTENT_LENGTH, length.parse().unwrap());
        }
        let accepted = unify_length(&mut headers);
        let left: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().map(|length| length.to_str().unwrap()).collect();
        assert_eq!(accepted.then(|| left.join("|")).as_deref(), expected, "{sent:?}");
    }
}
