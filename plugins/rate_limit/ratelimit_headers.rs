//! The response headers about a limit: `RateLimit-Policy` and `RateLimit`.

use gatewright_sdk::{AddedField, Contract};
use http::{HeaderName, HeaderValue};
use std::sync::OnceLock;
use std::time::Duration;

pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What clients must know of limits.
pub fn contract() -> Contract {
    let quota = "The limits that apply, by name: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers).";
    let left = "What is left of each limit: `r` requests now, and all of them after `t` seconds.";
    let adds = vec![
        AddedField { name: RATELIMIT_POLICY, description: quota, example: "\"per-ip\";q=100;w=1" },
        AddedField { name: RATELIMIT, description: left, example: "\"per-ip\";r=99;t=1" },
    ];
    Contract { adds, ..Contract::rejects(&[429]) }
}

/// The headers of one limit (draft-ietf-httpapi-ratelimit-headers-10), each formatted once.
pub struct RateLimitHeaders {
    pub policy: HeaderValue,
    /// The text before the number of remaining requests.
    prefix: String,
    burst: u32,
    period: Duration,
    /// `RateLimit` by the number of remaining requests, on which alone it depends.
    written: Box<[OnceLock<HeaderValue>]>,
}

/// For a larger burst, only this many are cached.
const MOST: u32 = 4096;

impl RateLimitHeaders {
    /// `name` and `policy` consist only of valid header characters.
    /// `is_usual`: it is not for a single key.
    pub fn new(name: &str, policy: String, burst: u32, period: Duration, is_usual: bool) -> Self {
        let most = if is_usual { MOST } else { MOST / 16 };
        let written = (0..burst.min(most)).map(|_| OnceLock::new()).collect();
        Self { policy: header_value(policy), prefix: format!("\"{name}\";r="), burst, period, written }
    }

    /// `left` requests remain, and all of them are available again some time later.
    pub fn value(&self, left: u32) -> HeaderValue {
        let write = || self.write(left, self.burst.saturating_sub(left) * self.period);
        let place = usize::try_from(left).ok().and_then(|left| self.written.get(left));
        place.map_or_else(write, |place| place.get_or_init(write).clone())
    }

    /// `left` requests remain, and more are available after `wait`, rounded up to seconds.
    pub fn write(&self, left: u32, wait: Duration) -> HeaderValue {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let (mut left_digits, mut second_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        let pieces = [&self.prefix, left_digits.format(left), ";t=", second_digits.format(seconds)];
        header_value(pieces.concat())
    }
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("made of header characters alone")
}
