//! Where an issuer publishes its keys: at a configured URL, or at the one in its metadata.

use super::key_set::LARGEST;
use bytes::Bytes;
use gatewright_sdk::{RemoteOnly, Services};
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode, Uri};
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the metadata may take, so that time is left for the keys.
const METADATA_WITHIN: Duration = Duration::from_millis(2500);

/// How long the URL from the metadata is used before it is read again. A failed fetch ends that early.
const METADATA_AGE: Duration = Duration::from_secs(3600);

/// The URL of published keys, or of the metadata that contains it.
#[derive(Clone)]
pub struct Source {
    url: Uri,
    /// The issuer, if `url` is that of its metadata.
    issuer: Option<String>,
    /// Whether this machine and link-local addresses may be reached.
    local: bool,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It contains a username or password.
    User,
    /// It is not an https URL, and not an http URL of this machine.
    Insecure,
    /// It names an address that is refused.
    Local,
}

/// The URL of the keys as of the last metadata.
#[derive(Default)]
pub struct Discovered {
    keys: Option<Uri>,
    /// When it was read; `None` once it is in doubt.
    read: Option<Instant>,
}

impl Discovered {
    /// Reads the metadata again before the next fetch.
    pub fn doubt(&mut self) {
        self.read = None;
    }
}

/// The metadata of an issuer (OpenID Connect Discovery 1.0 section 3), as far as it is used.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Source {
    /// Keys at `url`.
    pub fn keys(url: &str, allow_local: bool) -> Result<Self, Unusable> {
        let url = usable(url, allow_local)?;
        let local = allow_local || is_loopback(&url);
        Ok(Self { url, issuer: None, local })
    }

    /// Keys at the URL that the metadata of `issuer` contains.
    pub fn metadata(issuer: &str, allow_local: bool) -> Result<Self, Unusable> {
        // Section 4: a terminating slash is removed first. A query would end up in front of the path.
        let url = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
        if issuer.contains(['?', '#']) {
            return Err(Unusable::Insecure);
        }
        Ok(Self { issuer: Some(issuer.to_owned()), ..Self::keys(&url, allow_local)? })
    }

    /// What it depends on, as text, for comparison.
    pub fn shape(&self) -> String {
        format!("{} {:?} {}", self.url, self.issuer, self.local)
    }

    /// Fetches the key set. Until it is read again, the URL from the metadata stays in `discovered`.
    pub async fn fetch(&self, services: &dyn Services, discovered: &mut Discovered) -> Result<Bytes, String> {
        let Some(issuer) = &self.issuer else { return self.get(services, self.url.clone()).await };
        if discovered.read.is_none_or(|read| read.elapsed() >= METADATA_AGE) {
            let read = timeout(METADATA_WITHIN, self.discover(issuer, services)).await;
            match read.unwrap_or_else(|_| Err(format!("no response within {METADATA_WITHIN:?}"))) {
                Ok(keys) => *discovered = Discovered { keys: Some(keys), read: Some(Instant::now()) },
                Err(why) if discovered.keys.is_none() => return Err(format!("metadata: {why}")),
                Err(why) => tracing::warn!(url = %self, error = %why, "cannot fetch the issuer's metadata"),
            }
        }
        let keys = discovered.keys.clone().unwrap_or_default();
        self.get(services, keys.clone()).await.map_err(|why| format!("{keys}: {why}"))
    }

    /// What is wrong with the content of the key set. A URL that the metadata names is not the one that the source is known by.
    pub fn blame(&self, discovered: &Discovered, why: &str) -> String {
        match discovered.keys.as_ref().filter(|_| self.issuer.is_some()) {
            Some(keys) => format!("{keys}: {why}"),
            None => why.to_owned(),
        }
    }

    /// The URL of the keys, according to the metadata.
    async fn discover(&self, issuer: &str, services: &dyn Services) -> Result<Uri, String> {
        let content = self.get(services, self.url.clone()).await?;
        let metadata: Metadata =
            serde_json::from_slice(&content).map_err(|error| format!("the response is not valid: {error}"))?;
        // Section 4.3: otherwise one issuer could speak for another.
        if metadata.issuer != issuer {
            return Err(format!("it belongs to the issuer `{}`", metadata.issuer.escape_debug()));
        }
        usable(&metadata.jwks_uri, self.local).map_err(|why| {
            let uri = metadata.jwks_uri.escape_debug();
            match why {
                Unusable::User => "`jwks_uri` contains a username or password".to_owned(),
                Unusable::Insecure => format!("`jwks_uri` is not an https URL: {uri}"),
                Unusable::Local => format!("`jwks_uri` names an address that is refused: {uri}"),
            }
        })
    }

    async fn get(&self, services: &dyn Services, url: Uri) -> Result<Bytes, String> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !self.local {
            request.extensions_mut().insert(RemoteOnly);
        }
        match services.fetch(request, LARGEST).await {
            Ok(response) if response.status() == StatusCode::OK => Ok(response.into_body()),
            Ok(response) => Err(format!("unexpected status {}", response.status())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The address in a URL, if it is not a name.
fn address(url: &Uri) -> Option<IpAddr> {
    url.host()?.trim_matches(['[', ']']).parse().ok()
}

fn is_loopback(url: &Uri) -> bool {
    url.host() == Some("localhost") || address(url).is_some_and(|address| address.is_loopback())
}

fn usable(url: &str, allow_local: bool) -> Result<Uri, Unusable> {
    let url: Uri = url.parse().unwrap_or_default();
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Unusable::User);
    }
    let named = url.host().is_some_and(|host| !host.is_empty());
    match url.scheme_str() {
        Some("https") if named => {}
        Some("http") if is_loopback(&url) => {}
        _ => return Err(Unusable::Insecure),
    }
    let refused = !allow_local && !is_loopback(&url) && address(&url).is_some_and(RemoteOnly::refuses);
    if refused { Err(Unusable::Local) } else { Ok(url) }
}
