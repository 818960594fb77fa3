//! Targets with TLS that choose the protocol themselves (ALPN): the first connection decides.

use super::http1::{self, Pool};
use super::http2::{self, Multiplexed};
use super::opening::Opening;
use super::{Lost, Outgoing, Sending};
use crate::upstream::connector::Connector;
use crate::upstream::failure::Failure;
use crate::upstream::stream::is_http2;
use crate::upstream::tls::Alpn;
use gatewright_sdk::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

pub(in crate::upstream) struct Negotiated {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    multiplexed: Arc<Multiplexed>,
    /// See [`Negotiated::chosen`].
    chosen: AtomicU8,
    opening: Opening,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Http1 = 1,
    Http2 = 2,
}

impl Negotiated {
    pub fn new(connector: Arc<Connector>, pool: Arc<Pool>, multiplexed: Arc<Multiplexed>) -> Self {
        Self { connector, pool, multiplexed, chosen: AtomicU8::new(0), opening: Opening::default() }
    }

    /// What the target chose, once it has.
    fn chosen(&self) -> Option<Chosen> {
        match self.chosen.load(Relaxed) {
            1 => Some(Chosen::Http1),
            2 => Some(Chosen::Http2),
            _ => None,
        }
    }

    pub fn is_http1(&self) -> bool {
        self.chosen() == Some(Chosen::Http1)
    }

    async fn choose(&self) -> Result<Chosen, Failure> {
        let open = async {
            let (stream, counted) = self.connector.open(Alpn::Any).await?;
            let chosen = if is_http2(&stream) {
                self.multiplexed.adopt(stream, counted).await?;
                Chosen::Http2
            } else {
                self.pool.adopt(stream, counted).await?;
                Chosen::Http1
            };
            self.chosen.store(chosen as u8, Relaxed);
            Ok(chosen)
        };
        self.opening.find_or_open(|| self.chosen(), open).await
    }

    pub async fn send(&self, mut request: Outgoing, sending: &mut Sending) -> Result<Response, Lost> {
        // Protocols other than WebSocket begin on HTTP/1.1.
        if sending.upgrade.as_ref().is_some_and(|upgrade| !upgrade.is_websocket()) {
            return self.send_http1(request, sending).await;
        }
        let mut changed = false;
        loop {
            let chosen = match self.choose().await {
                Ok(chosen) => chosen,
                Err(failure) => return Err(Lost::Unsent(failure, request)),
            };
            let sent = match chosen {
                Chosen::Http1 => self.send_http1(request, sending).await,
                Chosen::Http2 => {
                    sending.version = "2";
                    http2::send(&self.multiplexed, request, sending).await
                }
            };
            match sent {
                // As does WebSocket, if the target does not support it over HTTP/2.
                Err(Lost::Unsent(Failure::NoWebSocket, unsent)) => {
                    return Box::pin(self.send_http1(unsent, sending)).await;
                }
                Err(Lost::Unsent(Failure::Http1Required, unsent)) => {
                    sending.resends += 1;
                    return Box::pin(self.send_http1(unsent, sending)).await;
                }
                // The target may have changed its mind: it is asked again.
                Err(Lost::Unsent(Failure::Tls(_), unsent)) if !changed => {
                    changed = true;
                    self.chosen.store(0, Relaxed);
                    request = unsent;
                }
                sent => return sent,
            }
        }
    }

    async fn send_http1(&self, request: Outgoing, sending: &mut Sending) -> Result<Response, Lost> {
        sending.version = "1.1";
        http1::send(&self.pool, request, sending).await
    }
}
