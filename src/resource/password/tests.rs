//! Tests of password hashing.
use argon2::PasswordVerifier;

use super::*;

fn me() -> ClientKey {
    ClientKey::of("10.0.0.1".parse().unwrap())
}

fn password(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[tokio::test]
async fn a_hash_is_a_phc_string_that_another_implementation_of_the_call_verifies() {
    let hasher = Hasher::new();
    let hash = hasher.hash(me(), password("correct horse")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let parsed = PasswordHash::new(&hash).unwrap();
    assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
    assert!(Argon2::default().verify_password(b"correct house", &parsed).is_err());
}

#[tokio::test]
async fn each_hash_has_its_own_salt_and_the_kept_memory_does_not_matter() {
    let hasher = Hasher::new();
    let first = hasher.hash(me(), password("same")).await.unwrap();
    let second = hasher.hash(me(), password("same")).await.unwrap();
    assert_ne!(first, second);
    let parsed = PasswordHash::new(&second).unwrap();
    assert!(Argon2::default().verify_password(b"same", &parsed).is_ok());
}

#[tokio::test]
async fn a_full_queue_is_reported() {
    let hasher = Hasher::busy();
    assert_eq!(hasher.hash(me(), password("x")).await, Err(Busy));
    assert_eq!(hasher.matches(me(), password("x"), None).await, Err(Busy));
}

#[tokio::test]
async fn only_the_right_password_matches_and_none_matches_what_is_no_hash() {
    let hasher = Hasher::new();
    let hash = hasher.hash(me(), password("correct horse")).await.unwrap();
    let is = async |text: &str, hash: Option<&str>| {
        hasher.matches(me(), password(text), hash.map(str::to_owned)).await.unwrap()
    };
    assert!(is("correct horse", Some(&hash)).await);
    for (text, hash) in [
        ("correct house", Some(&*hash)),
        ("correct horse", None),
        ("", Some("")),
        ("", None),
        ("correct horse", Some("correct horse")),
        ("correct horse", Some(&hash.replace("argon2id", "argon2i"))),
        ("correct horse", Some(&hash.replace("m=19456", "m=4194304"))),
        ("correct horse", Some(&hash.replace("m=19456,t=2", "m=262144,t=5"))),
        ("correct horse", hash.rsplit_once('$').map(|(head, _)| head)),
    ] {
        assert!(!is(text, hash).await, "{text:?} {hash:?}");
    }
}

#[tokio::test]
async fn hashes_made_with_other_parameters_match_too() {
    let (hasher, params) = (Hasher::new(), Params::new(32 * 1024, 1, 2, Some(24)).unwrap());
    let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2::PasswordHasher::hash_password(&other, b"imported").unwrap().to_string();
    assert!(hasher.matches(me(), password("imported"), Some(hash.clone())).await.unwrap(), "{hash}");
    assert!(!hasher.matches(me(), password("Imported"), Some(hash)).await.unwrap());
}
