//! The paths that servers may read a path as. Those that servers read differently pass only if `paths.allow` of the listener or route says
//! so. Escapes of signs such as `@` always pass: routes take no notice of them, and neither do most servers.

/// The ways to read a path, besides as it is written: most servers decode `%40`, some decode twice, some decode `%2F` before they split the
/// path, some have no parameters after a `;`, some merge slashes, and some do several of these.
pub fn ways() -> impl Iterator<Item = Way> {
    (1..1 << READINGS.len()).map(Way)
}

/// Some of [`READINGS`], one for each bit.
#[derive(Clone, Copy)]
pub struct Way(u8);

const READINGS: [fn(&str) -> String; 5] =
    [decoded_twice, signs_decoded, split_at_encoded_slashes, without_parameters, without_empty_segments];

/// The reading that all spellings of a path have in common, however servers read it.
pub const COMMON: Way = Way((1 << READINGS.len()) - 1);

impl Way {
    /// How such a server reads a path in normal form, or a part of one.
    pub fn read(self, path: &str) -> String {
        let does = |bit: usize| self.0 >> bit & 1 == 1;
        let readings = READINGS.iter().enumerate().filter(|(bit, _)| does(*bit));
        readings.fold(path.to_owned(), |path, (_, read)| read(&path))
    }
}

/// Whether a path in normal form may have other readings.
pub fn is_ambiguous(path: &str) -> bool {
    path.contains(['%', ';']) || path.contains("//")
}

/// Letters, digits and signs that need no escape in a path, whose escape is escaped again.
fn decoded_twice(path: &str) -> String {
    decoded(path, "%25", |byte| byte.is_ascii_alphanumeric() || "-_~!$&'()*+,=:@".contains(byte))
}

/// Signs that a path may contain with and without an escape, apart from those with a meaning: `/`, `;` and `%`. `?` and `#` would end it.
fn signs_decoded(path: &str) -> String {
    decoded(path, "%", |byte| byte.is_ascii_punctuation() && !"/;%?#\\".contains(byte))
}

/// `path` without the escapes, which begin with `mark`, of the bytes for which `is` holds.
fn decoded(path: &str, mark: &str, is: impl Fn(char) -> bool) -> String {
    let mut pieces = path.split(mark);
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(byte) if is(byte) => {
                decoded.push(byte);
                decoded.push_str(rest);
            }
            _ => {
                decoded.push_str(mark);
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

fn split_at_encoded_slashes(path: &str) -> String {
    path.replace("%2F", "/")
}

fn without_parameters(path: &str) -> String {
    let name = |segment: &str| {
        let end = segment.find(';').into_iter().chain(segment.find("%3B")).min().unwrap_or(segment.len());
        segment.get(..end).unwrap_or_default().to_owned()
    };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

fn without_empty_segments(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::{COMMON, is_ambiguous, ways};

    fn others(path: &str) -> Vec<String> {
        ways().map(|way| way.read(path)).filter(|read| is_ambiguous(path) && read != path).collect()
    }

    #[test]
    fn usual_paths_have_one_reading() {
        for path in ["/", "/a/b", "/a%20b", "/caf%C3%A9/", "/100%25/x", "*"] {
            assert!(others(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_have_all_readings() {
        for (path, reading) in [
            ("/a%2Fb", "/a/b"),
            ("/a//b///", "/a/b/"),
            ("/a;x=1/b", "/a/b"),
            ("/a%3Bx/b;y", "/a/b"),
            ("/;/a/b", "/a/b"),
            ("/%2561dmin", "/admin"),
            ("/%2561%2Fb;c//d", "/a/b/d"),
            ("/p/%2540secret", "/p/@secret"),
            ("/a%2F%2Fb", "/a/b"),
            ("/a;b%2Fc", "/a"),
            ("/a;b%2Fc", "/a/c"),
            ("/%40team", "/@team"),
            ("/a%3Adelete%2Fb", "/a:delete/b"),
        ] {
            assert!(others(path).iter().any(|other| other == reading), "{path}: {:?}", others(path));
        }
    }

    #[test]
    fn the_spellings_of_a_path_have_one_reading_in_common() {
        for (path, spellings) in [
            ("/a/b", vec!["/a%2Fb", "/a//b", "//a/b", "/a;x/b", "/a%3Bx/b;y=2", "/%2561/b", "/a%2F%2F;/b"]),
            ("/@team/a:b", vec!["/%40team/a:b", "/@team/a%3Ab", "//%40te%2561m%2Fa%3Ab;v=1"]),
            ("/caf%C3%A9/", vec!["//caf%C3%A9/", "/caf%C3%A9;x/"]),
            ("/", vec!["//", "/;x"]),
        ] {
            for spelling in std::iter::once(path).chain(spellings) {
                assert_eq!(COMMON.read(spelling), path, "{spelling}");
            }
        }
        assert_ne!(COMMON.read("/a%3Fb"), COMMON.read("/a"), "an escape with a meaning is another path");
    }
}
