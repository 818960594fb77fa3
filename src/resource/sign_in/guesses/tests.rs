//! Guesses in one process, and what it tells a store.

use super::*;
use crate::config::document::route::WrongPasswords;
use std::sync::Arc;

fn limits() -> Limits {
    (&WrongPasswords::default()).into()
}

fn client(number: u32) -> ClientKey {
    let [_, a, b, c] = number.to_be_bytes();
    ClientKey::of(format!("10.{a}.{b}.{c}").parse().unwrap())
}

/// How many of `count` attempts may be made. All are wrong.
fn allowed(guesses: &Guesses, count: u32, at: Instant, make: impl Fn(u32) -> (u32, String)) -> usize {
    let tried = (0..count).filter(|number| {
        let (from, account) = make(*number);
        guess(guesses, (client(from), &account), at).is_ok()
    });
    tried.count()
}

/// An attempt that is wrong.
fn guess(guesses: &Guesses, who: (ClientKey, &str), at: Instant) -> Result<(), Full> {
    guesses.attempt(&limits(), who, at).map(|attempt| guesses.wrong(attempt))
}

fn slowed(attempt: Result<impl Sized, Full>) -> Slowed {
    match attempt {
        Err(Full::Slowed(slowed)) => slowed,
        Err(Full::Flying) => panic!("it waits"),
        Ok(_) => panic!("it may be made"),
    }
}

/// What a store is told of an attempt that begins now.
fn asked(guesses: &Guesses, who: (ClientKey, &str), at: Instant) -> Alone {
    let (attempt, alone) = guesses.ask(&limits(), who, at).unwrap();
    guesses.state.lock().asking.end(attempt);
    alone
}

#[test]
fn attempts_under_way_count_and_the_next_one_waits_for_them() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let try_many = |count: usize| {
        let tried: Vec<_> = (0..count).map(|_| guesses.attempt(&limits(), who, now)).collect();
        assert!(tried.iter().all(|attempt| !matches!(attempt, Err(Full::Slowed(_)))), "{tried:?}");
        tried.into_iter().flatten().collect::<Vec<_>>()
    };
    let mut first = try_many(40);
    assert_eq!(first.len(), 10);
    guesses.right(&limits(), first.pop().unwrap(), now);
    assert_eq!(try_many(40).len(), 1, "those that are under way may still be wrong");
    first.into_iter().for_each(|attempt| guesses.wrong(attempt));
    assert_eq!(guesses.attempt(&limits(), who, now), Err(Full::Flying), "one is under way");
    let other = guesses.attempt(&limits(), (client(1), "bob"), now).unwrap();
    guesses.unjudged(&limits(), other, now);
    assert_eq!(guesses.state.lock().flying.of(guesses.find(who).client), 1.0);
}

#[test]
fn attempts_that_were_all_wrong_slow_those_that_waited_and_that_is_recorded_once() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let attempts: Vec<_> = (0..10).map(|_| guesses.attempt(&limits(), who, now).unwrap()).collect();
    assert_eq!(guesses.attempt(&limits(), who, now), Err(Full::Flying));
    attempts.into_iter().for_each(|attempt| guesses.wrong(attempt));
    let slowed = [(); 2].map(|()| slowed(guesses.attempt(&limits(), who, now)).newly);
    assert_eq!(slowed, [Some("client_and_account"), None]);
    assert_eq!(guesses.state.lock().flying, Tally::default(), "nothing is left behind");
}

#[test]
fn a_bucket_without_room_refuses_once_the_attempts_under_way_have_ended() {
    let (guesses, now) = (Guesses::default(), Instant::now());
    let flying = guesses.attempt(&limits(), (client(1), "ada"), now).unwrap();
    assert_eq!(allowed(&guesses, 1000, now, |n| (1, n.to_string())), 49);
    assert_eq!(guesses.attempt(&limits(), (client(1), "eve"), now), Err(Full::Flying));
    let later = now + limits().client.every;
    assert_eq!(allowed(&guesses, 3, later, |n| (1, format!("later {n}"))), 1);
    assert_eq!(allowed(&guesses, 9, later, |_| (1, "bob".into())), 0);
    guesses.wrong(flying);
    assert!(slowed(guesses.attempt(&limits(), (client(1), "bob"), later)).newly.is_some());
}

#[test]
fn a_store_is_not_asked_while_attempts_under_way_leave_no_room() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let asks: Vec<_> = (0..40).filter_map(|_| guesses.ask(&limits(), who, now)).collect();
    assert_eq!(asks.len(), 10, "each could be counted");
    let one = told(None, false, [1.0; 3]);
    let attempt = guesses.told(&limits(), who, (one, [0.0; 3]), now).unwrap();
    asks.into_iter().for_each(|(asked, _)| guesses.state.lock().asking.end(asked));
    let full = told(Some(0), false, [10.0; 3]);
    let flying = guesses.ask(&limits(), who, now).unwrap().1.flying;
    assert_eq!(flying, [1.0; 3]);
    assert_eq!(guesses.told(&limits(), who, (full, flying), now), Err(Full::Flying));
    assert!(guesses.ask(&limits(), who, now).is_none(), "one is under way, and may be right");
    guesses.wrong(attempt);
    assert!(guesses.ask(&limits(), who, now).is_some(), "the store says for how long");
    assert!(slowed(guesses.told(&limits(), who, (full, [0.0; 3]), now)).newly.is_some());
}

