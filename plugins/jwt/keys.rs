//! Loads the keys that verify tokens, and checks their strength.

use super::issuer::{Issuer, Jwks};
use super::key_set::KeySet;
use super::signing;
use super::source::Source;
use super::token::Verifier;
use gatewright_sdk::{CheckContext, Code, Fault, NamedFile, Secret, hex};
use jsonwebtoken::{AlgorithmFamily as Family, DecodingKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use simple_asn1::ASN1Block;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037).
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[schemars(rename = "SignatureAlgorithm")]
pub enum Algorithm {
    /// HMAC with SHA-256, with `secret`.
    HS256,
    /// HMAC with SHA-384, with `secret`.
    HS384,
    /// HMAC with SHA-512, with `secret`.
    HS512,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
    /// RSA (PKCS #1 v1.5) with SHA-384.
    RS384,
    /// RSA (PKCS #1 v1.5) with SHA-512.
    RS512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The same algorithm in the library's type.
    pub const fn library(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as Library;
        match self {
            Self::HS256 => Library::HS256,
            Self::HS384 => Library::HS384,
            Self::HS512 => Library::HS512,
            Self::RS256 => Library::RS256,
            Self::RS384 => Library::RS384,
            Self::RS512 => Library::RS512,
            Self::PS256 => Library::PS256,
            Self::PS384 => Library::PS384,
            Self::PS512 => Library::PS512,
            Self::ES256 => Library::ES256,
            Self::ES384 => Library::ES384,
            Self::EdDsa => Library::EdDSA,
        }
    }

    /// The size of a key in bytes: the minimum for an HMAC (RFC 7518 section 3.2), the exact size for a curve.
    const fn key_size(self) -> usize {
        match self {
            Self::HS384 => 48,
            Self::HS512 => 64,
            Self::ES256 => 65,
            Self::ES384 => 97,
            _ => 32,
        }
    }
}

/// The source of the keys that verify tokens.
pub enum Keys {
    One(DecodingKey),
    /// The content of a file.
    Set(KeySet),
    /// What the issuer publishes.
    Published(Source),
}

/// The fault of an empty list of algorithms.
pub fn no_algorithm() -> Fault {
    Fault::new("algorithms", "`algorithms` is empty").code(Code::TOKEN_ALGORITHM).help("add one: `algorithms: [RS256]`")
}

/// A digest of all that decides which tokens `settings` accept, apart from the content of published keys: the rules, the keys, and
/// where they are published.
pub fn digest(settings: &Issuer, verifier: &Verifier, check: &CheckContext<'_>) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    };
    add(format!("{} {:?}", verifier.rules(), settings.algorithms).as_bytes());
    add(settings.secret.as_ref().map_or(&[][..], |secret| secret.expose().as_bytes()));
    let published = settings.jwks.as_ref();
    let files = settings.public_key_file.iter().chain(published.and_then(Jwks::only_file));
    for file in files.chain(&settings.private_key_files) {
        add(&check.read(file).unwrap_or_default());
    }
    if let Some(jwks) = published {
        let source = jwks.source(&settings.issuer).map(|source| source.shape()).unwrap_or_default();
        add(format!("{source} {:?}", jwks.times()).as_bytes());
    }
    hex(digest.finalize())
}

/// Loads the key or keys that `settings` name, or returns the faults.
pub fn load(settings: &Issuer, verifier: &Verifier, check: &CheckContext<'_>) -> Result<Keys, Fault> {
    let Some(first) = settings.algorithms.first() else { return Err(no_algorithm()) };
    let family = first.library().family();
    let hmac = settings.algorithms.iter().any(|algorithm| algorithm.library().family() == Family::Hmac);
    // Published keys state their own family, but must never contain a secret.
    let private = !settings.private_key_files.is_empty();
    let one_key = settings.secret.is_some() || settings.public_key_file.is_some() || hmac;
    if one_key && settings.algorithms.iter().any(|algorithm| algorithm.library().family() != family) {
        let fault = Fault::new("algorithms", "a key cannot be used with algorithms of different families")
            .code(Code::TOKEN_ALGORITHM);
        return Err(fault.help("use algorithms of only one family: HS, RS and PS, ES, or EdDSA"));
    }
    if private && settings.secret.is_none() && settings.public_key_file.is_none() && settings.jwks.is_none() {
        if hmac {
            let fault = Fault::new("private_key_files", format!("{first:?} uses a secret, not a private key"));
            return Err(fault.code(Code::TOKEN_ALGORITHM).help("use `secret`, or choose EdDSA"));
        }
        return signing::key_set(settings, verifier, check).map(Keys::Set);
    }
    match (&settings.secret, &settings.public_key_file, &settings.jwks) {
        _ if private => Err(several()),
        (Some(_), None, None) if !hmac => {
            Err(Fault::new("secret", format!("{first:?} uses a public key, not a secret"))
                .code(Code::TOKEN_ALGORITHM)
                .help("use `public_key_file`, or choose HS256"))
        }
        (None, Some(_), None) if hmac => {
            Err(Fault::new("public_key_file", format!("{first:?} uses a secret, not a public key"))
                .code(Code::TOKEN_ALGORITHM)
                .help("use `secret`, or choose RS256"))
        }
        (None, None, Some(_)) if hmac => {
            Err(Fault::new("jwks", format!("{first:?} uses a secret, which is never published"))
                .code(Code::TOKEN_ALGORITHM)
                .help("use `secret`, or choose RS256"))
        }
        (Some(secret), None, None) => hmac_key(settings, secret).map(Keys::One),
        (None, Some(file), None) => public_key(settings, family, file, check).map(Keys::One),
        (None, None, Some(jwks)) if let Some(file) = jwks.only_file() => {
            let wrong = |message: String| Fault::new("jwks.file", message).code(Code::UNUSABLE_KEY);
            let content = check.read(file).map_err(wrong)?;
            if KeySet::has_private(&content) {
                return Err(wrong(format!("{file} contains a private key"))
                    .help("use a file that contains only public keys, and keep the private key off this machine"));
            }
            let set = KeySet::read(&content, &settings.algorithms, verifier);
            set.map(Keys::Set).map_err(|why| wrong(format!("{file} {why}")).help("use a JSON Web Key Set (RFC 7517)"))
        }
        (None, None, Some(jwks)) => jwks.source(&settings.issuer).map(Keys::Published),
        (None, None, None) => Err(Fault::new("", "no verification key is set")
            .code(Code::ONE_TOKEN_KEY)
            .help("add one of `secret`, `public_key_file`, `jwks` or `private_key_files`")),
        _ => Err(several()),
    }
}

