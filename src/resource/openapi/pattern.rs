//! Patterns of texts: those of the configuration, and those of types. None has look-around, which validators in linear time, such as
//! `request_validation`, do not have.

/// What JSON Schema calls a regular expression (ECMA-262) lacks these pieces of Rust's syntax, or reads them differently.
const OF_RUST: [&str; 10] = ["(?i", "(?m", "(?s", "(?x", "(?U", "(?u", "(?-", "(?R", "(?P<", "[["];
/// Letters after a backslash that mean something else, or nothing.
const ESCAPES: &str = "AzabeQEpPhHNRX<>";

/// Whether a pattern means the same in JSON Schema.
pub fn is_portable(pattern: &str) -> bool {
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            continue;
        }
        match letters.next() {
            // `\x{e9}` and `\u{e9}` are not valid in both.
            Some('x' | 'u' | 'U') if letters.clone().next() == Some('{') => return false,
            Some('U') => return false,
            // `\b` is a word boundary in both.
            Some('b') => {}
            Some(escaped) if ESCAPES.contains(escaped) => return false,
            _ => {}
        }
    }
    let has_set_operation = ["&&", "--", "~~"].iter().any(|operation| pattern.contains(operation));
    !has_set_operation && !OF_RUST.iter().any(|piece| pattern.contains(piece))
}

/// Any text without NUL.
pub const WITHOUT_NUL: &str = "^[^\\u0000]*$";

/// An identifier that a client chooses, as [`crate::resource::validate::is_id`] accepts it.
pub const ID: &str =
    "^(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}|\\.[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}|\\.\\.[A-Za-z0-9._~-]{1,62})$";

/// An e-mail address, perhaps with white space at both ends. No pattern says which international domains are valid, so only those are described
/// whose names have few letters, of alphabets in which each is valid: an address that is described is accepted.
pub fn email(is_trimmed: bool) -> String {
    let label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    // Latin, Greek, Cyrillic, kana, ideographs and Hangul. In ASCII, a letter becomes at most five.
    let letters = "\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u00ff\\u03b1-\\u03c1\\u03c3-\\u03c9\\u0410-\\u044f\\u3041-\\u3096\\u30a1-\\u30fa\\u4e00-\\u9fa5\\uac00-\\ud7a3";
    let any = format!("(?:{label}|[A-Za-z0-9{letters}]{{1,11}})");
    let domain = format!("(?:{label}(?:\\.{label})*|{any}(?:\\.{any}){{0,3}})");
    let blank = if is_trimmed { "\\s*" } else { "" };
    format!("^{blank}[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{domain}{blank}$")
}

/// An absolute URL: a scheme, and what follows it without white space and control characters. No pattern says which host names are valid.
pub const URL: &str = "^[A-Za-z][A-Za-z0-9+.-]*:[^\\s\\u0000-\\u001f\\u007f-\\u009f]*$";

/// A URL without the host that its scheme needs, which [`URL`] would accept.
pub const NO_HOST: &str = "^(?:[Hh][Tt][Tt][Pp][Ss]?|[Ww][Ss]{1,2}|[Ff][Tt][Pp]):[/\\\\]*(?:[?#]|$)";

/// A parameter in a path: what the gateway does not reject in one segment.
pub const SEGMENT: &str = "^(?:\\.{0,2}[^.\\u0000-\\u001f\\u007f/\\\\;%][^\\u0000-\\u001f\\u007f/\\\\;%]*|\\.{3,}[^\\u0000-\\u001f\\u007f/\\\\;%]*)$";

/// A decimal that fits. Zeros at both ends do not count.
pub fn decimal(precision: u32, scale: u32) -> String {
    let whole = precision.saturating_sub(scale);
    let whole = if whole == 0 { "0+".to_owned() } else { format!("0*[0-9]{{1,{whole}}}") };
    let fraction =
        if scale == 0 { "(?:\\.0+)?".to_owned() } else { format!("(?:\\.(?:[0-9]{{1,{scale}}}|[0-9]{{{scale}}}0*))?") };
    format!("^-?{whole}{fraction}$")
}

