//! An upstream that sends exactly the bytes that a test specifies.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an upstream does after it has read a request head (and a body of known length).
#[derive(Clone)]
pub enum Act {
    Say(Vec<u8>),
    /// Sends this and closes.
    Last(Vec<u8>),
    /// Echoes the client's bytes: head and body.
    Echo,
    /// Sends 64 KiB repeatedly.
    Flood(Vec<u8>),
    Hang,
}

/// An upstream whose response depends on the first path segment: `/0` is the first act.
pub struct Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, acts.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, connections, heads }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until this many requests have arrived.
    pub async fn has_seen(&self, count: usize) {
        while self.heads().len() < count {
            tokio::task::yield_now().await;
        }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }
}

async fn serve(mut stream: TcpStream, acts: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
        seen.lock().push(head.clone());
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
        let complete = |buffer: &[u8]| match length {
            Some(length) => buffer.len() >= length,
            None => !lower.contains("transfer-encoding: chunked") || buffer.ends_with(b"0\r\n\r\n"),
        };
        while !complete(&buffer) {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = std::mem::take(&mut buffer);
        let index: usize = head.split(['/', ' ', '?']).nth(2).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        match acts[index].clone() {
            Act::Say(bytes) => drop(stream.write_all(&bytes).await),
            Act::Last(bytes) => return drop(stream.write_all(&bytes).await),
            Act::Echo => {
                let echo = [head.as_bytes(), &body].concat();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", echo.len());
                drop(stream.write_all(&[answer.into_bytes(), echo].concat()).await);
            }
            Act::Flood(bytes) => {
                let mut next = bytes;
                while stream.write_all(&next).await.is_ok() {
                    next.resize(64 * 1024, b'a');
                }
                return;
            }
            Act::Hang => std::future::pending().await,
        }
    }
}
