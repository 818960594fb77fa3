//! Chains that lack what their plugins need, or a limit for stalled responses.

use super::Way;
use crate::config::document::Document;
use crate::config::document::listener::Tls;
use crate::engine::chain::{Plugins, Step};
use crate::engine::faults::Faults;
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{Code, Fault, ScriptHeaders, Traits};
use std::collections::HashSet;

pub(super) fn check(plugins: &Plugins, document: &Document, ways: &[Way<'_>], faults: &mut Faults<'_>) {
    let (mut unbounded, mut unsent, mut unasked) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut early = HashSet::new();
    for way in ways {
        certificates(plugins, document, *way, &mut unasked, faults);
        stalled(plugins, *way, &mut unbounded, faults);
        credentials(plugins, *way, &mut unsent, faults);
        early_ends(plugins, document, *way, &mut early, faults);
    }
}

/// A timeout that responds with 504 while the resource is still at work: what it writes is committed all the same. Reported once
/// for each resource and timeout.
fn early_ends(
    plugins: &Plugins,
    document: &Document,
    way: Way<'_>,
    said: &mut HashSet<(String, String)>,
    faults: &mut Faults<'_>,
) {
    let Some(name) = way.route.resource.as_deref() else { return };
    let Some(spec) = document.resources.get(name) else { return };
    let of_step = |step: &Step| {
        let (traits, at) = plugins.traits(step)?;
        traits.bounds.iter().find_map(|bound| match bound.limit {
            Limit::Head(time) => Some((time, format!("{at}.{}", bound.path))),
            Limit::Body(_) | Limit::Silence(_) => None,
        })
    };
    let of_route = || format!("routes.{}.limits.request_timeout", way.name);
    let shortest = match way.route.limits.request_timeout {
        Some(time) => Some((time, of_route())),
        None => way.steps().filter_map(of_step).min_by_key(|(time, _)| time.get()),
    };
    let Some((time, at)) = shortest.filter(|(time, _)| time.get() < spec.timeout.get()) else { return };
    if !said.insert((name.to_owned(), at.clone())) {
        return;
    }
    let message = format!(
        "`{name}` may work on a request for {}, but a timeout in front of it responds with 504 after {time}: what was written is \
         committed although the client gets an error",
        spec.timeout
    );
    let help = format!("raise the outer timeout, or write a `timeout` of less than {time} in the resource");
    let fault = Fault::new("timeout", message).code(Code::EARLY_TIMEOUT).help(help);
    faults.warn_related(&format!("resources.{name}"), fault, Some((&at, "the timeout is set here".to_owned())));
}

fn bounds_silence(traits: &Traits) -> bool {
    traits.bounds.iter().any(|bound| matches!(bound.limit, Limit::Silence(_)))
}

/// A response of an upstream that nothing aborts when it stalls. Reported once for each listener. A route that excludes
/// the limit from its chain does so on purpose.
fn stalled<'a>(plugins: &Plugins, way: Way<'a>, said: &mut HashSet<&'a str>, faults: &mut Faults<'_>) {
    let proxied = way.route.upstream.is_some() || way.route.split.is_some();
    if !proxied || said.contains(way.listener.0) {
        return;
    }
    let bounded = way.steps().any(|step| plugins.traits(step).is_some_and(|(traits, _)| bounds_silence(traits)));
    let meant = way.route.without.iter().any(|name| plugins.named(name).is_some_and(bounds_silence));
    if bounded || meant {
        return;
    }
    let (listener, name) = (way.listener.0, way.name);
    said.insert(listener);
    let put = match plugins.first(bounds_silence) {
        Some(plugin) => format!("add `{plugin}` to this chain"),
        None => "define a `timeout` plugin and add it to this chain".to_owned(),
    };
    let message = "this chain has no timeout: a stalled upstream can hold a response open forever";
    let help = format!("{put}; its timeouts can be as long as needed");
    let (other, word) = (format!("routes.{name}"), format!("for example, the upstream of route `{name}`"));
    let fault = Fault::new("chain", message).code(Code::NO_TIMEOUT).help(help);
    faults.warn_related(&format!("listeners.{listener}"), fault, Some((&other, word)));
}

/// A plugin that reads client certificates, on a listener that does not request them. Reported once for each listener
/// and plugin.
fn certificates<'a>(
    plugins: &Plugins,
    document: &Document,
    way: Way<'a>,
    said: &mut HashSet<(&'a str, &'a str)>,
    faults: &mut Faults<'_>,
) {
    let (listener, name) = (way.listener.0, way.name);
    let asks = |tls: &Tls| tls.client_auth.is_some();
    if document.listeners.get(listener).and_then(|spec| spec.tls.as_ref()).is_some_and(asks) {
        return;
    }
    for step in way.steps() {
        let reads = plugins.traits(step).filter(|(traits, _)| traits.reads_certificates);
        let (Some((_, at)), plugin) = (reads, step.plugin.as_str()) else { continue };
        if !said.insert((listener, plugin)) {
            continue;
        }
        let message = format!("`{plugin}` finds no client certificate on listener `{listener}`, which requests none");
        let help = "add `client_auth: { mode: optional, ca_file: certs/clients.crt }` to the `tls` of the listener, or \
                    name other `listeners` in the route";
        let fault = Fault::new("", message).code(Code::NO_CLIENT_CERTIFICATES).help(help);
        let (other, word) = (format!("routes.{name}"), format!("for example, on route `{name}`"));
        faults.warn_related(at, fault, Some((&other, word)));
    }
}

/// CORS settings that do not allow the credentials a later plugin needs. Reported once for each pair of plugins.
fn credentials<'a>(plugins: &Plugins, way: Way<'a>, said: &mut HashSet<(&'a str, &'a str)>, faults: &mut Faults<'_>) {
    let refuses =
        || way.steps().any(|s| plugins.traits(s).is_some_and(|(traits, _)| traits.refuses_strangers.is_some()));
    let mut gates: Vec<(&'a str, &str, &ScriptHeaders)> = Vec::new();
    for step in way.steps() {
        let Some((traits, path)) = plugins.traits(step) else { continue };
        let plugin = step.plugin.as_str();
        for &(gate, at, scripts) in &gates {
            let Some(header) = traits.credentials.as_ref().filter(|header| !scripts.has(header)) else { continue };
            // An explicit empty list shows that it is intended.
            let meant = || scripts.names.is_empty() && faults.sources.tree().holds(&format!("{at}.{}", scripts.path));
            if !refuses() || meant() || !said.insert((gate, plugin)) {
                continue;
            }
            let message = format!("`{gate}` does not allow browsers to send `{header}`, which `{plugin}` requires");
            let help =
                format!("add `{header}` to `{}`, or remove `{gate}` from the chains with `{plugin}`", scripts.path);
            let related = Some((path, format!("`{plugin}` is defined here")));
            faults.warn_related(
                at,
                Fault::new(scripts.path, message).code(Code::CORS_CREDENTIAL_HEADER).help(help),
                related,
            );
        }
        gates.extend(traits.script_headers.as_ref().map(|scripts| (plugin, path, scripts)));
    }
}
