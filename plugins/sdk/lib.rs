//! The contract between gatewright and its plugins: the only crate that a plugin needs.
//!
//! A plugin is a settings struct that compiles to something in front of a service: see [`Plugin`].

pub mod accept;
pub mod authenticate;
pub mod body;
pub mod client;
pub mod client_network;
pub mod code;
pub mod compiled;
pub mod derived;
pub mod expression;
pub mod facts;
pub mod fault;
pub mod fields;
pub mod files;
pub mod filter;
pub mod keep;
pub mod limits;
pub mod method;
pub mod metrics;
pub mod network;
pub mod place;
pub mod plugin;
pub mod problem;
pub mod secret;
pub mod service;
pub mod services;
pub mod task;
pub mod testing;
pub mod units;
pub mod written;

pub use authenticate::{AnyOf, Authenticate, Proof};
pub use axum::body::Body;
pub use client::{Client, ClientAddress, Peer, Scheme};
pub use client_network::ClientNetwork;
pub use code::Code;
pub use compiled::{Act, Compiled, IDENTITY, PERMISSION, ScriptHeaders, Traits};
pub use derived::Derived;
pub use expression::{Condition, NoValue, TextExpression};
pub use facts::{CertificateName, ClientCertificate, Facts, Identity, Logged, RequestId};
pub use fault::Fault;
pub use files::{Files, NamedFile};
pub use filter::{DynFilter, Filter, Verdict};
pub use keep::Keep;
pub use limits::RouteLimits;
pub use method::RequestMethod;
pub use network::Network;
pub use place::{Needs, Place, Scope};
pub use plugin::{Builtin, CheckContext, Plugin, PluginKind, builtin};
pub use problem::{Answered, AppliedRule, Detail, Problem, References, Refusal};
pub use secret::Secret;
pub use service::{HttpService, Reply, Request, Response};
pub use services::{FetchError, Fetching, RemoteOnly, Services};
pub use task::WithTask;
pub use units::{ByteSize, HumanDuration};
pub use written::Written;
