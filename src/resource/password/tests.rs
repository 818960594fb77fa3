//! Tests of password hashing.
use argon2::PasswordVerifier;

use super::*;

fn password(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[tokio::test]
async fn a_hash_is_a_phc_string_that_another_implementation_of_the_call_verifies() {
    let hasher = Hasher::new();
    let hash = hasher.hash(password("correct horse")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let parsed = PasswordHash::new(&hash).unwrap();
    assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
    assert!(Argon2::default().verify_password(b"correct house", &parsed).is_err());
}

#[tokio::test]
async fn each_hash_has_its_own_salt_and_the_kept_memory_does_not_matter() {
    let hasher = Hasher::new();
    let first = hasher.hash(password("same")).await.unwrap();
    let second = hasher.hash(password("same")).await.unwrap();
    assert_ne!(first, second);
    let parsed = PasswordHash::new(&second).unwrap();
    assert!(Argon2::default().verify_password(b"same", &parsed).is_ok());
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let hasher = Hasher::new();
    // No thread takes anything: a handle that is there keeps `start` from starting any.
    hasher.threads.lock().push(thread::spawn(|| ()));
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let (answer, hash) = oneshot::channel();
        let password = password("x");
        hasher.queue.put(Job { password, answer }).unwrap();
        waiting.push(hash);
    }
    assert_eq!(hasher.hash(password("y")).await, Err(Busy));
}

#[test]
fn nothing_is_hashed_for_a_caller_that_went_away() {
    let queue = Queue::new(2);
    let (gone, _) = oneshot::channel();
    let (there, mut hash) = oneshot::channel();
    for answer in [gone, there] {
        queue.put(Job { password: password("x"), answer }).unwrap();
    }
    queue.close();
    work(&queue, &level(&PASSWORDS, []));
    assert!(hash.try_recv().unwrap().starts_with("$argon2id$"));
}

#[test]
fn no_thread_starts_before_the_first_password() {
    assert!(Hasher::new().threads.lock().is_empty());
}
