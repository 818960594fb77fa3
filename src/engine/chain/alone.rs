//! Plugins that a target uses itself, apart from any chain.

use super::{InstallContext, Plugins, guarded};
use gatewright_sdk::{HttpService, TokenSigner};
use std::sync::Arc;

impl Plugins {
    /// Whether the plugin with this name has no faults.
    pub fn is_usable(&self, name: &str) -> bool {
        self.configured.get(name).is_some_and(|configured| configured.act.is_some())
    }

    /// The signer of the plugin with this name, if it has one.
    pub fn signer(&self, name: &str) -> Option<&Arc<TokenSigner>> {
        self.configured.get(name)?.signer.as_ref()
    }

    /// The plugin with this name in front of `service`, apart from any chain; `None` if there is none, or it panics.
    pub fn install_alone(
        &self,
        plugin: &str,
        place: &str,
        context: &InstallContext<'_>,
        service: HttpService,
    ) -> Option<HttpService> {
        let act = self.configured.get(plugin)?.act.as_ref()?;
        let name = format!("{place}/{plugin}");
        let place = context.place(&name, plugin);
        guarded(|| act.install(&place, |_| Vec::new(), false, service)).ok()
    }
}
