//! Checks routes: one path, one target, and valid combinations.

use super::Lint;
use super::circle;
use crate::config::diagnostic::Diagnostic;
use crate::config::document::fields::Fields;
use crate::config::document::route::{Redirect, Respond, RetryOn, Route, Share, Target};
use crate::config::location::Location;
use crate::config::rewriting::Rewriting;
use crate::config::{pending, words};
use crate::path::{self, Doubt, Doubts, PathTemplate};
use gatewright_sdk::fields::{self, Use};
use gatewright_sdk::{Code, RequestMethod};

/// The usual methods.
const COMMON: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The registered methods (RFC 9110 section 16.1.1), except those that are never served.
const REGISTERED: [&str; 37] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

impl Lint<'_> {
    pub(super) fn routes(&mut self) {
        for (name, route) in self.document.routes.iter() {
            let at = format!("routes.{name}");
            let pathless = self.pathless.contains(name);
            self.matching(&at, route, pathless);
            self.target(&at, route);
            if let (Some(_), Some(path), false) = (&route.resource, &route.path, pathless) {
                self.collection(&format!("{at}.path"), path);
            }
            self.under(&at, route);
            if route.sign_in.is_some() && !pathless {
                self.sign_in_path(&at, route);
            }
            if let Some(redirect) = &route.redirect {
                self.redirect(&format!("{at}.redirect"), redirect, route, pathless);
            }
            if let Some(respond) = &route.respond {
                self.respond(&format!("{at}.respond"), respond);
            }
            if let Some(shares) = &route.split {
                self.split(&format!("{at}.split"), shares);
            }
            self.proxied(&at, route, pathless);
            let limits = &route.limits;
            self.queue(&at, limits.concurrency, [limits.queue.is_some(), limits.queue_timeout.is_some()]);
        }
    }

    fn matching(&mut self, at: &str, route: &Route, pathless: bool) {
        match (&route.path, &route.path_prefix) {
            (None, None) => {
                let help = "add `path: /orders`, or `path_prefix: /orders` to also match everything below it";
                self.error(Code::ROUTE_PATH, at, "the route has no path", help)
            }
            (Some(_), Some(_)) => self.conflict(
                Code::ROUTE_PATH,
                (&format!("{at}.path_prefix"), &format!("{at}.path")),
                "the route has both `path` and `path_prefix`",
                "keep one of them, or write a separate route for each",
            ),
            _ if pathless => {}
            (Some(path), None) => self.doubtful(&format!("{at}.path"), path, path.doubts(), route),
            (None, Some(prefix)) => self.doubtful(&format!("{at}.path_prefix"), prefix, prefix.doubts(), route),
        }
        for (index, method) in route.methods.iter().enumerate() {
            self.method(&format!("{at}.methods[{index}]"), method);
        }
        self.headers(&format!("{at}.headers"), &route.headers, Use::Read);
    }

    /// Reports a path whose requests are rejected on every listener.
    fn doubtful(&mut self, at: &str, path: &str, doubts: Doubts, route: &Route) {
        if doubts.is_empty() {
            return;
        }
        let allowed: Vec<Doubts> = match &route.paths {
            Some(paths) => vec![paths.allowed()],
            None => self.document.listeners.iter().map(|(_, listener)| listener.paths.allowed()).collect(),
        };
        let left = allowed.iter().map(|allowed| doubts.without(*allowed)).min_by_key(|left| left.iter().count());
        if let Some(message) = left.and_then(|left| path::refused(path, left)) {
            let words = doubts.iter().map(Doubt::word).collect::<Vec<_>>().join(", ");
            let help = format!("change the path, or add `paths: {{ allow: [{words}] }}` to this route");
            self.error(Code::REFUSED_PATH, at, message, help);
        }
    }

    /// Warns of a method that is probably misspelled.
    fn method(&mut self, at: &str, method: &RequestMethod) {
        let method = method.as_str();
        let near = || words::nearest(method, &COMMON).or_else(|| words::nearest(method, &REGISTERED));
        if !REGISTERED.contains(&method)
            && let Some(near) = near()
        {
            let message = format!("`{method}` is not a standard HTTP method");
            self.warning(Code::UNREGISTERED_METHOD, at, message, format!("did you mean `{near}`?"));
        }
    }

    fn headers(&mut self, at: &str, headers: &Fields, used: Use) {
        for (index, field) in headers.iter().enumerate() {
            let (name, path) = (&field.written, format!("{at}.{}", field.written));
            if let Some((message, help)) = fields::refusal(name, used) {
                self.error(Code::MANAGED_HEADER, &path, message, help);
            }
            if let Some(first) = headers.iter().take(index).find(|other| other.name == field.name) {
                let first = &first.written;
                let message = format!("`{name}` and `{first}` are the same header");
                self.conflict(Code::DUPLICATE_HEADER, (&path, &format!("{at}.{first}")), message, "keep one of them");
            }
        }
    }

    fn target(&mut self, at: &str, route: &Route) {
        let given: Vec<&str> = route.targets().map(Target::key).collect();
        match given.as_slice() {
            [] => {
                let name = at.strip_prefix("routes.").unwrap_or(at);
                let message = format!("route `{}` has no target", name.escape_debug());
                let known = Target::KEYS.iter().filter(|key| !pending::is_pending(&format!("routes.*.{key}")));
                let known: Vec<&str> = known.copied().collect();
                self.error(Code::NO_TARGET, at, message, format!("add one of {}", words::list(&known)));
            }
            [_] => {}
            [first, second, ..] => {
                let all = given.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                self.conflict(
                    Code::SEVERAL_TARGETS,
                    (&format!("{at}.{second}"), &format!("{at}.{first}")),
                    format!("the route has more than one target: {all}"),
                    "keep one of them, or define a route for each",
                );
            }
        }
    }

    /// The path of a resource: its items are one segment below it, with their own `{id}`.
    fn collection(&mut self, at: &str, path: &PathTemplate) {
        if path.parameters().any(|name| name == "id") {
            let message = "`{id}` is reserved for the item ID and not allowed in the path of a collection";
            self.error(
                Code::COLLECTION_PATH,
                at,
                message,
                "use the path of the collection, such as `/notes`: its items are served at `/notes/{id}`",
            );
        } else if path.takes_rest() {
            let message = "the path of a resource must not end in a catch-all parameter";
            let help = "remove the last segment, as in `/t/{tenant}/notes`";
            self.error(Code::COLLECTION_PATH, at, message, help);
        } else if let Some(usual) = path.strip_suffix('/').filter(|usual| !usual.is_empty()) {
            let message = format!("the path of the resource ends with a slash, so `{usual}` returns 404");
            self.warning(Code::COLLECTION_PATH, at, message, format!("write `{usual}`"));
        }
    }

    /// The path of a sign-in: its addresses are one segment below it.
    fn sign_in_path(&mut self, at: &str, route: &Route) {
        match (&route.path, &route.path_prefix) {
            (None, Some(prefix)) => {
                let help =
                    format!("write `path: {prefix}`: the sign-in is served at `{prefix}/login` and others below");
                self.error(Code::COLLECTION_PATH, &format!("{at}.path_prefix"), "a sign-in requires `path`", help);
            }
            (Some(path), _) if path.takes_rest() => {
                let message = "the path of a sign-in must not end in a catch-all parameter";
                self.error(Code::COLLECTION_PATH, &format!("{at}.path"), message, "write a path such as `/api/auth`");
            }
            _ => {}
        }
        if !route.methods.is_empty() {
            let help = "remove it: each address of a sign-in accepts only its own method";
            let message = "`methods` would make a part of the sign-in unreachable";
            self.error(Code::SIGN_IN, &format!("{at}.methods"), message, help);
        }
    }

    fn redirect(&mut self, at: &str, redirect: &Redirect, route: &Route, pathless: bool) {
        if ![301, 302, 303, 307, 308].contains(&redirect.status) {
            let message = format!("{} is not a redirect status", redirect.status);
            let help = "write 301, 302, 303, 307 or 308";
            self.error(Code::REDIRECT, &format!("{at}.status"), message, help);
        }
        if redirect.scheme.is_some() && !redirect.to.origin.is_empty() {
            let message = "`to` has a scheme and a host, so `scheme` has no effect";
            self.error(
                Code::REDIRECT,
                &format!("{at}.scheme"),
                message,
                "write only the path in `to`, or remove `scheme`",
            );
        } else if redirect.scheme.is_none() && redirect.port.is_some() {
            let help = "add `scheme: https`, or write the whole URL in `to`";
            self.error(Code::REDIRECT, &format!("{at}.port"), "`port` requires `scheme`", help);
        }
        if pathless || (route.path.is_none() && route.path_prefix.is_none()) {
            return;
        }
        if let Err(fault) = Location::new(&redirect.to, route) {
            self.push(Diagnostic::fault(&format!("{at}.to"), fault));
        } else if circle::leads_to_itself(redirect, route) {
            let help = "write another path, `scheme: https` to change only the scheme, or the whole URL in `to`";
            self.error(Code::REDIRECT, &format!("{at}.to"), "the redirect leads to itself", help);
        }
    }

    fn respond(&mut self, at: &str, respond: &Respond) {
        let bodies = [
            ("json", respond.json.is_some()),
            ("text", respond.text.is_some()),
            ("body_file", respond.body_file.is_some()),
        ];
        let given: Vec<&str> = bodies.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if let [first, second, ..] = given.as_slice() {
            let message = format!("the response has more than one body: `{first}` and `{second}`");
            let places = (&*format!("{at}.{second}"), &*format!("{at}.{first}"));
            self.conflict(Code::RESPONSE_BODY, places, message, "keep one of them");
        }
        if let ([body, ..], 204 | 205 | 304) = (given.as_slice(), respond.status) {
            let message = format!("a response with status {} must not have a body", respond.status);
            let help = format!("remove `{body}`, or write `status: 200`");
            self.error(Code::RESPONSE_BODY, &format!("{at}.{body}"), message, help);
        }
        self.headers(&format!("{at}.headers"), &respond.headers, Use::Response);
    }

    fn split(&mut self, at: &str, shares: &[Share]) {
        if shares.iter().all(|share| share.weight == 0) {
            let help = "set `weight` to 1 or more on at least one of them";
            self.error(Code::ZERO, at, "all upstreams in `split` have weight 0", help);
        }
        for (index, share) in shares.iter().enumerate() {
            if let Some(first) = shares.iter().take(index).position(|other| other.upstream == share.upstream) {
                let message = format!("`{}` is in `split` twice", share.upstream);
                let places = (&*format!("{at}[{index}]"), &*format!("{at}[{first}]"));
                self.conflict(Code::SPLIT, places, message, "keep one of them, with the sum of the weights");
            }
        }
    }

    fn proxied(&mut self, at: &str, route: &Route, pathless: bool) {
        let proxied = route.upstream.is_some() || route.split.is_some();
        let keys = [
            ("rewrite", route.rewrite.is_some()),
            ("mirror", route.mirror.is_some()),
            ("retry", route.retry.is_some()),
            ("upgrades", route.upgrades.is_some()),
        ];
        for (name, given) in keys {
            if given && !proxied {
                let message = format!("`{name}` works only with `upstream` or `split`");
                self.error(Code::NEEDS_UPSTREAM, &format!("{at}.{name}"), message, "remove it");
            }
        }
        if route.described_by().is_some() && !proxied {
            let message = "a file for `openapi` works only with `upstream` or `split`";
            let help = "remove it, or write `openapi: {}` to serve the description of this API";
            self.error(Code::NEEDS_UPSTREAM, &format!("{at}.openapi"), message, help);
        }
        if route.sticky.is_some() && route.split.is_none() {
            let message = "`sticky` works only with `split`";
            self.error(Code::SPLIT, &format!("{at}.sticky"), message, "remove it, or replace `upstream` with `split`");
        }
        if let Some(retry) = &route.retry
            && retry.per_try_timeout.is_some()
            && !retry.retry_on.contains(&RetryOn::Timeout)
        {
            let message = "no other try follows when `per_try_timeout` ends one";
            let help = "add `timeout` to `retry_on`: `retry_on: [connect_failure, reset, timeout]`";
            self.warning(Code::RETRY_TIMEOUT, &format!("{at}.retry.per_try_timeout"), message, help);
        }
        let Some(rewrite) = &route.rewrite else { return };
        if !pathless
            && (route.path.is_some() || route.path_prefix.is_some())
            && let Err(fault) = Rewriting::new(rewrite, route)
        {
            self.push(Diagnostic::fault(&format!("{at}.rewrite"), fault));
        }
        let Some(strip) = &rewrite.strip_prefix else { return };
        let taken = route.path.as_deref().or(route.path_prefix.as_deref()).unwrap_or("/");
        let within = pathless || **strip == *"/" || path::strip(taken, strip).is_some();
        if !within {
            let message = format!("the path of the route (`{taken}`) does not start with `{strip}`");
            let help = "use whole segments from the start of the route's path";
            self.error(Code::STRIP_PREFIX, &format!("{at}.rewrite.strip_prefix"), message, help);
        }
    }
}
