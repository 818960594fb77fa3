//! Content negotiation: which media types a client prefers (RFC 9110 section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// How a request's `Accept` fields rate `media`, such as `application/json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// There is no list, or nothing in it is valid: any type will do.
    Anything,
    /// A range in the list names it, with a weight of 0 to 1000 thousandths. At 0 the client refuses it.
    Named(u16),
    /// Only `application/*` or `*/*` covers it.
    Covered(u16),
    /// The list covers other types only.
    Unnamed,
}

impl Wanted {
    /// Whether the client accepts a response of this type.
    pub const fn is_acceptable(self) -> bool {
        match self {
            Self::Anything => true,
            Self::Named(weight) | Self::Covered(weight) => weight > 0,
            Self::Unnamed => false,
        }
    }
}

/// The most specific range decides; among equals, the highest weight. Parameters other than the weight are ignored, as
/// are invalid ranges.
pub fn wanted(headers: &HeaderMap, media: &str) -> Wanted {
    let mut fields = headers.get_all(ACCEPT).into_iter().peekable();
    if fields.peek().is_none() {
        return Wanted::Anything;
    }
    let tree = media.split_once('/').map_or(media, |(tree, _)| tree);
    let mut best: Option<(u8, u16)> = None;
    let mut readable = false;
    for range in fields.filter_map(|value| value.to_str().ok()).flat_map(|list| split(list, ',')) {
        let mut parts = split(range, ';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let (major, minor) = match name.split_once('/') {
            Some((major, minor)) if !major.is_empty() && !minor.is_empty() => (major, minor),
            // Some clients send this for `*/*`.
            None if name == "*" => ("*", "*"),
            _ => continue,
        };
        let Some(weight) = weight(parts) else { continue };
        readable = true;
        let rank = match (major, minor) {
            _ if name.eq_ignore_ascii_case(media) => 3,
            (major, "*") if major.eq_ignore_ascii_case(tree) => 2,
            ("*", "*") => 1,
            _ => continue,
        };
        best = best.max(Some((rank, weight)));
    }
    match best {
        Some((3, weight)) => Wanted::Named(weight),
        Some((_, weight)) => Wanted::Covered(weight),
        None if readable => Wanted::Unnamed,
        None => Wanted::Anything,
    }
}

/// Splits at separators outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return letter == separator && !quoted,
        }
        false
    })
}

/// The weight among the parameters of a range, in thousandths: 1000 if absent, `None` if malformed.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    let is_weight = |(name, _): &(&str, &str)| name.trim().eq_ignore_ascii_case("q");
    parameters
        .find_map(|part| part.split_once('=').filter(is_weight))
        .map_or(Some(1000), |(_, value)| thousandths(value.trim()))
}

/// A `qvalue` (RFC 9110 section 12.4.2) in thousandths; `None` if malformed.
pub fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let place = [0, 100, 10, 1].get(fraction.len())?;
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u16>().ok()? * place };
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(fields: &[&str]) -> Wanted {
        let fields = fields.iter().map(|value| (ACCEPT, http::HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        wanted(&fields.collect(), "application/json")
    }

    #[test]
    fn the_most_specific_range_decides_and_a_missing_list_accepts_anything() {
        for (fields, expected) in [
            (&[][..], Wanted::Anything),
            (&[""], Wanted::Anything),
            (&[" , ,"], Wanted::Anything),
            (&["*/*"], Wanted::Covered(1000)),
            (&["*"], Wanted::Covered(1000)),
            (&["*/*;q=0"], Wanted::Covered(0)),
            (&["application/*;q=0.5, */*"], Wanted::Covered(500)),
            (&["*/*;q=0.1", "APPLICATION/JSON ; Q=0.25"], Wanted::Named(250)),
            (&["application/json;q=0, */*"], Wanted::Named(0)),
            (&["application/json;q=0.000"], Wanted::Named(0)),
            (&["application/json;q=0, application/json"], Wanted::Named(1000)),
            (&["application/json;charset=utf-8;q=0.9"], Wanted::Named(900)),
            (&["text/x;a=\", application/json;q=0\";q=1"], Wanted::Unnamed),
            (&["text/x;a=\"\\\", application/json", "application/json"], Wanted::Named(1000)),
            (&["text/html"], Wanted::Unnamed),
            (&["application/json+x"], Wanted::Unnamed),
            // Malformed elements are ignored.
            (&["application/json;q=x"], Wanted::Anything),
            (&["application/json;q=1.5, text/html"], Wanted::Unnamed),
            (&["json", "/", "application/", "ü"], Wanted::Anything),
        ] {
            assert_eq!(json(fields), expected, "{fields:?}");
        }
    }
}