/// The longest decimal, in characters.
pub const LONGEST_DECIMAL: usize = 40;

/// A text without NUL that has this many characters when white space at both ends is removed.
pub fn trimmed(least: usize) -> String {
    let inside = match least {
        0 => return WITHOUT_NUL.to_owned(),
        1 => String::new(),
        more => format!("[^\\u0000]{{{},}}[^\\s\\u0000]", more.saturating_sub(2)),
    };
    format!("^[^\\u0000]*[^\\s\\u0000]{inside}[^\\u0000]*$")
}

/// A list of some of these values in one parameter.
pub fn listed(values: &[String], most: usize) -> String {
    let written = values.iter().flat_map(|value| {
        let needs_quotes = value.contains(',') || value.trim_start().starts_with('"');
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        (!needs_quotes).then(|| escaped(value)).into_iter().chain([escaped(&quoted)])
    });
    let value = format!("(?:{})", written.collect::<Vec<_>>().join("|"));
    format!("^{value}(?:,{value}){{0,{}}}$", most.saturating_sub(1))
}

/// A text as a pattern of itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if "\\^$.*+?()[]{}|/".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// A list of texts in one parameter: `a,b`, quoted if a text has a comma or starts with a quote.
pub fn quoted_list(most: usize) -> String {
    let value = "(?:\\s*(?:[^\\s\",\\u0000][^,\\u0000]*)?|\"(?:[^\"\\\\\\u0000]|\\\\[\"\\\\])*\")";
    format!("^{value}(?:,{value}){{0,{}}}$", most.saturating_sub(1))
}

