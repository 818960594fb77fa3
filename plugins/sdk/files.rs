//! Files named by settings. They are read and watched with the configuration; plugins receive their bytes.

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// A setting that names a file. Relative ones are sought in the folder of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct NamedFile(PathBuf);

impl NamedFile {
    /// The JSON Schema format that marks these settings for the configuration loader.
    pub const FORMAT: &'static str = "named-file";

    /// The path as written.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl<P: Into<PathBuf>> From<P> for NamedFile {
    fn from(path: P) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl JsonSchema for NamedFile {
    fn schema_name() -> Cow<'static, str> {
        "NamedFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": Self::FORMAT })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The content of the named files when the configuration was read.
pub trait Files: Sync {
    /// The content of a file, or why it cannot be read: lowercase and without the file's name, such as `does not
    /// exist`.
    fn content(&self, file: &Path) -> Result<Bytes, String>;
}
