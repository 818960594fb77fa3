//! Reads htpasswd files, and verifies the hashes in them.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier};
use bytes::Bytes;
use gatewright_sdk::{Code, Fault, NamedFile, hex};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub hash: Hash,
}

/// The hash of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    /// As a PHC string.
    Argon2id(String),
    Bcrypt(String),
}

/// bcrypt reads only so many bytes of a password.
const BCRYPT_BYTES: usize = 72;

/// Verifying takes a second or more beyond these. The time of Argon2 is that of all passes over the memory, in KiB.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;
const ARGON_MEMORY: u32 = 256 * 1024;
const ARGON_WORK: u64 = 1024 * 1024;

/// At most so many lines are reported.
const REPORTED: usize = 10;

impl Hash {
    /// Whether it is the hash of `password`. Takes milliseconds.
    pub fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2id(hash) => Argon2::default().verify_password(password, hash.as_str()).is_ok(),
            Self::Bcrypt(hash) => {
                let same = bcrypt::verify(password, hash).unwrap_or(false);
                // Another password that begins the same has the same hash.
                same && password.len() <= BCRYPT_BYTES
            }
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Argon2id(hash) | Self::Bcrypt(hash) => hash,
        }
    }

    /// Parses a hash; `Err` is what is wrong with it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("$argon2id$") {
            let parsed = PasswordHash::new(text).map_err(|_| "the Argon2id hash is not valid")?;
            let params = Params::try_from(&parsed).map_err(|_| "the Argon2id hash is not valid")?;
            if parsed.algorithm != Algorithm::Argon2id.ident() || parsed.salt.is_none() || parsed.hash.is_none() {
                return Err("the Argon2id hash is not valid");
            }
            let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
            if params.m_cost() > ARGON_MEMORY || work > ARGON_WORK {
                return Err(
                    "the Argon2id hash is too expensive: use at most 256 MiB (m), and 1 GiB in all passes (m times t)",
                );
            }
            return Ok(Self::Argon2id(text.to_owned()));
        }
        if ["$2y$", "$2b$", "$2a$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parsed: bcrypt::HashParts = text.parse().map_err(|_| "the bcrypt hash is not valid")?;
            if !BCRYPT_COST.contains(&parsed.get_cost()) {
                return Err("the cost of the bcrypt hash must be between 4 and 14");
            }
            return Ok(Self::Bcrypt(text.to_owned()));
        }
        Err(match text {
            _ if text.starts_with("$argon2") => "only the variant Argon2id is supported",
            _ if text.starts_with("$apr1$") || text.starts_with("$1$") => "MD5 hashes are not secure",
            _ if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => "SHA-1 hashes are not secure",
            _ if text.starts_with("$5$") || text.starts_with("$6$") => "SHA-crypt hashes are not supported",
            "" => "there is no hash after the name",
            _ => "neither an Argon2id nor a bcrypt hash; plain passwords and DES hashes are not accepted",
        })
    }
}

/// The users in `content`, or what is wrong with its lines. No fault shows a hash.
pub fn read(content: &Bytes, file: &NamedFile) -> Result<Vec<Entry>, Vec<Fault>> {
    let fault = |message: String, help: &str| Fault::new("htpasswd_file", message).code(Code::PASSWORD_FILE).help(help);
    let make = "create the line with `htpasswd -B -n NAME`";
    let Ok(text) = std::str::from_utf8(content) else {
        return Err(vec![fault(format!("{file} is not UTF-8 text"), make)]);
    };
    let (mut entries, mut faults, mut known) = (Vec::new(), Vec::new(), HashMap::new());
    for (number, line) in (1_usize..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut refuse = |why: &str, help: &str| faults.push(fault(format!("{file}, line {number}: {why}"), help));
        let Some((name, hash)) = line.split_once(':') else {
            refuse("not a name, a colon and a hash", make);
            continue;
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            refuse("not a valid name", make);
            continue;
        }
        if let Some(before) = known.insert(name, number) {
            refuse(&format!("the name is already on line {before}"), "remove one of the lines");
            continue;
        }
        match Hash::parse(hash.trim()) {
            Ok(hash) => entries.push(Entry { name: name.to_owned(), hash }),
            Err(why) => refuse(why, make),
        }
    }
    if faults.is_empty() && entries.is_empty() {
        faults.push(fault(format!("{file} has no users: no one could sign in"), make));
    }
    let more = faults.len().saturating_sub(REPORTED);
    if more > 0 {
        faults.truncate(REPORTED);
        faults.push(fault(format!("{file}: {more} more lines cannot be used"), make));
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

/// The SHA-256 of the content, in hex.
pub fn digest(content: Result<Bytes, String>) -> String {
    hex(Sha256::digest(content.unwrap_or_default()))
}
