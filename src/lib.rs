//! gatewright: a gateway assembled by one YAML file.
//!
//! The rooms of the house, from left to right; nothing imports what stands to its right (`tests/house_rules.rs`):
//!
//! | room | what happens there |
//! |---|---|
//! | [`path`] | how a path is read: its normal form, and what is doubtful about it |
//! | [`field_list`] | header fields that hold a list |
//! | [`config`] | YAML becomes a document, or diagnostics with their lines |
//! | [`terms`] | what connections and requests are held to |
//! | [`admission`] | what the head of a request must be like to be let in |
//! | [`telemetry`] | what is observed of requests, and where it goes |
//! | [`services`] | what plugins need of the world: an HTTP client |
//! | [`resource`], [`upstream`] | what answers |
//! | [`engine`] | a document becomes a snapshot, and is swapped in |
//! | [`server`], [`admin`] | connections of clients; the admin API and health |
//! | [`gateway`] | the application behind the listeners |
//! | [`cli`] | the program |

pub(crate) mod admin;
pub(crate) mod admission;
pub mod cli;
pub(crate) mod config;
pub mod engine;
pub(crate) mod field_list;
pub(crate) mod gateway;
pub(crate) mod path;
pub(crate) mod resource;
pub(crate) mod server;
pub(crate) mod services;
pub(crate) mod telemetry;
pub(crate) mod terms;
pub(crate) mod upstream;
pub(crate) mod worker;

/// The guide is compiled and run with the other documentation.
#[cfg(doctest)]
#[doc = include_str!("../docs/writing-a-plugin.md")]
pub struct Guide;
