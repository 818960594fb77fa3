//! Checks whether another plugin of the chain overwrites the header fields that a plugin's settings name.

use super::{Plugins, Step};
use crate::config::document::route::Route;
use crate::engine::faults::Faults;
use gatewright_sdk::fields::{NamedField, Use, refusal};
use gatewright_sdk::{Code, Fault, Traits};
use http::HeaderName;
use std::collections::HashSet;

impl Plugins {
    /// The request fields that plugins assert, except those from which a plugin reads credentials.
    pub fn asserted_fields(&self) -> HashSet<HeaderName> {
        let all = || self.all().map(|(_, traits, _)| traits);
        let proves = all().filter(|traits| !traits.provides.is_empty());
        let reads = |traits: &Traits, name: &HeaderName| {
            let read = traits.fields.iter().filter(|field| field.used == Use::Read);
            traits.credentials.as_ref() == Some(name) || read.into_iter().any(|field| field.name == *name)
        };
        let readers: Vec<&Traits> = proves.collect();
        let asserted = all().flat_map(|traits| &traits.asserts);
        asserted.filter(|name| !readers.iter().any(|traits| reads(traits, name))).cloned().collect()
    }

    /// Reports header fields named by one of `steps`, or by the fixed response behind them, that belong to another
    /// step.
    pub(super) fn check_fields(
        &self,
        steps: &[Step],
        route: Option<(&str, &Route)>,
        reported: &mut HashSet<String>,
        faults: &mut Faults<'_>,
    ) {
        for (position, step) in steps.iter().enumerate() {
            let Some(configured) = self.get(step) else { continue };
            for field in &configured.traits.fields {
                self.check_field(steps, position, &configured.path, field, reported, faults);
            }
        }
        let Some((name, route)) = route else { return };
        for header in route.respond.iter().flat_map(|respond| respond.headers.iter()) {
            // Already reported when the file was checked.
            if refusal(&header.written, Use::Response).is_some() {
                continue;
            }
            let path = format!("headers.{}", header.written);
            let field = NamedField { path, name: header.name.clone(), used: Use::Response };
            self.check_field(steps, steps.len(), &format!("routes.{name}.respond"), &field, reported, faults);
        }
    }

    /// `position` is the index in `steps` of the settings at `base` that name `field`.
    fn check_field(
        &self,
        steps: &[Step],
        position: usize,
        base: &str,
        field: &NamedField,
        reported: &mut HashSet<String>,
        faults: &mut Faults<'_>,
    ) {
        for (place, step) in steps.iter().enumerate() {
            let Some(other) = self.get(step) else { continue };
            let (name, around) = (&field.name, place < position);
            let fault = if other.traits.request_id_header.as_ref() == Some(name) {
                match field.used {
                    Use::Read if !around => continue,
                    Use::Read => format!("`{}` runs earlier and removes `{name}` from requests", step.plugin),
                    _ => format!("`{name}` contains the request id that `{}` sets", step.plugin),
                }
            } else if around && matches!(field.used, Use::Response | Use::Removal) && other.traits.owns.contains(name) {
                format!("`{}` sets `{name}` later and would overwrite this change", step.plugin)
            } else {
                continue;
            };
            if reported.insert(format!("{base} {} {}", field.path, step.plugin)) {
                let help = match field.used {
                    Use::Read => format!("use another header as the key, or move this plugin before `{}`", step.plugin),
                    _ if around => format!("remove it, or change `{}`", step.plugin),
                    _ => format!("remove it, or choose another header for `{}`", step.plugin),
                };
                let fault = Fault::new(&*field.path, fault).code(Code::CONTESTED_HEADER).help(help);
                faults.add_related(base, fault, step.here());
            }
        }
    }
}
