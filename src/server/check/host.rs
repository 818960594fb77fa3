//! Whether a `Host` is one: a name or an address, with a port or without (RFC 3986 section 3.2).

use std::net::Ipv6Addr;
use std::sync::LazyLock;

/// Whether `host` is `uri-host [ ":" port ]` with a host that is not empty.
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

/// What can stand in a `reg-name` as it is.
static IN_NAME: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(allowed))
});

/// `reg-name` or an IPv4 address, which looks like one.
fn is_name(name: &[u8]) -> bool {
    let in_name = &*IN_NAME;
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return !name.is_empty(),
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            [byte, after @ ..] if in_name.get(usize::from(*byte)) == Some(&true) => after,
            _ => return false,
        };
    }
}

fn is_address(inside: &[u8]) -> bool {
    std::str::from_utf8(inside).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, or a colon and a number that can be a port, or no number at all.
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
        for host in hosts.into_iter().chain(["xn--nxasmq6b", "a_b", "a%41", "a.", "[::ffff:1.2.3.4]"]) {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let wrong = ["", ":80", "a b", "a:b", "a:99999", "a:80:80", "user@a", "a/x", "[::1", "[::1]x", "[]", "[::1]:x"];
        for host in
            wrong.into_iter().chain(["a%4", "a%zz", "a\tb", "a,b c", "[fe80::1%25eth0]", "ü", "a\\b", "a?b", "a#b"])
        {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
