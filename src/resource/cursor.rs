//! Cursors: where a page ended, bound to the query of the list.

use super::digest::{self, Digest};
use super::store::Param;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The version of the format.
const VERSION: u8 = 2;
const CHECKSUM: usize = 8;
/// The maximum length of a cursor with all its keys, in bytes: it is part of a link in a header.
const LONG: usize = 1024;
/// The maximum length of any cursor, in bytes.
const LONGEST: usize = 2048;

/// Where a page ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// At a row with these keys, whether or not it still exists.
    Keys(Vec<Param>),
    /// At this row, whose keys are too long for a cursor: valid while it exists and has the same keys.
    Row { id: Param, keys: [u8; 16] },
}

/// Everything that must be the same on the next page: a cursor fits no other query. The checksum detects mixed-up and
/// damaged cursors and protects no secret: a cursor contains values of visible fields, and rules and filters are applied
/// again on every page. So cursors survive restarts and are valid on every instance.
#[derive(Clone)]
pub struct Scope(Digest);

impl Scope {
    /// `query` is a digest over the resource, its order and its filters.
    pub const fn new(query: Digest) -> Self {
        Self(query)
    }

    fn checksum(&self, content: &[u8]) -> [u8; CHECKSUM] {
        let mut digest = self.0.clone();
        digest.bytes(content);
        digest.finish()
    }

    /// Replaces keys that are too long.
    pub fn digest(&self, keys: &[Param]) -> [u8; 16] {
        let mut digest = self.0.clone();
        digest.values(keys);
        digest.finish()
    }

    /// The cursor after the row with these keys, of which the id is the last; `None` if even that is too long.
    pub fn write(&self, keys: &[Param]) -> Option<String> {
        let mut content = vec![VERSION, 0];
        keys.iter().for_each(|key| digest::write(&mut content, key));
        let whole = self.seal(content);
        if whole.len() <= LONG {
            return Some(whole);
        }
        let mut content = vec![VERSION, 1];
        content.extend(self.digest(keys));
        digest::write(&mut content, keys.last()?);
        Some(self.seal(content)).filter(|text| text.len() <= LONGEST)
    }

    fn seal(&self, mut content: Vec<u8>) -> String {
        content.extend(self.checksum(&content));
        URL_SAFE_NO_PAD.encode(content)
    }

    /// Where a cursor is; `None` if it is not one of ours, or belongs to another query. A cursor has one spelling:
    /// the encoding has neither padding nor unused bits.
    pub fn read(&self, cursor: &str, count: usize) -> Option<Mark> {
        if cursor.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        if self.checksum(content) != checksum {
            return None;
        }
        match content.strip_prefix(&[VERSION])?.split_first()? {
            (0, mut rest) => {
                let mut keys = Vec::with_capacity(count);
                while !rest.is_empty() {
                    let (key, after) = digest::read(rest)?;
                    keys.push(key);
                    rest = after;
                }
                (keys.len() == count).then_some(Mark::Keys(keys))
            }
            (1, rest) => {
                let (keys, rest) = rest.split_first_chunk()?;
                let (id, rest) = digest::read(rest)?;
                rest.is_empty().then_some(Mark::Row { id, keys: *keys })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(query: &str) -> Scope {
        Scope::new(Digest::new(query))
    }

    fn text(value: impl Into<String>) -> Param {
        Param::Text(value.into())
    }

    proptest! {
        #[test]
        fn a_cursor_gives_back_what_was_put_in(words in "\\PC{0,40}", number: i64, real: f64) {
            let keys = vec![Param::Null, Param::Integer(number), text(words), Param::Real(real)];
            let scope = scope("users");
            let cursor = scope.write(&keys).unwrap();
            let wanted = Some(Mark::Keys(keys));
            prop_assert_eq!(format!("{:?}", scope.read(&cursor, 4)), format!("{wanted:?}"));
            prop_assert_eq!(super::tests::scope("posts").read(&cursor, 4), None);
            prop_assert_eq!(scope.read(&cursor, 3), None);
        }

        #[test]
        fn no_text_makes_the_reader_fall_over(words in ".{0,80}", bytes: Vec<u8>) {
            let scope = scope("users");
            prop_assert_eq!(scope.read(&words, 1), None);
            prop_assert_eq!(scope.read(&URL_SAFE_NO_PAD.encode(bytes), 1), None);
        }
    }

    #[test]
    fn a_cursor_has_one_spelling() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=";
        let scope = scope("users");
        for length in 0..3 {
            let cursor = scope.write(&[text("x".repeat(length))]).unwrap();
            for at in 0..cursor.len() {
                for letter in letters.bytes().filter(|letter| *letter != cursor.as_bytes()[at]) {
                    let mut changed = cursor.clone().into_bytes();
                    changed[at] = letter;
                    assert_eq!(scope.read(&String::from_utf8(changed).unwrap(), 1), None);
                }
            }
            for other in [format!("{cursor}="), format!("{cursor}A"), format!(" {cursor}")] {
                assert_eq!(scope.read(&other, 1), None, "{other}");
            }
        }
    }

    #[test]
    fn keys_too_long_for_a_link_are_named_by_their_row() {
        let scope = scope("users");
        let keys = [text("x".repeat(3000)), text("id")];
        let cursor = scope.write(&keys).unwrap();
        assert!(cursor.len() < 100, "{cursor}");
        assert_eq!(scope.read(&cursor, 2), Some(Mark::Row { id: text("id"), keys: scope.digest(&keys) }));
        assert_ne!(scope.digest(&keys), scope.digest(&[text("x".repeat(3001)), text("id")]));
        assert_eq!(scope.write(&[text("x".repeat(3000))]), None);
    }
}
