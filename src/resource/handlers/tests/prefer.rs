//! `Prefer: return=minimal`.

use super::*;

#[tokio::test]
async fn a_write_is_confirmed_without_the_item() {
    let api = notes().await;
    let ask = async |method: Method, target: &str, body: &str, prefer: &str| {
        api.ask(method, target).json(body).header("prefer", prefer).send().await
    };
    let made = ask(Method::POST, "", r#"{"title":"a"}"#, "return=minimal").await;
    assert_eq!((made.status.as_u16(), &*made.body, &*made.header("content-length")), (201, "", "0"));
    assert_eq!((&*made.header("preference-applied"), &*made.header("content-type")), ("return=minimal", ""));
    let item = made.header("location").rsplit('/').next().unwrap().to_owned();
    let read = api.get(&format!("/{item}")).await;
    assert_eq!((read.status.as_u16(), read.header("etag")), (200, made.header("etag")));
    for (method, prefer) in [
        (Method::PATCH, "return=minimal"),
        (Method::PATCH, "respond-async, Return = \"minimal\"; x=1, return=representation"),
        (Method::PUT, "wait=10,return=minimal"),
    ] {
        let changed = ask(method, &format!("/{item}"), r#"{"title":"b"}"#, prefer).await;
        assert_eq!(
            (changed.status.as_u16(), &*changed.body, &*changed.header("content-length")),
            (204, "", ""),
            "{prefer}"
        );
        assert_eq!(changed.header("etag"), api.get(&format!("/{item}")).await.header("etag"));
    }
    for prefer in ["return=representation", "return=representation, return=minimal", "minimal", "return", ""] {
        let changed = ask(Method::PATCH, &format!("/{item}"), r#"{"title":"c"}"#, prefer).await;
        assert_eq!((changed.status.as_u16(), &*changed.header("preference-applied")), (200, ""), "{prefer}");
    }
}

#[tokio::test]
async fn what_is_refused_or_read_is_as_without() {
    let api = notes().await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    let refused = api.ask(Method::POST, "").json("{}").header("prefer", "return=minimal").send().await;
    assert_eq!((refused.status.as_u16(), refused.message()), (400, "title: is required".to_owned()));
    let read = api.ask(Method::GET, &format!("/{id}")).header("prefer", "return=minimal").send().await;
    assert_eq!((read.status.as_u16(), &*read.header("preference-applied")), (200, ""));
    let repeat = async |prefer: &'static str| {
        let ask = api.ask(Method::POST, "").json(r#"{"title":"b"}"#).header("idempotency-key", "k");
        ask.header("prefer", prefer).send().await
    };
    let (first, again) = (repeat("return=minimal").await, repeat("").await);
    assert_eq!((first.body.as_str(), again.json()["title"].as_str()), ("", Some("b")));
    assert_eq!((first.header("location"), first.header("etag")), (again.header("location"), again.header("etag")));
}
