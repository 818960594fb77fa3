//! `google.rpc.Status`, and the only detail that is used: the retry delay. Field numbers are from googleapis.

use prost::Message as _;
use std::time::Duration;

/// `google.rpc.Status` without its code, which the response contains elsewhere.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Pause>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Pause {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Status {
    /// Whether the receiver asks for a retry, and after which pause, if stated.
    pub(super) fn retry(&self) -> Option<Option<Duration>> {
        let info = self.details.iter().find(|any| any.type_url.rsplit('/').next() == Some("google.rpc.RetryInfo"))?;
        let pause = RetryInfo::decode(&*info.value).ok()?.retry_delay;
        Some(pause.map(|pause| {
            let seconds = Duration::from_secs(u64::try_from(pause.seconds).unwrap_or(0));
            seconds.saturating_add(Duration::from_nanos(u64::try_from(pause.nanos).unwrap_or(0)))
        }))
    }
}
