//! Passwords that are sent at once, counted in a store.

use super::{ADA, GUESSER, STRICT, calmly, start};
use crate::shared_limits::server::Server;
use crate::sign_in::PASSWORD;
use crate::sign_in::guesses::at_once;

#[test]
fn right_passwords_are_all_accepted_and_guesses_are_not() {
    calmly(|| {
        let server = Server::start();
        let mut site = start(&server, STRICT);
        assert_eq!(at_once(&site, &[(GUESSER, ADA, PASSWORD); 16]), [200; 16]);
        assert!(!site.0.log().contains("sign_in_slowed"));
        let guessed = at_once(&site, &[(GUESSER, ADA, "guess"); 16]);
        assert_eq!(guessed, [[401; 3].to_vec(), [429; 13].to_vec()].concat());
    });
}
