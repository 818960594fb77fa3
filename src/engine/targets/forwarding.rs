//! How the requests of a route are forwarded, as `explain` shows it.

use crate::config::document::route::{Mirror, Retry, RetryMethods, Rewrite, Route, Share};
use crate::engine::plan::Forwarding;

/// The settings of `route` that change how its requests are forwarded.
pub(super) fn describe(route: &Route) -> Vec<Forwarding> {
    let described = [
        ("split", route.split.as_deref().map(split)),
        ("sticky", route.sticky.as_ref().map(|sticky| format!("by the cookie `{}`", sticky.cookie))),
        ("rewrite", route.rewrite.as_ref().map(rewrite)),
        ("mirror", route.mirror.as_ref().map(mirror)),
        ("retry", route.retry.as_ref().map(retry)),
    ];
    let described = described.into_iter().filter_map(|(setting, effect)| Some(Forwarding { setting, effect: effect? }));
    described.collect()
}

fn split(shares: &[Share]) -> String {
    let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let shares = shares.iter().map(|Share { upstream, weight }| {
        let percent = (u64::from(*weight) * 100).checked_div(total).unwrap_or_default();
        format!("{upstream} {weight} ({percent} %)")
    });
    shares.collect::<Vec<_>>().join(", ")
}

fn rewrite(rewrite: &Rewrite) -> String {
    let Rewrite { strip_prefix, add_prefix, replace, regex, response } = rewrite;
    let parts = [
        strip_prefix.as_ref().map(|prefix| format!("removes `{prefix}`")),
        add_prefix.as_ref().map(|prefix| format!("adds `{prefix}`")),
        replace.as_ref().map(|to| format!("path becomes `{to}`")),
        regex.as_ref().map(|regex| format!("path that matches `{}` becomes `{}`", regex.pattern, regex.to)),
        (!response).then(|| "responses are not rewritten".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn mirror(mirror: &Mirror) -> String {
    format!("{} % of the requests to upstream {}", mirror.percent, mirror.upstream)
}

fn retry(retry: &Retry) -> String {
    let reasons: Vec<_> = retry.retry_on.iter().map(ToString::to_string).collect();
    let methods = match retry.methods {
        RetryMethods::Idempotent => "idempotent methods",
        RetryMethods::All => "all methods",
    };
    let each = retry.per_try_timeout.map(|timeout| format!(", {timeout} per try")).unwrap_or_default();
    format!("up to {} on {}; {methods}{each}", retry.attempts, reasons.join(", "))
}
