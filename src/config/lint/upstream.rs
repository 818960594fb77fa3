//! Judges stores and the targets of upstreams.

use super::Lint;
use http::Uri;
use http::uri::Authority;

impl Lint<'_> {
    pub(super) fn stores(&mut self) {
        const WAYS: &str = "write `sqlite://data/gatewright.db` or `sqlite::memory:`";
        const MEMORY: &str = "write `sqlite::memory:`";
        const PATH: &str = "write the path alone, such as `sqlite://data/gatewright.db`";
        for (name, store) in self.document.stores.iter() {
            // The address may hold a password, so nothing of it is shown.
            let url = store.url.expose();
            let fault = match url.split_once(':') {
                Some(("sqlite", ":memory:")) => None,
                // Other programs write it with slashes, `file:` or options. As a path each connection would have its own.
                Some(("sqlite", rest)) if rest.to_ascii_lowercase().contains(":memory:") => {
                    Some(("the `url` is not how a store in memory is written", MEMORY))
                }
                Some(("sqlite", rest)) => match rest.strip_prefix("//") {
                    Some(path) if path.split('?').next().is_some_and(|path| path.is_empty() || path.ends_with('/')) => {
                        Some(("the `url` names no file", WAYS))
                    }
                    Some(path) if path.starts_with("file:") => Some(("the `url` has `file:` in it", PATH)),
                    Some(_) => None,
                    None => Some(("the `url` is not of the form `sqlite://PATH`", WAYS)),
                },
                // Said by the table of what is not built.
                Some(("postgres" | "postgresql" | "redis" | "rediss", rest))
                    if rest.len() > 2 && rest.starts_with("//") =>
                {
                    None
                }
                _ => Some(("the `url` does not say which kind of store it is", WAYS)),
            };
            if let Some((message, help)) = fault {
                self.error(&format!("stores.{name}.url"), message, help);
            }
        }
    }

    pub(super) fn upstreams(&mut self) {
        for (name, upstream) in self.document.upstreams.iter() {
            for (index, target) in upstream.targets.iter().enumerate() {
                let path = format!("upstreams.{name}.targets[{index}].url");
                let uri = target.url.parse::<Uri>().ok();
                let authority = uri.as_ref().and_then(Uri::authority);
                // `port()` leaves out a port that is not valid, but it is there.
                let odd = |a: &Authority| {
                    a.host().is_empty() || (a.as_str() != a.host() && a.port_u16().is_none_or(|port| port == 0))
                };
                if authority.is_some_and(|authority| authority.as_str().contains('@')) {
                    self.error(&path, "`url` holds a name or password", "take everything before the `@` out");
                } else if authority.is_none_or(odd) {
                    self.error(
                        &path,
                        "`url` is not the address of a server",
                        "write scheme, host and port, such as `http://10.0.1.11:8081`",
                    );
                }
                let same =
                    |other: &str| other.trim_end_matches('/').eq_ignore_ascii_case(target.url.trim_end_matches('/'));
                if upstream.targets.iter().take(index).any(|other| same(&other.url)) {
                    self.warning(&path, "the same target is there twice", "use `weight` to give it a larger share");
                }
            }
        }
    }
}
