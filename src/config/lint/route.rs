//! Judges routes: one path, one target, and what goes with which.

use super::{Lint, header, path};
use crate::config::document::route::{Redirect, Respond, Route, Share};
use crate::config::location::Location;
use crate::config::named::Named;
use gatewright_sdk::Secret;
use gatewright_sdk::fields::{self, Use};
use http::Method;

impl Lint<'_> {
    pub(super) fn routes(&mut self) {
        for (name, route) in self.document.routes.iter() {
            let at = format!("routes.{name}");
            self.matching(&at, route);
            self.target(&at, route);
            if let (Some(_), Some(path)) = (&route.resource, &route.path) {
                self.collection(&format!("{at}.path"), path);
            }
            if let Some(redirect) = &route.redirect {
                self.redirect(&format!("{at}.redirect"), redirect, route);
            }
            if let Some(respond) = &route.respond {
                self.respond(&format!("{at}.respond"), respond);
            }
            if let Some(shares) = &route.split {
                self.split(&format!("{at}.split"), shares);
            }
            self.proxied(&at, route);
        }
    }

    fn matching(&mut self, at: &str, route: &Route) {
        match (&route.path, &route.path_prefix) {
            (None, None) => {
                self.error(at, "the route says no path", "add `path` for one path, or `path_prefix` for all below it")
            }
            (Some(_), Some(_)) => self.conflict(
                &format!("{at}.path_prefix"),
                &format!("{at}.path"),
                "the route says both `path` and `path_prefix`",
                "choose one, or write two routes",
            ),
            (Some(written), None) => self.judge(&format!("{at}.path"), path::template(written)),
            (None, Some(written)) => self.judge(&format!("{at}.path_prefix"), path::prefix(written)),
        }
        for (index, host) in route.hosts.iter().enumerate() {
            self.judge(&format!("{at}.hosts[{index}]"), path::host(host));
        }
        for (index, method) in route.methods.iter().enumerate() {
            let upper = method.to_ascii_uppercase();
            let fault = match Method::from_bytes(method.as_bytes()) {
                Err(_) => Some("write a method such as `GET`".to_owned()),
                Ok(_) if upper != *method => Some(format!("methods are written in capitals: `{upper}`")),
                Ok(_) => None,
            };
            if let Some(help) = fault {
                self.error(
                    &format!("{at}.methods[{index}]"),
                    format!("`{}` is no method", method.escape_debug()),
                    help,
                );
            }
        }
        self.headers(&format!("{at}.headers"), &route.headers, Use::Read);
    }

    fn headers(&mut self, at: &str, headers: &Named<Secret>, used: Use) {
        for (index, (name, value)) in headers.iter().enumerate() {
            let path = format!("{at}.{name}");
            let fault =
                header::name(name).or_else(|| header::value(value.expose())).or_else(|| fields::refusal(name, used));
            if let Some((message, help)) = fault {
                self.error(&path, message, help);
            }
            if let Some((first, _)) = headers.iter().take(index).find(|(other, _)| other.eq_ignore_ascii_case(name)) {
                let message = format!("`{name}` and `{first}` are one header field");
                self.conflict(&path, &format!("{at}.{first}"), message, "keep one of them");
            }
        }
    }

    fn target(&mut self, at: &str, route: &Route) {
        let targets = [
            ("resource", route.resource.is_some()),
            ("upstream", route.upstream.is_some()),
            ("split", route.split.is_some()),
            ("respond", route.respond.is_some()),
            ("redirect", route.redirect.is_some()),
        ];
        let given: Vec<&str> = targets.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        match given.as_slice() {
            [] => {
                let name = at.strip_prefix("routes.").unwrap_or(at);
                let message = format!("the route `{}` has no target", name.escape_debug());
                self.error(at, message, "add one of `resource`, `upstream`, `split`, `respond`, `redirect`");
            }
            [_] => {}
            [first, second, ..] => {
                let all = given.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                self.conflict(
                    &format!("{at}.{second}"),
                    &format!("{at}.{first}"),
                    format!("the route has several targets: {all}"),
                    "choose one, or write a route for each",
                );
            }
        }
    }

    /// The path of a resource: its items are one segment below it, and `{id}` is theirs.
    fn collection(&mut self, at: &str, written: &str) {
        if path::parameters(written).any(|name| name == "id") {
            let message = "`{id}` is the item of a resource, so its collection cannot have it";
            self.error(at, message, "give the parameter another name: `/t/{tenant}/notes`");
        } else if written.contains("{*") {
            let message = "a path that takes everything below it leaves no place for the items of a resource";
            self.error(at, message, "name the collection: `/t/{tenant}/notes`");
        }
    }

    fn redirect(&mut self, at: &str, redirect: &Redirect, route: &Route) {
        if ![301, 302, 303, 307, 308].contains(&redirect.status) {
            let message = format!("{} is no status of a redirect", redirect.status);
            self.error(&format!("{at}.status"), message, "write 301, 302, 303, 307 or 308");
        }
        if route.path.is_none() && route.path_prefix.is_none() {
            return;
        }
        if let Err((message, help)) = Location::new(&redirect.to, route) {
            self.error(&format!("{at}.to"), message, help);
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
            let message = format!("the answer has several bodies: `{first}` and `{second}`");
            self.conflict(&format!("{at}.{second}"), &format!("{at}.{first}"), message, "choose one");
        }
        if let ([body, ..], 204 | 205 | 304) = (given.as_slice(), respond.status) {
            let message = format!("an answer with status {} has no body", respond.status);
            self.error(&format!("{at}.{body}"), message, "take the body out, or write status 200");
        }
        self.headers(&format!("{at}.headers"), &respond.headers, Use::Response);
    }

    fn split(&mut self, at: &str, shares: &[Share]) {
        if shares.iter().all(|share| share.weight == 0) {
            self.error(at, "no upstream of the `split` has a weight", "give at least one a `weight` of 1 or more");
        }
    }

    fn proxied(&mut self, at: &str, route: &Route) {
        let proxied = route.upstream.is_some() || route.split.is_some();
        for (name, given) in
            [("rewrite", route.rewrite.is_some()), ("mirror", route.mirror.is_some()), ("retry", route.retry.is_some())]
        {
            if given && !proxied {
                self.error(
                    &format!("{at}.{name}"),
                    format!("`{name}` goes with `upstream` or `split` alone"),
                    "take it out",
                );
            }
        }
        let Some(rewrite) = &route.rewrite else { return };
        let strip = &rewrite.strip_prefix;
        let path = format!("{at}.rewrite.strip_prefix");
        if let Some(fault) = path::prefix(strip) {
            return self.judge(&path, Some(fault));
        }
        let taken = route.path.as_deref().or(route.path_prefix.as_deref()).unwrap_or("/");
        let within = strip == "/"
            || taken.strip_prefix(strip.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !within {
            let message = format!("`{strip}` is no beginning of `{taken}`");
            self.error(&path, message, "write whole segments that the route's path begins with");
        }
    }

    fn judge(&mut self, at: &str, fault: Option<path::Fault>) {
        if let Some((message, help)) = fault {
            self.error(at, message, help);
        }
    }
}
