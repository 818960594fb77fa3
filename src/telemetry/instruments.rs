//! All instruments of the engine. Names come from the OpenTelemetry semantic conventions where possible; our own begin
//! with `gateway.`.

use gatewright_sdk::metrics::{Buckets, Instrument, Measure};
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
        pub static ALL: &[&Instrument] = &[$(&$constant,)* &TASK_PANICS];
    };
}

instruments! {
    // --- Requests
    REQUEST_DURATION "http.server.request.duration" Measure::Histogram(Buckets::DURATION), "s",
        "How long requests took, from the head of the request to the last byte of the answer",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    REQUEST_SIZE "http.server.request.body.size" Measure::Histogram(Buckets::SIZE), "By",
        "Sizes of request bodies as they were announced or read; requests without one are left out",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    RESPONSE_SIZE "http.server.response.body.size" Measure::Histogram(Buckets::SIZE), "By",
        "Sizes of response bodies as they were sent",
        ["http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type", "gateway.route"];
    ACTIVE_REQUESTS "http.server.active_requests" Measure::UpDownCounter, "{request}",
        "Requests that are being answered",
        ["http.request.method", "url.scheme"];
    CONNECTIONS "gateway.connections" Measure::UpDownCounter, "{connection}",
        "Open connections of clients",
        ["gateway.listener"];
    CONNECTIONS_CLOSED "gateway.connections.closed" Measure::Counter, "{connection}",
        "Connections that the gateway closed for what their client did or left undone",
        ["gateway.listener", "gateway.reason"];
    DECISIONS "gateway.plugin.decisions" Measure::Counter, "{decision}",
        "Requests that were refused, or answered by a plugin; without `gateway.plugin` by the gateway itself or by what answers the route",
        ["gateway.plugin", "gateway.outcome", "gateway.reason"];
    PANICS "gateway.panics" Measure::Counter, "{panic}",
        "Panics that were caught",
        [];
    // --- Upstreams
    UPSTREAM_DURATION "http.client.request.duration" Measure::Histogram(Buckets::DURATION), "s",
        "How long upstreams took, from the request to the head of the answer",
        ["gateway.upstream", "http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"];
    UPSTREAM_CONNECTIONS "http.client.open_connections" Measure::UpDownCounter, "{connection}",
        "Open connections to the targets of upstreams",
        ["http.connection.state", "server.address", "server.port"];
    UPSTREAM_CONNECTS "gateway.upstream.connects" Measure::Counter, "{connection}",
        "Connections that were opened to the targets of upstreams; with `error.type` those that failed",
        ["server.address", "server.port", "error.type"];
    // --- Stores
    STORE_DURATION "db.client.operation.duration" Measure::Histogram(Buckets::SHORT_DURATION), "s",
        "How long statements took, waiting for a connection included",
        ["db.system.name", "db.operation.name", "db.collection.name", "error.type", "gateway.store"];
    STORE_CONNECTIONS "db.client.connection.count" Measure::UpDownCounter, "{connection}",
        "Open connections of a store",
        ["db.client.connection.pool.name", "db.client.connection.state"];
    STORE_WAITING "db.client.connection.pending_requests" Measure::UpDownCounter, "{request}",
        "Jobs that wait for a connection of a store",
        ["db.client.connection.pool.name", "gateway.store.queue"];
    STORE_COMMIT "gateway.store.commit.duration" Measure::Histogram(Buckets::SHORT_DURATION), "s",
        "How long commits took, all writes of one commit together",
        ["gateway.store"];
    PASSWORDS "gateway.password.pending" Measure::UpDownCounter, "{password}",
        "Passwords that are being hashed, or wait for it",
        ["gateway.password.state"];
    // --- Configuration
    RELOADS "gateway.reloads" Measure::Counter, "{reload}",
        "Reloads: `accepted`, `refused`, or `unchanged` if the files match the running configuration; SIGHUP reloads in any case",
        ["gateway.outcome"];
    RELOAD_DURATION "gateway.reload.duration" Measure::Histogram(Buckets::DURATION), "s",
        "How long it took to read, check and apply a configuration",
        ["gateway.outcome"];
    GENERATION "gateway.config.generation" Measure::Gauge, "{generation}",
        "The generation that serves, counted from 1",
        [];
    GENERATIONS_ALIVE "gateway.config.generations_alive" Measure::UpDownCounter, "{generation}",
        "Generations that still answer requests; more than one for longer than the longest request is a leak",
        [];
    CONFIG_ACCEPTED "gateway.config.accepted_time" Measure::Gauge, "s",
        "When the generation that serves was accepted, in seconds since 1970",
        [];
    CONFIG_REFUSED "gateway.config.refused" Measure::Gauge, "{refusal}",
        "1 while the files hold a configuration that was refused",
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
        "File descriptors that this process may open",
        [];
    UPTIME "process.uptime" Measure::Gauge, "s",
        "Time since the process started",
        [];
    BUILD "gateway.build.info" Measure::Gauge, "{build}",
        "Always 1; its attribute is the version",
        ["service.version"];
    // --- Telemetry itself
    EXPORTED "gateway.telemetry.exported" Measure::Counter, "{item}",
        "Spans, log records and metric points that a receiver accepted",
        ["gateway.signal"];
    EXPORT_FAILED "gateway.telemetry.failed" Measure::Counter, "{item}",
        "Spans, log records and metric points whose export failed or that a receiver rejected",
        ["gateway.signal"];
    EXPORT_DROPPED "gateway.telemetry.dropped" Measure::Counter, "{item}",
        "Spans and log records that found their queue full",
        ["gateway.signal"];
    EXPORT_WAITING "gateway.telemetry.queue.size" Measure::Gauge, "{item}",
        "Spans, log records and metric points that wait to be exported or are on their way",
        ["gateway.signal"];
    EXPORT_DURATION "gateway.telemetry.export.duration" Measure::Histogram(Buckets::DURATION), "s",
        "How long exports took, retries included",
        ["gateway.signal"];
    LINES_DROPPED "gateway.log.lines.dropped" Measure::Counter, "{line}",
        "Log lines that were not read from standard output in time",
        [];
    LINES_SUPPRESSED "gateway.log.lines.suppressed" Measure::Counter, "{line}",
        "Warnings and errors that were held back: the same place had written 10 within a minute, or `h2` has one for a frame of a client",
        [];
}
