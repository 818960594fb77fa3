//! All instruments of the engine. Names come from the OpenTelemetry semantic conventions where possible; our own begin
//! with `gateway.`.

use gatewright_sdk::metrics::{Buckets, Instrument, Measure};
use gatewright_sdk::observing::OBSERVED;
use gatewright_sdk::task::TASK_PANICS;

macro_rules! instruments {
    ($($constant:ident $name:literal $measure:expr, $unit:literal, $help:literal, [$($attribute:literal),*];)*) => {
        $(
            #[doc = $help]
            pub static $constant: Instrument = Instrument {
                name: $name,
                measure: $measure,
                unit: $unit,
                help: $help,
                attributes: &[$($attribute),*],
            };
        )*

        /// All of them, in documentation order.
        pub static ALL: &[&Instrument] = &[$(&$constant,)* &OBSERVED, &TASK_PANICS];
    };
}

instruments! {
    // --- Requests
    REQUEST_DURATION "http.server.request.duration" Measure::Histogram(Buckets::DURATION), "s",
        "Duration of requests, from the request head to the last byte of the response",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    REQUEST_SIZE "http.server.request.body.size" Measure::Histogram(Buckets::SIZE), "By",
        "Size of request bodies, as announced or read; requests without a body are not counted",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    RESPONSE_SIZE "http.server.response.body.size" Measure::Histogram(Buckets::SIZE), "By",
        "Size of response bodies, as sent",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    CALL_DURATION "rpc.server.call.duration" Measure::Histogram(Buckets::DURATION), "s",
        "Duration of gRPC calls; they count as requests too",
        ["rpc.system.name", "rpc.status_code", "error.type", "gateway.route"];
    ACTIVE_REQUESTS "http.server.active_requests" Measure::UpDownCounter, "{request}",
        "Requests in progress",
        ["http.request.method", "url.scheme"];
    CONNECTIONS "gateway.connections" Measure::UpDownCounter, "{connection}",
        "Open client connections",
        ["gateway.listener"];
    CERTIFICATE_END "gateway.tls.certificate.not_after" Measure::Gauge, "s",
        "When a certificate expires, in seconds since 1970; without `gateway.listener` and `gateway.upstream`, that of the admin address",
        ["gateway.listener", "gateway.upstream", "gateway.certificate.file"];
    CONNECTIONS_CLOSED "gateway.connections.closed" Measure::Counter, "{connection}",
        "Client connections that the gateway closed because of what the client did or failed to do",
        ["gateway.listener", "gateway.reason"];
    DECISIONS "gateway.plugin.decisions" Measure::Counter, "{decision}",
        "Requests that were rejected, or answered by a plugin; without `gateway.plugin`, by the gateway itself or by the target of the route",
        ["gateway.plugin", "gateway.outcome", "gateway.reason"];
    PANICS "gateway.panics" Measure::Counter, "{panic}",
        "Caught panics",
        [];
    // --- Upstreams
    UPSTREAM_DURATION "http.client.request.duration" Measure::Histogram(Buckets::DURATION), "s",
        "Duration of upstream requests, up to the response head",
        ["gateway.upstream", "http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"];
    UPSTREAM_CONNECTIONS "http.client.open_connections" Measure::UpDownCounter, "{connection}",
        "Open connections to upstream targets",
        ["http.connection.state", "server.address", "server.port"];
    UPSTREAM_CONNECTS "gateway.upstream.connects" Measure::Counter, "{connection}",
        "Connections opened to upstream targets; with `error.type`, failed attempts",
        ["server.address", "server.port", "error.type"];
    UPSTREAM_ACTIVE "http.client.active_requests" Measure::UpDownCounter, "{request}",
        "Upstream requests in progress, up to the end of the response",
        ["gateway.upstream", "server.address", "server.port"];
    UPSTREAM_HEALTHY "gateway.upstream.target.healthy" Measure::Gauge, "{target}",
        "1 while the target is healthy, 0 while its checks fail or it is ejected; for a name, the share of its addresses that are healthy",
        ["gateway.upstream", "server.address", "server.port"];
    UPSTREAM_EJECTED "gateway.upstream.target.ejected" Measure::Gauge, "{target}",
        "1 while the target is ejected because its responses failed; for a name, the share of its addresses that are ejected",
        ["gateway.upstream", "server.address", "server.port"];
    UPSTREAM_EJECTIONS "gateway.upstream.ejections" Measure::Counter, "{ejection}",
        "Ejections of a target: `consecutive_failures` or `failure_ratio`",
        ["gateway.upstream", "server.address", "server.port", "gateway.reason"];
    UPSTREAM_PANIC "gateway.upstream.panic" Measure::Gauge, "{upstream}",
        "1 while all targets get requests, because fewer than `panic_threshold` percent of them are healthy",
        ["gateway.upstream"];
    UPSTREAM_CIRCUIT "gateway.upstream.circuit_open" Measure::Gauge, "{circuit}",
        "1 while the circuit breaker rejects requests because too many failed",
        ["gateway.upstream"];
    UPSTREAM_RETRIES "gateway.upstream.retries" Measure::Counter, "{retry}",
        "Requests that were sent to an upstream again by the `retry` of their route",
        ["gateway.upstream"];
    UPSTREAM_UPGRADES "gateway.upstream.upgraded_connections" Measure::UpDownCounter, "{connection}",
        "Open client connections that were upgraded to another protocol, such as WebSocket",
        ["gateway.upstream"];
    UPSTREAM_MIRRORED "gateway.upstream.mirrored" Measure::Counter, "{request}",
        "Copies of requests for the `mirror` of their route: `sent`, `failed`, `too_large` if the body was not kept, `overloaded` if too many were in progress",
        ["gateway.upstream", "gateway.outcome"];
    // --- Stores
    STORE_DURATION "db.client.operation.duration" Measure::Histogram(Buckets::SHORT_DURATION), "s",
        "Duration of statements, including the wait for a connection",
        ["db.system.name", "db.operation.name", "db.collection.name", "error.type", "gateway.store"];
    STORE_CONNECTIONS "db.client.connection.count" Measure::UpDownCounter, "{connection}",
        "Open connections of a store",
        ["db.client.connection.pool.name", "db.client.connection.state"];
    STORE_WAITING "db.client.connection.pending_requests" Measure::UpDownCounter, "{request}",
        "Jobs that wait for a store connection",
        ["db.client.connection.pool.name", "gateway.store.queue"];
    STORE_REACHABLE "gateway.store.reachable" Measure::Gauge, "{store}",
        "1 while a Redis store responds, 0 while it is unreachable and limits are counted without it",
        ["gateway.store"];
    STORE_COMMIT "gateway.store.commit.duration" Measure::Histogram(Buckets::SHORT_DURATION), "s",
        "Duration of commits; one commit can contain several writes",
        ["gateway.store"];
    PURGES "gateway.store.purges" Measure::Counter, "{run}",
        "Removals of expired deleted items and idempotency keys: `done`, or `failed` if the store was busy or down, or did not remove them all",
        ["gateway.store", "db.collection.name", "gateway.outcome"];
    PASSWORDS "gateway.password.pending" Measure::UpDownCounter, "{password}",
        "Passwords that are being hashed or wait to be hashed",
        ["gateway.password.state"];
    SIGN_INS "gateway.sign_in.attempts" Measure::Counter, "{attempt}",
        "Passwords that were sent to a `sign_in`: `succeeded`, `failed`, `slowed` if too many were wrong before, or `busy` if the hashing queue was full",
        ["gateway.resource", "gateway.outcome"];
    SIGN_IN_FALLBACKS "gateway.sign_in.fallbacks" Measure::Counter, "{attempt}",
        "Passwords that a `sign_in` with a store for wrong passwords counted without it, because it was unreachable",
        ["gateway.resource"];
    SESSION_EVENTS "gateway.sign_in.sessions" Measure::Counter, "{event}",
        "What happened to sessions: `refreshed`, `refused` if the refresh token was not valid, `reused` if it was used twice, `signed_out`, or `password_changed`",
        ["gateway.resource", "gateway.outcome"];
    // --- Configuration
    RELOADS "gateway.reloads" Measure::Counter, "{reload}",
        "Reloads: `accepted`, `refused`, or `unchanged` if the files match the running configuration, also if SIGHUP or the admin API has applied them again",
        ["gateway.outcome"];
    RELOAD_DURATION "gateway.reload.duration" Measure::Histogram(Buckets::DURATION), "s",
        "Time to read, validate and apply a configuration",
        ["gateway.outcome"];
    GENERATION "gateway.config.generation" Measure::Gauge, "{generation}",
        "The serving generation, counted from 1",
        [];
    GENERATIONS_ALIVE "gateway.config.generations_alive" Measure::UpDownCounter, "{generation}",
        "Generations that still serve requests; more than one for longer than the longest request indicates a leak",
        [];
    CONFIG_ACCEPTED "gateway.config.accepted_time" Measure::Gauge, "s",
        "When the serving generation was accepted, in seconds since 1970",
        [];
    CONFIG_REFUSED "gateway.config.refused" Measure::Gauge, "{refusal}",
        "1 while the files contain a configuration that was rejected",
        [];
    // --- Process
    CPU_TIME "process.cpu.time" Measure::Counter, "s",
        "CPU time of this process",
        ["cpu.mode"];
    MEMORY "process.memory.usage" Measure::UpDownCounter, "By",
        "Physical memory of this process",
        [];
    THREADS "process.thread.count" Measure::UpDownCounter, "{thread}",
        "Threads of this process",
        [];
    DESCRIPTORS "process.unix.file_descriptor.count" Measure::UpDownCounter, "{file_descriptor}",
        "Open file descriptors of this process",
        [];
    DESCRIPTOR_LIMIT "gateway.process.file_descriptor.limit" Measure::Gauge, "{file_descriptor}",
        "Maximum number of open file descriptors of this process",
        [];
    UPTIME "process.uptime" Measure::Gauge, "s",
        "Time since the process started",
        [];
    BUILD "gateway.build.info" Measure::Gauge, "{build}",
        "Always 1; the version is an attribute",
        ["service.version"];
    // --- Telemetry itself
    EXPORTED "gateway.telemetry.exported" Measure::Counter, "{item}",
        "Spans, log records and metric points that a receiver accepted",
        ["gateway.signal"];
    EXPORT_FAILED "gateway.telemetry.failed" Measure::Counter, "{item}",
        "Spans, log records and metric points whose export failed or that a receiver rejected",
        ["gateway.signal"];
    EXPORT_DROPPED "gateway.telemetry.dropped" Measure::Counter, "{item}",
        "Spans and log records dropped because their queue was full",
        ["gateway.signal"];
    EXPORT_WAITING "gateway.telemetry.queue.size" Measure::Gauge, "{item}",
        "Spans, log records and metric points that are queued or being exported",
        ["gateway.signal"];
    EXPORT_DURATION "gateway.telemetry.export.duration" Measure::Histogram(Buckets::DURATION), "s",
        "Duration of exports, including retries",
        ["gateway.signal"];
    LINES_DROPPED "gateway.log.lines.dropped" Measure::Counter, "{line}",
        "Log lines dropped because standard output was not read in time",
        [];
    LINES_SUPPRESSED "gateway.log.lines.suppressed" Measure::Counter, "{line}",
        "Warnings and errors that were suppressed: more than 10 from one callsite within a minute, or from `h2` about frames sent by clients",
        [];
}
