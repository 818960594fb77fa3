//! Password hashing: Argon2id on a few dedicated threads, so that it never slows anything else.

mod line;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::line::{Line, Taken};
use super::client_key::ClientKey;
use crate::telemetry::instruments::PASSWORDS;
use gatewright_sdk::metrics::{Level, Observed, level, number, observe};

/// The maximum number of waiting hashes: at about 30 ms each, more would take longer than a client waits.
const WAITING: usize = 64;
/// Hashes made elsewhere may ask for more memory than ours, up to this many KiB, and for more passes.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
/// After this long without work a thread gives its 19 MiB back.
const IDLE: Duration = Duration::from_secs(10);

/// All threads are busy and the queue is full: respond with 503 and `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password hashing is busy")]
pub struct Busy;

/// Hashes passwords with Argon2id: 19 MiB, two passes, one lane (OWASP's figures), written as a PHC string.
///
/// At most half of the cores hash. The threads start with the first password and end with this value.
#[derive(Debug)]
pub struct Hasher {
    line: Arc<Line<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    running: Arc<Level>,
    /// Reports how many hashes are waiting.
    _waiting: Arc<Observed>,
}

struct Job {
    password: Zeroizing<String>,
    answer: Answer,
}

enum Answer {
    /// The hash of the password.
    Hash(oneshot::Sender<String>),
    /// Whether the password is the one with this hash; without a hash, it is not.
    Matches(Option<String>, oneshot::Sender<bool>),
}

impl Job {
    /// Whether the result is still awaited.
    fn is_wanted(&self) -> bool {
        match &self.answer {
            Answer::Hash(answer) => !answer.is_closed(),
            Answer::Matches(_, answer) => !answer.is_closed(),
        }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Hasher {
    /// No thread runs and no memory is taken before the first password.
    pub fn new() -> Self {
        let line = Arc::new(Line::new(WAITING));
        let waiting = Arc::clone(&line);
        Self {
            line,
            threads: Mutex::new(Vec::new()),
            running: level(&PASSWORDS, [("gateway.password.state", "running".into())]),
            _waiting: observe(&PASSWORDS, [("gateway.password.state", "waiting".into())], move || {
                number(waiting.len())
            }),
        }
    }

    /// A hasher that is too busy for any password.
    #[cfg(test)]
    pub fn busy() -> Self {
        let hasher = Self::new();
        hasher.line.close();
        hasher
    }

    /// The PHC string of `password` with a new salt. Nothing is hashed for a caller that has left.
    pub async fn hash(&self, client: ClientKey, password: Zeroizing<String>) -> Result<String, Busy> {
        let (answer, hash) = oneshot::channel();
        self.put(client, Job { password, answer: Answer::Hash(answer) })?;
        hash.await.map_err(|_| Busy)
    }

    /// Whether `password` is the one that was hashed. Without a hash it is not, and finding that out takes as long: so the
    /// time does not reveal which accounts exist.
    pub async fn matches(
        &self,
        client: ClientKey,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        let (answer, matches) = oneshot::channel();
        self.put(client, Job { password, answer: Answer::Matches(hash, answer) })?;
        matches.await.map_err(|_| Busy)
    }

    fn put(&self, client: ClientKey, job: Job) -> Result<(), Busy> {
        let queued = self.start() && self.line.put(client, job);
        if queued { Ok(()) } else { Err(Busy) }
    }

    /// Starts the threads once; returns whether there is at least one.
    fn start(&self) -> bool {
        let mut threads = self.threads.lock();
        if !threads.is_empty() {
            return true;
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 2).max(1) {
            let (line, running) = (Arc::clone(&self.line), Arc::clone(&self.running));
            let thread = thread::Builder::new().name("password".into());
            match thread.spawn(move || work(&line, &running)) {
                Ok(handle) => threads.push(handle),
                Err(error) => tracing::error!(%error, "cannot start a thread for password hashing"),
            }
        }
        !threads.is_empty()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Hasher {
    /// The threads end after their current hash. The last owner may be a worker, which must not wait.
    fn drop(&mut self) {
        self.line.close();
    }
}

/// Runs one thread. Keeping the memory between hashes makes each about 2.7 times cheaper than allocating it again.
fn work(line: &Line<Job>, running: &Level) {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    let mut memory: Vec<Block> = Vec::new();
    loop {
        let patience = (!memory.is_empty()).then_some(IDLE);
        let job = match line.take(patience) {
            Taken::Job(job) if job.is_wanted() => job,
            Taken::Job(_) => continue,
            Taken::Idle => {
                memory = Vec::new();
                continue;
            }
            Taken::Closed => return,
        };
        memory.resize(argon.params().block_count(), Block::new());
        running.add(1);
        match job.answer {
            Answer::Hash(answer) => {
                let _ = answer.send(hash(&argon, &job.password, &mut memory));
            }
            Answer::Matches(hash, answer) => {
                let _ = answer.send(matches(&argon, &job.password, hash.as_deref(), &mut memory));
            }
        }
        running.add(-1);
    }
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
    let bounded = params.m_cost() <= MOST_MEMORY && params.t_cost() <= MOST_PASSES;
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
