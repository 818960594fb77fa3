//! Validates `Host`: a name or an address, with or without a port (RFC 3986 section 3.2).
//!
//! Stricter than the grammar: a name consists of letters, digits, `-`, `.`, `_` and `~`. Escapes would be a second
//! spelling of a host, which would not match a route for that host. The other characters occur in no name that can be
//! resolved, and they separate lists, queries and commands elsewhere. Each label (RFC 1123 section 2.1) contains a
//! letter, a digit or `_`; a trailing dot stands for the root. An http URL must not have an empty host (RFC 9110
//! section 4.2.1).

use std::net::Ipv6Addr;

/// Whether `host` is `uri-host [ ":" port ]` with a non-empty host.
pub(super) fn is_valid(host: &[u8]) -> bool {
    match host {
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => {
                let (inside, after) = rest.split_at(end);
                is_address(inside) && after.get(1..).is_some_and(is_port)
            }
            None => false,
        },
        _ => {
            let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            is_name(name) && is_port(port)
        }
    }
}

/// A name, or an IPv4 address, which has the same form.
fn is_name(name: &[u8]) -> bool {
    // Whether the current label is complete as it is.
    let mut complete = false;
    for byte in name.strip_suffix(b".").unwrap_or(name) {
        match byte {
            b'.' if complete => complete = false,
            b'-' | b'~' => {}
            b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => complete = true,
            _ => return false,
        }
    }
    complete
}

fn is_address(inside: &[u8]) -> bool {
    std::str::from_utf8(inside).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, or a colon with a valid port number or with no number.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            let add = |sum: u32, digit: &u8| {
                let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
                Some(sum * 10 + digit).filter(|sum| *sum <= u32::from(u16::MAX))
            };
            digits.iter().try_fold(0, add).is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names_and_addresses_are_hosts() {
        let hosts = ["a", "example.com", "EXAMPLE.com:8080", "127.0.0.1", "127.0.0.1:65535", "a:", "[::1]", "[::1]:80"];
        for host in hosts.into_iter().chain([
            "xn--nxasmq6b",
            "a_b",
            "a~b",
            "a.",
            "example.org.:8080",
            "_dmarc.example",
            "_",
            "r3---sn-x.a-",
            "[::ffff:1.2.3.4]",
        ]) {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let wrong = ["", ":80", "a b", "a:b", "a:99999", "a:80:80", "user@a", "a/x", "[::1", "[::1]x", "[]", "[::1]:x"];
        for sign in "!$&'()*+,;=%@/".chars() {
            let host = format!("a{sign}b.example:80");
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
        for host in wrong.into_iter().chain([
            "a%41",
            "a%4",
            "a%zz",
            "a\tb",
            "a,b c",
            "[fe80::1%25eth0]",
            "ü",
            "a\\b",
            "a?b",
            "a#b",
            "-",
            ".",
            "..",
            "a..",
            ".a",
            "a..b",
            "a.-.b",
            "~",
            ".:80",
        ]) {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
