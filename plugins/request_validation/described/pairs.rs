//! Names and values of queries and forms.

use percent_encoding::percent_decode_str;

/// The pairs in `a=1&b=2`, decoded. `None` if one is not UTF-8: servers read such ones differently.
pub fn read(text: &str) -> Option<Vec<(String, String)>> {
    let decoded = |raw: &str| Some(percent_decode_str(&raw.replace('+', " ")).decode_utf8().ok()?.into_owned());
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    });
    pairs.collect()
}
