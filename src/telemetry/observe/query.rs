//! A query as telemetry may show it: the values of parameters that hold secrets are masked.

use std::fmt::{self, Write};
use std::sync::Arc;

/// The parameters whose values are masked, in lower case.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Words(Arc<[Box<str>]>);

/// A query with the values of some parameters as `***`.
pub(super) struct Query<'a> {
    pub query: &'a str,
    pub words: &'a Words,
}

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        Self(words.iter().map(|word| word.to_lowercase().into_boxed_str()).collect())
    }
}

impl Query<'_> {
    fn hides(&self, name: &str) -> bool {
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let is_word = |part: &str| self.words.0.iter().any(|word| part.trim().to_lowercase() == **word);
        // `user[password]`, `filter.token`, `password[0]`: any word of a nested name may say what it is. A `+` is a space.
        is_word(&name) || name.split(|c: char| "[].{}:+".contains(c) || c.is_control()).any(is_word)
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.query.split('&').enumerate() {
            if place > 0 {
                f.write_char('&')?;
            }
            // Some servers part parameters by a semicolon, too.
            for (place, part) in pair.split(';').enumerate() {
                if place > 0 {
                    f.write_char(';')?;
                }
                match part.split_once('=') {
                    // What follows may belong to the secret.
                    Some((name, _)) if self.hides(name) => {
                        write!(f, "{name}=***")?;
                        break;
                    }
                    _ => f.write_str(part)?,
                }
            }
        }
        Ok(())
    }
}
