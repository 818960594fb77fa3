//! E-mail addresses: which are valid, and the one spelling of each that is stored.

use std::borrow::Cow;

/// RFC 5321 section 4.5.3.1, in bytes.
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;
/// A mail server knows an address as a path of at most 256 bytes, with `<` and `>`.
pub const LONGEST: usize = 254;

/// The address in its normal form; `None` if it is not one by the rule of HTML (`input type=email`, WHATWG): ASCII
/// letters, digits and some signs before the `@`; after it host names without quotes, comments or address literals.
///
/// The domain becomes lower-case ASCII (`BÜCHER.example` is `xn--bcher-kva.example`), so that all spellings of one
/// domain are one. What precedes the `@` stays: only the receiving host can interpret it.
pub fn normal(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    if !(1..=LONGEST_LOCAL).contains(&local.len()) || !local.bytes().all(allowed) {
        return None;
    }
    let domain = ascii(domain)?;
    let good = domain.len() <= LONGEST_DOMAIN && domain.split('.').all(is_label);
    let address = good.then(|| format!("{local}@{domain}"));
    address.filter(|address| address.len() <= LONGEST)
}

/// A piece of an address as it would be in a normal one: what follows the `@` as far as it goes. The start of an
/// international name is none of its A-label, so that only whole labels are found by it.
pub fn normal_piece(text: &str) -> String {
    let Some((local, domain)) = text.rsplit_once('@') else { return text.to_owned() };
    format!("{local}@{}", ascii(domain).unwrap_or_else(|| domain.to_lowercase().into()))
}

/// In lower case, international names as A-labels (UTS 46).
fn ascii(domain: &str) -> Option<Cow<'_, str>> {
    // Four bytes a letter at most; a longer text is refused before it costs anything.
    if domain.len() > 4 * LONGEST_DOMAIN {
        return None;
    }
    let encoded = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    if domain.is_ascii() && !domain.split('.').any(encoded) {
        let lower = !domain.bytes().any(|byte| byte.is_ascii_uppercase());
        return Some(if lower { domain.into() } else { domain.to_ascii_lowercase().into() });
    }
    idna::domain_to_ascii(domain).ok().map(Cow::Owned)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_that_of_html() {
        let long = format!("{}@x.com", "a".repeat(64));
        for good in ["a@b", "a..b@x.com", ".a@x.com", "!#$%&'*+/=?^_`{|}~-@x.com", "a@1.2.3.4", &long] {
            assert_eq!(normal(good).as_deref(), Some(good));
        }
        let (longer, domain) = (format!("{}@x.com", "a".repeat(65)), format!("a@{}", [&*"b".repeat(64); 4].join(".")));
        let names = format!("a@{}", ["b"; 129].join("."));
        let path = |rest: usize| format!("a@{0}.{0}.{0}.{1}", "b".repeat(60), "b".repeat(rest));
        assert_eq!((path(8).len(), normal(&path(8)).is_some(), normal(&path(9)).is_some()), (LONGEST - 61, true, true));
        assert_eq!(normal(&format!("{}.{}", path(8), "b".repeat(60))).map(|address| address.len()), Some(LONGEST));
        assert_eq!(normal(&format!("{}.{}", path(9), "b".repeat(60))), None);
        let bad = [
            "",
            "@",
            "\"q q\"@x.com",
            "ü@x.com",
            "ａ@x.com",
            "a b@x.com",
            "a@b@c",
            "@x",
            "x@",
            "x",
            "a@-x.com",
            "a@x-.com",
            "a@x..com",
            "a@.x.com",
            "a@x.com.",
            "a@x_y.com",
            " a@x.com",
            "a@x.com ",
            "a@x.com\n",
            "a@x.com\r\nBcc: b@x.com",
            "a\r\n@x.com",
            "a\0@x.com",
            "a@x\0.com",
            "<a@x.com>",
            "A <a@x.com>",
            "a@x.com,b@x.com",
            "a@x.com(comment)",
            "x@[127.0.0.1]",
            "x@[::1]",
            "x@[IPv6:::1]",
            "a@x\r\nBcc: victim[1.1.1.1]",
            "a@<img src=x>[1.1.1.1]",
            "a@ü[1.1.1.1]",
            "a@xn--\u{0}.com",
            "a@xn--a.com",
            "a@\u{200b}.com",
            "a@b＠c.com",
            &longer,
            &domain,
            &names,
        ];
        for bad in bad {
            assert_eq!(normal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_spelling_of_a_domain_is_one() {
        for spelling in [
            "a@xn--bcher-kva.example",
            "a@XN--BCHER-KVA.Example",
            "a@bücher.example",
            "a@BÜCHER.EXAMPLE",
            "a@bu\u{308}cher.example",
            "a@bücher。example",
            "a@ｂücher.example",
        ] {
            assert_eq!(normal(spelling).as_deref(), Some("a@xn--bcher-kva.example"), "{spelling}");
        }
        assert_eq!(normal("Ada@X.COM").as_deref(), Some("Ada@x.com"));
    }

    #[test]
    fn a_piece_has_the_spelling_of_the_whole() {
        for (piece, expected) in [
            ("Ada", "Ada"),
            ("Ada@", "Ada@"),
            ("Ada@X", "Ada@x"),
            ("Ada@X.C", "Ada@x.c"),
            ("@BÜCHER.Ex", "@xn--bcher-kva.ex"),
            ("@bücher.", "@xn--bcher-kva."),
            ("@XN--BCH", "@xn--bch"),
            ("@-X", "@-x"),
            ("a@B@C", "a@B@c"),
        ] {
            assert_eq!(normal_piece(piece), expected, "{piece}");
        }
        let long = format!("@{}", "Ü".repeat(4000));
        assert_eq!(normal_piece(&long), long.to_lowercase());
    }
}
