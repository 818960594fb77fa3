//! Whether a path means one thing: to us, and to whoever reads it after us, decoded once or twice.

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    One,
    /// Servers do not agree; carries what to tell the client.
    Doubtful(&'static str),
}

/// What a byte of a path is to the check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Slash,
    /// Ends the name in a segment: what follows are parameters to some servers (RFC 3986 section 3.3).
    Semicolon,
    Percent,
    Wrong,
}

/// The compiler makes a table of it.
const fn class(byte: u8) -> Class {
    match byte {
        b'.' => Class::Dot,
        b'/' => Class::Slash,
        b';' => Class::Semicolon,
        b'%' => Class::Percent,
        b'\\' => Class::Wrong,
        0x21..0x7f => Class::Plain,
        _ => Class::Wrong,
    }
}

const SEGMENT: Meaning = Meaning::Doubtful("path: must not have empty, `.` or `..` segments");
const ESCAPE: Meaning = Meaning::Doubtful("path: has an escape that is none, or one for a byte it must not have");
const BYTE: Meaning = Meaning::Doubtful("path: has a byte that must be escaped");

/// How the segment that is read began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    /// One dot or two, and nothing else so far.
    Dots(u8),
    Named,
}

/// Looks at a path as it came, in one pass.
pub(super) fn meaning(path: &str) -> Meaning {
    let [b'/', rest @ ..] = path.as_bytes() else {
        return Meaning::Doubtful("path: must begin with a slash");
    };
    let mut rest = rest;
    let mut segment = Segment::Empty;
    let mut foreign = false;
    while let [byte, after @ ..] = rest {
        rest = after;
        let class = match class(*byte) {
            Class::Percent => match unescape(after) {
                Some((class, high, remaining)) => {
                    rest = remaining;
                    foreign |= high;
                    class
                }
                None => return ESCAPE,
            },
            class => class,
        };
        segment = match (class, segment) {
            (Class::Plain, _) => Segment::Named,
            (Class::Slash, Segment::Named) => Segment::Empty,
            (Class::Slash, _) | (Class::Semicolon, Segment::Dots(_)) => return SEGMENT,
            (Class::Semicolon, _) => Segment::Named,
            (Class::Dot, Segment::Empty) => Segment::Dots(1),
            (Class::Dot, Segment::Dots(1)) => Segment::Dots(2),
            (Class::Dot, _) => Segment::Named,
            (Class::Percent | Class::Wrong, _) => return BYTE,
        };
    }
    match segment {
        Segment::Dots(_) => SEGMENT,
        _ if foreign && percent_encoding::percent_decode_str(path).decode_utf8().is_err() => ESCAPE,
        _ => Meaning::One,
    }
}

/// What the escape before `after` stands for, whether that is no ASCII, and what follows it. `None` when it is none,
/// when it stands for a byte that separates or controls, or when decoding it twice would bring one about.
fn unescape(after: &[u8]) -> Option<(Class, bool, &[u8])> {
    let (byte, remaining) = decode(after)?;
    let class = match byte {
        b'/' | b'\\' | 0..0x20 | 0x7f => return None,
        b'.' => Class::Dot,
        b'%' if decode(remaining)
            .is_some_and(|(byte, _)| matches!(byte, b'/' | b'\\' | b'.' | b'%' | 0..0x20 | 0x7f)) =>
        {
            return None;
        }
        _ => Class::Plain,
    };
    Some((class, !byte.is_ascii(), remaining))
}

/// Two hexadecimal digits, as the byte they stand for.
fn decode(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, remaining @ ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, remaining))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_that_means_one_thing_passes() {
        let paths =
            ["/", "/a", "/a/", "/a/b.c", "/.well-known/x", "/...", "/a..b/..c", "/%41%2d", "/a%20b", "/a;v=1/b"];
        for path in paths.into_iter().chain(["/%c3%a9", "/100%25", "/100%25/x", "/a+b", "/~u/{id}", "/%25zz", "/a:b@c"])
        {
            assert_eq!(meaning(path), Meaning::One, "{path}");
        }
    }

    #[test]
    fn a_path_that_may_mean_another_is_refused() {
        let dots =
            ["/.", "/..", "/./a", "/a/.", "/a/..", "/a/../b", "/%2e/a", "/a/%2E%2e", "/.%2e/a", "/a/..;/b", "/.;x"];
        let escapes =
            ["/a%2fb", "/a%2F", "/%5c", "/a%5Cb", "/%00", "/a%0a", "/%7f", "/%", "/%4", "/%zz", "/a%", "/%u0041"];
        let twice = ["/%252e%252e/a", "/%252f", "/%255c", "/%2500", "/%25252f"];
        let bytes = ["/a\\b", "/\u{e9}", "/a b", "/a\u{7f}", "\\a", "", "a", "*"];
        let others = ["//", "//a", "/a//b", "/a//", "/..%c0%af", "/%ff%fe", "/%ef%bc", "/a%c3"];
        for path in dots.into_iter().chain(escapes).chain(twice).chain(bytes).chain(others) {
            assert_ne!(meaning(path), Meaning::One, "{path}");
        }
    }

    proptest! {
        #[test]
        fn decoding_a_path_that_passed_brings_no_new_segment(path in "/([a./;%]|%2[5ef]|%25|%c3%a9){0,12}") {
            if meaning(&path) == Meaning::One {
                let once = percent_encoding::percent_decode_str(&path).decode_utf8().expect("only UTF-8 passes");
                let twice = percent_encoding::percent_decode_str(&once).decode_utf8_lossy();
                for read in [&once, &twice] {
                    prop_assert_eq!(read.matches('/').count(), path.matches('/').count());
                    prop_assert!(read.split('/').all(|s| s.split(';').next() != Some("..") && s != "."));
                }
            }
        }
    }
}
