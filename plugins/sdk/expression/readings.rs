//! The paths that servers may read an ambiguous path as. Listeners and routes let such paths pass only if `paths.allow` says so.

/// The ways to read a path, besides as it is written: some servers decode twice, some decode `%2F` before they split the path, some have no
/// parameters after a `;`, some merge slashes, and some do several of these.
pub fn ways() -> impl Iterator<Item = Way> {
    (1..1 << READINGS.len()).map(Way)
}

/// Some of [`READINGS`], one for each bit.
#[derive(Clone, Copy)]
pub struct Way(u8);

const READINGS: [fn(&str) -> String; 4] =
    [decoded_twice, split_at_encoded_slashes, without_parameters, without_empty_segments];

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

/// Letters, digits, `-`, `_` and `~` whose escape is escaped again; a path in normal form has no other escapes of them.
fn decoded_twice(path: &str) -> String {
    let mut pieces = path.split("%25");
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(byte) if byte.is_ascii_alphanumeric() || "-_~".contains(byte) => {
                decoded.push(byte);
                decoded.push_str(rest);
            }
            _ => {
                decoded.push_str("%25");
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
    use super::{is_ambiguous, ways};

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
            ("/a%2F%2Fb", "/a/b"),
            ("/a;b%2Fc", "/a"),
            ("/a;b%2Fc", "/a/c"),
        ] {
            assert!(others(path).iter().any(|other| other == reading), "{path}: {:?}", others(path));
        }
    }
}
