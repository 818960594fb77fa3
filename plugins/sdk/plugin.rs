//! The definition of a plugin: a settings struct that compiles to something in front of a service.

use crate::metrics::Instrument;
use crate::{Compiled, Fault, Files, NamedFile};
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// A plugin. The struct is its settings: field names are YAML keys, and doc comments are the manual. `Serialize` must
/// write them as `Deserialize` reads them; the running configuration is shown that way, with its defaults.
///
/// ```
/// use gatewright_sdk::plugin::CheckContext;
/// use gatewright_sdk::{Compiled, Fault, Filter, Plugin, Request, Response, Verdict};
/// use http::HeaderValue;
///
/// /// Says hello in a response header.
/// #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Hello {
///     /// Whom to greet.
///     name: String,
/// }
///
/// impl Plugin for Hello {
///     const NAME: &'static str = "hello";
///     fn compile(self, _: &CheckContext<'_>) -> Compiled {
///         match HeaderValue::from_str(&self.name) {
///             Ok(name) => Compiled::filter(Greeting(name)),
///             Err(_) => Fault::new("name", "is not allowed in a header value").into(),
///         }
///     }
/// }
///
/// struct Greeting(HeaderValue);
/// impl Filter for Greeting {
///     type Ticket = ();
///     fn decide(&self, _: &Request) -> Verdict<()> { Verdict::Continue(()) }
///     fn response(&self, (): (), response: &mut Response) {
///         response.headers_mut().insert("x-hello", self.0.clone());
///     }
/// }
/// ```
pub trait Plugin: DeserializeOwned + Serialize + JsonSchema + Send + Sync + 'static {
    /// Its type name in YAML.
    const NAME: &'static str;

    /// Its metrics, for the documentation; see [`crate::Place::counter`].
    const INSTRUMENTS: &'static [&'static Instrument] = &[];

    /// Validates all settings and compiles them: once for each configured plugin, however often it is used. The result
    /// depends only on the arguments: no disk, environment, clock or runtime. `gatewright check` runs it too.
    fn compile(self, check: &CheckContext<'_>) -> Compiled;
}

/// The context in which settings are checked.
pub struct CheckContext<'a> {
    /// The content of the files that settings name.
    pub files: &'a dyn Files,
    /// Whether `environment` is production: known weak secrets are then rejected.
    pub production: bool,
}

impl CheckContext<'_> {
    /// The content of `file`, or why it cannot be read, as the message of a [`Fault`].
    pub fn read(&self, file: &NamedFile) -> Result<Bytes, String> {
        self.files.content(file.path()).map_err(|why| format!("cannot read {file}: it {why}"))
    }
}

/// A plugin type that a configuration may name.
pub trait PluginKind: Send + Sync {
    fn name(&self) -> &str;

    /// The JSON Schema of its settings.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;

    /// Its metrics.
    fn instruments(&self) -> &'static [&'static Instrument];

    /// Parses settings that match the schema, and compiles them. Also returns the parsed settings for display: with
    /// their defaults, and without their secrets.
    fn compile(&self, settings: Value, check: &CheckContext<'_>) -> (Value, Compiled);
}

impl<K: PluginKind + ?Sized> PluginKind for &K {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (**self).schema(generator)
    }

    fn instruments(&self) -> &'static [&'static Instrument] {
        (**self).instruments()
    }

    fn compile(&self, settings: Value, check: &CheckContext<'_>) -> (Value, Compiled) {
        (**self).compile(settings, check)
    }
}

/// The [`PluginKind`] of a plugin written in Rust.
pub struct Builtin<P>(PhantomData<fn() -> P>);

/// For the list in `plugins/lib.rs`.
pub const fn builtin<P: Plugin>() -> Builtin<P> {
    Builtin(PhantomData)
}

impl<P: Plugin> PluginKind for Builtin<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<P>()
    }

    fn instruments(&self) -> &'static [&'static Instrument] {
        P::INSTRUMENTS
    }

    fn compile(&self, settings: Value, check: &CheckContext<'_>) -> (Value, Compiled) {
        match serde_path_to_error::deserialize::<_, P>(settings) {
            Ok(plugin) => (serde_json::to_value(&plugin).unwrap_or_default(), plugin.compile(check)),
            Err(error) => {
                let path = error.path().to_string();
                let path = if path == "." { String::new() } else { path };
                (Value::Null, Fault::new(path, error.inner().to_string()).into())
            }
        }
    }
}
