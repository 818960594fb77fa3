//! gatewright: an API gateway configured by one YAML file.
//!
//! The modules, lowest level first. A module imports only from those above it (`tests/house_rules.rs`):
//!
//! | module | purpose |
//! |---|---|
//! | [`path`] | parses paths: the normal form, and spellings that servers read differently |
//! | [`field_list`] | header fields that hold a list |
//! | [`etag`] | entity tags, and the header fields that name them |
//! | [`config`] | turns YAML into a document, or into diagnostics with line numbers |
//! | [`net`] | listening sockets, TCP and Unix |
//! | [`tls`] | reads certificates and keys, and configures TLS |
//! | [`grpc`] | gRPC calls: their deadlines and errors |
//! | [`tunnel`] | WebSockets over HTTP/2 |
//! | [`terms`] | the limits of connections and requests |
//! | [`admission`] | validates the head of a request |
//! | [`telemetry`] | logs, metrics and traces, and their export |
//! | [`services`], [`counters`] | what plugins share: an HTTP client, and Redis stores to count in |
//! | [`openapi`] | the parts of OpenAPI documents |
//! | [`resource`], [`upstream`] | the targets that respond to requests |
//! | [`engine`] | compiles a document into a snapshot and swaps it in |
//! | [`server`], [`admin`] | client connections; the admin API and health |
//! | [`gateway`] | the application behind the listeners |
//! | [`cli`] | the command line |

pub(crate) mod admin;
pub(crate) mod admission;
pub mod cli;
pub(crate) mod concurrency;
pub(crate) mod config;
pub(crate) mod counters;
pub mod engine;
pub(crate) mod etag;
pub(crate) mod field_list;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod net;
pub(crate) mod openapi;
pub(crate) mod path;
pub(crate) mod resource;
pub(crate) mod server;
pub(crate) mod services;
pub(crate) mod telemetry;
pub(crate) mod terms;
pub(crate) mod tls;
pub(crate) mod tunnel;
pub(crate) mod upstream;
pub(crate) mod worker;

/// Compiles and runs the code of the guide as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/writing-a-plugin.md")]
pub struct Guide;
