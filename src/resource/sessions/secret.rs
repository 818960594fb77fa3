//! Refresh tokens: how they are made, written and compared.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The length of a token as text.
const LENGTH: usize = 86;

/// A refresh token. All tokens of a session have its id and its proof; the secret changes with each.
#[derive(Clone)]
pub struct RefreshToken {
    pub session: Uuid,
    /// Shows that the sender has, or had, a token of the session: the id alone is no secret.
    proof: Zeroizing<[u8; 16]>,
    secret: Zeroizing<[u8; 32]>,
}

impl RefreshToken {
    /// The first token of a new session; `None` if there is no randomness.
    pub fn first() -> Option<Self> {
        let mut proof = Zeroizing::new([0; 16]);
        rand::fill(&mut *proof).ok()?;
        Some(Self { session: Uuid::now_v7(), proof, secret: secret()? })
    }

    /// The token that replaces this one.
    pub fn next(&self) -> Option<Self> {
        Some(Self { session: self.session, proof: self.proof.clone(), secret: secret()? })
    }

    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        bytes.extend_from_slice(self.session.as_bytes());
        bytes.extend_from_slice(&*self.proof);
        bytes.extend_from_slice(&*self.secret);
        Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// The token with this text, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (proof, rest) = rest.split_first_chunk::<16>()?;
        let (secret, []) = rest.split_first_chunk::<32>()? else { return None };
        let (proof, secret) = (Zeroizing::new(*proof), Zeroizing::new(*secret));
        Some(Self { session: Uuid::from_bytes(*session), proof, secret })
    }

    /// The hash of its proof, as it is stored.
    pub fn proof_hash(&self) -> String {
        hash(&*self.proof)
    }

    /// The hash of its secret, as it is stored.
    pub fn secret_hash(&self) -> String {
        hash(&*self.secret)
    }
}

fn secret() -> Option<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    rand::fill(&mut *secret).ok()?;
    Some(secret)
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Whether two hashes are equal, in constant time.
pub fn same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let first = RefreshToken::first().unwrap();
        let text = first.text();
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!(
            (read.session, read.proof_hash(), read.secret_hash()),
            (first.session, first.proof_hash(), first.secret_hash())
        );
        let next = read.next().unwrap();
        assert_eq!((next.session, next.proof_hash()), (first.session, first.proof_hash()));
        assert!(!same(&next.secret_hash(), &first.secret_hash()));
        assert!(!text.contains(&first.secret_hash()));
        let (start, end) = text.split_at(LENGTH - 1);
        // The last letter has unused bits: only one spelling of a token is one.
        let spellings = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars();
        let valid = spellings.filter(|last| RefreshToken::parse(&format!("{start}{last}")).is_some()).count();
        assert_eq!(valid, 4, "{end}");
        for bad in ["", "x", start, &format!("{}A", &*text), &format!("{start}="), &"é".repeat(43), &".".repeat(86)] {
            assert!(RefreshToken::parse(bad).is_none(), "{bad}");
        }
    }
}