/// The same for URLs, of which each begins with a scheme.
pub fn url_list(most: usize) -> String {
    let (scheme, blank) = ("[A-Za-z][A-Za-z0-9+.-]*:", "\\s\\u0000-\\u001f\\u007f-\\u009f");
    let value = format!("(?:{scheme}[^{blank},]*|\"{scheme}(?:[^{blank}\"\\\\]|\\\\[\"\\\\])*\")");
    format!("^{value}(?:,{value}){{0,{}}}$", most.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_that_mean_the_same_are_published() {
        for good in ["^\\S.*$", "^[a-z][a-z0-9_-]{0,30}$", "^\\d{4}-\\d{2}$", "a|b", "\\bword\\b", "^(?:x)+$"] {
            assert!(is_portable(good), "{good}");
        }
        for bad in ["(?i)abc", "\\Aabc\\z", "[[:alpha:]]", "[a-z&&[^x]]", "(?P<year>\\d+)", "\\p{L}+", "\\x{e9}"] {
            assert!(!is_portable(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_accepts_what_the_type_accepts() {
        use crate::resource::decimal::Decimal;
        use crate::resource::email::normal;
        use crate::resource::validate::is_id;
        use gatewright_openapi::json_schema;
        let matches = |pattern: &str, text: &str| {
            let schema = serde_json::json!({ "type": "string", "pattern": pattern });
            json_schema().build(&schema).unwrap().is_valid(&text.into())
        };
        let long = ["a".repeat(64), "a".repeat(65), format!(".{}", "a".repeat(63)), format!(".{}", "a".repeat(64))];
        let ids = ["", ".", "..", "...", ".a", "..a", "a.", "a b", "a/b", "~_-", "....", "é"];
        for text in ids.into_iter().chain(long.iter().map(String::as_str)) {
            assert_eq!(matches(ID, text), is_id(text), "{text:?}");
        }
        for (text, fits) in [
            ("", false),
            (".", false),
            ("..", false),
            ("...", true),
            ("....a", true),
            (".a", true),
            ("..a", true),
            ("a..", true),
            ("a/b", false),
            ("a;b", false),
            (".;", false),
            ("...%", false),
            ("é 1", true),
        ] {
            assert_eq!(matches(SEGMENT, text), fits, "{text:?}");
        }
        for (text, fits) in [
            ("", true),
            ("a", true),
            ("a,b", true),
            (" a , b ", true),
            (",", true),
            ("a,b,c", false),
            ("\"a,b\",c", true),
            ("\"a\\\"b\"", true),
            ("\"a", false),
            (" \"a\"", false),
            ("a\"b", true),
            ("a\0", false),
            ("  ", true),
        ] {
            assert_eq!(matches(&quoted_list(2), text), fits, "{text:?}");
        }
        for (precision, scale) in [(4, 2), (3, 0), (2, 2)] {
            let pattern = decimal(precision, scale);
            for text in [
                "0", "1", "-1", "12", "123", "1234", "0.1", "0.12", "0.120", "0.123", "12.5", "007", "1.0", "1.000",
                "", ".5", "5.", "1e3", "+1", "00.00", "0.99",
            ] {
                let fits = Decimal::parse(text).is_some_and(|decimal| decimal.fits(precision, scale));
                assert_eq!(matches(&pattern, text), fits, "{precision} {scale} {text:?}");
            }
        }
        for text in [
            "a@b",
            "a..b@x.com",
            ".a@x.com",
            "a@1.2.3.4",
            "",
            "@",
            "a@",
            "@x",
            "a b@x.com",
            "a@-x.com",
            "a@x-.com",
            "a@x..com",
            "a@x.com.",
            "a@x_y.com",
            "a@x.com\n",
            "\"q\"@x.com",
            "a@b@c",
            "a@bücher.example",
            "a@bücher",
            "a@x.bücher.example",
            "a@bücher.example ",
            "ü@bücher.example",
            "a@ü b.example",
            "a@ü[1.1.1.1]",
            "a@xn--bcher-kva.example",
        ] {
            assert_eq!(matches(&email(false), text), normal(text).is_some(), "{text:?}");
        }
        use crate::resource::field_type::FieldType;
        for text in [
            "http://a",
            "https://a/b?c=d,e#f",
            "HTTP://A",
            "http:a",
            "http://ä.de/ö?ü",
            "http://a/b|c?d[]=e",
            "ftp://a",
            "javascript:alert(1)",
            "mailto:a@b",
            "urn:a:b",
            "a:",
            "http://",
            "https:",
            "wss://?a",
            "http://a b",
            "http://a\u{a0}b",
            "http://a\n",
            "http://a\u{7f}",
            "x",
            "",
            "/a",
            "//a/b",
            "1a:b",
            "ä:b",
        ] {
            let fits = matches(URL, text) && !matches(NO_HOST, text);
            assert_eq!(fits, FieldType::Url.read(serde_json::json!(text)).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn every_international_domain_that_is_described_is_accepted() {
        let ranges = [
            'À'..='Ö',
            'Ø'..='ö',
            'ø'..='ÿ',
            'α'..='ρ',
            'σ'..='ω',
            'А'..='я',
            'ぁ'..='ゖ',
            'ァ'..='ヺ',
            '一'..='龥',
            '가'..='힣',
        ];
        let letters: Vec<char> = ranges.into_iter().flatten().collect();
        let schema = serde_json::json!({ "type": "string", "pattern": email(false) });
        let described = gatewright_openapi::json_schema().build(&schema).unwrap();
        for (at, letter) in letters.iter().enumerate() {
            // Far from each other, which makes the longest names in ASCII.
            let far = letters[(at + letters.len() / 2) % letters.len()];
            let name: String = [*letter, far].into_iter().cycle().take(11).collect();
            let text = format!("a@{name}.{letter}z9");
            assert!(crate::resource::email::normal(&text).is_some(), "{text}");
            assert!(described.is_valid(&text.as_str().into()), "{text}");
        }
    }
}
