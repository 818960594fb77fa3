//! Edits of what clients must prove reach open connections.

use super::{ONE, certificate, connection_as, get, yaml};
use crate::harness::{Answer, Gateway, HEAD, connect, read_answer};
use crate::http2::{Client, END_HEADERS, END_STREAM, PREFACE, frame};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::TcpStream;

/// An authority, and a certificate that it has issued, with its key.
struct Authority {
    pem: String,
    client: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(["billing".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Self { pem: authority.pem(), client: (signed.der().clone(), key) }
    }
}

fn required() -> String {
    yaml("", &format!("{ONE}, client_auth: {{ mode: required, ca_file: ca.crt }}"))
}

/// The response to a request on an open connection, and whether that closes then. `None` if it was closed before.
fn next(stream: &mut (impl Read + Write)) -> Option<(Answer, bool)> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").ok()?;
    let answer = read_answer(stream)?;
    let closes = answer.header("connection") == Some("close");
    let closed = closes && stream.read(&mut [0]).is_ok_and(|read| read == 0);
    Some((answer, closed))
}

#[test]
fn a_client_whose_certificate_is_not_accepted_any_more_is_refused_on_its_open_connection() {
    let (first, second) = (Authority::new(), Authority::new());
    let (cert, key) = certificate("a.example");
    let files = [("gateway.yaml", &*yaml("", ONE)), ("a.crt", &cert), ("a.key", &key), ("ca.crt", &first.pem)];
    let gateway = Gateway::start_in(&files);
    let folder = gateway.folder().to_owned();
    let open = |client| connection_as(gateway.address, &folder.join("a.crt"), client);
    let put = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
    };
    let mut without = open(None);
    assert!(get(&mut without));
    put("gateway.yaml", &required());
    let (refused, closed) = next(&mut without).unwrap();
    assert_eq!((refused.status, closed), (421, true), "{refused:?}");
    assert!(!get(&mut open(None)), "the handshake fails");

    let (mut stays, mut leaves) = (open(Some(&first.client)), open(Some(&first.client)));
    assert!(get(&mut stays) && get(&mut leaves));
    let renewed = certificate("a.example");
    std::fs::write(folder.join("a.key"), renewed.1).unwrap();
    put("a.crt", &renewed.0);
    for _ in 0..2 {
        assert!(!next(&mut stays).unwrap().1, "a new certificate of the gateway itself concerns no open connection");
    }
    put("ca.crt", &format!("{}{}", second.pem, first.pem));
    let (served, closed) = next(&mut stays).unwrap();
    assert_eq!((served.status, closed), (200, true), "it is still accepted, and connects again");
    put("ca.crt", &second.pem);
    let (refused, closed) = next(&mut leaves).unwrap();
    assert_eq!((refused.status, closed), (421, true), "its authority is gone");
    let mut other = open(Some(&second.client));
    assert!(get(&mut other) && !next(&mut other).unwrap().1);
}

#[test]
fn plain_connections_close_with_their_next_response_when_tls_is_added() {
    let plain = format!(
        "{HEAD}listeners: {{ web: {{ address: \"127.0.0.1:0\", protocols: [http1, http2] }} }}\n\
         routes: {{ root: {{ path: /, respond: {{ text: hello }} }} }}\n"
    );
    let (cert, key) = certificate("a.example");
    let gateway = Gateway::start_in(&[("gateway.yaml", &plain), ("a.crt", &cert), ("a.key", &key)]);
    let (mut http1, mut http2) = (connect(gateway.address), Client::new(gateway.address));
    assert!(!next(&mut http1).unwrap().1);
    assert_eq!(http2.send("GET", "/", &[], "").status, 200);
    std::fs::write(gateway.file(), plain.replace("http2] }", &format!("http2], tls: {{ {ONE} }} }}"))).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    let (served, closed) = next(&mut http1).unwrap();
    assert_eq!((served.status, closed), (200, true));
    // GOAWAY ends a connection without requests.
    let ended = async {
        while http2.sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    http2.runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), ended).await }).unwrap();
}

/// Sends `GET path` as stream `id` of a connection on which nothing else is sent: no frame of the gateway is acknowledged.
fn open_stream(to: &mut TcpStream, id: u32, path: &str) -> std::io::Result<()> {
    let name = u8::try_from(path.len()).unwrap();
    // `:method: GET` and `:scheme: http` of the static table, `:path` and `:authority` as literals (RFC 7541).
    let head = [&[0x82, 0x86, 0x04, name], path.as_bytes(), &[0x01, 1], b"a"].concat();
    to.write_all(&frame(1, END_STREAM | END_HEADERS, id, &head))
}

/// The next frame: its kind, flags, stream and payload. `None` at the end of the connection.
fn next_frame(from: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    from.read_exact(&mut head).ok()?;
    let [_, a, b, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; usize::from(u16::from_be_bytes([a, b]))];
    from.read_exact(&mut payload).ok()?;
    Some((kind, flags, u32::from_be_bytes(stream), payload))
}

#[test]
fn a_client_that_never_acknowledges_goaway_is_refused_and_loses_no_stream_in_progress() {
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!(
        "{}listeners: {{ web: {{ address: \"127.0.0.1:0\", protocols: [http1, http2] }} }}\n\
         upstreams: {{ app: {{ targets: [{{ url: \"http://{}\" }}] }} }}\n\
         routes: {{ root: {{ path: /, respond: {{ text: hello }} }}, long: {{ path: /long, upstream: app }} }}\n",
        HEAD.replace("drain: 5s", "drain: 100ms"),
        upstream.local_addr().unwrap()
    );
    let (cert, key) = certificate("a.example");
    let gateway = Gateway::start_in(&[("gateway.yaml", &plain), ("a.crt", &cert), ("a.key", &key)]);
    let mut stream = connect(gateway.address);
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).unwrap();
    open_stream(&mut stream, 1, "/long").unwrap();
    let (mut target, _) = upstream.accept().unwrap();
    crate::harness::head_of(&mut target);
    target.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").unwrap();
    std::fs::write(gateway.file(), plain.replace("http2] }", &format!("http2], tls: {{ {ONE} }} }}"))).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    // It may open streams for a while, and is refused after that.
    let mut id = 1;
    let refused = loop {
        id += 2;
        open_stream(&mut stream, id, "/").unwrap();
        let body = loop {
            match next_frame(&mut stream).expect("the connection stays open for the download") {
                (0, _, from, payload) if from == id => break payload,
                _ => {}
            }
        };
        if body != b"hello" {
            break String::from_utf8(body).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(refused.contains("misdirected_request"), "{refused}");
    // The stream from before is complete, and with it the connection.
    target.write_all(b"k").unwrap();
    let mut rest = Vec::new();
    while let Some((kind, flags, from, payload)) = next_frame(&mut stream) {
        if (kind, from) == (0, 1) {
            rest.extend(payload);
            assert!(flags & END_STREAM != 0 || rest != b"k", "it ends");
        }
        id += 2;
        // It goes on, which does not keep the connection.
        let _ = open_stream(&mut stream, id, "/");
    }
    assert_eq!(rest, b"k");
}
