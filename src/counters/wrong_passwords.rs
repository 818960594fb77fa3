//! Wrong passwords that several gateways count together: three buckets, and the clients that have signed in to an account.

use super::Store;
use super::script::{Text, micros, script};
use gatewright_sdk::{ClientKey, hex};
use redis::{Cmd, RedisResult};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

static ATTEMPT: Text = script!("attempt.lua");
static SETTLE: Text = script!("settle.lua");

/// How many clients are remembered that have signed in to an account, and for how long since the last sign-in.
const KNOWN: (u32, Duration) = (100, Duration::from_secs(90 * 24 * 3600));

/// The keys in Redis of one client and one account.
#[derive(Debug)]
pub struct Names {
    client: String,
    /// The beginning of all keys.
    prefix: String,
    /// The buckets, and the clients that have signed in to the account.
    keys: [String; 4],
}

impl Names {
    /// The keys for the accounts of `sign_in`, which all gateways call the same. They have one hash tag, so that all are on one server
    /// of a cluster.
    pub fn new(sign_in: &str, client: ClientKey, account: &str) -> Self {
        let mut digest = hex(Sha256::digest(account));
        digest.truncate(32);
        let (client, account) = (client.to_string(), format!("account=sha256:{digest}"));
        let keys = [
            format!("client={client}&{account}"),
            format!("client={client}"),
            account.clone(),
            format!("signed-in&{account}"),
        ];
        let prefix = format!("gatewright:sign-in:{{{sign_in}}}");
        Self { client, keys: keys.map(|key| format!("{prefix}:{key}")), prefix }
    }

    fn write(&self, command: &mut Cmd) {
        command.arg(self.keys.len()).arg(&self.keys);
    }
}

/// One of the buckets of an attempt: by client and account, by client, and by account.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// How many attempts it holds.
    pub burst: f64,
    /// The time in which one attempt is forgotten.
    pub every: Duration,
    /// In an attempt, how many this gateway has counted alone. In what is taken back, how many to take.
    pub count: f64,
}

/// What a gateway knows about an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub buckets: [Bucket; 3],
    /// How many of the attempts in each bucket this gateway has not judged yet.
    pub flying: [f64; 3],
    /// Whether the client has signed in to the account.
    pub known: bool,
    /// Whether the password was right since the gateway counts alone: the first bucket holds only what it has counted.
    pub cleared: bool,
}

/// What the store knows about an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// The position of a full bucket. Otherwise the attempt was counted.
    pub full: Option<usize>,
    pub known: bool,
    /// How many attempts each bucket holds.
    pub levels: [f64; 3],
    /// Whether it is the first attempt that any gateway refuses since the bucket was full. Those that wait for others are not refused.
    pub newly: bool,
}

impl Store {
    /// Counts an attempt in all buckets, unless one of them is full. `None` if the store is known to be unreachable; the future is
    /// ready within 50 ms, with `None` if it did not respond.
    pub fn attempt(&self, names: &Arc<Names>, ask: Ask) -> Option<impl Future<Output = Option<Told>> + use<>> {
        let (redis, names) = (Arc::clone(&self.redis), Arc::clone(names));
        let link = redis.link.load_full()?;
        Some(async move {
            let asked = async { told(ATTEMPT.run(&link, |command| ask.write(&names, command)).await) };
            let (told, foreign) = redis.heard(&link, asked).await?;
            redis.replaced(&names.prefix, &foreign);
            Some(told)
        })
    }

    /// Takes back what `buckets` say. If the password was `right`, the first bucket is emptied, and the client is known from now on.
    /// Returns whether that was done.
    pub fn settle(&self, names: &Arc<Names>, buckets: [Bucket; 3], right: bool) -> impl Future<Output = bool> + use<> {
        let (redis, names) = (Arc::clone(&self.redis), Arc::clone(names));
        let link = redis.link.load_full();
        async move {
            let Some(link) = link else { return false };
            let write = |command: &mut Cmd| {
                names.write(command);
                for Bucket { every, count, .. } in buckets {
                    command.arg(micros(every)).arg(count);
                }
                command.arg(&names.client).arg(u8::from(right)).arg(KNOWN.0).arg(KNOWN.1.as_millis().to_string());
            };
            let settled = redis.heard(&link, SETTLE.run::<String>(&link, write)).await;
            settled.inspect(|foreign| redis.replaced(&names.prefix, foreign)).is_some()
        }
    }
}

impl Ask {
    fn write(&self, names: &Names, command: &mut Cmd) {
        names.write(command);
        for Bucket { burst, every, count } in self.buckets {
            command.arg(burst).arg(micros(every)).arg(count);
        }
        command.arg(&names.client).arg(u8::from(self.known)).arg(u8::from(self.cleared));
        command.arg(KNOWN.0).arg(KNOWN.1.as_millis().to_string()).arg(&self.flying);
    }
}

fn told(answer: RedisResult<(i64, i64, f64, f64, f64, i64, String)>) -> RedisResult<(Told, String)> {
    let (full, known, pair, client, account, newly, foreign) = answer?;
    let full = usize::try_from(full - 1).ok();
    Ok((Told { full, known: known == 1, levels: [pair, client, account], newly: newly == 1 }, foreign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere_and_contain_no_account() {
        let names = |client: &str| Names::new("main/users", ClientKey::of(client.parse().unwrap()), "ada@example.com");
        let digest = "b5fc85e55755f9e0d030a10ab4429b6b";
        assert_eq!(
            names("192.0.2.1").keys,
            [
                format!("gatewright:sign-in:{{main/users}}:client=192.0.2.1&account=sha256:{digest}"),
                "gatewright:sign-in:{main/users}:client=192.0.2.1".to_owned(),
                format!("gatewright:sign-in:{{main/users}}:account=sha256:{digest}"),
                format!("gatewright:sign-in:{{main/users}}:signed-in&account=sha256:{digest}"),
            ]
        );
        assert!(names("2001:db8:0:1::1").keys[1].ends_with(":client=2001:db8:0:1::/64"));
    }
}
