//! The plugins that come with gatewright, one file each. A new one is a file here and a line in [`ALL`].

use gatewright_sdk::Kind;

/// Every plugin type that configuration may name.
pub const ALL: &[&dyn Kind] = &[];
