//! Password hashing: Argon2id, on the threads for expensive work, so that it never slows anything else.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use gatewright_sdk::{Busy, ClientKey, Services};
use std::cell::RefCell;
use std::sync::Arc;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// Hashes made elsewhere may ask for more memory than ours, up to this many KiB, and for more in all passes together: beyond that,
/// each takes a second or more.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_WORK: u64 = 1024 * 1024;

thread_local! {
    /// Kept between hashes, which makes each about 2.7 times cheaper than allocating it again. The thread ends after a while
    /// without work.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Hashes passwords with Argon2id: 19 MiB, two passes, one lane (OWASP's figures), written as a PHC string.
///
/// The queue is shared with plugins that verify passwords, and fair by client.
pub struct Hasher {
    services: Arc<dyn Services>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub fn with(services: &Arc<dyn Services>) -> Self {
        Self { services: Arc::clone(services) }
    }

    /// A hasher with threads of its own.
    #[cfg(test)]
    pub fn new() -> Self {
        Self { services: Arc::new(crate::services::HttpServices::default()) }
    }

    /// A hasher that is too busy for any password.
    #[cfg(test)]
    pub fn busy() -> Self {
        Self { services: Arc::new(gatewright_sdk::testing::Nothing) }
    }

    /// The PHC string of `password` with a new salt. Nothing is hashed for a caller that has left.
    ///
    /// # Errors
    /// The queue is full: respond with 503 and `Retry-After`.
    pub async fn hash(&self, client: ClientKey, password: Zeroizing<String>) -> Result<String, Busy> {
        let (answer, made) = oneshot::channel();
        let work = move || answer.send(with_memory(|argon, memory| hash(argon, &password, memory))).is_ok();
        self.services.compute(client, Box::new(work)).await?;
        made.await.map_err(|_| Busy)
    }

    /// Whether `password` is the one that was hashed. Without a hash it is not, and finding that out takes as long: so the
    /// time does not reveal which accounts exist.
    ///
    /// # Errors
    /// The queue is full.
    pub async fn matches(
        &self,
        client: ClientKey,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        let work = move || with_memory(|argon, memory| matches(argon, &password, hash.as_deref(), memory));
        self.services.compute(client, Box::new(work)).await
    }
}

/// Runs `work` with our parameters and the memory they need.
fn with_memory<T>(work: impl FnOnce(&Argon2<'_>, &mut [Block]) -> T) -> T {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    MEMORY.with_borrow_mut(|memory| {
        memory.resize(argon.params().block_count(), Block::new());
        work(&argon, memory)
    })
}

/// Whether `password` has this hash. One that cannot be read is like none.
fn matches(argon: &Argon2<'_>, password: &str, hash: Option<&str>, memory: &mut [Block]) -> bool {
    let known = hash.and_then(readable);
    if known.is_none() && hash.is_some() {
        tracing::warn!("a stored password hash is not one of Argon2, so no password matches it");
    }
    let Some((made, salt, expected)) = known else {
        let mut output = Zeroizing::new([0_u8; Params::DEFAULT_OUTPUT_LEN]);
        // The result does not matter, only the time.
        let _ = argon.hash_password_into_with_memory(password.as_bytes(), &[0; 16], output.as_mut_slice(), memory);
        return false;
    };
    let mut output = Zeroizing::new(vec![0_u8; expected.len()]);
    let own = made.params().block_count() <= memory.len();
    let done = if own {
        made.hash_password_into_with_memory(password.as_bytes(), &salt, &mut output, memory)
    } else {
        made.hash_password_into(password.as_bytes(), &salt, &mut output)
    };
    done.is_ok() && verify_slices_are_equal(&output, expected.as_ref()).is_ok()
}

/// How a hash was made, its salt and its output.
fn readable(hash: &str) -> Option<(Argon2<'static>, Salt, Output)> {
    let hash = PasswordHash::new(hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    let bounded = params.m_cost() <= MOST_MEMORY && work <= MOST_WORK;
    bounded.then_some((Argon2::new(algorithm, version, params), hash.salt?, hash.hash?))
}

fn hash(argon: &Argon2<'_>, password: &str, memory: &mut [Block]) -> String {
    let salt = Salt::generate();
    let mut output = Zeroizing::new([0_u8; Params::DEFAULT_OUTPUT_LEN]);
    argon
        .hash_password_into_with_memory(password.as_bytes(), &salt, output.as_mut_slice(), memory)
        .expect("the salt, the output and the memory have the lengths argon2 asks for");
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon.params()).expect("argon2's own parameters can be written"),
        salt: Some(salt),
        hash: Some(Output::new(output.as_slice()).expect("32 bytes are a valid length")),
    }
    .to_string()
}

#[cfg(test)]
mod tests;
