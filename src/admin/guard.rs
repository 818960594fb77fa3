//! Access control of the admin API: Host, Origin and token of a request.

use crate::config::document::process::Admin;
use gatewright_sdk::{ClientAddress, Facts, Problem, Secret};
use http::Request;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many wrong tokens one address may send per minute. The next get 429.
const WRONG_TOKENS: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are counted individually. All others share one count.
const ADDRESSES: usize = 1024;

/// Checks requests before anything else sees them.
pub(super) struct Guard {
    token: [u8; 32],
    /// Our host names, in lower case.
    hosts: Vec<String>,
    wrong: Mutex<HashMap<Option<ClientAddress>, (Instant, u32)>>,
}

impl Guard {
    /// IP addresses, `localhost` and each of `hosts` are ours.
    pub(super) fn new(token: &Secret, settings: &Admin) -> Self {
        let ours = ["localhost"].into_iter().chain(settings.hosts.iter().map(|host| &**host));
        let hosts = ours.map(str::to_ascii_lowercase).collect();
        Self { token: Sha256::digest(token.expose()).into(), hosts, wrong: Mutex::default() }
    }

    /// Admits a request or returns the error. Only the token grants access; Host and Origin protect against a browser
    /// that was tricked into sending a request.
    pub(super) fn admit<B>(&self, request: &Request<B>, now: Instant) -> Result<(), Problem> {
        self.admit_anyone(request)?;
        let peer = Facts::of(request).client.peer.address();
        if request.headers().get_all(AUTHORIZATION).iter().nth(1).is_some() {
            // A proxy in front might check one of them, and this API the other.
            return Err(Problem::validation("Authorization: must be sent once").log_reason("several_credentials"));
        }
        let token = bearer(request);
        // Wrong tokens from the same address, such as a proxy, must not lock out who has the right one. It is too long to be guessed.
        if token.is_some_and(|token| same(&Sha256::digest(token).into(), &self.token)) {
            return Ok(());
        }
        if let Some(wait) = self.blocked(peer, now) {
            return Err(Problem::too_many_requests(wait.as_secs() + 1).log_reason("wrong_tokens"));
        }
        if token.is_none() {
            return Err(Problem::unauthorized(false).log_reason("token_missing"));
        }
        self.count(peer, now);
        Err(Problem::unauthorized(true).log_reason("token_wrong"))
    }

    /// Admits a request that needs no token.
    pub(super) fn admit_anyone<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let host = self.host_of(request).ok_or_else(|| Problem::forbidden().log_reason("host"))?;
        if request.headers().get_all(ORIGIN).iter().any(|origin| !is_origin_of(origin.as_bytes(), &host)) {
            return Err(Problem::forbidden().log_reason("origin"));
        }
        Ok(())
    }

    /// The requested host, if it is ours: a name in a foreign DNS zone is not (DNS rebinding).
    fn host_of<B>(&self, request: &Request<B>) -> Option<Authority> {
        let mut fields = request.headers().get_all(HOST).iter();
        let field = fields.next().map(|value| Authority::try_from(value.as_bytes()));
        if fields.next().is_some() {
            return None;
        }
        let authority = match (request.uri().authority(), field) {
            (Some(authority), _) => authority.clone(),
            (None, field) => field?.ok()?,
        };
        let host = authority.host().to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let ours = bare.parse::<IpAddr>().is_ok() || self.hosts.contains(&host);
        (ours && !authority.as_str().contains('@')).then_some(authority)
    }

    fn blocked(&self, peer: ClientAddress, now: Instant) -> Option<Duration> {
        let wrong = self.wrong.lock();
        let key = if wrong.contains_key(&Some(peer)) { Some(peer) } else { None };
        let (since, count) = wrong.get(&key)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(*since))?;
        (*count >= WRONG_TOKENS && !left.is_zero()).then_some(left)
    }

    fn count(&self, peer: ClientAddress, now: Instant) {
        let mut wrong = self.wrong.lock();
        if wrong.len() >= ADDRESSES {
            wrong.retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        }
        let key = if wrong.len() < ADDRESSES || wrong.contains_key(&Some(peer)) { Some(peer) } else { None };
        let (since, count) = wrong.entry(key).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
    }
}

/// The credentials (RFC 6750 section 2.1); the scheme is compared case-insensitively (RFC 9110 section 11.1).
fn bearer<B>(request: &Request<B>) -> Option<&[u8]> {
    let value = request.headers().get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares two digests without stopping at the first difference. As hashes are compared, even an early stop would
/// reveal nothing about the token.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0_u8, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

fn is_origin_of(origin: &[u8], host: &Authority) -> bool {
    let rest = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_str().as_bytes()))
}
