//! TLS: certificates and private keys in PEM files, and the configurations made from them.

pub mod certificate;
pub mod client;
pub mod pem;
pub mod server;
pub mod trust;
pub mod verifier;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// The only TLS library: aws-lc.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
