//! How far a copy is, on standard error: one line that changes on a terminal, otherwise a line from time to time.

use crate::cli::output::say;
use crate::resource::store::Count;
use crate::resource::transfer::{Progress, Work};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Prints where a copy is.
pub struct Lines {
    terminal: bool,
    /// The table and what is done with it, since when, and how many rows that was.
    current: Option<(Work, String, Instant, u64)>,
    printed: Instant,
    open: bool,
}

impl Lines {
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), current: None, printed: Instant::now(), open: false }
    }

    fn pause(&self) -> Duration {
        if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(5) }
    }

    /// Ends the line that changes.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            say("\n");
        }
    }
}

impl Progress for Lines {
    fn rows(&mut self, work: Work, table: &str, rows: u64, of: u64) {
        let same = self.current.as_ref().is_some_and(|(known, name, ..)| *known == work && name == table);
        if !same {
            self.end();
            self.current = Some((work, table.to_owned(), Instant::now(), 0));
        }
        let Some((_, _, since, done)) = &mut self.current else { return };
        *done += rows;
        let (done, since) = (*done, *since);
        let last = done >= of;
        if !last && self.printed.elapsed() < self.pause() || rows == 0 {
            return;
        }
        self.printed = Instant::now();
        let rate = u128::from(done) * 1000 / since.elapsed().as_millis().max(1);
        let number = |found| Count { found, complete: true };
        let (done, of, rate) = (number(done), number(of), number(u64::try_from(rate).unwrap_or(u64::MAX)));
        let doing = match work {
            Work::Compare => "comparing",
            Work::Copy => "copying",
            Work::Check => "checking",
        };
        let line = format!("{doing} {table}: {done} of {of} rows, {rate} rows/s");
        if self.terminal {
            say(&format!("\r\x1b[K{line}"));
            self.open = true;
        } else {
            say(&format!("{line}\n"));
        }
    }
}
