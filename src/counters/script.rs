//! The script that takes from a bucket in one step.

use gatewright_sdk::{Take, Taken};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, cmd};
use std::sync::LazyLock;
use std::time::Duration;

const TEXT: &str = include_str!("take.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

/// Takes from a bucket. Redis knows the script by its hash; if it was restarted or has flushed its scripts, it gets the
/// text once more.
pub async fn take(link: &MultiplexedConnection, take: &Take) -> RedisResult<Taken> {
    let mut link = link.clone();
    let answer = command("EVALSHA", SCRIPT.get_hash(), take).query_async(&mut link).await;
    let (admitted, owed): (i64, i64) = match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            command("EVAL", TEXT, take).query_async(&mut link).await?
        }
        answer => answer?,
    };
    Ok(Taken { admitted: admitted == 1, owed: Duration::from_nanos(u64::try_from(owed).unwrap_or_default()) })
}

fn command(verb: &str, script: &str, take: &Take) -> Cmd {
    let mut command = cmd(verb);
    command.arg(script).arg(1).arg(&take.bucket);
    command.arg(micros(take.period)).arg(take.burst).arg(take.cost).arg(micros(take.owed));
    command
}

/// As text, exact to the nanosecond.
fn micros(time: Duration) -> String {
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