#[test]
fn what_is_new_to_a_store_is_reported_once_in_whatever_order_it_responds() {
    for order in [[true, false, false], [false, true, false], [false, false, true], [true, true, true]] {
        let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
        let answers = order.map(|newly| Told { newly, ..told(Some(0), false, [10.0; 3]) });
        let slowed = answers.map(|told| slowed(guesses.told(&limits(), who, (told, [0.0; 3]), now)).newly);
        assert_eq!(slowed.iter().flatten().count(), 1, "{order:?}: {slowed:?}");
    }
}

#[test]
fn requests_that_wait_are_bounded_by_client() {
    let guesses = Arc::new(Guesses::default());
    let mut waiting: Vec<_> = (0..100).filter_map(|_| Waiting::begin(&guesses, client(1))).collect();
    assert_eq!(waiting.len(), 64);
    assert!(Waiting::begin(&guesses, client(2)).is_some(), "another client");
    waiting.pop();
    assert!(Waiting::begin(&guesses, client(1)).is_some());
    drop(waiting);
    assert_eq!(guesses.state.lock().waiting, Tally::default());
}

#[test]
fn each_way_of_guessing_is_slowed() {
    let now = Instant::now();
    let fresh = Guesses::default;
    assert_eq!(allowed(&fresh(), 1000, now, |_| (1, "ada".into())), 10, "one client, one account");
    assert_eq!(allowed(&fresh(), 1000, now, |n| (1, n.to_string())), 50, "one client, many accounts");
    assert_eq!(allowed(&fresh(), 1000, now, |n| (n, "ada".into())), 50, "many clients, one account");
}

#[test]
fn right_passwords_sent_at_once_leave_nothing_behind() {
    let (guesses, now) = (Guesses::default(), Instant::now());
    for number in 0..100 {
        let attempts: Vec<_> =
            (0..10).filter_map(|_| guesses.attempt(&limits(), (client(number), "ada"), now).ok()).collect();
        assert_eq!(attempts.len(), 10, "{number}");
        attempts.into_iter().for_each(|attempt| guesses.right(&limits(), attempt, now));
    }
}

#[test]
fn time_allows_more_and_the_wait_is_announced() {
    let (guesses, start) = (Guesses::default(), Instant::now());
    allowed(&guesses, 10, start, |_| (1, "ada".into()));
    let refused = slowed(guesses.attempt(&limits(), (client(1), "ada"), start));
    assert_eq!(refused, Slowed { wait: limits().pair.every, newly: Some("client_and_account") });
    let half = start + limits().pair.every / 2;
    let refused = slowed(guesses.attempt(&limits(), (client(1), "ada"), half));
    assert_eq!(refused, Slowed { wait: limits().pair.every / 2, newly: None }, "a refused attempt does not count");
    let later = start + limits().pair.every;
    assert_eq!(allowed(&guesses, 1, later, |_| (1, "ada".into())), 1);
    assert!(slowed(guesses.attempt(&limits(), (client(1), "ada"), later)).newly.is_some(), "it is slowed anew");
}

#[test]
fn a_guesser_does_not_lock_the_owner_out() {
    let (guesses, now) = (Guesses::default(), Instant::now());
    let owner = guesses.attempt(&limits(), (client(9), "ada"), now).unwrap();
    guesses.right(&limits(), owner, now);
    // A day of one client that guesses as often as it may.
    let day = (0..24 * 60).map(|minute| now + Duration::from_secs(minute * 60));
    let tried: usize = day.map(|at| allowed(&guesses, 5, at, |_| (1, "ada".into()))).sum();
    assert!(tried < 300, "{tried}");
    let then = now + Duration::from_secs(24 * 3600);
    assert!(guesses.attempt(&limits(), (client(8), "ada"), then).is_ok(), "from a new place");
    // Many clients at once.
    allowed(&guesses, 1000, then, |n| (100 + n, "ada".into()));
    assert!(guesses.attempt(&limits(), (client(8), "ada"), then).is_err());
    assert!(
        guesses.attempt(&limits(), (client(9), "ada"), then).is_ok(),
        "from a place where the owner signed in before"
    );
}

