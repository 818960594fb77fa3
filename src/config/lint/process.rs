//! Checks listeners as a whole, zero durations and sizes, health paths, and the name of the environment.

use super::Lint;
use crate::config::document::listener::MOST_LISTENERS;
use crate::config::document::route::Route;
use crate::config::tree::Value;
use crate::config::words;
use crate::path::OwnPath;
use gatewright_sdk::{ByteSize, Code, HumanDuration, Secret};

/// Timeouts that must not be zero, because everything would then be rejected.
const WAITED: [&str; 22] = [
    "reload.poll",
    "listeners.*.limits.header_timeout",
    "listeners.*.limits.body_idle_timeout",
    "listeners.*.limits.body_timeout",
    "listeners.*.limits.write_timeout",
    "listeners.*.limits.half_close_timeout",
    "listeners.*.limits.idle_timeout",
    "listeners.*.limits.queue_timeout",
    "telemetry.*.otlp.timeout",
    "dns.min_ttl",
    "dns.timeout",
    "telemetry.metrics.otlp.interval",
    "resources.*.timeout",
    "upstreams.*.timeouts.*",
    "upstreams.*.health_checks.active.interval",
    "upstreams.*.health_checks.active.timeout",
    "upstreams.*.health_checks.passive.ejection_time",
    "routes.*.retry.per_try_timeout",
    "routes.*.limits.request_timeout",
    "routes.*.limits.stream_idle",
    "routes.*.limits.queue_timeout",
    "resources.*.idempotency.ttl",
];

/// Sizes that must not be zero.
const ROOM: [&str; 4] = [
    "listeners.*.limits.header_bytes",
    "listeners.*.limits.body_bytes",
    "resources.*.body_limit",
    "routes.*.limits.body_bytes",
];

/// The paths of the admin API itself.
const ADMIN_PATHS: [&str; 4] = ["/status", "/config", "/limits", "/reload"];

/// The minimum length of an admin token, in bytes.
const TOKEN: usize = 32;

