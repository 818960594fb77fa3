//! `gatewright api-key`: a new API key and its hash.

use crate::cli::output::{usage, write};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use gatewright_sdk::hex;
use sha2::{Digest, Sha256};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Args)]
pub struct ApiKey {
    /// Beginning of the key, by which people and scanners for secrets recognize it.
    #[arg(long, value_name = "TEXT", default_value = "gw_")]
    prefix: String,
}

impl ApiKey {
    pub fn print(&self) -> ExitCode {
        if !self.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) {
            return usage("a prefix may contain letters, digits, `_`, `-` and `.`");
        }
        let key = self.key();
        write(&format!("key: {key}\nhash: sha256:{}\n", hex(Sha256::digest(key.as_bytes()))))
    }

    /// The prefix and 244 random bits.
    fn key(&self) -> String {
        let random = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
        self.prefix.clone() + &URL_SAFE_NO_PAD.encode(random)
    }
}
