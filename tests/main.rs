//! Black-box tests: YAML in, HTTP out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod access_log;
mod addresses;
mod admin;
mod authentication;
mod client_certificates;
#[path = "../src/telemetry/tests/collector.rs"]
#[expect(dead_code, reason = "shared with the unit tests of telemetry, which look at more")]
mod collector;
mod command_line;
mod conditions;
mod connections;
mod credentials;
mod deploy;
mod diagnostics;
mod dns;
mod documentation;
mod event_streams;
mod examples;
mod explain;
mod export;
mod fail_closed;
mod failures;
mod faults;
mod floods;
mod forward_auth;
mod gaps;
mod golden;
mod grpc_status;
mod harness;
mod header_fields;
mod healthcheck;
mod hidden_secrets;
mod house_rules;
mod http2;
mod identity_provider;
mod metrics;
mod migrate;
mod moved_addresses;
mod moved_data;
mod observability;
mod openapi;
mod own;
mod ownership;
mod plugin_spans;
mod plugins;
mod presets;
mod propagation;
mod protection;
mod proxy;
mod reload;
mod reload_to_its_end;
mod route_actions;
mod route_limits;
mod routing;
mod semantics;
mod shared_limits;
mod shutdown;
mod sign_in;
mod soft_delete;
mod specs;
mod spelling;
mod stored_data;
mod stores;
#[cfg(target_os = "linux")]
mod terminal;
mod tls;
mod tracing;
mod tunnels;
mod unix_sockets;
mod upgrades;
mod upstream_http2;
mod upstream_websockets;
mod users_api;
mod warnings;
