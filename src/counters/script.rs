//! Scripts, which Redis runs in one step, and the one that takes from a bucket.

use gatewright_sdk::{Take, Taken};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind, cmd};
use std::sync::LazyLock;
use std::time::Duration;

/// The text of a script, and the hash by which Redis knows it.
pub struct Text {
    text: &'static str,
    hash: LazyLock<Script>,
}

/// Declares the script with this text, after what all of them begin with.
macro_rules! script {
    ($file:literal) => {{
        const TEXT: &str = concat!(include_str!("foreign.lua"), include_str!($file));
        $crate::counters::script::Text::new(TEXT, || redis::Script::new(TEXT))
    }};
}
pub(super) use script;

impl Text {
    pub const fn new(text: &'static str, hash: fn() -> Script) -> Self {
        Self { text, hash: LazyLock::new(hash) }
    }

    /// Runs the script with what `fill` adds. If Redis was restarted or has flushed its scripts, it gets the text once more.
    pub async fn run<T: FromRedisValue>(
        &self,
        link: &MultiplexedConnection,
        fill: impl Fn(&mut Cmd),
    ) -> RedisResult<T> {
        let mut link = link.clone();
        let command = |verb: &str, script: &str| {
            let mut command = cmd(verb);
            command.arg(script);
            fill(&mut command);
            command
        };
        match command("EVALSHA", self.hash.get_hash()).query_async(&mut link).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.text).query_async(&mut link).await
            }
            answer => answer,
        }
    }
}

static TAKE: Text = script!("take.lua");

/// Takes from a bucket. The second value is the type of what its key held if no gateway wrote that; otherwise it is empty.
pub async fn take(link: &MultiplexedConnection, take: &Take) -> RedisResult<(Taken, String)> {
    let fill = |command: &mut Cmd| {
        command.arg(1).arg(&take.bucket);
        command.arg(micros(take.period)).arg(take.burst).arg(take.cost).arg(micros(take.owed));
    };
    let (admitted, owed, foreign): (i64, i64, String) = TAKE.run(link, fill).await?;
    let owed = Duration::from_nanos(u64::try_from(owed).unwrap_or_default());
    Ok((Taken { admitted: admitted == 1, owed }, foreign))
}

/// As text, exact to the nanosecond.
pub fn micros(time: Duration) -> String {
    match time.subsec_nanos() % 1000 {
        0 => time.as_micros().to_string(),
        nanos => format!("{}.{nanos:03}", time.as_micros()),
    }
}

/// Takes from a bucket that nothing else uses, to see whether Redis can count. It expires at once.
pub fn probe() -> Take {
    let (bucket, period) = ("gatewright:probe".to_owned(), Duration::from_millis(1));
    Take { bucket, cost: 1, burst: 1000, period, owed: Duration::ZERO }
}
