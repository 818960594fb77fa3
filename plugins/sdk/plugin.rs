//! What a plugin is: a settings struct that can stand in front of a service.

use crate::fields::NamedField;
use crate::limits::Bound;
use crate::metrics::{self, Attribute, Counter, Histogram, Instrument, Observed};
use crate::{Fault, Filter, HttpService, Keep};
use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The capability of a chain once a plugin has proven who asks: `auth.subject` and claims can be used after it.
pub const IDENTITY: &str = "identity";

/// A plugin. The struct is its settings: field names are YAML keys, doc comments are the manual.
///
/// ```
/// use gatewright_sdk::{Context, Fault, HttpService, Plugin, Filter, Request, Response};
/// use http::HeaderValue;
/// use std::ops::ControlFlow;
///
/// /// Says hello in a response header.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Hello {
///     /// Whom to greet.
///     name: String,
/// }
///
/// impl Plugin for Hello {
///     const NAME: &'static str = "hello";
///     fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
///         let value = HeaderValue::from_str(&self.name).map_err(|_| Fault::new("name", "is not allowed in a header value"))?;
///         Ok(context.filter(next, Greeting(value)))
///     }
/// }
///
/// struct Greeting(HeaderValue);
/// impl Filter for Greeting {
///     type Ticket = ();
///     fn request(&self, _: &mut Request) -> ControlFlow<Response, ()> { ControlFlow::Continue(()) }
///     fn response(&self, (): (), response: &mut Response) {
///         response.headers_mut().insert("x-hello", self.0.clone());
///     }
/// }
/// ```
pub trait Plugin: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The word in YAML.
    const NAME: &'static str;

    /// What it measures, for the documentation; see [`Context::counter`].
    const INSTRUMENTS: &'static [&'static Instrument] = &[];

    /// Puts this plugin in front of `next`. Runs at every build: no I/O beyond reading files the settings name, no
    /// waiting, nothing changed that a failed build would have to undo.
    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault>;

    /// Faults that the types of the settings cannot express, all of them. `install` may rely on there being none.
    fn validate(&self, _: &CheckContext<'_>) -> Vec<Fault> {
        Vec::new()
    }

    /// Warnings: what the operator should know, but is not a fault.
    fn warnings(&self, _: &CheckContext<'_>) -> Vec<Fault> {
        Vec::new()
    }

    /// What an earlier plugin of the chain must provide, such as [`IDENTITY`].
    fn requires(&self) -> &'static [&'static str] {
        &[]
    }

    /// What later plugins may rely on after this one.
    fn provides(&self) -> &'static [&'static str] {
        &[]
    }

    /// What must not have been demanded yet when a request reaches this plugin. CORS stands before [`IDENTITY`]: a
    /// browser's preflight carries no token.
    fn stands_before(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it refuses requests by who asks or how often. The health paths are not put to such a plugin: whether the
    /// gateway lives must not depend on a token or a quota.
    fn guards(&self) -> bool {
        !self.requires().is_empty() || !self.provides().is_empty()
    }

    /// Whether it answers the preflight requests of browsers itself. A route that does not take OPTIONS is given the
    /// preflights of the methods it takes, where a plugin of its chain answers them.
    fn answers_preflights(&self) -> bool {
        false
    }

    /// Response headers that a browser's script may read because of this plugin; CORS exposes them by itself.
    fn exposes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The header field in which it hands the id of a request to upstreams and clients. Error bodies and the access log
    /// find the id there, and nothing else in the chain may name the field.
    fn request_id_header(&self) -> Option<HeaderName> {
        None
    }

    /// Fields of responses that this plugin alone decides on: what comes from further inside is replaced or dropped.
    fn owns(&self) -> Vec<HeaderName> {
        Vec::new()
    }

    /// Header fields that its settings name. `check` refuses those that another plugin of the chain would undo.
    fn fields(&self) -> Vec<NamedField> {
        Vec::new()
    }

    /// What it bounds. `check` warns where something further out has a smaller bound, so that this one means nothing.
    fn bounds(&self) -> Vec<Bound> {
        Vec::new()
    }
}

/// The circumstances under which settings are judged.
pub struct CheckContext<'a> {
    /// The folder of the configuration; relative files are sought there.
    pub folder: &'a Path,
    /// Whether `environment` says production: known-weak secrets are refused then.
    pub production: bool,
}

impl CheckContext<'_> {
    /// `path` as the operator meant it: relative to the configuration.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

