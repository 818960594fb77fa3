//! JSON that other readers change or obey.
use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Json, Flaw> {
    let mut reader = Reader::new(text, 32);
    let value = reader.value()?;
    assert_eq!(reader.event()?, JsonEvent::Eof);
    Ok(value)
}

#[test]
fn numbers_are_kept_as_they_were_written() {
    for text in [
        "-0",
        "0.10",
        "1E400",
        "1e-400",
        "123456789012345678901234567890",
        "-18446744073709551616",
        "0.1234567890123456789012345678901234567890",
    ] {
        assert_eq!(read(text).unwrap().write(), text);
        assert_eq!(Json::stored(text).unwrap().write(), text);
    }
    for bad in ["01", "+1", ".5", "1.", "1e", "0x1", "NaN", "Infinity", "-", "1_0"] {
        assert!(matches!(read(bad), Err(Flaw::Syntax { .. })), "{bad}");
    }
}

#[test]
fn keys_of_the_library_mean_nothing() {
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number", "\\u0024serde_json::private::Number"]
    {
        let text = format!("{{\"{key}\":\"7\"}}");
        let Json::Object(entries) = read(&text).unwrap() else { panic!("{text} is an object") };
        assert_eq!(entries.len(), 1);
        assert_eq!(read(&text).unwrap().write(), text.replace("\\u0024", "$"));
        assert!(read(&text).unwrap().to_value().unwrap().is_object());
    }
}

#[test]
fn repeated_keys_are_found_wherever_they_are() {
    let repeated = |text: &str| {
        let mut reader = Reader::new(text, 32);
        reader.value().unwrap();
        reader.repeated().join(" ")
    };
    assert_eq!(repeated(r#"{"a":1,"b":{"a":1}}"#), "");
    assert_eq!(repeated(r#"{"a":1,"a":2,"\u0061":3}"#), "/a /a");
    assert_eq!(repeated(r#"{"x":[0,{"a/b":{"k~":1,"k~":2}}]}"#), "/x/1/a~1b/k~0");
    assert_eq!(repeated(r#"{"":{"":1,"":1}}"#), "//");
}

#[test]
fn the_depth_is_bounded_and_what_is_stored_may_be_deeper() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(32)).is_ok());
    assert_eq!(read(&nested(33)), Err(Flaw::TooDeep));
    assert_eq!(read(&"[".repeat(400_000)), Err(Flaw::TooDeep));
    assert_eq!(Json::stored(&nested(512)).unwrap().write(), nested(512));
    assert_eq!(Json::stored(&nested(513)), None);
}

#[test]
fn a_judge_is_given_no_other_number_than_was_sent() {
    for good in ["18446744073709551615", "-9223372036854775808", "0.1", "1e300"] {
        assert!(read(good).unwrap().to_value().is_some(), "{good}");
    }
    for bad in ["18446744073709551616", "-9223372036854775809", "1e400", "-1e400"] {
        assert_eq!(read(bad).unwrap().to_value(), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn what_the_library_reads_is_read_alike(text in r#"[\[\]{}:,"a1.e\- ]{0,12}"#) {
        match (serde_json::from_str::<Value>(&text), read(&text)) {
            (Ok(theirs), Ok(ours)) => prop_assert_eq!(theirs, serde_json::from_str::<Value>(&ours.write()).unwrap()),
            // Outside their range, as their error reports.
            (Err(error), Ok(_)) => prop_assert!(error.to_string().contains("out of range"), "{}", text),
            (theirs, ours) => prop_assert!(theirs.is_err() && ours.is_err(), "{}", text),
        }
    }

    #[test]
    fn what_is_written_is_read_again(text in "\\PC{0,20}", key in ".{0,8}") {
        let value = Json::Array(vec![Json::String(text.clone()), Json::Object([(key, Json::String(text))].into())]);
        prop_assert_eq!(Json::stored(&value.write()), Some(value));
    }
}
