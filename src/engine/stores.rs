//! The stores of a snapshot: identified by file or URL, kept across reloads, migrated before the swap.

use crate::config::document::store_url::StoreUrl;
use crate::resource::place::Place;
use crate::resource::store::Store;
use crate::resource::table::Table;
use gatewright_sdk::Keep;
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
    /// Resource name and table, in document order.
    pub tables: Vec<(String, Table)>,
}

impl Used {
    /// The store at `url`, the one that is open already if there is one. `folder` is where relative paths start. `None` for a
    /// kind that is not implemented.
    pub fn new(name: &str, url: &StoreUrl, folder: &Path, keep: &Keep) -> Option<Self> {
        let Place { url, vacant, unused } = Place::of(url, folder);
        let store = Store::new(&url)?;
        let store = keep.get_or_make(&format!("store {}", url.key()), || store);
        Some(Self { name: name.into(), store, vacant, unused, tables: Vec::new() })
    }
}
