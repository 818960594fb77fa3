//! A listener that moves to another port still serves its open connections.

use super::{FREE, edit, on, served, start};
use crate::harness::{Gateway, connect, read_answer};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn open_connections_lose_no_request_when_their_listener_moves_to_another_port() {
    let (gateway, web, admin) = start();
    let request = |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: gate\r\n\r\n").unwrap();
        read_answer(stream).expect("each request gets a response")
    };
    let other = std::net::TcpListener::bind(FREE).unwrap().local_addr().unwrap();
    let stop = AtomicBool::new(false);
    for (from, to) in [(web, other), (other, web), (web, other)] {
        let (mut idle, stop) = (connect(from), &stop);
        assert_eq!(request(&mut idle).status, 200);
        stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let busy: Vec<_> = (0..4)
                .map(|_| {
                    let mut stream = connect(from);
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            let answer = request(&mut stream);
                            assert_eq!(answer.header("x-listener"), Some("web"), "{answer:?}");
                            if answer.header("connection") == Some("close") {
                                return true;
                            }
                        }
                        false
                    })
                })
                .collect();
            assert_eq!(edit(&gateway, &on(&[("web", &to.to_string())], Some(&admin.to_string()))).status, 200);
            assert_eq!((served(to), served(from)), ("web".into(), "nothing".into()));
            let answer = request(&mut idle);
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
            stop.store(true, Ordering::Relaxed);
            for client in busy {
                assert!(client.join().unwrap(), "a busy connection is told to close");
            }
        });
    }
    let mut kept = connect(other);
    assert_eq!(request(&mut kept).status, 200);
    // Another name is another listener.
    assert_eq!(edit(&gateway, &on(&[("more", &web.to_string())], Some(&admin.to_string()))).status, 200);
    let _ = kept.write_all(b"GET / HTTP/1.1\r\nhost: gate\r\n\r\n");
    if let Some(answer) = read_answer(&mut kept) {
        assert_eq!((answer.status, answer.header("connection")), (503, Some("close")), "{answer:?}");
    }
}

#[test]
fn open_connections_keep_their_listener_when_three_addresses_move_in_one_edit() {
    let gateway = Gateway::start_whole(&on(&[("web", FREE), ("more", FREE)], Some(FREE)));
    let mut gateway = gateway;
    let line = gateway.wait_for_log(|line| line["message"] == "listening" && line["listener"] == "more");
    let (web, more, admin) = (gateway.address, line["address"].as_str().unwrap().parse().unwrap(), gateway.admin);
    let request = |stream: &mut TcpStream, name: &str| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: gate\r\n\r\n").unwrap();
        let answer = read_answer(stream).expect("each request gets a response");
        assert_eq!(answer.header("x-listener"), Some(name), "{answer:?}");
        answer.header("connection").map(str::to_owned)
    };
    let (mut to_web, mut to_more): (_, TcpStream) = (connect(web), connect(more));
    assert_eq!((request(&mut to_web, "web"), request(&mut to_more, "more")), (None, None));
    let yaml = on(&[("web", "unix:web.sock"), ("more", &admin.to_string())], Some(&more.to_string()));
    assert_eq!(edit(&gateway, &yaml).status, 200);
    (gateway.address, gateway.admin) = (admin, more);
    assert_eq!((served(admin), served(more)), ("more".into(), "admin".into()));
    let close = || Some("close".to_owned());
    assert_eq!((request(&mut to_web, "web"), request(&mut to_more, "more")), (close(), close()));
}
