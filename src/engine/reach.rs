//! What a route leads to, and the path that its target sees.

use crate::config::document::server_url::ServerUrl;
use crate::path;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a route leads to.
pub struct Reach {
    pub targets: Vec<Target>,
    /// The prefix removed from the path before the target sees it.
    pub strip: String,
}

impl Reach {
    /// The path that the target sees for `path`.
    pub fn seen<'p>(&self, path: &'p str) -> &'p str {
        path::without(path, &self.strip)
    }

    /// The path for which the target sees `seen`.
    pub fn below(&self, seen: &str) -> String {
        match seen {
            "/" if !self.strip.is_empty() => self.strip.clone(),
            _ => format!("{}{seen}", self.strip),
        }
    }

    /// Whether both lead to the same target.
    pub fn meets(&self, other: &Self) -> bool {
        other.targets.iter().any(|target| self.targets.contains(target))
    }
}

/// The target of a route. One server is one target, whichever upstreams name it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Server { host: String, port: u16 },
    Resource(String),
    Service(String),
}

impl Target {
    pub fn server(url: &ServerUrl) -> Self {
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let host = match url.ip.map(|address| address.to_canonical()) {
            Some(address) if local.contains(&address) => "localhost".to_owned(),
            Some(address) => address.to_string(),
            None => url.name.trim_end_matches('.').to_ascii_lowercase(),
        };
        Self::Server { host, port: url.port }
    }

    pub const fn word(&self) -> &'static str {
        match self {
            Self::Server { .. } => "server",
            Self::Resource(_) => "resource",
            Self::Service(_) => "service",
        }
    }
}
