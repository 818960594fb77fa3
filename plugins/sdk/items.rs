//! Items of resources, for plugins that look them up: API keys.

use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a plugin looks up in a resource of the configuration. `check` reports names and types that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The name of the resource.
    pub resource: NamedSetting,
    /// The field by whose value an item is found. It must be unique.
    pub key: LookedUp,
    /// The fields that are read.
    pub reads: Vec<LookedUp>,
    /// The field that [`Items::touch`] sets to the current time.
    pub touches: Option<LookedUp>,
}

impl Lookup {
    /// Every field that it names.
    pub fn fields(&self) -> impl Iterator<Item = &LookedUp> {
        std::iter::once(&self.key).chain(&self.reads).chain(&self.touches)
    }
}

/// A name in a plugin's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSetting {
    /// The setting, as in [`crate::Fault::path`].
    pub path: String,
    pub name: String,
}

/// A field of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    pub setting: NamedSetting,
    /// The types that the field may have, as in the configuration; any type if there are none.
    pub types: &'static [&'static str],
    /// What its value becomes, if that is a part of an identity. `check` warns if callers without any permission can set it.
    pub becomes: Option<Becomes>,
}

/// A part of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    Subject,
    /// The claim with this name.
    Claim(String),
}

/// The resources of the configuration that is being installed.
pub trait Resources {
    /// The items that `lookup` finds; `None` if the resource or a field does not exist.
    fn items(&self, lookup: &Lookup) -> Option<Arc<dyn Items>>;
}

/// Items of one resource.
pub trait Items: Send + Sync + 'static {
    /// The item whose key field is exactly `key`: its id and the fields that are read, without those that are null.
    fn find(&self, key: &str) -> Finding;

    /// Sets the field for the time of use, in the background.
    fn touch(&self, key: &str);
}

/// The result of a search.
pub type Found = Result<Option<Map<String, Value>>, ItemsError>;

/// A search.
pub enum Finding {
    /// It is finished.
    Ready(Found),
    /// It takes time.
    Pending(Pin<Box<dyn Future<Output = Found> + Send>>),
}

/// Why items cannot be read now, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsError(pub String);

impl fmt::Display for ItemsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ItemsError {}

/// No resources.
pub struct NoResources;

impl Resources for NoResources {
    fn items(&self, _: &Lookup) -> Option<Arc<dyn Items>> {
        None
    }
}
