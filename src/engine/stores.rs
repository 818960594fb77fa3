//! The stores of a snapshot: identified by file or URL, kept across reloads, migrated before the swap.

use crate::config::document::process::{Durability, Migrate, StoreSpec};
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::config::named::Named;
use crate::counters::tls::{self, Certificates};
use crate::counters::{self, Redis};
use crate::engine::faults::Faults;
use crate::resource::Purge;
use crate::resource::place::Place;
use crate::resource::store::Store;
use crate::resource::table::Table;
use gatewright_sdk::{Counters, Keep, Stores, WithTask};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store and the tables that resources need in it.
pub struct Used {
    /// Its name in the document.
    pub name: Arc<str>,
    pub store: Arc<Store>,
    /// Where its URL points, if a file in the working directory is used instead.
    pub vacant: Option<PathBuf>,
    /// A file in the working directory that is not used, because there is one where the URL points.
    pub unused: Option<StoreUrl>,
    /// What a start or a reload may change in its tables. A database in memory has only those.
    pub migrate: Migrate,
    /// What its confirmed writes survive once the document is accepted.
    pub durability: Durability,
    /// Resource name and table, in document order.
    pub tables: Vec<(String, Table)>,
    /// What removes items that were deleted long ago, and idempotency keys.
    pub purges: Vec<Arc<WithTask<Purge>>>,
}

impl Used {
    /// The store of `spec`, the one that is open already if there is one. `folder` is where relative paths start. `None` for a
    /// kind that is not implemented.
    pub fn new(name: &str, spec: &StoreSpec, folder: &Path, keep: &Keep) -> Option<Self> {
        let Place { url, vacant, unused } = Place::of(&spec.url, folder);
        let store = Store::new(&url)?;
        let store = keep.get_or_make(&format!("store {}", url.key()), || store);
        store.resize(usize::from(spec.pool.unwrap_or_default().max));
        let keeps = spec.url.store != StoreKind::SqliteMemory;
        let migrate = spec.migrate.filter(|_| keeps).unwrap_or_default();
        let durability = spec.durability.unwrap_or_default();
        let (tables, purges) = (Vec::new(), Vec::new());
        Some(Self { name: name.into(), store, vacant, unused, migrate, durability, tables, purges })
    }
}

/// The certificates of Redis stores, by the names of the stores.
pub fn certificates(specs: &Named<StoreSpec>, faults: &mut Faults<'_>) -> HashMap<String, Certificates> {
    let mut all = HashMap::new();
    for (name, spec) in specs.iter() {
        let Some(settings) = &spec.tls else { continue };
        match tls::certificates(settings, faults.sources) {
            Ok(certificates) => drop(all.insert(name.to_owned(), certificates)),
            Err(fault) => faults.add(&format!("stores.{name}.tls"), fault),
        }
    }
    all
}

/// The stores that count.
pub struct Counting {
    /// Each by its name.
    pub redis: BTreeMap<String, Arc<counters::Store>>,
    /// The same for plugins.
    pub stores: Stores,
}

/// The stores that count, the ones that are connected already if they are the same. A new one connects when the snapshot
/// serves.
pub fn counting(specs: &Named<StoreSpec>, certificates: &HashMap<String, Certificates>, keep: &Keep) -> Counting {
    let redis = specs.iter().filter(|(_, spec)| spec.url.store == StoreKind::Redis);
    let kept = redis.filter_map(|(name, spec)| {
        let on_error = spec.on_error.unwrap_or_default();
        let certificates = certificates.get(name);
        // The URL was checked when it was read.
        let made = Redis::new(name, spec.url.expose(), certificates, on_error).ok()?;
        let digest = certificates.map_or("", |certificates| &certificates.digest);
        let key = format!("store {name} {on_error:?} {digest} {}", spec.url.expose());
        let owner = format!("stores.{name}");
        let redis = keep.get_or_begin(&key, || WithTask::new(&owner, made, counters::maintain));
        Some((name.to_owned(), keep.get_or_make(&key, || counters::Store::new(name, redis))))
    });
    let redis: BTreeMap<_, _> = kept.collect();
    let counters =
        |(name, store): (&String, &Arc<counters::Store>)| (name.clone(), Arc::clone(store) as Arc<dyn Counters>);
    let stores = Stores(redis.iter().map(counters).collect());
    Counting { redis, stores }
}
