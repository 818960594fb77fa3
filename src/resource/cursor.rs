//! Cursors: the keys of the last row of a page, sealed so that they fit the query they came from and no other.

use super::store::Param;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The form of a cursor; another number is another form.
const VERSION: u8 = 1;
const SEAL: usize = 8;
/// The longest cursor that is made or read, in bytes: it has to fit a header.
const LONGEST: usize = 2048;

/// Ties cursors to a resource and a query. The seal guards against mixing and mangling, it keeps no secret: a
/// cursor names values of visible fields, and rules and filters are applied again on every page. So it is derived
/// from the resource, and cursors outlive restarts and are good on every instance.
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// `query` holds all that must be the same on the next page.
    pub fn new(resource: &[u8], query: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(resource).expect("HMAC takes keys of any length");
        mac.update(query);
        Self(mac)
    }

    fn over(&self, content: &[u8]) -> [u8; SEAL] {
        let mut mac = self.0.clone();
        mac.update(content);
        let mut seal = [0; SEAL];
        seal.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        seal
    }

    /// The cursor after a row with these keys; `None` when it would be too long.
    pub fn write(&self, keys: &[Param]) -> Option<String> {
        let mut content = vec![VERSION];
        for key in keys {
            match key {
                Param::Null => content.push(0),
                Param::Integer(value) => {
                    content.push(1);
                    content.extend(value.to_be_bytes());
                }
                Param::Real(value) => {
                    content.push(2);
                    content.extend(value.to_bits().to_be_bytes());
                }
                Param::Text(text) => {
                    content.push(3);
                    content.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
                    content.extend(text.as_bytes());
                }
            }
        }
        content.extend(self.over(&content));
        let text = URL_SAFE_NO_PAD.encode(content);
        (text.len() <= LONGEST).then_some(text)
    }

    /// The keys of a cursor; `None` when it is not one of ours, or belongs to another query.
    pub fn read(&self, cursor: &str, count: usize) -> Option<Vec<Param>> {
        if cursor.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (content, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
        if self.over(content) != seal {
            return None;
        }
        let mut rest = content.strip_prefix(&[VERSION])?;
        let mut keys = Vec::with_capacity(count);
        while let Some((kind, after)) = rest.split_first() {
            let (key, after) = match kind {
                0 => (Param::Null, after),
                1 => after
                    .split_first_chunk()
                    .map(|(eight, after)| (Param::Integer(i64::from_be_bytes(*eight)), after))?,
                2 => after
                    .split_first_chunk()
                    .map(|(eight, after)| (Param::Real(f64::from_bits(u64::from_be_bytes(*eight))), after))?,
                3 => {
                    let (length, after) = after.split_first_chunk()?;
                    let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                    (Param::Text(String::from_utf8(text.to_vec()).ok()?), after)
                }
                _ => return None,
            };
            keys.push(key);
            rest = after;
        }
        (keys.len() == count).then_some(keys)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_gives_back_what_was_put_in(text in "\\PC{0,40}", number: i64, real: f64) {
            let keys = vec![Param::Null, Param::Integer(number), Param::Text(text), Param::Real(real)];
            let seal = Seal::new(b"users", b"sort");
            let cursor = seal.write(&keys).unwrap();
            prop_assert_eq!(format!("{:?}", seal.read(&cursor, 4)), format!("{:?}", Some(&keys)));
            prop_assert_eq!(Seal::new(b"users", b"other").read(&cursor, 4), None);
            prop_assert_eq!(Seal::new(b"posts", b"sort").read(&cursor, 4), None);
            prop_assert_eq!(seal.read(&cursor, 3), None);
        }

        #[test]
        fn no_text_makes_the_reader_fall_over(text in ".{0,80}", bytes: Vec<u8>) {
            let seal = Seal::new(b"users", b"sort");
            prop_assert_eq!(seal.read(&text, 1), None);
            prop_assert_eq!(seal.read(&URL_SAFE_NO_PAD.encode(bytes), 1), None);
        }
    }

    #[test]
    fn a_changed_letter_is_noticed() {
        let seal = Seal::new(b"users", b"sort");
        let cursor = seal.write(&[Param::Integer(5)]).unwrap();
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
            assert_eq!(seal.read(&String::from_utf8(changed).unwrap(), 1), None);
        }
    }

    #[test]
    fn keys_too_long_for_a_header_make_no_cursor() {
        assert_eq!(Seal::new(b"a", b"b").write(&[Param::Text("x".repeat(3000))]), None);
    }
}
