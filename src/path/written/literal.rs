//! Validates the literal text of a configured path of any kind.

use super::{Judged, normal, shown};
use crate::path;
use gatewright_sdk::{Code, Fault};
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Maximum length of a path, in bytes.
const LONGEST: usize = 4096;

/// Puts a path into normal form and validates it. Braces are left to the parser of parameters.
pub(super) fn judge(written: &str) -> Result<Judged, Fault> {
    let text = normal(written).into_owned();
    let path = text.as_str();
    let fault = |message: &str, help: &str| {
        Err(Fault::new("", format!("`{}` {message}", shown(path))).code(Code::INVALID_PATH).help(help))
    };
    if path.is_empty() {
        return Err(Fault::new("", "the path is empty").code(Code::INVALID_PATH).help("write `/` for the root"));
    }
    if !path.starts_with('/') {
        return fault("does not start with `/`", &format!("write `/{}`", shown(path)));
    }
    if path.len() > LONGEST {
        return Err(Fault::new("", format!("the path is longer than {LONGEST} bytes"))
            .code(Code::INVALID_PATH)
            .help("shorten it"));
    }
    if path.contains('?') {
        return fault("contains a query", "remove the `?` and everything after it");
    }
    if path.contains('#') {
        return fault("contains a fragment", "remove the `#` and everything after it");
    }
    if path.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        return fault(
            "contains a space, backslash or control character",
            "percent-encode it, such as `%20` for a space",
        );
    }
    if !path.is_ascii() {
        return fault("contains non-ASCII characters", "percent-encode them, such as `%C3%A9` for `é`");
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return fault("contains a `.` or `..` segment", "remove these segments");
    }
    if let Some(name) = path.split('/').find_map(|segment| segment.strip_prefix(':')) {
        return Err(Fault::new("", format!("`:{}` is not valid parameter syntax", shown(name)))
            .code(Code::INVALID_PATH)
            .help(format!("write `{{{}}}`", shown(if name.is_empty() { "id" } else { name }))));
    }
    if path.contains('*') && !path.contains("{*") {
        return fault(
            "contains `*`, which is not supported",
            "write `{*rest}` at the end of `path`, or use `path_prefix`",
        );
    }
    let percent =
        |(at, _): (usize, _)| path.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !path.match_indices('%').all(percent) {
        return fault("contains an invalid percent-encoding", "write `%25` for a literal `%`");
    }
    // hyper rejects the target of such a request, and clients escape it.
    if let Some(wrong) = unheard(path) {
        let escaped =
            path.replace(wrong, &utf8_percent_encode(wrong.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string());
        return fault(
            &format!("contains `{wrong}`, which clients always percent-encode"),
            &format!("write `{}`", shown(&escaped)),
        );
    }
    if path.contains(';') || path.contains("%3B") {
        return fault("contains `;`", "remove the parameters after `;`");
    }
    match path::read(path) {
        Ok(reading) => Ok(Judged { doubts: reading.spelling.doubts, text }),
        Err(why) => {
            let why = why.trim_start_matches("path: ");
            fault("can never match a request", &format!("correct the path: it {why}"))
        }
    }
}

/// The first character that a request target must not contain.
fn unheard(path: &str) -> Option<char> {
    // Most paths have none, and checking each character takes time.
    if PathAndQuery::try_from(path).is_ok() {
        return None;
    }
    path.chars().find(|c| PathAndQuery::try_from(format!("/{c}")).is_err())
}