#[test]
fn right_passwords_do_not_count_and_pay_for_no_wrong_ones() {
    let (guesses, now) = (Guesses::default(), Instant::now());
    for _ in 0..1000 {
        let attempt = guesses.attempt(&limits(), (client(1), "ada"), now).unwrap();
        guesses.right(&limits(), attempt, now);
    }
    let own = |n: u32| {
        let attempt =
            guesses.attempt(&limits(), (client(1), "ada"), now).map(|attempt| guesses.right(&limits(), attempt, now));
        attempt.is_ok() && guess(&guesses, (client(1), &n.to_string()), now).is_ok()
    };
    assert_eq!((0..1000).filter(|n| own(*n)).count(), 50);
}

#[test]
fn memory_is_bounded_and_the_worst_are_remembered() {
    let (guesses, now) = (Guesses::default(), Instant::now());
    allowed(&guesses, 10, now, |_| (1, "ada".into()));
    for n in 0..200_000 {
        let _ = guess(&guesses, (client(10 + n), &n.to_string()), now);
    }
    let state = guesses.state.lock();
    assert!([&state.pairs, &state.clients, &state.accounts].iter().all(|buckets| buckets.len() <= MOST));
    drop(state);
    assert!(guesses.attempt(&limits(), (client(1), "ada"), now).is_err());
}

fn told(full: Option<usize>, known: bool, levels: [f64; 3]) -> Told {
    Told { full, known, levels, newly: true }
}

#[test]
fn what_was_counted_alone_is_brought_along_until_the_store_knows_of_it() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    assert_eq!(asked(&guesses, who, now), Alone { levels: [0.0; 3], flying: [0.0; 3], known: false, cleared: false });
    assert_eq!(allowed(&guesses, 2, now, |_| (1, "ada".into())), 2);
    allowed(&guesses, 1, now, |_| (1, "bob".into()));
    assert_eq!(asked(&guesses, who, now).levels, [2.0, 3.0, 2.0]);
    guesses.told(&limits(), who, (told(None, false, [3.0, 4.0, 7.0]), [0.0; 3]), now).unwrap();
    assert_eq!(asked(&guesses, who, now).levels, [0.0; 3], "it knows");
    allowed(&guesses, 1, now, |_| (1, "ada".into()));
    assert_eq!(asked(&guesses, who, now).levels, [4.0, 5.0, 8.0], "from what was seen");
    let half = now + limits().pair.every / 2;
    assert_eq!(asked(&guesses, who, half).levels[0], 3.5, "it empties meanwhile");
}

#[test]
fn the_store_decides_and_its_last_word_counts_without_it() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let full = told(Some(0), false, [9.5, 9.5, 9.5]);
    let refused = slowed(guesses.told(&limits(), who, (full, [0.0; 3]), now));
    assert_eq!(refused, Slowed { wait: limits().pair.every / 2, newly: Some("client_and_account") });
    assert_eq!(slowed(guesses.told(&limits(), who, (full, [0.0; 3]), now)).newly, None);
    let reported = Told { newly: false, ..full };
    assert_eq!(
        slowed(Guesses::default().told(&limits(), who, (reported, [0.0; 3]), now)).newly,
        None,
        "by another gateway"
    );
    assert!(guesses.attempt(&limits(), who, now).is_err());
    assert_eq!(asked(&guesses, who, now).levels, [9.5, 0.0, 0.0], "refused without the store, which may forget");
    assert!(guesses.attempt(&limits(), who, now + limits().pair.every / 2).is_ok());
    guesses.told(&limits(), who, (told(None, false, [0.0; 3]), [0.0; 3]), now).unwrap();
    assert_eq!(allowed(&guesses, 20, now, |_| (1, "ada".into())), 10, "someone has deleted its keys");
}

#[test]
fn a_client_that_the_store_knows_is_known_here() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let attempt = guesses.told(&limits(), who, (told(None, true, [1.0, 1.0, 50.0]), [0.0; 3]), now).unwrap();
    assert!(!attempt.counts() && asked(&guesses, who, now).known);
    assert!(guesses.attempt(&limits(), who, now).is_ok());
    assert!(guesses.attempt(&limits(), (client(2), "ada"), now).is_err());
}

#[test]
fn a_right_password_of_which_the_store_does_not_know_is_brought_along() {
    let (guesses, now, who) = (Guesses::default(), Instant::now(), (client(1), "ada"));
    let attempt = guesses.told(&limits(), who, (told(None, false, [5.0, 5.0, 5.0]), [0.0; 3]), now).unwrap();
    guesses.right(&limits(), attempt, now);
    assert!(!asked(&guesses, who, now).cleared, "the store is told at once");
    guesses.untold(&limits(), attempt, now);
    assert_eq!(asked(&guesses, who, now), Alone { levels: [0.0; 3], flying: [0.0; 3], known: true, cleared: true });
    guesses.attempt(&limits(), who, now).unwrap();
    let alone = asked(&guesses, who, now);
    assert_eq!((alone.levels[0], alone.cleared), (1.0, true), "only what was wrong since");
    guesses.told(&limits(), who, (told(None, true, [2.0, 6.0, 4.0]), [0.0; 3]), now).unwrap();
    assert!(!asked(&guesses, who, now).cleared);
}
