//! `exp`, `nbf` and `iat`: any number of seconds, near and far.

use super::*;
use proptest::prelude::*;

/// What is said at `now` of a token with this time in it.
fn judge(leeway: &str, claim: &str, value: &str, now: u64) -> Result<(), &'static str> {
    let plugin: Jwt = serde_json::from_value(with(settings(), "leeway", json!(leeway))).unwrap();
    let verifier = Verifier::new(&plugin, jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes()));
    let rest = if claim == "exp" { "" } else { r#""exp":1e20,"# };
    let payload = format!(r#"{{{rest}"{claim}":{value},"iss":"iss","aud":"api","sub":"u1"}}"#);
    let proof = verifier.verify(raw(r#"{"alg":"HS256"}"#, &payload).as_bytes(), now)?;
    assert!(proof.holds(now), "what is remembered holds as well: {claim} {value} at {now}");
    Ok(())
}

#[test]
fn times_are_compared_to_the_second_and_a_second_begun_counts() {
    const T: u64 = 1_700_000_000;
    for (claim, value, now, expected) in [
        ("iat", "1700000000.7", T, Ok(())),
        ("iat", "1700000000.7", T - 1, Err("issued_in_the_future")),
        ("iat", "1700000000", T, Ok(())),
        ("nbf", "1700000000.999", T, Ok(())),
        ("nbf", "1700000000.0", T - 1, Err("not_yet_valid")),
        ("exp", "1700000000.2", T, Ok(())),
        ("exp", "1700000000.2", T + 1, Err("expired")),
        ("exp", "1700000000", T - 1, Ok(())),
        ("exp", "1700000000", T, Err("expired")),
        ("exp", "1.7000000005e9", T, Ok(())),
        ("nbf", "-1", T, Ok(())),
        ("iat", "-0.5", T, Ok(())),
        ("iat", "-1e300", T, Ok(())),
        ("exp", "1e20", T, Ok(())),
        ("exp", "18446744073709551616", T, Ok(())),
        ("nbf", "1e300", T, Err("not_yet_valid")),
        ("iat", "253402300800", T, Err("issued_in_the_future")),
        ("exp", "1e400", T, Err("malformed")),
        ("iat", "null", T, Err("malformed")),
    ] {
        assert_eq!(judge("0s", claim, value, now), expected, "{claim} {value} at {now}");
    }
    for (claim, value, now, expected) in [
        ("exp", "1700000000", T + 1, Ok(())),
        ("exp", "1700000000", T + 2, Err("expired")),
        ("iat", "1700000000", T - 2, Ok(())),
        ("iat", "1700000000", T - 3, Err("issued_in_the_future")),
        ("nbf", "1700000000", T - 2, Ok(())),
    ] {
        assert_eq!(judge("1500ms", claim, value, now), expected, "{claim} {value} at {now}, leeway rounded up");
    }
}

proptest! {
    #[test]
    fn any_number_is_a_time_and_one_that_is_far_away_lies_in_the_future(value in number(), now in 1..u32::MAX) {
        let seconds: f64 = value.parse().unwrap();
        let ended = seconds <= now.into();
        let begun = seconds.floor() <= now.into();
        let now = now.into();
        prop_assert_eq!(judge("0s", "exp", &value, now), if ended { Err("expired") } else { Ok(()) });
        prop_assert_eq!(judge("0s", "nbf", &value, now), if begun { Ok(()) } else { Err("not_yet_valid") });
        prop_assert_eq!(judge("0s", "iat", &value, now), if begun { Ok(()) } else { Err("issued_in_the_future") });
    }
}

/// A number as JSON writes it, up to the largest that is read.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,11}(\\.[0-9]{1,3})?",
        "-?[1-9][0-9]{0,40}",
        "-?[1-9](\\.[0-9]{1,5})?[eE][+-]?([0-9]{1,2}|[12][0-9]{2})",
    ]
}
