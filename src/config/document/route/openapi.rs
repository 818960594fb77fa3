//! Settings of a route that describes the API.

use gatewright_sdk::NamedFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Target: a description of the API that the listener serves, as OpenAPI 3.1: `{}` for the document, `{ show: page }` for
/// a page where people read about the API and try it. With `upstream` or `split`, the file with the API of the upstream,
/// as OpenAPI 3.0 or 3.1 in JSON or YAML, which becomes part of that description: `specs/orders.yaml`. It is watched like
/// the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum OpenApiKey {
    File(NamedFile),
    Served(Box<OpenApi>),
}

impl OpenApiKey {
    pub fn file(&self) -> Option<&NamedFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Served(_) => None,
        }
    }

    pub fn served(&self) -> Option<&OpenApi> {
        match self {
            Self::File(_) => None,
            Self::Served(settings) => Some(settings),
        }
    }
}

/// A description of the API that the listener serves, as OpenAPI 3.1. It is generated from the configuration, so it is always
/// up to date. Its `ETag` begins with the generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenApi {
    /// What the route serves.
    pub show: Show,
    /// The title of the API. Default: that of another route with `openapi`, or `telemetry.service_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub title: Option<String>,
    /// The version of the API. Default: that of another route with `openapi`, or `1.0.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub version: Option<String>,
    /// What the API is for, as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// Who answers questions about the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

/// What a route with `openapi` serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// The OpenAPI document, as JSON.
    #[default]
    Document,
    /// A page for browsers where people read about the API and try it. The document is at `openapi.json` below its path.
    Page,
}

/// Who answers questions about an API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    /// The name of a person or team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}
