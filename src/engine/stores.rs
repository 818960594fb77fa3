//! The stores of a snapshot: identified by connection string, kept across reloads, migrated before the swap.

use crate::resource::store::Store;
use crate::resource::table::Table;
use std::sync::Arc;

/// A store and the tables that resources need in it.
pub struct Used {
    /// Its name in the document.
    pub name: Arc<str>,
    pub store: Arc<Store>,
    /// Resource name and table, in document order.
    pub tables: Vec<(String, Table)>,
}
