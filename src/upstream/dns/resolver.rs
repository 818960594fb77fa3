//! Looks up the addresses of a name: in `/etc/hosts`, then in DNS with the search domains of `/etc/resolv.conf`.

use crate::config::document::dns::{Dns, IpVersion, PORT};
use crate::upstream::broken::describe_io;
use gatewright_sdk::HumanDuration;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, Resolver as Client, TokioResolver};
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The files that decide how names are looked up. They are read again when they change.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The addresses of a name, and how long they are valid.
pub(super) struct Found {
    pub addresses: Vec<IpAddr>,
    pub ttl: Duration,
    /// The full name that has them.
    pub name: Name,
}

impl Found {
    /// `None` if `records` contain no addresses.
    fn new(name: &Name, records: &[Record]) -> Option<Self> {
        let mut addresses: Vec<_> = records.iter().filter_map(|record| record.data.ip_addr()).collect();
        addresses.retain(|address| !address.is_unspecified());
        addresses.sort_unstable();
        addresses.dedup();
        // Aliases (CNAME) have a TTL too.
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        (!addresses.is_empty()).then(|| Self { addresses, ttl: Duration::from_secs(ttl.into()), name: name.clone() })
    }

    /// Whether packets to any of the addresses would leave this host. Sends none.
    fn has_route(&self) -> bool {
        self.addresses.iter().any(|address| {
            let v4 = address.is_ipv4();
            let any: IpAddr = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((*address, 9)).is_ok())
        })
    }
}

/// Looks names up with one set of settings. Kept across reloads.
pub(in crate::upstream) struct Resolver {
    settings: Dns,
    client: Mutex<Option<(Stamps, Configured)>>,
}

/// When each of [`FILES`] was changed.
type Stamps = [Option<SystemTime>; 2];

/// A client for the servers and search domains of one state of the files.
#[derive(Clone)]
struct Configured {
    /// A client for each server. One client for all would not ask the second one if the first one fails or is silent.
    servers: Arc<[(SocketAddr, TokioResolver)]>,
    search: Vec<Name>,
    /// Names with at least this many dots are tried as they are first.
    dots: usize,
    timeout: HumanDuration,
    hosts: Arc<Hosts>,
}

impl Resolver {
    pub fn new(settings: &Dns) -> Self {
        Self { settings: settings.clone(), client: Mutex::new(None) }
    }

    /// The addresses of `host`. `last` is the full name that had them last time.
    ///
    /// # Errors
    /// Why there are none, for the log.
    pub(super) async fn look_up(&self, host: &str, last: Option<&Name>) -> Result<Found, String> {
        let configured = self.configured()?;
        if let Some(found) = self.choose(|kind| std::future::ready(Ok(configured.in_hosts(host, kind)))).await? {
            return Ok(found);
        }
        let mut failed = None;
        for name in configured.candidates(host)? {
            // A failure for one search domain must not lead to another server with the same short name.
            if failed.is_some() && last.is_some_and(|last| *last != name) {
                continue;
            }
            match self.choose(|kind| configured.in_dns(&name, kind)).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| "the name does not exist or has no addresses".to_owned()))
    }

    /// The addresses of the preferred version of IP that `find` finds, or those of the other one.
    ///
    /// Not both at once: if the query for one version fails, the addresses of the other must not replace those in use.
    async fn choose<F: Future<Output = Result<Option<Found>, String>>>(
        &self,
        find: impl Fn(RecordType) -> F,
    ) -> Result<Option<Found>, String> {
        let (first, second) = match self.settings.prefer {
            IpVersion::Ipv4 => (RecordType::A, RecordType::AAAA),
            IpVersion::Ipv6 => (RecordType::AAAA, RecordType::A),
        };
        let preferred = find(first).await?;
        if preferred.as_ref().is_some_and(Found::has_route) {
            return Ok(preferred);
        }
        let other = find(second).await;
        if preferred.is_none() || other.as_ref().is_ok_and(|other| other.as_ref().is_some_and(Found::has_route)) {
            return other;
        }
        Ok(preferred)
    }

    /// The client for the current state of the files.
    fn configured(&self) -> Result<Configured, String> {
        let stamps = FILES.map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok());
        let mut client = self.client.lock();
        if let Some((_, configured)) = client.as_ref().filter(|(then, _)| *then == stamps) {
            return Ok(configured.clone());
        }
        let configured = self.configure()?;
        *client = Some((stamps, configured.clone()));
        Ok(configured)
    }

    fn configure(&self) -> Result<Configured, String> {
        // Without a usable file, the C library asks the local server, too.
        let usual = || {
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            (ResolverConfig::from_parts(None, Vec::new(), vec![local]), ResolverOpts::default())
        };
        let (system, mut options) = read_system_conf().unwrap_or_else(|_| usual());
        let search = match system.domain() {
            Some(domain) if system.search().is_empty() => vec![domain.clone()],
            _ => system.search().to_vec(),
        };
        let servers = if self.settings.servers.is_empty() {
            system.name_servers().to_vec()
        } else {
            self.settings.servers.iter().map(|server| at(server.0)).collect()
        };
        let dots = options.ndots;
        options.timeout = self.settings.timeout.get();
        // A query is sent again within that time.
        options.attempts = 0;
        // The task of each name remembers its addresses.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        let client = |server: NameServerConfig| {
            let address = SocketAddr::new(server.ip, server.connections.first().map_or(PORT, |to| to.port));
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let client = Client::builder_with_config(config, TokioRuntimeProvider::default());
            Ok((address, client.with_options(options.clone()).build().map_err(|error| error.to_string())?))
        };
        let servers = servers.into_iter().map(client).collect::<Result<_, String>>()?;
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Ok(Configured { servers, search, dots, timeout: self.settings.timeout, hosts })
    }
}

