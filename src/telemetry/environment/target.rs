//! Where one signal is sent, read from its `otlp` settings with the `OTEL_EXPORTER_OTLP_*` variables over them.

use super::Lookup;
use crate::config::document::telemetry::{Otlp, OtlpCompression, OtlpProtocol, OtlpTls};
use crate::telemetry::otlp::Signal;
use gatewright_sdk::fields::SERVER_OWNED;
use gatewright_sdk::{Fault, Secret};
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use std::time::Duration;

/// How long one export may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a signal is sent. Two equal ones are one connection.
#[derive(Clone, PartialEq)]
pub(in crate::telemetry) struct Target {
    pub signal: Signal,
    /// For HTTP with its path.
    pub endpoint: String,
    pub protocol: OtlpProtocol,
    pub headers: Vec<(HeaderName, Secret)>,
    /// How long one export may take, retries included.
    pub timeout: Duration,
    pub compression: OtlpCompression,
    /// Relative files are sought in the folder of the configuration.
    pub tls: OtlpTls,
}

/// The variables of one signal.
struct Variables<'a> {
    signal: Signal,
    environment: Lookup<'a>,
}

impl Variables<'_> {
    /// The signal's own variable, which is taken as it is.
    fn own(&self, name: &str) -> Option<String> {
        let signal = self.signal.name().to_ascii_uppercase();
        (self.environment)(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
    }

    fn general(&self, name: &str) -> Option<String> {
        (self.environment)(&format!("OTEL_EXPORTER_OTLP_{name}"))
    }

    fn either(&self, name: &str) -> Option<String> {
        self.own(name).or_else(|| self.general(name))
    }

    /// A path in the environment is relative to where the process was started, as everywhere.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.either(name)?);
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    fn fault(&self, setting: &str, message: impl Into<String>) -> Fault {
        Fault::new(format!("{}.otlp.{setting}", self.signal.name()), message.into())
    }
}

impl Target {
    /// `None` where nothing says that the signal is exported: neither its settings nor its own variable. Traces are
    /// exported where only the general variable says where to, too.
    pub(super) fn new(signal: Signal, otlp: Option<&Otlp>, environment: Lookup<'_>) -> Result<Option<Self>, Fault> {
        let variables = Variables { signal, environment };
        let exporter = environment(&format!("OTEL_{}_EXPORTER", signal.name().to_ascii_uppercase()));
        if exporter.is_some_and(|exporter| exporter.trim() == "none") {
            return Ok(None);
        }
        let own = variables.own("ENDPOINT");
        let whole = own.is_some();
        let general = variables.general("ENDPOINT").filter(|_| otlp.is_some() || signal == Signal::Traces);
        let written = || otlp.map(|otlp| otlp.endpoint.clone());
        let Some(endpoint) = own.or(general).or_else(written) else { return Ok(None) };
        let protocol = protocol(&variables, otlp)?;
        let mut endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        // A general endpoint is a base URL: the path of the signal follows (OTLP exporter specification).
        if protocol == OtlpProtocol::HttpProtobuf && !whole && !endpoint.ends_with(signal.path()) {
            endpoint.push_str(signal.path());
        }
        check_endpoint(&endpoint).map_err(|message| {
            let help = "write http://HOST:4317 for grpc, http://HOST:4318 for http/protobuf";
            variables.fault("endpoint", message).help(help)
        })?;
        if endpoint.starts_with("http:") && otlp.is_some_and(|otlp| otlp.tls.is_some()) {
            let fault = variables.fault("tls", "the endpoint is spoken to without TLS");
            return Err(fault.help("write `https://` in `endpoint`, or take `tls` out"));
        }
        let timeout = variables.either("TIMEOUT").and_then(|millis| millis.trim().parse().ok());
        let written = otlp.map_or(TIMEOUT, |otlp| otlp.timeout.get());
        Ok(Some(Self {
            signal,
            endpoint,
            protocol,
            headers: headers(&variables, otlp)?,
            timeout: timeout.map_or(written, Duration::from_millis),
            compression: compression(&variables, otlp)?,
            tls: tls(&variables, otlp),
        }))
    }

    /// Whether files belong to it, whose content may change.
    pub(in crate::telemetry) fn has_files(&self) -> bool {
        self.tls != OtlpTls::default()
    }
}

