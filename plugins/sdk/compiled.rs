//! The result of compiling a plugin's settings: its traits and its behavior.

use crate::authenticate::{AnyOf, Authenticate, Identifies};
use crate::contract::Contract;
use crate::fields::NamedField;
use crate::filter::DynFilter;
use crate::items::Lookup;
use crate::limits::Bound;
use crate::{Fault, Filter, HttpService, Place, TokenSigner};
use http::{HeaderName, Method};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The capability of a chain once a plugin has verified an identity: `auth.subject` and claims can be used after it.
pub const IDENTITY: &str = "identity";

/// The capability of a chain once a plugin has asked another server whether the request may pass.
pub const PERMISSION: &str = "permission";

/// A compiled plugin, or the faults in its settings. Traits are present even if there are faults, so that the order of
/// a chain can still be checked.
#[derive(Default)]
pub struct Compiled {
    pub traits: Traits,
    /// How it acts. Installed only if there are no faults.
    pub act: Option<Act>,
    /// Everything that types and the schema cannot express.
    pub faults: Vec<Fault>,
    /// What the operator should know, but is not a fault.
    pub warnings: Vec<Fault>,
    /// Signs tokens that it accepts, if it has a key for that. Routes with `sign_in` use it.
    pub signer: Option<Arc<TokenSigner>>,
}

/// The properties of a plugin that the engine needs to know.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    /// What an earlier plugin of the chain must provide, such as [`IDENTITY`].
    pub requires: &'static [&'static str],
    /// The same for a plugin that rejects nothing without it: `headers` that forwards the identity.
    pub uses: &'static [&'static str],
    /// What later plugins may rely on after this one.
    pub provides: &'static [&'static str],
    /// What no earlier plugin may have required. CORS comes before [`IDENTITY`], because a browser's preflight carries
    /// no token.
    pub stands_before: &'static [&'static str],
    /// Whether it rejects requests by rate. A plugin that requires or provides something counts as a guard anyway.
    pub limits: bool,
    /// The store it counts in, and the setting that names it. `check` reports a store that does not exist or cannot
    /// count.
    pub counts_in: Option<StoreUse>,
    /// Whether it rejects requests by where they come from, such as the address of the client.
    pub restricts: bool,
    /// Whether it handles CORS preflights. A route that does not accept OPTIONS still receives preflights for its
    /// methods if a plugin of its chain handles them.
    pub answers_preflights: bool,
    /// Response headers that this plugin adds for scripts in browsers; CORS exposes them automatically.
    pub exposes: Vec<String>,
    /// The header field in which it passes the request id to upstreams and clients. Error bodies and the access log
    /// read the id from there, and nothing else in the chain may use the field.
    pub request_id_header: Option<HeaderName>,
    /// Response fields that this plugin alone controls: values from further inside are replaced or dropped.
    pub owns: Vec<HeaderName>,
    /// Header fields that its settings name. `check` rejects those that another plugin of the chain would overwrite.
    pub fields: Vec<NamedField>,
    /// The names of its templates that must be parameters of the routes it runs on: see [`crate::Template`].
    pub placeholders: Vec<NamedPlaceholder>,
    /// The items of a resource that it reads: see [`Place::resources`].
    pub lookup: Option<Lookup>,
    /// The claims by which it decides about requests, by name. `check` warns if callers can choose them.
    pub decides_by: Vec<String>,
    /// Whether it decides about every request, also about those without credentials.
    pub decides_always: bool,
    /// What it limits. `check` warns if a smaller outer limit makes this one ineffective.
    pub bounds: Vec<Bound>,
    /// If it rejects requests without credentials: how the operator can let them pass, as the text of a help. `check`
    /// warns if something public is behind it.
    pub refuses_strangers: Option<&'static str>,
    /// Whether it identifies callers, but lets requests without credentials pass.
    pub admits_strangers: bool,
    /// Request header fields that upstreams may trust because only this plugin sets them. Every listener removes them
    /// from the requests of clients, also on routes without this plugin, unless a plugin reads credentials from them.
    pub asserts: Vec<HeaderName>,
    /// Whether it reads the certificates of clients. `check` warns if a listener does not request them.
    pub reads_certificates: bool,
    /// The issuers whose tokens it accepts. Each chooses the subjects of its tokens.
    pub issuers: Vec<String>,
    /// The issuers whose callers it lets pass, if it compares them: it rejects all others.
    pub admits_issuers: Option<BTreeSet<String>>,
    /// Whether it decides by the subject of callers, and not by who has issued it. `check` warns if several issuers do.
    pub compares_subject: bool,
    /// The methods with which callers pass who have no role, scope or claim that others lack; `None` if those are all methods.
    pub open_methods: Option<Vec<Method>>,
    /// The only request header from which it reads credentials, if there is just one.
    pub credentials: Option<HeaderName>,
    /// The request headers that it lets scripts of other origins send. `check` warns if a later plugin reads
    /// credentials from a header that is not among them.
    pub script_headers: Option<ScriptHeaders>,
    /// What clients must know of it.
    pub contract: Contract,
}

