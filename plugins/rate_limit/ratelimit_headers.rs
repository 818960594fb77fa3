//! What clients are told about a limit: the headers `RateLimit-Policy` and `RateLimit`.

use http::{HeaderName, HeaderValue};
use std::sync::OnceLock;
use std::time::Duration;

pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The headers of one limit (draft-ietf-httpapi-ratelimit-headers-10), each written once.
pub struct RateLimitHeaders {
    pub policy: HeaderValue,
    /// What comes before the number of requests left.
    prefix: String,
    burst: u32,
    period: Duration,
    /// `RateLimit` by the number of requests left, on which alone it depends.
    written: Box<[OnceLock<HeaderValue>]>,
}

/// Of a larger burst, only so many are remembered.
const MOST: u32 = 4096;

impl RateLimitHeaders {
    /// `name` and `policy` are made of header characters alone.
    pub fn new(name: &str, policy: String, burst: u32, period: Duration) -> Self {
        let written = (0..burst.min(MOST)).map(|_| OnceLock::new()).collect();
        Self { policy: header_value(policy), prefix: format!("\"{name}\";r="), burst, period, written }
    }

    /// `left` requests are left, and some time later all of them are back.
    pub fn value(&self, left: u32) -> HeaderValue {
        let write = || self.write(left, self.burst.saturating_sub(left) * self.period);
        let place = usize::try_from(left).ok().and_then(|left| self.written.get(left));
        place.map_or_else(write, |place| place.get_or_init(write).clone())
    }

    /// `left` requests are left, and things are better after `wait`, rounded up to seconds.
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
