//! Digests of lists of values, encoded so that no two lists have the same encoding.

use super::store::Param;
use sha2::{Digest as _, Sha256};

/// A digest being computed.
#[derive(Clone)]
pub struct Digest(Sha256);

impl Digest {
    /// `name` separates digests for different uses.
    pub fn new(name: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.text(name);
        digest
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    /// Values with their types, and their number.
    pub fn values(&mut self, values: &[Param]) {
        self.number(u64::try_from(values.len()).unwrap_or(u64::MAX));
        let mut written = Vec::with_capacity(16 * values.len());
        values.iter().for_each(|value| write(&mut written, value));
        self.bytes(&written);
    }

    /// The first `N` bytes, at most 32.
    pub fn finish<const N: usize>(self) -> [u8; N] {
        let mut first = [0; N];
        first.iter_mut().zip(self.0.finalize()).for_each(|(to, from)| *to = from);
        first
    }
}

/// Appends a value: a byte for its type, then eight bytes, or a length of four and the text.
pub fn write(to: &mut Vec<u8>, value: &Param) {
    match value {
        Param::Null => to.push(0),
        Param::Integer(value) => {
            to.push(1);
            to.extend(value.to_be_bytes());
        }
        Param::Real(value) => {
            to.push(2);
            to.extend(value.to_bits().to_be_bytes());
        }
        Param::Text(text) => {
            to.push(3);
            to.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            to.extend(text.as_bytes());
        }
    }
}

/// The first value written by [`write`], and the rest.
pub fn read(from: &[u8]) -> Option<(Param, &[u8])> {
    let (kind, rest) = from.split_first()?;
    Some(match kind {
        0 => (Param::Null, rest),
        1 => rest.split_first_chunk().map(|(eight, rest)| (Param::Integer(i64::from_be_bytes(*eight)), rest))?,
        2 => {
            let (eight, rest) = rest.split_first_chunk()?;
            (Param::Real(f64::from_bits(u64::from_be_bytes(*eight))), rest)
        }
        3 => {
            let (length, rest) = rest.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            (Param::Text(String::from_utf8(text.to_vec()).ok()?), rest)
        }
        _ => return None,
    })
}
