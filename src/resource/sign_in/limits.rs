//! How many wrong passwords may be tried: the settings, and what is wrong with them.

use crate::config::document::route::{WrongPasswordLimit, WrongPasswords};
use gatewright_sdk::{Code, Fault, HumanDuration};
use std::time::Duration;

/// This many wrong passwords at once, then one in each interval.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub burst: u32,
    pub every: Duration,
}

/// The limits of one sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one client for one account. One client alone cannot fill the bucket of an account: it empties faster.
    pub pair: Limit,
    /// Of one client, for any accounts.
    pub client: Limit,
    /// For one account, from any clients that have not signed in to it.
    pub account: Limit,
}

impl From<WrongPasswordLimit> for Limit {
    fn from(written: WrongPasswordLimit) -> Self {
        Self { burst: written.burst, every: written.every.get() }
    }
}

impl From<&WrongPasswords> for Limits {
    fn from(written: &WrongPasswords) -> Self {
        let WrongPasswords { client_and_account, client, account, store: _ } = written;
        Self { pair: (*client_and_account).into(), client: (*client).into(), account: (*account).into() }
    }
}

const SHORTEST: HumanDuration = HumanDuration::from_secs(1);
const LONGEST: HumanDuration = HumanDuration::from_secs(24 * 3600);

/// What is wrong with the limits, with paths relative to `sign_in`. The schema bounds `burst`.
pub fn faults(written: &WrongPasswords) -> Vec<Fault> {
    let WrongPasswords { client_and_account: pair, client, account, store: _ } = written;
    let mut faults = Vec::new();
    let mut wrong = |path: String, message: String, help: &str| {
        faults.push(Fault::new(format!("wrong_passwords.{path}"), message).code(Code::OUT_OF_RANGE).help(help));
    };
    for (name, limit) in [("client_and_account", pair), ("client", client), ("account", account)] {
        if limit.every < SHORTEST || limit.every > LONGEST {
            let message = format!("`{}` is out of range", limit.every);
            wrong(format!("{name}.every"), message, "use a time between 1s and 24h, such as 5m");
        }
    }
    // Of two figures that do not go together, the fault is at the one that was written: those that are not in the file are the defaults.
    let usual = WrongPasswords::default();
    let mut locks = |key: &str, message: String, of_account: String, [there, here, what]: [&str; 3]| {
        let message = format!("one client could lock an account: {message}");
        if *account == usual.account {
            let help =
                format!("use a {here} {what} than {of_account}, which is `{key}` of `account`, or a {there} one there");
            wrong(format!("client_and_account.{key}"), message, &help);
        } else {
            wrong(
                format!("account.{key}"),
                message,
                &format!("use a {there} {what} than `{key}` of `client_and_account`"),
            );
        }
    };
    if account.burst <= pair.burst {
        let message = format!("it may send {} wrong passwords at once", pair.burst);
        locks("burst", message, account.burst.to_string(), ["larger", "smaller", "number"]);
    }
    if account.every >= pair.every {
        let message = format!("it may send a wrong password every {}", pair.every);
        locks("every", message, account.every.to_string(), ["shorter", "longer", "time"]);
    }
    if client.burst < pair.burst {
        if *client == usual.client {
            let message = format!("it has no effect: `burst` of `client`, for any accounts, is {}", client.burst);
            wrong("client_and_account.burst".to_owned(), message, "use at most that number, or a larger one there");
        } else {
            let message = format!("`burst` of `client_and_account` has no effect: it is {}", pair.burst);
            wrong("client.burst".to_owned(), message, "use at least that number");
        }
    }
    faults
}
