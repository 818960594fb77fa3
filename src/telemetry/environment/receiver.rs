//! The receiver of one signal, from its `otlp` settings overridden by the `OTEL_EXPORTER_OTLP_*` variables.

use super::Variables;
use crate::config::document::field_name::FieldName;
use crate::config::document::fields::{FieldValue, Fields};
use crate::config::document::receiver_url::ReceiverUrl;
use crate::config::document::telemetry::{Otlp, OtlpCompression, OtlpProtocol, OtlpTls};
use crate::telemetry::receiver::Receiver;
use crate::telemetry::signal::Signal;
use gatewright_sdk::fields::server_owned;
use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, NamedFile};
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use std::time::Duration;

/// The timeout of an export if none is set.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The variables of one signal.
struct OfSignal<'a> {
    signal: Signal,
    variables: &'a Variables<'a>,
}

impl OfSignal<'_> {
    fn own(&self, name: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.name().to_ascii_uppercase())
    }

    fn general(name: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{name}")
    }

    /// Parses the variable of the signal, or else the general one.
    fn either<T>(&self, name: &str, read: impl Fn(&Variables<'_>, &str) -> Option<T>) -> Option<T> {
        read(self.variables, &self.own(name)).or_else(|| read(self.variables, &Self::general(name)))
    }

    fn endpoint(&self, name: &str) -> Option<ReceiverUrl> {
        let read = self.variables.text(name)?.parse();
        read.map_err(|fault| self.variables.ignore(name, with_help(&fault))).ok()
    }

    /// A relative path in the environment starts in the working directory, as usual.
    fn file(&self, name: &str) -> Option<NamedFile> {
        let path = PathBuf::from(self.either(name, |variables, name| variables.text(name))?);
        Some(std::path::absolute(&path).unwrap_or(path).into())
    }

    fn fault(&self, setting: &str, message: impl Into<String>) -> Fault {
        Fault::new(format!("{}.otlp.{setting}", self.signal.name()), message.into()).code(Code::TELEMETRY_TLS)
    }
}

fn with_help(fault: &Fault) -> String {
    [Some(&*fault.message), fault.help.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// `http/json` is a valid protocol too, but is not implemented.
const PROTOCOLS: [(&str, OtlpProtocol); 2] =
    [("grpc", OtlpProtocol::Grpc), ("http/protobuf", OtlpProtocol::HttpProtobuf)];

const COMPRESSIONS: [(&str, OtlpCompression); 2] = [("none", OtlpCompression::None), ("gzip", OtlpCompression::Gzip)];

/// `None` if the signal is not exported: neither its settings nor its own variable say so. Traces are also exported if
/// only the general variable is set.
pub(super) fn receiver(
    signal: Signal,
    otlp: Option<&Otlp>,
    variables: &Variables<'_>,
) -> Result<Option<Receiver>, Fault> {
    let of = OfSignal { signal, variables };
    let exporter = format!("OTEL_{}_EXPORTER", signal.name().to_ascii_uppercase());
    if variables.word(&exporter, &[("otlp", true), ("none", false)]) == Some(false) {
        return Ok(None);
    }
    let own = of.endpoint(&of.own("ENDPOINT"));
    let whole = own.is_some();
    let wanted = otlp.is_some() || signal == Signal::Traces;
    let general = || if wanted { of.endpoint(&OfSignal::general("ENDPOINT")) } else { None };
    let written = || otlp.map(|otlp| otlp.endpoint.clone());
    let Some(mut endpoint) = own.or_else(general).or_else(written) else { return Ok(None) };
    let protocol = of.either("PROTOCOL", |variables, name| variables.word(name, &PROTOCOLS));
    let protocol = protocol.or(otlp.map(|otlp| otlp.protocol)).unwrap_or_default();
    // A general endpoint is a base URL, to which the path of the signal is appended (OTLP exporter specification).
    if protocol == OtlpProtocol::HttpProtobuf && !whole {
        endpoint = endpoint.with_end(signal.path());
    }
    if !endpoint.tls() && otlp.is_some_and(|otlp| otlp.tls.is_some()) {
        let fault = of.fault("tls", "`tls` has no effect: the endpoint is not https");
        return Err(fault.help("write `https://` in `endpoint`, or remove `tls`"));
    }
    let millis = of.either("TIMEOUT", |variables, name| variables.number(name, 1));
    let timeout = millis.map(|millis| Duration::from_millis(millis.into()));
    let compression = of.either("COMPRESSION", |variables, name| variables.word(name, &COMPRESSIONS));
    Ok(Some(Receiver {
        signal,
        endpoint,
        protocol,
        headers: headers(&of, otlp)?,
        timeout: timeout.or(otlp.map(|otlp| otlp.timeout.get())).unwrap_or(TIMEOUT),
        compression: compression.or(otlp.map(|otlp| otlp.compression)).unwrap_or_default(),
        tls: tls(&of, otlp),
    }))
}

fn tls(of: &OfSignal<'_>, otlp: Option<&Otlp>) -> OtlpTls {
    let written = otlp.and_then(|otlp| otlp.tls.clone()).unwrap_or_default();
    OtlpTls {
        ca_file: of.file("CERTIFICATE").or(written.ca_file),
        cert_file: of.file("CLIENT_CERTIFICATE").or(written.cert_file),
        key_file: of.file("CLIENT_KEY").or(written.key_file),
    }
}

/// Header fields that the exporter sets itself.
const OWN: [&str; 6] = ["content-type", "content-encoding", "grpc-encoding", "grpc-timeout", "te", "accept-encoding"];

/// The header fields from the file, overridden by those from the environment: a list in the format of W3C Baggage,
/// comma-separated `name=value` pairs with percent-encoded values.
fn headers(of: &OfSignal<'_>, otlp: Option<&Otlp>) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let mut headers = Vec::new();
    for field in otlp.map(|otlp| &otlp.headers).into_iter().flat_map(Fields::iter) {
        let at = format!("{}.otlp.headers.{}", of.signal.name(), field.written);
        refuse_own(&field.name).map_err(|fault| Fault { path: at, ..fault })?;
        headers.push((field.name.clone(), field.value.expose().clone()));
    }
    let listed = of.either("HEADERS", |variables, name| variables.text(name).map(|list| (name.to_owned(), list)));
    let Some((variable, list)) = listed else { return Ok(headers) };
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        // Values are secrets, and an entry without `=` may be one, so neither is shown.
        let read = match entry.split_once('=') {
            None => {
                Err("an entry has no `=`: write comma-separated name=value pairs, with percent-encoded values".into())
            }
            Some((name, value)) => {
                let (name, value) = (name.trim(), percent_decode_str(value.trim()).decode_utf8_lossy());
                header(name, &value).map_err(|fault| format!("`{}`: {}", shown(name), with_help(&fault)))
            }
        };
        match read {
            Ok((name, value)) => {
                headers.retain(|(known, _)| *known != name);
                headers.push((name, value));
            }
            Err(reason) => of.variables.ignore(&variable, reason),
        }
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let (name, value): (FieldName, FieldValue) = (name.parse()?, value.parse()?);
    refuse_own(&name)?;
    Ok((HeaderName::clone(&name), value.expose().clone()))
}

fn refuse_own(name: &HeaderName) -> Result<(), Fault> {
    if OWN.into_iter().chain(server_owned()).any(|own| name == own) {
        return Err(Fault::new("", "the exporter sets this header itself")
            .code(Code::MANAGED_HEADER)
            .help("remove it"));
    }
    Ok(())
}
