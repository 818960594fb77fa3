//! A body that is compressed as it streams.

use super::encoding::Algorithm;
use bytes::{Bytes, BytesMut};
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use gatewright_sdk::Body;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Compresses `inner`. Whenever no more data is available, everything so far is sent, so that streams stay prompt.
pub struct Compressed {
    inner: Body,
    encoder: Box<dyn EncodeV2 + Send>,
    /// Compressed data that has not been sent.
    ready: BytesMut,
    /// Whether the encoder holds data back.
    held: bool,
    /// The trailers at the end of `inner`, once it has ended. It is not polled after that, which not every body
    /// tolerates.
    end: Option<Option<HeaderMap>>,
}

/// The amount sent at a time, if more is available.
const PORTION: usize = 8 * 1024;

impl Compressed {
    pub fn new(algorithm: Algorithm, inner: Body) -> Self {
        let encoder: Box<dyn EncodeV2 + Send> = match algorithm {
            Algorithm::Zstd => Box::new(ZstdEncoder::new(algorithm.level())),
            Algorithm::Br => {
                let quality = Level::Precise(algorithm.level());
                Box::new(BrotliEncoder::new(EncoderParams::default().quality(quality)))
            }
            Algorithm::Gzip => Box::new(GzipEncoder::new(Level::Precise(algorithm.level()).into())),
        };
        Self { inner, encoder, ready: BytesMut::new(), held: false, end: None }
    }

    /// Runs the encoder until `done` reports that everything has been written.
    fn write(
        &mut self,
        mut step: impl FnMut(&mut (dyn EncodeV2 + Send), &mut WriteBuffer<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut space = [0; PORTION];
        loop {
            let mut output = WriteBuffer::new_initialized(&mut space);
            let done = step(&mut *self.encoder, &mut output)?;
            self.ready.extend_from_slice(output.written());
            if done {
                return Ok(());
            }
        }
    }

    fn encode(&mut self, data: &[u8]) -> io::Result<()> {
        let mut input = PartialBuffer::new(data);
        self.held = true;
        self.write(|encoder, output| {
            encoder.encode(&mut input, output)?;
            Ok(input.unwritten().is_empty())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.held = false;
        self.write(|encoder, output| encoder.flush(output))
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        self.end = Some(trailers);
        self.write(|encoder, output| encoder.finish(output))
    }

    fn portion(&mut self) -> Frame<Bytes> {
        Frame::data(self.ready.split().freeze())
    }
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        while this.end.is_none() && this.ready.len() < PORTION {
            let done = match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.encode(&data),
                    Err(other) => this.finish(other.into_trailers().ok()),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => this.finish(None),
                Poll::Pending if this.held => {
                    if let Err(error) = this.flush() {
                        return Poll::Ready(Some(Err(axum::Error::new(error))));
                    }
                    break;
                }
                Poll::Pending => break,
            };
            if let Err(error) = done {
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
        }
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(this.portion())));
        }
        match &mut this.end {
            Some(trailers) => Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, Some(None)) && self.ready.is_empty()
    }
}
