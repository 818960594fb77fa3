//! Password hashing: Argon2id on a few dedicated threads, so that it never slows anything else.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::queue::{Queue, Taken};
use crate::telemetry::instruments::PASSWORDS;
use gatewright_sdk::metrics::{Level, Observed, level, number, observe};

/// The maximum number of waiting hashes: at about 30 ms each, more would take longer than a client waits.
const WAITING: usize = 32;
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
    queue: Arc<Queue<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    running: Arc<Level>,
    /// Reports how many hashes are waiting.
    _waiting: Arc<Observed>,
}

struct Job {
    password: Zeroizing<String>,
    answer: oneshot::Sender<String>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Hasher {
    /// No thread runs and no memory is taken before the first password.
    pub fn new() -> Self {
        let queue = Arc::new(Queue::new(WAITING));
        let waiting = Arc::clone(&queue);
        Self {
            queue,
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
        hasher.queue.close();
        hasher
    }

    /// The PHC string of `password` with a new salt. Nothing is hashed for a caller that has left.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Busy> {
        if !self.start() {
            return Err(Busy);
        }
        let (answer, hash) = oneshot::channel();
        self.queue.put(Job { password, answer }).map_err(|_| Busy)?;
        hash.await.map_err(|_| Busy)
    }

    /// Starts the threads once; returns whether there is at least one.
    fn start(&self) -> bool {
        let mut threads = self.threads.lock();
        if !threads.is_empty() {
            return true;
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 2).max(1) {
            let (queue, running) = (Arc::clone(&self.queue), Arc::clone(&self.running));
            let thread = thread::Builder::new().name("password".into());
            match thread.spawn(move || work(&queue, &running)) {
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
        self.queue.close();
    }
}

/// Runs one thread. Keeping the memory between hashes makes each about 2.7 times cheaper than allocating it again.
fn work(queue: &Queue<Job>, running: &Level) {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    let mut memory: Vec<Block> = Vec::new();
    let mut jobs = Vec::with_capacity(1);
    loop {
        let patience = (!memory.is_empty()).then_some(IDLE);
        match queue.take(&mut jobs, 1, patience) {
            Taken::Jobs => {}
            Taken::Idle => memory = Vec::new(),
            Taken::Closed => return,
        }
        for job in jobs.drain(..).filter(|job| !job.answer.is_closed()) {
            memory.resize(argon.params().block_count(), Block::new());
            running.add(1);
            let hash = hash(&argon, &job.password, &mut memory);
            running.add(-1);
            let _ = job.answer.send(hash);
        }
    }
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
