//! A stream that still reads when the target no longer does.

use crate::upstream::stream::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Often a target has sent something before it closed its side, such as a 413 or a GOAWAY. hyper and h2 would not read it after a
/// failed write. So writes succeed without effect from then on, and reading finds what was sent, or the end.
pub(super) struct Deaf {
    pub stream: Stream,
    /// Whether the target has closed its side.
    deaf: bool,
}

impl Deaf {
    pub const fn new(stream: Stream) -> Self {
        Self { stream, deaf: false }
    }

    /// The outcome of a write, which would have been `usual`.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, usual: T) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.deaf = true;
                Poll::Ready(Ok(usual))
            }
            written => written,
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Deaf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::either::Either;

    #[tokio::test]
    async fn what_a_target_sent_before_it_closed_is_read_although_writes_fail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut target, _) = listener.accept().await.unwrap();
        let mut ours = Deaf::new(Either::Left(stream));
        ours.write_all(b"POST").await.unwrap();
        target.readable().await.unwrap();
        target.write_all(b"413").await.unwrap();
        // It has not read everything, so this resets the connection.
        drop(target);
        while !ours.deaf {
            ours.write_all(b"more").await.unwrap();
            tokio::task::yield_now().await;
        }
        ours.write_all(b"and more").await.unwrap();
        ours.flush().await.unwrap();
        let mut read = [0; 3];
        ours.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"413");
        assert!(matches!(ours.read(&mut read).await, Ok(0) | Err(_)), "nothing follows");
    }
}
