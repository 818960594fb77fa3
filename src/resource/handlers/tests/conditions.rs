//! `If-Match` and `If-None-Match`, read as RFC 9110 sections 5.6.1, 8.8.3 and 13 write them.

use super::tags::{KEYS, get, keys, put};
use super::*;

#[tokio::test]
async fn a_read_under_if_match_shows_that_version_or_nothing() {
    let api = keys(&url().await).await;
    let old = put(&api, "one").await;
    let tag = put(&api, "two").await;
    for method in [Method::GET, Method::HEAD] {
        let ask = async |tags: &str| api.ask(method.clone(), "/a").header("if-match", tags).send().await;
        for good in [&*tag, "*", &format!("{old}, {tag}"), &format!(",, {tag} ,")] {
            assert_eq!(ask(good).await.status, 200, "{good}");
        }
        for stale in [&*old, "\"x\"", "", ",", &format!("W/{tag}"), &tag.replacen('"', "\"0", 1)] {
            let answer = ask(stale).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (412, tag.clone()), "{stale}");
        }
        for malformed in ["x", "\"a", "\"a\" \"b\"", "*, \"a\"", "\"a\", *"] {
            assert_eq!(ask(malformed).await.status, 400, "{malformed}");
        }
    }
    let both = api.ask(Method::GET, "/a").header("if-match", &old).header("if-none-match", &tag).send().await;
    assert_eq!(both.status, 412, "If-Match is judged first");
    let other_form = api.get("/a?fields=v").await.header("etag");
    assert_eq!(get(&api, "if-match", &other_form).await.status, 412, "it is another representation");
    let gone = api.ask(Method::GET, "/absent").header("if-match", &tag).send().await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn tags_on_several_lines_are_one_list() {
    let api = keys(&url().await).await;
    let tag = put(&api, "one").await;
    for name in ["if-match", "if-none-match"] {
        let ask = api.ask(Method::GET, "/a").header(name, "\"x\",").header(name, "").header(name, &tag);
        let wanted = if name == "if-match" { 200 } else { 304 };
        assert_eq!(ask.send().await.status, wanted, "{name}");
    }
    let ask = api.ask(Method::PUT, "/a").header("if-none-match", "*").header("if-none-match", "*");
    assert_eq!(ask.json(r#"{"v":"two"}"#).send().await.status, 400);
}

#[tokio::test]
async fn empty_elements_do_not_count_on_writes_either() {
    let api = keys(&url().await).await;
    let tag = put(&api, "one").await;
    let write = async |name: &'static str, value: &str| {
        api.ask(Method::PATCH, "/a").header(name, value).json(r#"{"v":"one"}"#).send().await.status.as_u16()
    };
    assert_eq!(write("if-match", &format!("\"x\",,{tag}, ,")).await, 200);
    assert_eq!(write("if-match", "").await, 412, "a list that names nothing");
    assert_eq!(write("if-none-match", ",").await, 200);
    assert_eq!(write("if-none-match", &format!(",W/{tag}")).await, 412, "weakly equal is equal");
    assert_eq!(write("if-none-match", "\"a").await, 400);
}

#[tokio::test]
async fn a_304_has_the_header_fields_of_the_200() {
    let api = keys(&url().await).await;
    let tag = put(&api, "one").await;
    let (full, known) = (api.get("/a").await, get(&api, "if-none-match", &tag).await);
    assert_eq!((full.status.as_u16(), known.status.as_u16()), (200, 304));
    for name in ["etag", "vary", "cache-control"] {
        assert_eq!(full.header(name), known.header(name), "{name}");
    }
    let yaml = KEYS.replace("{ default: public }", "{ default: public, read: authenticated }");
    let api = serve("kv", &yaml).await;
    let tag = put(&api, "one").await;
    let ask = || api.ask(Method::GET, "/a").with(serde_json::json!({"sub": "ann"}));
    let (full, known) = (ask().send().await, ask().header("if-none-match", &tag).send().await);
    assert_eq!((full.status.as_u16(), known.status.as_u16()), (200, 304));
    for name in ["etag", "vary", "cache-control"] {
        assert_eq!(full.header(name), known.header(name), "{name}");
    }
    assert_eq!(known.header("vary"), "authorization");
}

#[tokio::test]
async fn dates_are_not_conditions() {
    let api = keys(&url().await).await;
    put(&api, "one").await;
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    assert_eq!(get(&api, "if-modified-since", future).await.status, 200);
    let past = "Thu, 01 Jan 1970 00:00:00 GMT";
    let ask = api.ask(Method::PATCH, "/a").header("if-unmodified-since", past);
    assert_eq!(ask.json(r#"{"v":"two"}"#).send().await.status, 200);
}

#[tokio::test]
async fn concurrency_none_looks_at_no_if_match() {
    let api = serve("kv", &format!("{KEYS}concurrency: none\n")).await;
    put(&api, "one").await;
    for (method, target) in [(Method::GET, "/a"), (Method::GET, ""), (Method::DELETE, "/a")] {
        let answer = api.ask(method.clone(), target).header("if-match", "\"x\"").send().await;
        assert!(answer.status.is_success(), "{method} {target}: {}", answer.status);
    }
}
