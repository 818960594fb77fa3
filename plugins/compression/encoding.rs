//! Chooses the encoding of a response: what the client accepts, what the operator prefers, and what shrinks.

use gatewright_sdk::accept::thousandths;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A compression algorithm, by its content coding.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ContentCoding")]
pub enum Algorithm {
    /// Zstandard.
    Zstd,
    /// Brotli.
    Br,
    /// gzip.
    Gzip,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Br, Self::Gzip];

    /// The content coding.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }

    /// For `Content-Encoding`.
    pub const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// A balance of size and CPU time for dynamic responses.
    pub const fn level(self) -> i32 {
        match self {
            Self::Zstd => 3,
            Self::Br => 4,
            Self::Gzip => 5,
        }
    }
}

/// The weights in `Accept-Encoding`, in thousandths.
#[derive(Default)]
struct Weights {
    zstd: Option<u16>,
    br: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    /// `None` if the field is invalid.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut weights = Self::default();
        for value in headers.get_all(ACCEPT_ENCODING) {
            for member in value.to_str().ok()?.split(',') {
                let (coding, parameters) =
                    member.split_once(';').map_or((member, None), |(coding, rest)| (coding, Some(rest)));
                let coding = coding.trim();
                let is = |name: &str| coding.eq_ignore_ascii_case(name);
                let slot = match coding {
                    _ if is("gzip") || is("x-gzip") => &mut weights.gzip,
                    _ if is("br") => &mut weights.br,
                    _ if is("zstd") => &mut weights.zstd,
                    _ if is("identity") => &mut weights.identity,
                    "*" => &mut weights.any,
                    _ => continue,
                };
                *slot = Some(parameters.map_or(1000, weight));
            }
        }
        Some(weights)
    }

    fn of(&self, algorithm: Algorithm) -> u16 {
        let named = match algorithm {
            Algorithm::Zstd => self.zstd,
            Algorithm::Br => self.br,
            Algorithm::Gzip => self.gzip,
        };
        named.or(self.any).unwrap_or(0)
    }
}

/// The one of `offered` with the highest weight, or the first among equals; `None` if the client accepts none or
/// prefers the uncompressed form. A client that forbids the uncompressed form and accepts nothing offered gets it
/// anyway: the work is done by then (RFC 9110 section 12.5.3 allows it).
pub fn choose(offered: &[Algorithm], headers: &HeaderMap) -> Option<Algorithm> {
    let weights = Weights::read(headers)?;
    let mut best = None;
    for algorithm in offered {
        let weight = weights.of(*algorithm);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((*algorithm, weight));
        }
    }
    best.filter(|(_, weight)| *weight >= weights.identity.unwrap_or(0)).map(|(algorithm, _)| algorithm)
}

/// Whether the client accepts a response in this coding, which it need not announce (RFC 9110 section 12.5.3).
pub fn accepts(headers: &HeaderMap, algorithm: Algorithm) -> bool {
    let silent = !headers.contains_key(ACCEPT_ENCODING);
    silent || Weights::read(headers).is_some_and(|weights| weights.of(algorithm) > 0)
}

/// `q=0.8` in thousandths; an invalid weight counts as refusal.
fn weight(parameters: &str) -> u16 {
    let (name, value) = parameters.split_once('=').unwrap_or_default();
    if name.trim().eq_ignore_ascii_case("q") { thousandths(value.trim()).unwrap_or(0) } else { 0 }
}

/// Whether responses of this media type shrink, and may be buffered in a compressor.
pub fn shrinks(content_type: &str) -> bool {
    const TYPES: [&str; 16] = [
        "application/ecmascript",
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/ndjson",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
    ];
    // Most often.
    if content_type == "application/json" {
        return true;
    }
    let essence = content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim();
    let starts = |prefix: &str| essence.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let ends = |suffix: &str| {
        let at = essence.len().checked_sub(suffix.len());
        at.and_then(|at| essence.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    if starts("application/grpc") || essence.eq_ignore_ascii_case("text/event-stream") {
        return false;
    }
    starts("text/")
        || ends("+json")
        || ends("+xml")
        || ends("+yaml")
        || TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_and_the_operator_breaks_ties() {
        use Algorithm::{Br, Gzip, Zstd};
        for (accept, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, br, zstd", Some(Zstd)),
            ("GZIP, BR", Some(Br)),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.001", Some(Gzip)),
            ("gzip;q=0, br;q=0.0, zstd;q=0.000", None),
            ("*", Some(Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Br)),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("identity;q=0", None),
            ("deflate, compress", None),
            ("gzip ; q=0.8 , br ; Q=0.9", Some(Br)),
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=-1", None),
            ("gzip;q=", None),
            ("gzip;level=9", None),
            (",, ,gzip", Some(Gzip)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(choose(&[Zstd, Br, Gzip], &headers), expected, "{accept}");
        }
        assert_eq!(choose(&[Gzip], &HeaderMap::new()), None);
    }

    #[test]
    fn text_shrinks_and_images_do_not() {
        for (media_type, expected) in [
            ("application/json", true),
            ("Application/Problem+JSON; charset=utf-8", true),
            ("text/html;charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("application/x-ndjson", true),
            ("text/event-stream", false),
            ("text/event-stream; charset=utf-8", false),
            ("application/grpc", false),
            ("application/grpc-web+json", false),
            ("image/png", false),
            ("application/zip", false),
            ("video/mp4", false),
            ("font/woff2", false),
            ("application/octet-stream", false),
            ("", false),
            ("é", false),
        ] {
            assert_eq!(shrinks(media_type), expected, "{media_type}");
        }
    }
}