impl Lint<'_> {
    pub(super) fn process(&mut self) {
        let tree = self.sources.tree();
        if tree.get("listeners").is_some_and(|listeners| matches!(&listeners.value, Value::Map(all) if all.is_empty()))
        {
            let help = "add a listener: `listeners: { web: { address: \"127.0.0.1:3000\" } }`";
            self.error(Code::NO_LISTENER, "listeners", "`listeners` is empty", help);
        }
        self.listeners();
        let mut zero = Vec::new();
        for pattern in WAITED.into_iter().chain(ROOM) {
            tree.each(pattern, &mut |path, node| {
                let Value::Str(written) = &node.value else { return };
                let time = written.parse().is_ok_and(HumanDuration::is_zero);
                let size = written.parse().is_ok_and(|size: ByteSize| size.0 == 0);
                if time || size {
                    zero.push((path.to_owned(), if time { "1s" } else { "64KiB" }));
                }
            });
        }
        for (path, example) in zero {
            let name = path.rsplit('.').next().unwrap_or_default().to_owned();
            let help = format!("write a positive value such as `{example}`");
            self.error(Code::ZERO, &path, format!("`{name}` must not be zero"), help);
        }
        self.health();
        self.admin();
        self.environment();
        self.prometheus();
    }

    fn listeners(&mut self) {
        let (document, count) = (self.document, self.document.listeners.len());
        if let Some((name, _)) = document.listeners.iter().nth(MOST_LISTENERS) {
            let message = format!("too many listeners: {count}, at most {MOST_LISTENERS} are allowed");
            self.error(Code::WRONG_LENGTH, &format!("listeners.{name}"), message, "combine some of them");
        }
        let nobody = document.routes.iter().all(|(_, route)| route.listeners.is_empty());
        if count > 1 && nobody && !document.routes.is_empty() {
            let names = document.listeners.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let help = "add `listeners: [NAME]` to routes that should be served on only some of them";
            let message = format!("every route is served on all listeners: {names}");
            self.warning(Code::ALL_LISTENERS, "listeners", message, help);
        }
    }

    fn health(&mut self) {
        let document = self.document;
        let paths = [
            ("health.summary", &document.health.summary),
            ("health.live", &document.health.live),
            ("health.ready", &document.health.ready),
        ];
        for (index, (at, path)) in paths.into_iter().enumerate() {
            if self.is_refused(at) {
                continue;
            }
            let same = |(at, other): &&(&str, &OwnPath)| *other == path && !self.is_refused(at);
            if let Some((first, _)) = paths.iter().take(index).find(same) {
                let message = format!("`{at}` and `{first}` have the same path");
                self.conflict(Code::SHARED_PATH, (at, first), message, "use different paths");
            }
            // Health checks are handled before routes are looked up.
            let taken = |route: &Route| route.path.as_deref() == Some(&**path);
            for (name, _) in document.routes.iter().filter(|(_, route)| taken(route)) {
                if self.pathless.contains(name) {
                    continue;
                }
                let message =
                    format!("`{}` is served by `{at}`, so requests for it never reach this route", path.escape_debug());
                let help = "change one of the paths";
                self.error(Code::SHADOWED_PATH, &format!("routes.{name}.path"), message, help);
            }
        }
    }

    fn admin(&mut self) {
        let token = self.document.admin.as_ref().and_then(|admin| admin.token.as_ref());
        if token.is_some_and(|token| token.expose().len() < TOKEN) {
            self.error(
                Code::ADMIN_TOKEN,
                "admin.token",
                format!("the admin token is too short: at least {TOKEN} bytes are required"),
                "generate one with `openssl rand -base64 32`, or remove `token` to generate a new one at each start",
            );
        } else if self.document.is_production() && token.is_some_and(Secret::is_guessable) {
            self.error(
                Code::KNOWN_SECRET,
                "admin.token",
                "this token is publicly known or easy to guess".to_owned(),
                "generate one with `openssl rand -base64 32`, or remove `token` to generate a new one at each start",
            );
        }
    }

    /// An unknown name would count as "not production", whatever it was meant to be.
    fn environment(&mut self) {
        const KNOWN: [&str; 4] = ["production", "development", "staging", "test"];
        const SHORT: [(&str, &str); 8] = [
            ("prod", KNOWN[0]),
            ("prd", KNOWN[0]),
            ("live", KNOWN[0]),
            ("dev", KNOWN[1]),
            ("local", KNOWN[1]),
            ("stage", KNOWN[2]),
            ("stg", KNOWN[2]),
            ("testing", KNOWN[3]),
        ];
        let Some(written) = self.document.environment.as_deref().filter(|written| !KNOWN.contains(written)) else {
            return;
        };
        let short = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(written)).map(|(_, known)| *known);
        let help = match short.or_else(|| words::nearest(written, &KNOWN)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", words::list(&KNOWN)),
        };
        let message = format!("`{}` is not a valid `environment`", written.escape_debug());
        self.error(Code::ENVIRONMENT, "environment", message, help);
    }

    fn prometheus(&mut self) {
        const AT: &str = "telemetry.metrics.prometheus";
        let metrics = self.document.telemetry.metrics.as_ref();
        let Some(prometheus) = metrics.and_then(|metrics| metrics.prometheus.as_ref()) else { return };
        let at = format!("{AT}.path");
        if ADMIN_PATHS.contains(&&*prometheus.path) {
            let message = format!("`{}` is already a path of the admin API", prometheus.path);
            self.error(Code::SHARED_PATH, &at, message, "choose another path, such as `/metrics`");
        }
        if self.sources.tree().get("admin").is_none() {
            self.error(
                Code::METRICS_WITHOUT_ADMIN,
                AT,
                "metrics are served on the admin address, but `admin` is not set",
                "add `admin: { address: \"127.0.0.1:9901\" }`",
            );
        }
    }
}
