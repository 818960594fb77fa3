//! What clients must know of a plugin: it becomes part of the OpenAPI description of an API.

use http::HeaderName;

/// What clients must know of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// The credentials that it accepts.
    pub credentials: Option<Credentials>,
    /// The status codes of its rejections, apart from 500 and 503.
    pub rejects: &'static [u16],
    /// Whether its rejections come from another server, so that their bodies can have any form.
    pub is_foreign: bool,
    /// The header fields that it adds to responses.
    pub adds: Vec<AddedField>,
}

/// Credentials of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token in `Authorization: Bearer` (RFC 6750), and its format.
    Bearer(&'static str),
    /// A name and a password in `Authorization: Basic` (RFC 7617).
    Basic,
    /// A key in this header field.
    Key(HeaderName),
    /// A client certificate.
    Certificate,
}

/// A header field of responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedField {
    pub name: HeaderName,
    pub description: &'static str,
    pub example: &'static str,
}

impl Contract {
    /// The contract of a plugin that only rejects requests.
    pub const fn rejects(statuses: &'static [u16]) -> Self {
        Self { credentials: None, rejects: statuses, is_foreign: false, adds: Vec::new() }
    }

    /// The contract of a plugin that authenticates.
    pub fn accepts(credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..Self::rejects(&[401]) }
    }
}
