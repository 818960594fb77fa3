//! The contract between gatewright and its plugins: depend on this crate alone to write one.
//!
//! A plugin is a settings struct that can stand in front of a service: see [`Plugin`].

pub mod accept;
pub mod body;
pub mod facts;
pub mod fault;
pub mod fields;
pub mod keep;
pub mod limits;
pub mod metrics;
pub mod plugin;
pub mod problem;
pub mod secret;
pub mod service;
pub mod units;

pub use axum::body::Body;
pub use facts::{Client, Facts, Identity, RequestId, Scheme};
pub use fault::Fault;
pub use keep::Keep;
pub use limits::RouteLimits;
pub use plugin::{Builtin, Context, IDENTITY, Install, Plugin, PluginKind, builtin};
pub use problem::{Answered, Detail, Problem, References, Refusal};
pub use secret::Secret;
pub use service::{Filter, HttpService, Reply, Request, Response};
pub use units::{ByteSize, HumanDuration};
