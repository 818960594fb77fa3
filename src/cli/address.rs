//! The address of a running gateway, as an argument gives it: `HOST:PORT` or a URL.

use http::Uri;
use http::uri::PathAndQuery;
use std::str::FromStr;

/// An argument with an address. Empty text counts as no address, because variables are often set to an empty string.
#[derive(Clone, Debug)]
pub struct AddressArgument(Option<Uri>);

impl AddressArgument {
    /// The address as a URL. Its path is `/` if the argument has none.
    pub const fn url(&self) -> Option<&Uri> {
        self.0.as_ref()
    }
}

impl FromStr for AddressArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { url(text).map(|url| Self(Some(url))) }
    }
}

/// Parses an address without a path.
///
/// # Errors
/// A message for the user.
pub fn without_path(text: &str) -> Result<AddressArgument, String> {
    let address: AddressArgument = text.parse()?;
    match address.url() {
        Some(url) if has_path(url) => Err("leave the path out; write HOST:PORT".to_owned()),
        _ => Ok(address),
    }
}

/// Whether `url` has a path other than `/`.
pub fn has_path(url: &Uri) -> bool {
    url.path_and_query().is_some_and(|path| path.as_str() != "/")
}

/// The port of `url`, or that of its scheme.
pub fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
}

/// `url` with another path.
///
/// # Errors
/// The URL has no host.
pub fn at_path(url: &Uri, path: &'static str) -> Result<Uri, http::uri::InvalidUriParts> {
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(path));
    Uri::from_parts(parts)
}

fn url(text: &str) -> Result<Uri, String> {
    const SHAPE: &str = "write HOST:PORT, such as 127.0.0.1:3000";
    let is_url = text.contains("://");
    let whole = if is_url { text.to_owned() } else { format!("http://{text}") };
    let url: Uri = whole.parse().map_err(|_| SHAPE.to_owned())?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("write http://HOST:PORT or https://HOST:PORT".to_owned());
    }
    let authority =
        url.authority().filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    // A URL has a default port.
    authority.filter(|authority| is_url || authority.port_u16().is_some()).ok_or_else(|| SHAPE.to_owned())?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{AddressArgument, without_path};

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_url() {
        let url = |text: &str| text.parse::<AddressArgument>().map(|address| address.url().map(ToString::to_string));
        for (text, parsed) in [
            ("127.0.0.1:9901", "http://127.0.0.1:9901/"),
            ("[::1]:80", "http://[::1]:80/"),
            ("localhost:1/ok", "http://localhost:1/ok"),
            ("http://a.example", "http://a.example/"),
            ("https://a:1", "https://a:1/"),
        ] {
            assert_eq!(url(text), Ok(Some(parsed.to_owned())), "{text}");
        }
        assert_eq!(url(""), Ok(None));
        for text in ["nonsense", "127.0.0.1", ":3000", "a b:1", "user@a:1", "ftp://a:1", "a:99999"] {
            assert!(url(text).is_err(), "{text}");
        }
        assert!(without_path("a:1/").is_ok() && without_path("http://a:1/status").is_err());
    }
}
