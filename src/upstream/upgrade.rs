//! A request to switch to another protocol, such as WebSocket (RFC 9110 section 7.8): what is offered to the upstream,
//! and whether its response is one to that.

use super::transport::Switched;
use crate::config::document::upgrade::UpgradeProtocol;
use crate::field_list::elements;
use crate::tunnel;
use gatewright_sdk::{HeldByUpgrade, Problem, Request};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, TE, UPGRADE};
use hyper::upgrade::OnUpgrade;

const SWITCH: HeaderValue = HeaderValue::from_static("upgrade");

/// A request for another protocol.
pub(super) struct Upgrade {
    /// The protocols that the client offers and the route allows.
    offered: HeaderValue,
    /// Resolves to the client's connection once the client has received the 101.
    pub client: OnUpgrade,
    /// Held until the connection closes.
    pub tunnel: Option<tunnel::Held>,
    /// Held until then too, because the connection is a request in progress.
    pub permits: Option<HeldByUpgrade>,
    /// The connection to the upstream, once the upstream has switched.
    pub switched: Option<Switched>,
}

impl Upgrade {
    /// Takes the offer of `request`, if it makes one. With `allowed`, only those protocols are offered.
    ///
    /// # Errors
    /// None of the protocols is allowed.
    pub fn take(request: &mut Request, allowed: Option<&[UpgradeProtocol]>) -> Result<Option<Box<Self>>, Problem> {
        // Admission leaves the field only if it has an effect.
        let Some(mut offered) = request.headers_mut().remove(UPGRADE) else { return Ok(None) };
        let Some(client) = request.extensions_mut().remove::<OnUpgrade>() else { return Ok(None) };
        if let Some(allowed) = allowed {
            offered = filtered(&offered, allowed).ok_or_else(|| Problem::forbidden().reason("upgrade_not_allowed"))?;
        }
        let (tunnel, permits) = (request.extensions_mut().remove(), request.extensions_mut().remove());
        Ok(Some(Box::new(Self { offered, client, tunnel, permits, switched: None })))
    }

    /// Whether the client offers WebSocket.
    pub fn is_websocket(&self) -> bool {
        split(&self.offered).any(|offer| offer.eq_ignore_ascii_case(b"websocket"))
    }

    /// Makes the offer to the upstream, in a head without hop-by-hop fields.
    pub fn announce(&self, headers: &mut HeaderMap) {
        // `Connection` would have to name `TE`, and upgraded connections have no trailers.
        headers.remove(TE);
        headers.insert(CONNECTION, SWITCH);
        headers.insert(UPGRADE, self.offered.clone());
        if self.tunnel.is_some() {
            tunnel::add_key(headers, &self.offered);
        }
    }

    /// The protocols that the upstream switches to, if it is one of those offered.
    pub fn chosen(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let chosen = headers.get(UPGRADE)?;
        let is_offered = |protocol: &[u8]| split(&self.offered).any(|offer| offer.eq_ignore_ascii_case(protocol));
        let mut protocols = elements(headers, &UPGRADE).peekable();
        (protocols.peek().is_some() && protocols.all(is_offered)).then(|| chosen.clone())
    }
}

/// Turns the head of the upstream's 101, without its hop-by-hop fields, into the head of ours.
pub(super) fn confirm(headers: &mut HeaderMap, chosen: HeaderValue) {
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONNECTION, SWITCH);
    headers.insert(UPGRADE, chosen);
}

fn split(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// What is left of `offered`.
fn filtered(offered: &HeaderValue, allowed: &[UpgradeProtocol]) -> Option<HeaderValue> {
    let left: Vec<&[u8]> = split(offered).filter(|offer| allowed.iter().any(|protocol| protocol.is(offer))).collect();
    if left.is_empty() { None } else { HeaderValue::try_from(left.join(&b", "[..])).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_protocols_are_offered() {
        let allowed = ["websocket", "tcp"].map(|name| name.parse().unwrap());
        let left = |offered: &'static str, allowed: &[UpgradeProtocol]| {
            filtered(&HeaderValue::from_static(offered), allowed).map(|left| left.to_str().unwrap().to_owned())
        };
        assert_eq!(left("foo, WebSocket, tcp/2", &allowed).as_deref(), Some("WebSocket, tcp/2"));
        assert_eq!(left("foo", &allowed), None);
        assert_eq!(left("websocket", &[]), None);
    }
}