/// A store that a plugin uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUse {
    /// The setting, as in [`Fault::path`].
    pub path: &'static str,
    pub name: String,
}

/// A placeholder in a plugin's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPlaceholder {
    /// The setting, as in [`Fault::path`].
    pub path: String,
    pub name: String,
}

/// The request headers that scripts of other origins may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptHeaders {
    /// The setting, as in [`Fault::path`].
    pub path: &'static str,
    /// In lower case. `*` is every header except `authorization` (the Fetch standard, section 4.10).
    pub names: Vec<String>,
}

impl ScriptHeaders {
    pub fn has(&self, header: &HeaderName) -> bool {
        let any = *header != http::header::AUTHORIZATION && self.names.iter().any(|name| name == "*");
        any || self.names.iter().any(|name| name == header.as_str())
    }
}

impl Traits {
    /// Whether it rejects requests by identity, rate or origin. The health paths skip such plugins: health must not depend
    /// on a token or a quota.
    pub const fn guard(&self) -> bool {
        self.limits || self.protects()
    }

    /// Whether a way around it is a hole: it proves an identity or requires one, or rejects requests by where they come
    /// from.
    pub const fn protects(&self) -> bool {
        self.restricts || !self.requires.is_empty() || !self.provides.is_empty()
    }
}

/// How a plugin acts, at each place where the configuration uses it.
pub enum Act {
    /// Decides about requests, and may change requests and responses.
    Filter(Make<Arc<dyn DynFilter>>),
    /// Authenticates requests.
    Identity(Make<Arc<dyn Authenticate>>),
    /// Authenticates requests with one of the configured plugins that have these names.
    AnyOf(Vec<String>),
    /// Wraps the rest of the chain, and may call it or not.
    Layer(Around),
}

/// Creates the instance for one place.
pub type Make<T> = Box<dyn Fn(&Place<'_>) -> T + Send + Sync>;

/// Wraps a service, at one place.
pub type Around = Box<dyn Fn(&Place<'_>, HttpService) -> HttpService + Send + Sync>;

impl Act {
    /// Whether it decides about requests, so that it can observe instead.
    pub const fn decides(&self) -> bool {
        !matches!(self, Self::Layer(_))
    }

    /// Installs it in front of `next` at `place`. `members` returns the members of an [`Act::AnyOf`] with these names,
    /// each at its own place. With `observes` it only observes; a layer, which cannot, is left out.
    pub fn install(
        &self,
        place: &Place<'_>,
        members: impl FnOnce(&[String]) -> Vec<(Arc<str>, Arc<dyn Authenticate>)>,
        observes: bool,
        next: HttpService,
    ) -> HttpService {
        let filter = match self {
            Self::Filter(make) => make(place),
            Self::Identity(make) => Arc::new(Identifies::new(make(place))),
            Self::AnyOf(names) => Arc::new(Identifies::new(Arc::new(AnyOf::new(&members(names))))),
            Self::Layer(_) if observes => return next,
            Self::Layer(layer) => return layer(place, next),
        };
        if observes { filter.observe(place.observed(), next) } else { filter.seat(place.name.into(), next) }
    }
}

impl Compiled {
    /// A plugin with the same filter at every place.
    pub fn filter(filter: impl Filter) -> Self {
        let filter = Arc::new(filter);
        Self::acts(Act::Filter(Box::new(move |_| Arc::clone(&filter) as Arc<dyn DynFilter>)))
    }

    /// A plugin with a separate filter at each place, for example with its own state or counter.
    pub fn filter_at<F: Filter>(make: impl Fn(&Place<'_>) -> F + Send + Sync + 'static) -> Self {
        Self::acts(Act::Filter(Box::new(move |place| Arc::new(make(place)))))
    }

    /// A plugin that authenticates requests. It provides [`IDENTITY`].
    pub fn identity<A: Authenticate>(make: impl Fn(&Place<'_>) -> Arc<A> + Send + Sync + 'static) -> Self {
        let mut compiled = Self::acts(Act::Identity(Box::new(move |place| make(place))));
        compiled.traits.provides = &[IDENTITY];
        compiled
    }

    /// A plugin that wraps the rest of the chain: it may call `next` any number of times, at any time, or not at all.
    pub fn layer(layer: impl Fn(&Place<'_>, HttpService) -> HttpService + Send + Sync + 'static) -> Self {
        Self::acts(Act::Layer(Box::new(layer)))
    }

    fn acts(act: Act) -> Self {
        Self { act: Some(act), ..Self::default() }
    }

    /// Sets the traits.
    #[must_use]
    pub fn traits(mut self, traits: Traits) -> Self {
        self.traits = traits;
        self
    }

    /// Adds faults; an empty list changes nothing.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// Adds warnings.
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