impl Configured {
    /// The addresses of `host` in `/etc/hosts`.
    fn in_hosts(&self, host: &str, kind: RecordType) -> Option<Found> {
        let name = Name::from_str_relaxed(host).ok()?;
        let found = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
        Found::new(&name, found.answers())
    }

    /// The addresses of `name` in DNS. `Ok(None)` if there are none. The next server is asked only if one fails, as the C library
    /// does, because it may not have the same names.
    async fn in_dns(&self, name: &Name, kind: RecordType) -> Result<Option<Found>, String> {
        let mut failed = None;
        for (server, client) in &*self.servers {
            match client.lookup(name.clone(), kind).await {
                Ok(found) => return Ok(Found::new(name, found.answers())),
                Err(error) if error.is_no_records_found() => return Ok(None),
                Err(error) => failed = Some(self.describe(*server, &error)),
            }
        }
        Err(failed.unwrap_or_else(|| "there is no DNS server in /etc/resolv.conf or `dns.servers`".to_owned()))
    }

    /// The full names that `host` may stand for, in the order in which they are tried.
    fn candidates(&self, host: &str) -> Result<Vec<Name>, String> {
        let name = Name::from_str_relaxed(host).map_err(|error| format!("not a valid name: {error}"))?;
        if name.is_fqdn() {
            return Ok(vec![name]);
        }
        let mut full = name.clone();
        full.set_fqdn(true);
        let mut names: Vec<_> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        names.iter_mut().for_each(|name| name.set_fqdn(true));
        let place = if host.matches('.').count() >= self.dots { 0 } else { names.len() };
        // `search .` stands for the name as it is written.
        names.retain(|name| *name != full);
        names.insert(place.min(names.len()), full);
        Ok(names)
    }

    fn describe(&self, server: SocketAddr, error: &NetError) -> String {
        let server = format!("DNS server {server}");
        match error {
            NetError::Timeout => format!("no response from {server} within {}", self.timeout),
            NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => format!("{server} failed (SERVFAIL)"),
            NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
                format!("{server} refused the query (REFUSED)")
            }
            NetError::Dns(DnsError::ResponseCode(code)) => format!("{server} responded with an error: {code}"),
            NetError::Io(error) => format!("{server}: {}", describe_io(error)),
            error => format!("{server}: {error}"),
        }
    }
}

fn at(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_searched_for_first_and_full_ones_last() {
        let name = |text: &str| Name::from_str_relaxed(text).unwrap();
        let configured = |search: &[&str], dots| {
            let search = search.iter().map(|domain| name(domain)).collect();
            let timeout = HumanDuration::from_secs(1);
            Configured { servers: Arc::new([]), search, dots, timeout, hosts: Arc::default() }
        };
        let names = |configured: &Configured, host| {
            let names = configured.candidates(host).unwrap();
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let pod = configured(&["default.svc.cluster.local", "svc.cluster.local"], 5);
        assert_eq!(names(&pod, "orders"), "orders.default.svc.cluster.local. orders.svc.cluster.local. orders.");
        assert_eq!(names(&pod, "my_orders.shop."), "my_orders.shop.");
        let office = configured(&["corp.example", "."], 1);
        assert_eq!(names(&office, "orders"), "orders.corp.example. orders.");
        assert_eq!(names(&office, "orders.internal"), "orders.internal. orders.internal.corp.example.");
        assert!(office.candidates("a..b").is_err());
    }
}
