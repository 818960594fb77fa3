//! Finds mistakes in header values that browsers would ignore without a word.

use super::{NONE, directives, is_frame_ancestors};
use gatewright_sdk::{Code, Fault};

/// Without line breaks and other control characters.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn fault(path: &str, message: String, help: &str) -> Fault {
    Fault::new(path, message).code(Code::INVALID_HEADER_VALUE).help(help)
}

/// `Strict-Transport-Security` (RFC 6797 section 6.1).
pub fn transport(value: &str, faults: &mut Vec<Fault>, warnings: &mut Vec<Fault>) {
    const PATH: &str = "strict_transport_security";
    const FORM: &str = "write `max-age=63072000; includeSubDomains`, or `none`";
    if value == NONE || value.trim().is_empty() {
        return;
    }
    let (mut max_age, mut subdomains, mut preload) = (None, false, false);
    for directive in directives(value) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match (&*name.trim().to_ascii_lowercase(), argument.trim().trim_matches('"')) {
            ("max-age", seconds) => max_age = seconds.parse::<u64>().ok(),
            ("includesubdomains", "") => subdomains = true,
            ("preload", "") => preload = true,
            _ => {
                faults.push(fault(PATH, format!("`{}` is not a valid directive", shown(directive)), FORM));
                return;
            }
        }
    }
    match max_age {
        None => faults.push(fault(PATH, "`max-age` must be a number of seconds".to_owned(), FORM)),
        Some(seconds) if preload && (!subdomains || seconds < 31_536_000) => {
            let message = "browsers do not preload this: `preload` requires `includeSubDomains` and at least one year";
            warnings.push(fault(PATH, message.to_owned(), "write `max-age=63072000; includeSubDomains; preload`"));
        }
        Some(_) => {}
    }
}

/// `X-Frame-Options` has no effect if the policy states something else about frames.
pub fn frames(same_origin: bool, policy: &str, warnings: &mut Vec<Fault>) {
    let none = |directive: &str| is_frame_ancestors(directive) && directive.to_ascii_lowercase().ends_with("'none'");
    if same_origin && directives(policy).any(none) {
        let message = "`SAMEORIGIN` has no effect: `content_security_policy` has `frame-ancestors 'none'`, which wins";
        let help = "write `content_security_policy: \"frame-ancestors 'self'\"`";
        warnings.push(fault("frame_options", message.to_owned(), help));
    }
}

/// Source expressions that are a host name unless they are in quotes.
const KEYWORDS: [&str; 7] =
    ["none", "report-sample", "self", "strict-dynamic", "unsafe-eval", "unsafe-hashes", "unsafe-inline"];

/// `Content-Security-Policy`.
pub fn content(value: &str, faults: &mut Vec<Fault>) {
    const PATH: &str = "content_security_policy";
    if value == NONE {
        return;
    }
    for directive in directives(value) {
        let mut words = directive.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let message = format!("`{}` is not a valid directive", shown(name));
            faults.push(fault(PATH, message, "write directives as in `default-src 'self'; frame-ancestors 'none'`"));
        }
        if let Some(word) = words.find(|word| KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(word))) {
            let message = format!("`{word}` without quotes is a host name");
            faults.push(fault(PATH, message, &format!("write `'{word}'`")));
        }
    }
}

/// `Permissions-Policy`.
pub fn permissions(value: &str, faults: &mut Vec<Fault>) {
    if value != NONE
        && !value.trim().is_empty()
        && let Some(member) =
            value.split(',').map(str::trim).find(|member| member.contains('\'') || !member.contains('='))
    {
        let message = format!("`{}` is not a valid member of `Permissions-Policy`", shown(member));
        faults.push(fault("permissions_policy", message, "write features as in `camera=(), geolocation=(self)`"));
    }
}