fn several() -> Fault {
    Fault::new("", "more than one verification key is set")
        .code(Code::ONE_TOKEN_KEY)
        .help("keep only one of `secret`, `public_key_file`, `jwks` or `private_key_files`")
}

fn hmac_key(settings: &Issuer, secret: &Secret) -> Result<DecodingKey, Fault> {
    let least = settings.algorithms.iter().map(|algorithm| algorithm.key_size()).max().unwrap_or(32);
    let length = secret.expose().len();
    if length < least {
        let fault = Fault::new(
            "secret",
            format!("secret is too short: {length} bytes, at least {least} required (RFC 7518, section 3.2)"),
        );
        return Err(fault.code(Code::SHORT_SECRET).help(format!("generate one with `openssl rand -base64 {least}`")));
    }
    Ok(DecodingKey::from_secret(secret.expose().as_bytes()))
}

fn public_key(
    settings: &Issuer,
    family: Family,
    shown: &NamedFile,
    check: &CheckContext<'_>,
) -> Result<DecodingKey, Fault> {
    let wrong = |message: String| Fault::new("public_key_file", message).code(Code::UNUSABLE_KEY);
    let content = check.read(shown).map_err(wrong)?;
    let pem = String::from_utf8_lossy(&content);
    if pem.contains("PRIVATE KEY") {
        return Err(wrong(format!("{shown} contains a private key"))
            .help("use the public key, and keep the private key off this machine"));
    }
    let names = settings.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>().join(", ");
    let unfit = || {
        wrong(format!("{shown} does not contain a public key for {names}"))
            .help("use a PEM file that starts with `-----BEGIN PUBLIC KEY-----`")
    };
    if !pem.contains("-----BEGIN PUBLIC KEY-----") && !pem.contains("-----BEGIN RSA PUBLIC KEY-----") {
        return Err(unfit());
    }
    let key = match family {
        Family::Rsa => DecodingKey::from_rsa_pem(pem.as_bytes()),
        Family::Ec => DecodingKey::from_ec_pem(pem.as_bytes()),
        Family::Ed => DecodingKey::from_ed_pem(pem.as_bytes()),
        Family::Hmac => return Err(unfit()),
    };
    let key = key.map_err(|_| unfit())?;
    let bytes = key.try_get_as_bytes().map_err(|_| unfit())?;
    if family == Family::Rsa {
        let bits = modulus_bits(bytes).ok_or_else(unfit)?;
        if bits < 2048 {
            return Err(wrong(format!("{shown} contains an RSA key of {bits} bits, at least 2048 are required")));
        }
    } else if settings.algorithms.iter().any(|algorithm| algorithm.key_size() != bytes.len()) {
        return Err(unfit());
    }
    Ok(key)
}

/// The length of the modulus in an `RSAPublicKey` (RFC 8017 appendix A.1.1): the first of two integers.
fn modulus_bits(der: &[u8]) -> Option<u64> {
    let blocks = simple_asn1::from_der(der).ok()?;
    let [ASN1Block::Sequence(_, numbers)] = blocks.as_slice() else { return None };
    let [ASN1Block::Integer(_, modulus), ASN1Block::Integer(..)] = numbers.as_slice() else { return None };
    Some(modulus.bits())
}

/// The fault of a secret that is long enough but easy to guess.
pub fn famous(settings: &Issuer) -> Option<Fault> {
    let secret = settings.secret.as_ref()?;
    let fault = || {
        Fault::new("secret", "this secret is publicly known or easy to guess, so anyone can forge tokens")
            .code(Code::KNOWN_SECRET)
            .help("generate one with `openssl rand -base64 48`")
    };
    secret.is_guessable().then(fault)
}