fn protocol(variables: &Variables<'_>, otlp: Option<&Otlp>) -> Result<OtlpProtocol, Fault> {
    match variables.either("PROTOCOL").as_deref().map(str::trim) {
        None => Ok(otlp.map_or_else(OtlpProtocol::default, |otlp| otlp.protocol)),
        Some("grpc") => Ok(OtlpProtocol::Grpc),
        Some("http/protobuf") => Ok(OtlpProtocol::HttpProtobuf),
        Some(other) => {
            let fault = variables.fault("protocol", format!("OTEL_EXPORTER_OTLP_PROTOCOL is `{other}`"));
            Err(fault.help("use grpc or http/protobuf"))
        }
    }
}

fn compression(variables: &Variables<'_>, otlp: Option<&Otlp>) -> Result<OtlpCompression, Fault> {
    match variables.either("COMPRESSION").as_deref().map(str::trim) {
        None => Ok(otlp.map_or_else(OtlpCompression::default, |otlp| otlp.compression)),
        Some("none") => Ok(OtlpCompression::None),
        Some("gzip") => Ok(OtlpCompression::Gzip),
        Some(other) => {
            let fault = variables.fault("compression", format!("OTEL_EXPORTER_OTLP_COMPRESSION is `{other}`"));
            Err(fault.help("use gzip or none"))
        }
    }
}

fn tls(variables: &Variables<'_>, otlp: Option<&Otlp>) -> OtlpTls {
    let written = otlp.and_then(|otlp| otlp.tls.clone()).unwrap_or_default();
    OtlpTls {
        ca_file: variables.file("CERTIFICATE").or(written.ca_file),
        cert_file: variables.file("CLIENT_CERTIFICATE").or(written.cert_file),
        key_file: variables.file("CLIENT_KEY").or(written.key_file),
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let uri: Uri = endpoint.parse().map_err(|_| "not a URL")?;
    let authority = match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => authority,
        _ => return Err("not an http URL"),
    };
    let (_, port) = authority.as_str().split_at(authority.as_str().rfind(['@', ']', ':']).unwrap_or(0));
    if authority.as_str().contains('@') {
        Err("credentials belong in `headers`, which are kept secret")
    } else if uri.query().is_some() {
        Err("a query has no place in it")
    } else if port.starts_with(':') && authority.port_u16().is_none_or(|port| port == 0) {
        Err("there is no such port")
    } else {
        Ok(())
    }
}

/// What a sender of telemetry writes itself.
const OWN: [&str; 6] = ["content-type", "content-encoding", "grpc-encoding", "grpc-timeout", "te", "accept-encoding"];

/// Those of the file, and over them those of the environment: a list like that of W3C Baggage, `name=value` with
/// commas between and values percent-encoded.
fn headers(variables: &Variables<'_>, otlp: Option<&Otlp>) -> Result<Vec<(HeaderName, Secret)>, Fault> {
    let mut headers = Vec::new();
    for (name, value) in otlp.map(|otlp| &otlp.headers).into_iter().flat_map(|headers| headers.iter()) {
        headers.push(header(variables, name, value.clone())?);
    }
    let list = variables.either("HEADERS").unwrap_or_default();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((name, value)) = entry.split_once('=') else {
            let fault = variables.fault("headers", "OTEL_EXPORTER_OTLP_HEADERS holds an entry without `=`");
            return Err(fault.help("write name=value pairs with commas between, and percent-encode values"));
        };
        let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        let (name, value) = header(variables, name.trim(), Secret::new(value))?;
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
    }
    Ok(headers)
}

fn header(variables: &Variables<'_>, name: &str, value: Secret) -> Result<(HeaderName, Secret), Fault> {
    let fault = |message: &str| variables.fault(&format!("headers.{name}"), message);
    let known = name.to_ascii_lowercase().parse().map_err(|_| fault("not a header name"))?;
    if OWN.iter().chain(&SERVER_OWNED).any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(fault("the gateway writes this field itself").help("take it out"));
    }
    if HeaderValue::from_str(value.expose()).is_err() {
        return Err(fault("the value holds characters that a header cannot carry"));
    }
    Ok((known, value))
}
