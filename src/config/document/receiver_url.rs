//! URLs of OTLP receivers.

use super::address::large_port;
use super::server_url::other_scheme;
use gatewright_sdk::{Code, Fault, Written, written};
use http::Uri;
use std::fmt;
use std::str::FromStr;

/// Where telemetry is sent: scheme, host, port, and optionally a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverUrl {
    written: Box<str>,
    uri: Uri,
}

impl ReceiverUrl {
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether it uses TLS.
    pub fn tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The URL with `path` appended, unless it already ends in it.
    #[must_use]
    pub fn with_end(self, path: &str) -> Self {
        let base = self.written.trim_end_matches('/');
        if base.ends_with(path) {
            return self;
        }
        format!("{base}{path}").parse().unwrap_or(self)
    }
}

impl FromStr for ReceiverUrl {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        // It may contain a token or password, so nothing of it is shown.
        let fault = |message: &str| {
            Fault::new("", message)
                .code(Code::INVALID_URL)
                .help("write `http://HOST:4317` for grpc, `http://HOST:4318` for http/protobuf")
        };
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| fault("not a valid URL"))?;
        let authority = match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => authority.as_str(),
            _ => return Err(other_scheme(text).unwrap_or_else(|| fault("not an http or https URL"))),
        };
        let (_, port) = authority.split_at(authority.rfind(['@', ']', ':']).unwrap_or(0));
        if authority.contains('@') {
            Err(fault("the URL must not contain credentials; put them in `headers`, which are kept secret"))
        } else if uri.query().is_some() || text.contains('#') {
            Err(fault("the URL must not have a query"))
        } else if port.starts_with(':') && uri.port_u16().is_none_or(|port| port == 0) {
            Err(large_port(text).map_or_else(|| fault("not a valid port"), |message| fault(&message)))
        } else {
            Ok(Self { written: text.trim_end_matches('/').into(), uri })
        }
    }
}

impl fmt::Display for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Written for ReceiverUrl {
    const FORMAT: &'static str = "receiver-url";
    const STAND_IN: Option<&'static str> = Some("http://stand-in.invalid:4317");
}

written!(ReceiverUrl, "pattern": "^https?://[^/?#\\s]+");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_have_a_path_and_is_given_the_one_of_its_signal() {
        for good in ["http://[::1]:4317", "https://host", "http://host/base", "http://host:4318/"] {
            let url: ReceiverUrl = good.parse().unwrap();
            assert_eq!(
                (url.to_string(), url.tls()),
                (good.trim_end_matches('/').to_owned(), good.starts_with("https"))
            );
        }
        for (url, whole) in [
            ("http://host", "http://host/v1/traces"),
            ("http://host/", "http://host/v1/traces"),
            ("http://host/base/", "http://host/base/v1/traces"),
            ("http://host/v1/traces", "http://host/v1/traces"),
        ] {
            let url = url.parse::<ReceiverUrl>().unwrap().with_end("/v1/traces");
            assert_eq!((&*url.to_string(), url.uri().path()), (whole, whole.trim_start_matches("http://host")));
        }
    }

    #[test]
    fn a_wrong_scheme_is_named() {
        let fault = "grpc://host:1".parse::<ReceiverUrl>().unwrap_err();
        assert_eq!(fault.message, "scheme `grpc` is not supported");
    }

    #[test]
    fn what_cannot_work_is_refused_and_no_secret_is_shown() {
        for (bad, message) in [
            ("", "not a valid URL"),
            ("http://a b", "not a valid URL"),
            ("a:4317", "not an http or https URL"),
            ("SECRET", "not an http or https URL"),
            (
                "http://u:SECRET@host:4317",
                "the URL must not contain credentials; put them in `headers`, which are kept secret",
            ),
            ("http://host/x?token=SECRET", "the URL must not have a query"),
            ("http://host/x#SECRET", "the URL must not have a query"),
            ("http://host:99999", "port 99999 is above 65535"),
            ("http://host:0", "not a valid port"),
        ] {
            let fault = bad.parse::<ReceiverUrl>().unwrap_err();
            assert_eq!(fault.message, message, "{bad}");
            assert!(fault.help.is_some_and(|help| help.starts_with("write `http://HOST:4317`")));
        }
    }
}
