//! Signs tokens that an authentication plugin accepts, for routes that issue them.

use serde_json::{Map, Value};

/// Signs tokens that a plugin accepts: see [`Compiled::signer`](crate::Compiled::signer).
pub struct TokenSigner {
    issuer: String,
    required: Vec<String>,
    public_keys: Value,
    sign: Box<Sign>,
}

/// Signs claims, or returns why that failed.
type Sign = dyn Fn(&Map<String, Value>) -> Result<String, String> + Send + Sync;

impl TokenSigner {
    /// A signer of tokens of `issuer`. `sign` adds the claims that name the issuer and the audience. `public_keys` is a JSON
    /// Web Key Set (RFC 7517) without keys if there is only a secret.
    pub fn new(
        issuer: impl Into<String>,
        required: Vec<String>,
        public_keys: Value,
        sign: impl Fn(&Map<String, Value>) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        Self { issuer: issuer.into(), required, public_keys, sign: Box::new(sign) }
    }

    /// The `iss` claim of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claims without which the plugin rejects a token, apart from the registered ones.
    pub fn required(&self) -> &[String] {
        &self.required
    }

    /// The public keys of all tokens that the plugin accepts from this gateway, as a JSON Web Key Set.
    pub const fn public_keys(&self) -> &Value {
        &self.public_keys
    }

    /// The token with these claims.
    ///
    /// # Errors
    /// Why it cannot be signed, for the log.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, String> {
        (self.sign)(claims)
    }
}
