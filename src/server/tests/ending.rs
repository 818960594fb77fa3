//! How a server shuts down: no request is cut short, and no client delays it.

use super::*;

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn requests_in_flight_finish_and_idle_connections_are_closed() {
    let fixture = Fixture::http1();
    let (mut idle, mut fresh, mut slow) = (fixture.connect().await, fixture.connect().await, fixture.connect().await);
    assert_eq!(idle.get("/hello").await.0, 200);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.app.reached.notified().await;
    let mut half = fixture.connect().await;
    half.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(half.answer().await.0, 100, "its body is awaited");
    half.send("ab").await;

    let address = fixture.address;
    let clients = async {
        assert_eq!(idle.rest().await, "");
        assert_eq!(fresh.rest().await, "");
        assert!(TcpStream::connect(address).await.is_err(), "nothing is accepted any more");
        half.send("cd").await;
        let (status, head, body) = half.answer().await;
        assert_eq!((status, &*body), (200, "abcd"));
        assert!(head.contains("connection: close"), "{head}");
        fixture.app.release.notify_one();
        assert_eq!(slow.answer().await.2, "done");
        assert_eq!(slow.rest().await, "");
        drop(half);
    };
    let (cut, ()) = tokio::join!(fixture.server.shutdown(Duration::ZERO, NEVER), clients);
    assert_eq!(cut, 0);
}

#[tokio::test]
async fn clients_that_never_finish_are_cut() {
    let fixture = Fixture::http1();
    let (mut body, mut slow) = (fixture.connect().await, fixture.connect().await);
    body.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(body.answer().await.0, 100);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.app.reached.notified().await;
    let cut = fixture.server.shutdown(Duration::ZERO, Duration::from_millis(300)).await;
    assert_eq!(cut, 2);
    assert_eq!(fixture.acceptor.open(), 0);
}

#[tokio::test]
async fn during_the_grace_period_connections_are_served_and_told_to_close() {
    let fixture = Fixture::http1();
    let mut kept = fixture.connect().await;
    assert!(!kept.get("/hello").await.1.contains("connection: close"));
    let clients = async {
        // The first response with `connection: close` proves that the grace period has begun.
        loop {
            let mut new = fixture.connect().await;
            let (status, head, _) = new.get("/hello").await;
            assert_eq!(status, 200);
            if head.contains("connection: close") {
                assert_eq!(new.rest().await, "");
                break;
            }
        }
        let (status, head, _) = kept.get("/hello").await;
        assert_eq!(status, 200);
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(kept.rest().await, "");
    };
    tokio::select! {
        cut = fixture.server.shutdown(NEVER, NEVER) => panic!("the grace is over, {cut} cut"),
        () = clients => {}
    }
}

#[tokio::test]
async fn one_listener_ends_while_another_serves() {
    let fixture = Fixture::http1();
    let (socket, address) = socket();
    let shared = Arc::new(Shared(Arc::clone(&fixture.app)));
    let other = fixture.server.listen(shared, ListenerId(1), vec![socket], ConnectionTerms::default());
    let mut leaving = Client1(TcpStream::connect(address).await.unwrap());
    let mut staying = fixture.connect().await;
    assert_eq!(leaving.get("/hello").await.0, 200);
    assert_eq!(staying.get("/hello").await.0, 200);
    assert_eq!(other.drain(NEVER).await, 0);
    assert_eq!(leaving.rest().await, "");
    assert_eq!(staying.get("/hello").await.0, 200);
}

#[tokio::test]
async fn an_address_is_free_again_at_once() {
    let fixture = Fixture::http1();
    let address = fixture.address;
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.0, 200);
    fixture.server.shutdown(Duration::ZERO, NEVER).await;
    drop(fixture);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1).unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_has_no_deadline_but_that_of_the_drain() {
    let short = gatewright_sdk::HumanDuration::from_millis(200);
    let change = |limits: &mut Limits| (limits.idle_timeout, limits.header_timeout) = (short, short);
    let fixture = Fixture::new(change, &[Protocol::Http1]);
    let mut upgraded = fixture.connect().await;
    upgraded.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert_eq!(upgraded.answer().await.0, 101);
    // Idle and silent connections reach their deadlines; this one does not.
    for _ in 0..2 {
        let mut other = fixture.connect().await;
        assert_eq!(other.get("/hello").await.0, 200);
        assert_eq!(other.rest().await, "");
        assert_eq!(upgraded.send("x").await.0.read_u8().await.unwrap(), b'x');
    }
    assert_eq!(fixture.acceptor.open(), 1);
    assert_eq!(fixture.server.shutdown(Duration::ZERO, Duration::from_millis(100)).await, 1);
    assert_eq!(fixture.acceptor.open(), 0);
}

#[tokio::test]
async fn a_request_that_was_on_its_way_is_answered() {
    let fixture = Fixture::http1();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = fixture.connect().await;
        client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
        clients.push(client);
    }
    assert_eq!(fixture.server.shutdown(Duration::ZERO, NEVER).await, 0);
    for client in &mut clients {
        assert_eq!(client.answer().await.2, "hi");
        assert_eq!(client.rest().await, "");
    }
}
