//! HTTP servers on several loopback addresses with the same port.

use crate::harness::head_of;
use parking_lot::{Condvar, Mutex};
use std::io::Write;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// One server. It responds with its address.
pub struct Server {
    pub ip: IpAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    accepted: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
    fails: AtomicBool,
    /// Whether requests for `/slow` get their response.
    released: Mutex<bool>,
    changed: Condvar,
}

/// A server on each of `127.0.0.N`, and their port.
pub fn start(numbers: &[u8]) -> (u16, Vec<Server>) {
    loop {
        let on = |number: u8, port| TcpListener::bind((IpAddr::from([127, 0, 0, number]), port)).ok();
        let Some(first) = on(numbers[0], 0) else { continue };
        let port = first.local_addr().unwrap().port();
        let others: Option<Vec<_>> = numbers[1..].iter().map(|number| on(*number, port)).collect();
        if let Some(others) = others {
            return (port, std::iter::once(first).chain(others).map(Server::new).collect());
        }
    }
}

impl Server {
    pub fn new(listener: TcpListener) -> Self {
        let (ip, state) = (listener.local_addr().unwrap().ip(), Arc::<State>::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                state.accepted.fetch_add(1, SeqCst);
                state.open.fetch_add(1, SeqCst);
                std::thread::spawn(move || {
                    state.serve(stream, ip);
                    state.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { ip, state }
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(SeqCst)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(SeqCst)
    }

    /// Requests so far, without health checks.
    pub fn requests(&self) -> usize {
        self.state.requests.load(SeqCst)
    }

    /// Responds with 500 from now on, also to health checks.
    pub fn fail(&self) {
        self.state.fails.store(true, SeqCst);
    }

    /// Lets requests for `/slow` get their response.
    pub fn release(&self) {
        *self.state.released.lock() = true;
        self.state.changed.notify_all();
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream, ip: IpAddr) {
        loop {
            let head = head_of(&mut stream);
            if head.is_empty() {
                return;
            }
            if !head.starts_with("get /health") {
                self.requests.fetch_add(1, SeqCst);
            }
            if head.starts_with("get /slow") {
                let mut released = self.released.lock();
                self.changed.wait_while(&mut released, |released| !*released);
            }
            let status = if self.fails.load(SeqCst) { "500 Internal Server Error" } else { "200 OK" };
            let body = ip.to_string();
            let response = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}
