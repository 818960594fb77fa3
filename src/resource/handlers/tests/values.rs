//! Values in bodies: stored as they were sent, or rejected with the reason.

use super::*;
use crate::resource::store::Sql;

pub const DOCS: &str = r#"
store: main
access: { default: public }
fields:
  name: { type: string }
  amount: { type: integer }
  ratio: { type: number }
  meta: { type: json }
  few: { type: json, min: 1, max: 3 }
  checked: { type: json, schema: { type: object, properties: { n: { type: number, maximum: 10 } } } }
"#;

async fn docs() -> Api {
    serve("docs", DOCS).await
}

#[tokio::test]
async fn an_object_is_an_object_whatever_its_keys_are() {
    let api = docs().await;
    for key in
        ["$serde_json::private::RawValue", "$serde_json::private::Number", "\\u0024serde_json::private::RawValue"]
    {
        let object = format!(r#"{{"{key}":"\"Ada\""}}"#);
        for (field, reason) in [("name", "must be a string"), ("amount", "must be an integer")] {
            refused(&api.post(&format!(r#"{{"{field}":{object}}}"#)).await, &format!("{field}: {reason}"));
        }
        let plain = object.replace("\\u0024", "$");
        let (id, _) = api.made(&format!(r#"{{"meta":[{object},{{"a":{object}}}]}}"#)).await;
        let kept = format!(r#""meta":[{plain},{{"a":{plain}}}]"#);
        assert!(api.get(&format!("/{id}")).await.body.contains(&kept));
        let patched = api.patch(&id, &format!(r#"{{"meta":{{"b":{object}}}}}"#)).await;
        assert!(patched.body.contains(&format!(r#""meta":{{"b":{plain}}}"#)), "{}", patched.body);
        let again = api.patch(&id, r#"{"meta":{"c":1}}"#).await;
        assert!(again.body.contains(&format!(r#""meta":{{"b":{plain},"c":1}}"#)), "{}", again.body);
    }
    refused(
        &api.post(r#"{"$serde_json::private::RawValue":"{\"name\":\"Ada\"}"}"#).await,
        "$serde_json::private::RawValue: unknown field",
    );
}

#[tokio::test]
async fn numbers_of_json_fields_come_back_as_they_were_written() {
    let api = docs().await;
    let sent = r#"[-0,1.0,1E400,-1e-999,18446744073709551616,123456789012345678901234567890,0.1234567890123456789012345678901234567890]"#;
    let made = api.post(&format!(r#"{{"meta":{{"n":{sent}}}}}"#)).await;
    // The JSON parser of the tests has no such numbers.
    let (id, tag) = (made.header("location").replace("/api/docs/", ""), made.header("etag"));
    assert!(api.get(&format!("/{id}")).await.body.contains(&format!(r#""meta":{{"n":{sent}}}"#)));
    let same = api.patch(&id, &format!(r#"{{"meta":{{"n":{sent}}}}}"#)).await;
    assert_eq!(same.header("etag"), tag, "nothing has changed");
    let merged = api.patch(&id, r#"{"meta":{"m":1e999}}"#).await;
    assert!(merged.body.contains(&format!(r#""meta":{{"n":{sent},"m":1e999}}"#)), "{}", merged.body);
}

#[tokio::test]
async fn a_number_that_does_not_fit_is_refused_with_the_reason() {
    let api = docs().await;
    let range = "must be an integer of 64 bits, from -2^63 to 2^63-1";
    for number in ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"] {
        refused(&api.post(&format!(r#"{{"amount":{number}}}"#)).await, &format!("amount: {range}"));
    }
    for number in ["1e-3", "1.5", "1E400", "9223372036854775808.0"] {
        refused(&api.post(&format!(r#"{{"amount":{number}}}"#)).await, "amount: must be an integer");
    }
    for number in ["1e400", "-1E400"] {
        refused(
            &api.post(&format!(r#"{{"ratio":{number}}}"#)).await,
            "ratio: must be a number of 64 bits, below 1.8e308",
        );
    }
    for number in ["18446744073709551616", "1e400"] {
        let reason = "checked: holds a number that is too large for its schema to judge";
        refused(&api.post(&format!(r#"{{"checked":{{"n":{number}}}}}"#)).await, reason);
    }
    // JSON Schema knows these as integers, and they are returned as such.
    assert_eq!(api.post(r#"{"amount":1.50e3}"#).await.json()["amount"], 1500);
    assert_eq!(api.post(r#"{"amount":9007199254740993.0}"#).await.json()["amount"], 9_007_199_254_740_993_i64);
    assert_eq!(api.post(r#"{"amount":-9223372036854775808,"ratio":1e308}"#).await.status, 201);
    assert_eq!(api.post(r#"{"amount":-0,"ratio":0.1234567890123456789012345678901234567890}"#).await.status, 201);
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused_wherever_it_is() {
    let api = docs().await;
    let (id, _) = api.made("{}").await;
    for (value, at) in [
        (r#"{"a":1,"a":2}"#, "/a"),
        (r#"{"a":1,"\u0061":1}"#, "/a"),
        (r#"[0,{"x":{"":1,"":2}}]"#, "/1/x/"),
        (r#"{"x/y":{"k":[],"k":[]}}"#, "/x~1y/k"),
    ] {
        let message = format!("meta: duplicate key at {at}");
        refused(&api.post(&format!(r#"{{"meta":{value}}}"#)).await, &message);
        refused(&api.patch(&id, &format!(r#"{{"meta":{value}}}"#)).await, &message);
    }
    refused(&api.post(r#"{"name":"a","name":"a"}"#).await, "name: duplicate key");
}

#[tokio::test]
async fn a_value_at_the_limit_of_depth_survives_a_patch_and_one_beyond_it_is_refused() {
    let api = docs().await;
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let (id, _) = api.made(&format!(r#"{{"meta":{}}}"#, nested(31))).await;
    refused(&api.post(&format!(r#"{{"meta":{}}}"#, nested(32))).await, "body: nested too deeply");
    let patched = api.patch(&id, r#"{"meta":{"b":2}}"#).await;
    let inner = nested(31);
    let kept = format!(r#""meta":{},"b":2}}"#, &inner[..inner.len() - 1]);
    assert!(patched.body.contains(&kept), "{}", patched.body);
}

#[tokio::test]
async fn what_is_stored_deeper_than_a_body_may_be_is_merged_or_kept_but_never_lost() {
    let api = docs().await;
    let (id, _) = api.made(r#"{"meta":{"a":1}}"#).await;
    for (depth, status) in [(400_usize, 200_u16), (5_000, 400)] {
        let stored = format!(r#"{{"deep":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let value = if postgres::server().is_some() { "$1::text::json" } else { "$1" };
        let update = Sql::new(format!("UPDATE \"docs\" SET \"meta\" = {value}"), [Param::Text(stored.clone())]);
        api.store.execute(std::time::Duration::from_secs(10), update).await.unwrap();
        let patched = api.patch(&id, r#"{"meta":{"b":2}}"#).await;
        assert_eq!(patched.status, status, "{depth}");
        assert!(api.get(&format!("/{id}")).await.body.contains(&stored[..stored.len() - 1]), "{depth}");
    }
    assert_eq!(api.put(&id, r#"{"meta":{"b":2}}"#).await.status, 200, "the way out that the message names");
}

#[tokio::test]
async fn bounds_of_a_json_field_are_for_lists() {
    let api = docs().await;
    for free in [r#"{"a":1,"b":2,"c":3,"d":4}"#, "{}", "true", "123456", "\"long text\"", "\"\"", "[1]", "[1,2,3]"] {
        let (id, _) = api.made(&format!(r#"{{"few":{free}}}"#)).await;
        assert_eq!(api.put(&id, &format!(r#"{{"few":{free}}}"#)).await.status, 200, "{free}");
    }
    refused(&api.post(r#"{"few":[]}"#).await, "few: must have at least 1 item");
    refused(&api.post(r#"{"few":[1,2,3,4]}"#).await, "few: must have at most 3 items");
}

#[tokio::test]
async fn an_address_is_an_address_of_html_and_nothing_around_it() {
    let api = users().await;
    for address in [
        r"a@x\r\nBcc: victim[1.1.1.1]",
        "a@<img src=x>[1.1.1.1]",
        "a@[1.1.1.1]",
        "a@[IPv6:::1]",
        r"a@x.com\n",
        r"\ta@x.com",
        "<a@x.com>",
        r#"\"a\"@x.com"#,
        "a@x.com.",
        "é@x.com",
        "a@x.com, b@x.com",
    ] {
        let body = format!(r#"{{"email":"{address}","name":"A","password":"password123"}}"#);
        refused(&api.post(&body).await, "email: Invalid email format");
    }
}

#[tokio::test]
async fn every_spelling_of_one_address_is_one_account() {
    let api = users().await;
    api.user("ada@bücher.example").await;
    for spelling in
        ["ada@BÜCHER.example", "ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example", "ada@bücher。example"]
    {
        let body = format!(r#"{{"email":"{spelling}","name":"A","password":"password123"}}"#);
        let answer = api.post(&body).await;
        assert_eq!((answer.status.as_u16(), answer.message()), (409, "Email already registered".into()), "{spelling}");
        let query = percent_encoding::utf8_percent_encode(spelling, percent_encoding::NON_ALPHANUMERIC);
        for operator in ["", "[in]"] {
            let rows = api.get(&format!("?filter[email]{operator}={query}")).await.rows();
            assert_eq!(rows[0]["email"], "ada@xn--bcher-kva.example", "{spelling}");
        }
    }
}

const KEPT: &str = r#"
store: main
access: { default: public }
fields:
  word: { type: string, lowercase: true, trim: true, unique: true, filter: [eq, ne, in, prefix, contains] }
  mail: { type: email, lowercase: true, trim: true, filter: [eq, ne, in, gte, prefix, contains] }
  price: { type: decimal, scale: 2, filter: [eq, in] }
  owner: { type: uuid, filter: [eq] }
  at: { type: datetime, filter: [eq, gte, lte], sort: true }
"#;

#[tokio::test]
async fn a_filter_compares_with_the_form_in_which_values_are_kept() {
    let api = serve("kept", KEPT).await;
    let (id, _) = api
        .made(r#"{"word":" Ada Lovelace ","mail":" Ada@X.com","price":"7","owner":"0191B3F0-0000-7000-8000-000000000000","at":"2026-02-03T01:00:00.5+01:00"}"#)
        .await;
    api.made(r#"{"word":"other"}"#).await;
    for filter in [
        "word]=ADA%20Lovelace",
        "word]=%20ada%20lovelace%20",
        "word][in]=x,Ada%20LOVELACE",
        "word][ne]=Other",
        "word][prefix]=ADA%20",
        "word][prefix]=%20Ada",
        "word][contains]=%20LOVE",
        "mail]=ADA@x.COM",
        "mail][in]=b@x.com,ADA@x.COM",
        "mail][gte]=%20ADA@X",
        "mail][prefix]=%20Ada@X.C",
        "mail][contains]=@X.C",
        "price]=07.0",
        "price][in]=1,7",
        "owner]=0191B3F0-0000-7000-8000-000000000000",
        "at]=2026-02-03T00:00:00.50Z",
        "at][gte]=2026-02-02t19:00:00.5-05:00",
    ] {
        let rows = api.get(&format!("?filter[{filter}")).await.rows();
        assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), [&*id], "{filter}");
    }
    assert_eq!(api.post(r#"{"word":"ADA LOVELACE\t"}"#).await.status, 409);
    assert_eq!(api.get(&format!("/{}", id.to_uppercase())).await.status, 200);
}

#[tokio::test]
async fn a_piece_of_an_address_has_the_spelling_of_the_whole() {
    let yaml =
        "store: main\naccess: { default: public }\nfields: { mail: { type: email, filter: [prefix, contains, lt] } }";
    let api = serve("kept", yaml).await;
    api.made(r#"{"mail":"Ada@BÜCHER.Example"}"#).await;
    for (filter, found) in [
        ("prefix]=Ada@b%C3%BCcher.EX", true),
        ("prefix]=Ada@XN--BCH", true),
        ("contains]=@B%C3%9CCHER.", true),
        ("lt]=Ada@Z", true),
        ("prefix]=ada@", false),
        ("contains]=ADA@b%C3%BCcher", false),
    ] {
        let rows = api.get(&format!("?filter[mail][{filter}")).await.rows();
        assert_eq!(rows.len(), usize::from(found), "{filter}");
    }
}

#[tokio::test]
async fn a_value_with_a_comma_is_one_value_of_a_list_in_quotes() {
    let api = serve("kept", KEPT).await;
    for word in ["doe, jane", "doe", " jane", r#"a\"b,c"#] {
        api.made(&format!(r#"{{"word":"{word}"}}"#)).await;
    }
    for (list, words) in [
        ("%22Doe,%20Jane%22", &["doe, jane"][..]),
        ("%22doe%2C%20jane%22,doe", &["doe, jane", "doe"]),
        (r#"%22a\%22b,c%22"#, &["a\"b,c"]),
        ("doe,%20jane", &["doe", "jane"]),
    ] {
        let rows = api.get(&format!("?sort=id&filter[word][in]={list}")).await.rows();
        let found: Vec<_> = rows.iter().map(|row| row["word"].as_str().unwrap()).collect();
        assert_eq!(found, words, "{list}");
    }
    refused(&api.get("?filter[word][in]=%22doe").await, "filter[word]: a quote is not closed");
    refused(&api.get("?filter[word][in]=%22a%22b").await, "filter[word]: a comma must follow the closing quote");
    let message = "filter[word]: has a space before a quote: remove it or put it inside the quotes";
    refused(&api.get("?filter[word][in]=a,%20%22b,c%22").await, message);
}

#[tokio::test]
async fn every_moment_of_rfc_3339_is_taken_and_filtered_by() {
    let api = serve("kept", KEPT).await;
    for (sent, kept) in [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ("0001-01-01t00:00:00.0z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999999+23:59", "9999-12-31T00:00:59.999999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
    ] {
        api.made(&format!(r#"{{"at":"{sent}"}}"#)).await;
        let rows = api.get(&format!("?filter[at]={}", sent.replace('+', "%2B"))).await.rows();
        assert_eq!((rows.len(), &rows[0]["at"]), (1, &Value::from(kept)), "{sent}");
    }
    assert_eq!(
        api.get("?sort=-at&per_page=1&filter[at][lte]=9999-12-31T23:59:59Z").await.rows()[0]["at"],
        "9999-12-31T23:59:59.000000Z"
    );
    for bad in
        ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00%2B00:01", "0000-12-31T23:59:59Z", "2016-12-30T23:59:60Z"]
    {
        refused(&api.get(&format!("?filter[at]={bad}")).await, "filter[at]: must be an RFC 3339 date-time");
    }
}

#[tokio::test]
async fn a_write_has_one_moment() {
    let yaml = r#"
store: main
access: { default: public }
fields:
  n: { type: integer }
  created: { type: datetime, set: on_create }
  changed: { type: datetime, set: on_write }
  seen: { type: datetime, default: now }
  touched: { type: datetime, set: on_write }
  day: { type: date, set: on_write }
"#;
    let api = serve("stamped", yaml).await;
    let answer = api.post(r#"{"n":1}"#).await.json();
    let moment = answer["created"].as_str().unwrap();
    assert!([&answer["changed"], &answer["seen"], &answer["touched"]].iter().all(|at| *at == moment), "{answer}");
    assert_eq!(answer["day"], moment[..10]);
    let changed = api.put(answer["id"].as_str().unwrap(), r#"{"n":2}"#).await.json();
    assert_eq!(changed["changed"], changed["touched"]);
    assert_eq!(changed["changed"], changed["seen"], "the default of a field that a PUT leaves out");
    assert_eq!(changed["created"], moment);
}

#[tokio::test]
async fn a_body_in_a_content_coding_is_refused() {
    let api = docs().await;
    let (id, _) = api.made("{}").await;
    for coding in ["gzip", "GZIP", "br", "x-unknown", "identity, gzip", "gzip,identity", "identity gzip", "é"] {
        for (method, target) in
            [(Method::POST, ""), (Method::PUT, &*format!("/{id}")), (Method::PATCH, &*format!("/{id}"))]
        {
            let answer = api.ask(method, target).header("content-encoding", coding).json("{}").send().await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("accept-encoding")),
                (415, "identity".into()),
                "{coding}"
            );
            assert_eq!(answer.message(), "Content-Encoding must be identity, or absent");
        }
    }
    for coding in ["", "identity", "Identity", " identity , identity,"] {
        let answer = api.ask(Method::POST, "").header("content-encoding", coding).json("{}").send().await;
        assert_eq!(answer.status, 201, "{coding}");
    }
    let answer = api.ask(Method::POST, "").header("content-encoding", "identity").header("content-encoding", "gzip");
    assert_eq!(answer.json("{}").send().await.status, 415, "fields are one list");
}

#[tokio::test]
async fn an_empty_or_unreadable_accept_takes_anything() {
    let api = docs().await;
    let (id, _) = api.made("{}").await;
    for accept in [
        "",
        " ",
        ",",
        "json",
        "application/json;q=nope",
        "*/*;q=0.001",
        "*;q=1.0",
        "text/html, application/problem+json",
    ] {
        let answer = api.ask(Method::GET, &format!("/{id}")).header("accept", accept).send().await;
        assert_eq!(answer.status, 200, "{accept}");
    }
    for accept in ["*/*;q=0", "text/html", "application/json;q=0.0, */*;q=1", "application/*;q=0, */*"] {
        let answer = api.ask(Method::GET, &format!("/{id}")).header("accept", accept).send().await;
        assert_eq!(answer.status, 406, "{accept}");
    }
}

#[tokio::test]
async fn a_piece_of_a_lowered_text_is_a_piece_of_the_whole() {
    let yaml = "store: main\naccess: { default: public }\nfields:\n  w: { type: string, lowercase: true, filter: [eq, prefix, contains] }\n";
    let api = serve("words", yaml).await;
    for word in ["ΟΔΟΣ", "ΟΔΟΣΑ"] {
        api.made(&format!(r#"{{"w":"{word}"}}"#)).await;
    }
    for (operator, word, found) in [("", "ΟΔΟΣ", 1), ("[prefix]", "ΟΔΟΣ", 2), ("[contains]", "ΔΟΣ", 2)] {
        let word: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(api.get(&format!("?filter[w]{operator}={word}")).await.rows().len(), found, "{operator}");
    }
}

#[tokio::test]
async fn lowering_an_address_makes_no_ascii_of_other_letters() {
    let yaml = "store: main\naccess: { default: public }\nfields:\n  mail: { type: email, lowercase: true }\n";
    let api = serve("mails", yaml).await;
    refused(&api.post(r#"{"mail":"\u212aelvin@x.com"}"#).await, "mail: must be an e-mail address");
    api.made(r#"{"mail":"Kelvin@B\u00dcCHER.example"}"#).await;
    assert_eq!(api.get("").await.rows()[0]["mail"], "kelvin@xn--bcher-kva.example");
}

#[tokio::test]
async fn a_number_reads_as_it_was_answered() {
    let api = serve("numbers", "store: main\naccess: { default: public }\nfields:\n  n: { type: number }\n").await;
    for zero in ["-0.0", "-0", "-0e5", "0"] {
        let answer = api.post(&format!(r#"{{"n":{zero}}}"#)).await;
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(api.get(&format!("/{id}")).await.body, answer.body, "{zero}");
    }
}
