//! Files that settings name. They are read with the configuration and watched like it; who names one is given its bytes.

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
    /// The format by which the reader of a configuration finds these settings in a JSON Schema.
    pub const FORMAT: &'static str = "named-file";

    /// As it is written.
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

/// What the named files held when the configuration was read.
pub trait Files: Sync {
    /// The content of a file, or why there is none: lowercase and without the file's name, such as `does not exist`.
    fn content(&self, file: &Path) -> Result<Bytes, String>;
}
