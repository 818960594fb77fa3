//! What becomes of a plugin's settings: what it says of itself, and how it acts.

use crate::fields::NamedField;
use crate::filter::{Authenticate, DynFilter, Identifies};
use crate::limits::Bound;
use crate::{Fault, Filter, HttpService, Place};
use http::HeaderName;
use std::sync::Arc;

/// The capability of a chain once a plugin has proven who asks: `auth.subject` and claims can be used after it.
pub const IDENTITY: &str = "identity";

/// The capability of a chain once a plugin has had another server decide whether the request may pass.
pub const PERMISSION: &str = "permission";

/// A plugin compiled, or what is wrong with its settings. Traits stand beside faults, so that the faults of one plugin hide
/// none of the order of a chain.
#[derive(Default)]
pub struct Compiled {
    pub traits: Traits,
    /// How it acts. It is installed only if there are no faults.
    pub act: Option<Act>,
    /// All that types and schema cannot express.
    pub faults: Vec<Fault>,
    /// What the operator should know, but is no fault.
    pub warnings: Vec<Fault>,
}

/// What a plugin says of itself.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    /// What an earlier plugin of the chain must provide, such as [`IDENTITY`].
    pub requires: &'static [&'static str],
    /// What later plugins may rely on after this one.
    pub provides: &'static [&'static str],
    /// What must not have been demanded yet when a request reaches this plugin. CORS stands before [`IDENTITY`]: a
    /// browser's preflight carries no token.
    pub stands_before: &'static [&'static str],
    /// Whether it refuses requests by how often they come. One that requires or provides something is a guard anyway.
    pub limits: bool,
    /// Whether it answers the preflight requests of browsers itself. A route that does not take OPTIONS is given the
    /// preflights of the methods it takes, where a plugin of its chain answers them.
    pub answers_preflights: bool,
    /// Response headers that a browser's script may read because of this plugin; CORS exposes them by itself.
    pub exposes: Vec<String>,
    /// The header field in which it hands the id of a request to upstreams and clients. Error bodies and the access log
    /// find the id there, and nothing else in the chain may name the field.
    pub request_id_header: Option<HeaderName>,
    /// Fields of responses that this plugin alone decides on: what comes from further inside is replaced or dropped.
    pub owns: Vec<HeaderName>,
    /// Header fields that its settings name. `check` refuses those that another plugin of the chain would undo.
    pub fields: Vec<NamedField>,
    /// What it bounds. `check` warns where something further out has a smaller bound, so that this one means nothing.
    pub bounds: Vec<Bound>,
    /// Whether it refuses requests without credentials: what the operator can do to have them pass, in the words of a help.
    /// `check` warns where something public stands behind it.
    pub refuses_strangers: Option<&'static str>,
    /// The request header that carries the credentials it reads, where nothing else can.
    pub credentials: Option<HeaderName>,
    /// The request headers that it lets scripts of other origins send. `check` warns where one that a plugin behind it reads
    /// credentials from is not among them.
    pub script_headers: Option<ScriptHeaders>,
}

/// The request headers that scripts of other origins may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptHeaders {
    /// The setting, as in [`Fault::path`].
    pub path: &'static str,
    /// In lower case. `*` is every one but `authorization` (the Fetch standard, section 4.10).
    pub names: Vec<String>,
}

impl ScriptHeaders {
    pub fn has(&self, header: &HeaderName) -> bool {
        let any = *header != http::header::AUTHORIZATION && self.names.iter().any(|name| name == "*");
        any || self.names.iter().any(|name| name == header.as_str())
    }
}

impl Traits {
    /// Whether it refuses requests by who asks or how often. The health paths are not put to such a plugin: whether the
    /// gateway lives must not depend on a token or a quota.
    pub const fn guard(&self) -> bool {
        self.limits || self.asks_who()
    }

    /// Whether it asks who is there: it proves an identity, or demands one.
    pub const fn asks_who(&self) -> bool {
        !self.requires.is_empty() || !self.provides.is_empty()
    }
}

/// How a plugin acts, at each place of the configuration where it stands.
pub enum Act {
    /// Decides, and may change what passes.
    Filter(Make<Arc<dyn DynFilter>>),
    /// Proves who asks.
    Identity(Make<Arc<dyn Authenticate>>),
    /// Stands around the rest of the chain, and calls it or does not.
    Layer(Around),
}

/// Makes what acts at one place.
pub type Make<T> = Box<dyn Fn(&Place<'_>) -> T + Send + Sync>;

/// Puts something in front of a service, at one place.
pub type Around = Box<dyn Fn(&Place<'_>, HttpService) -> HttpService + Send + Sync>;

impl Act {
    /// In front of `next`, in the name of `place`.
    pub fn install(&self, place: &Place<'_>, next: HttpService) -> HttpService {
        match self {
            Self::Filter(make) => make(place).seat(place.name.into(), next),
            Self::Identity(make) => Arc::new(Identifies(make(place))).seat(place.name.into(), next),
            Self::Layer(layer) => layer(place, next),
        }
    }
}

impl Compiled {
    /// A plugin that acts by the same filter wherever it stands.
    pub fn filter(filter: impl Filter) -> Self {
        let filter = Arc::new(filter);
        Self::acts(Act::Filter(Box::new(move |_| Arc::clone(&filter) as Arc<dyn DynFilter>)))
    }

    /// A plugin whose filter has something of its own at each place: state, a counter.
    pub fn filter_at<F: Filter>(make: impl Fn(&Place<'_>) -> F + Send + Sync + 'static) -> Self {
        Self::acts(Act::Filter(Box::new(move |place| Arc::new(make(place)))))
    }

    /// A plugin that proves who asks. It provides an [`IDENTITY`].
    pub fn identity<A: Authenticate>(make: impl Fn(&Place<'_>) -> Arc<A> + Send + Sync + 'static) -> Self {
        let mut compiled = Self::acts(Act::Identity(Box::new(move |place| make(place))));
        compiled.traits.provides = &[IDENTITY];
        compiled
    }

    /// A plugin that stands around the rest of the chain: it calls `next`, as often and as late as it likes, or not.
    pub fn layer(layer: impl Fn(&Place<'_>, HttpService) -> HttpService + Send + Sync + 'static) -> Self {
        Self::acts(Act::Layer(Box::new(layer)))
    }

    fn acts(act: Act) -> Self {
        Self { act: Some(act), ..Self::default() }
    }

    /// With what the plugin says of itself.
    #[must_use]
    pub fn traits(mut self, traits: Traits) -> Self {
        self.traits = traits;
        self
    }

    /// With more faults; none is as good as none.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// With more warnings.
    #[must_use]
    pub fn warnings(mut self, warnings: impl IntoIterator<Item = Fault>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// Settings that cannot be used.
impl From<Vec<Fault>> for Compiled {
    fn from(faults: Vec<Fault>) -> Self {
        Self::default().faults(faults)
    }
}

/// Settings that cannot be used.
impl From<Fault> for Compiled {
    fn from(fault: Fault) -> Self {
        vec![fault].into()
    }
}