/// What a plugin is given when it is installed.
pub struct Context<'a> {
    /// `<listener or route>/<plugin name>`: names this use of the plugin, across reloads too.
    pub place: &'a str,
    pub keep: &'a Keep,
    pub check: &'a CheckContext<'a>,
    /// Response headers that the rest of the configuration wants scripts to be able to read.
    pub exposed: &'a [String],
}

impl Context<'_> {
    /// State that survives a reload as long as `shape` (what it depends on) stays the same.
    pub fn keep<T: Send + Sync + 'static>(&self, shape: impl Display, make: impl FnOnce() -> T) -> Arc<T> {
        self.keep.get_or_make(&format!("{} {shape}", self.place), make)
    }

    /// A counter that says which use of the plugin it belongs to: `gateway.plugin` is added to `attributes`.
    pub fn counter(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Counter> {
        metrics::counter(instrument, self.signed(attributes.into()))
    }

    /// A histogram that says which use of the plugin it belongs to.
    pub fn histogram(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Histogram> {
        metrics::histogram(instrument, self.signed(attributes.into()))
    }

    /// A value that is asked of `read` at each scrape, for as long as the answer is held.
    pub fn observe(
        &self,
        instrument: &'static Instrument,
        attributes: impl Into<Vec<Attribute>>,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Arc<Observed> {
        metrics::observe(instrument, self.signed(attributes.into()), read)
    }

    fn signed(&self, mut attributes: Vec<Attribute>) -> Vec<Attribute> {
        attributes.insert(0, ("gateway.plugin", self.place.to_owned().into()));
        attributes
    }

    /// Puts a [`Filter`] in front of `next`, in this plugin's name.
    pub fn filter<F: Filter>(&self, next: HttpService, filter: F) -> HttpService {
        next.filter(self.place.into(), filter)
    }
}

/// A plugin type that configuration may name.
pub trait PluginKind: Send + Sync {
    fn name(&self) -> &str;

    /// The JSON Schema of its settings.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;

    /// What it measures.
    fn instruments(&self) -> &'static [&'static Instrument];

    /// Reads settings that fit the schema.
    fn parse(&self, settings: Value) -> Result<Box<dyn Install>, Fault>;
}

/// Settings that were read, ready to be installed any number of times.
pub trait Install: Send + Sync {
    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault>;
    fn validate(&self, check: &CheckContext<'_>) -> Vec<Fault>;
    fn warnings(&self, check: &CheckContext<'_>) -> Vec<Fault>;
    fn requires(&self) -> &'static [&'static str];
    fn provides(&self) -> &'static [&'static str];
    fn stands_before(&self) -> &'static [&'static str];
    fn guards(&self) -> bool;
    fn answers_preflights(&self) -> bool;
    fn exposes(&self) -> Vec<String>;
    fn request_id_header(&self) -> Option<HeaderName>;
    fn owns(&self) -> Vec<HeaderName>;
    fn fields(&self) -> Vec<NamedField>;
    fn bounds(&self) -> Vec<Bound>;
}

impl<P: Plugin> Install for P {
    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        Plugin::install(self, context, next)
    }
    fn validate(&self, check: &CheckContext<'_>) -> Vec<Fault> {
        Plugin::validate(self, check)
    }
    fn warnings(&self, check: &CheckContext<'_>) -> Vec<Fault> {
        Plugin::warnings(self, check)
    }
    fn requires(&self) -> &'static [&'static str] {
        Plugin::requires(self)
    }
    fn provides(&self) -> &'static [&'static str] {
        Plugin::provides(self)
    }
    fn stands_before(&self) -> &'static [&'static str] {
        Plugin::stands_before(self)
    }
    fn guards(&self) -> bool {
        Plugin::guards(self)
    }
    fn answers_preflights(&self) -> bool {
        Plugin::answers_preflights(self)
    }
    fn exposes(&self) -> Vec<String> {
        Plugin::exposes(self)
    }
    fn request_id_header(&self) -> Option<HeaderName> {
        Plugin::request_id_header(self)
    }
    fn owns(&self) -> Vec<HeaderName> {
        Plugin::owns(self)
    }
    fn fields(&self) -> Vec<NamedField> {
        Plugin::fields(self)
    }
    fn bounds(&self) -> Vec<Bound> {
        Plugin::bounds(self)
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

    fn parse(&self, settings: Value) -> Result<Box<dyn Install>, Fault> {
        match serde_path_to_error::deserialize::<_, P>(settings) {
            Ok(plugin) => Ok(Box::new(plugin)),
            Err(error) => {
                let path = error.path().to_string();
                let path = if path == "." { String::new() } else { path };
                Err(Fault::new(path, error.inner().to_string()))
            }
        }
    }
}
