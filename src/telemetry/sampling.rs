//! Decides which requests are traced: before a span is created, and never on behalf of untrusted clients.

use crate::config::document::telemetry::Sampler;
use opentelemetry::trace::{SpanContext, TraceId};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A compiled sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    /// Whether the decision of a trusted caller is followed.
    follows_parent: bool,
    share: SampleShare,
}

/// A ratio of all requests, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SampleShare(f64);

impl SampleShare {
    /// NaN counts as zero.
    pub(super) const fn new(share: f64) -> Self {
        Self(if share.is_nan() { 0.0 } else { share })
    }

    /// Whether an item with these uniformly distributed bits is part of the ratio.
    fn takes(self, bits: u64) -> bool {
        const STEPS: f64 = (1_u64 << 53) as f64;
        self.0 >= 1.0 || ((bits >> 11) as f64 / STEPS) < self.0
    }

    /// Draws at random whether an item is part of the ratio.
    pub(super) fn draw(self) -> bool {
        self.0 >= 1.0 || (self.0 > 0.0 && self.takes(random()))
    }
}

impl Sampling {
    pub(super) const fn new(follows_parent: bool, share: f64) -> Self {
        Self { follows_parent, share: SampleShare::new(share) }
    }

    /// Whether no request can be traced, so that no check is needed.
    pub(super) fn is_never(self) -> bool {
        !self.follows_parent && self.share.0 <= 0.0
    }

    /// Whether a request is traced. Only the parent from a trusted peer counts: an untrusted sampled flag or trace id
    /// does not affect the decision, or a client could have everything traced with one header. A parent without valid
    /// ids (possible with B3) has only its flag. `root` is the id of the trace if it begins here.
    pub(super) fn decide(self, parent: Option<&SpanContext>, trusted: bool, root: TraceId) -> bool {
        match parent.filter(|_| trusted) {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            Some(parent) if parent.is_valid() => self.share.takes(low_bits(parent.trace_id())),
            _ => self.share.takes(low_bits(root)),
        }
    }
}

/// The part of a trace id that the ratio samplers of OpenTelemetry's SDKs compare, so that every service of a trace
/// makes the same decision.
fn low_bits(trace: TraceId) -> u64 {
    trace.to_bytes().last_chunk().copied().map_or(0, u64::from_be_bytes)
}

impl From<Sampler> for Sampling {
    fn from(sampler: Sampler) -> Self {
        match sampler {
            Sampler::AlwaysOn => Self::new(false, 1.0),
            Sampler::AlwaysOff => Self::new(false, 0.0),
            Sampler::ParentbasedAlwaysOn => Self::new(true, 1.0),
            Sampler::Traceidratio(share) => Self::new(false, share),
            Sampler::ParentbasedTraceidratio(share) => Self::new(true, share),
        }
    }
}

/// Sixty-four random bits (splitmix64). They protect no secrets.
pub(super) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::ids;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    fn parent(trace_id: u128, sampled: bool) -> SpanContext {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(TraceId::from(trace_id), SpanId::from(7), flags, true, TraceState::default())
    }

    #[test]
    fn a_trusted_caller_decides_where_the_sampler_follows_parents() {
        for (sampling, sampled, traced) in [
            (Sampling::new(true, 0.0), true, true),
            (Sampling::new(true, 1.0), false, false),
            (Sampling::new(false, 0.0), true, false),
            (Sampling::new(false, 1.0), false, true),
        ] {
            assert_eq!(sampling.decide(Some(&parent(9, sampled)), true, ids::draw()), traced, "{sampling:?} {sampled}");
        }
    }

    #[test]
    fn an_untrusted_client_decides_nothing() {
        for sampled in [true, false] {
            assert!(!Sampling::new(true, 0.0).decide(Some(&parent(0, sampled)), false, ids::draw()));
            assert!(Sampling::new(true, 1.0).decide(Some(&parent(u128::MAX, sampled)), false, ids::draw()));
        }
        // A trace id with small numbers would be part of every ratio if it were considered.
        let taken = (0..20_000)
            .filter(|_| Sampling::new(true, 0.25).decide(Some(&parent(1, true)), false, ids::draw()))
            .count();
        assert!((4_400..5_600).contains(&taken), "{taken}");
    }

    #[test]
    fn a_share_is_kept_by_trace_id_as_other_services_keep_it() {
        let half = Sampling::new(false, 0.5);
        assert!(half.decide(Some(&parent(u128::from(u64::MAX >> 1), true)), true, ids::draw()));
        assert!(!half.decide(Some(&parent(1 << 63, true)), true, ids::draw()));
        // For traces that begin here, other services come to the same decision.
        let agrees = |_| {
            let root = ids::draw();
            half.decide(None, false, root)
                == half.decide(Some(&parent(u128::from_be_bytes(root.to_bytes()), false)), true, root)
        };
        assert!((0..1_000).all(agrees));
        assert!(!Sampling::new(false, f64::NAN).decide(Some(&parent(1, true)), true, ids::draw()));
    }

    #[test]
    fn a_sampler_that_never_samples_is_recognized() {
        assert!(Sampling::new(false, 0.0).is_never());
        assert!(!Sampling::new(true, 0.0).is_never());
        assert!(!Sampling::new(false, 0.1).is_never());
    }
}
