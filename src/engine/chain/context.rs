//! What is needed to install a chain.

use gatewright_sdk::items::Resources;
use gatewright_sdk::{Keep, Needs, Place, Services, Stores, Usages};
use std::sync::Arc;

/// What is needed to install a chain.
#[derive(Clone, Copy)]
pub struct InstallContext<'a> {
    pub keep: &'a Keep,
    pub services: &'a Arc<dyn Services>,
    /// The resources of the document.
    pub resources: &'a dyn Resources,
    /// Response headers that scripts may read.
    pub exposed: &'a [String],
    /// Whether plugins may have spans.
    pub probes: bool,
    /// Collects what plugins need to serve requests.
    pub needs: &'a Needs,
    /// The stores that count.
    pub stores: &'a Stores,
    /// Collects what plugins report about limits.
    pub usages: &'a Usages,
}

impl<'a> InstallContext<'a> {
    /// The use of `plugin` that is called `name`.
    pub(super) fn place(&self, name: &'a str, plugin: &'a str) -> Place<'a> {
        let Self { keep, services, resources, exposed, needs, stores, usages, .. } = *self;
        Place { name, plugin, keep, exposed, services, resources, needs, stores, usages }
    }
}
