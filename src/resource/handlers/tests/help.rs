//! Rejected parameters come with what to send instead.

use super::{NOTES, notes, refused, serve};
use http::Method;

#[tokio::test]
async fn every_rejected_parameter_of_a_list_comes_with_help() {
    let api = notes().await;
    let uuid = NOTES.replace("body: { type: text }", "body: { type: text }\n  owner: { type: uuid, filter: [eq] }");
    let with_uuid = serve("owned", &uuid).await;
    let list = "known parameters: page, per_page, cursor, sort, fields, count, filter[FIELD], filter[FIELD][OPERATOR]";
    for (query, message, help) in [
        ("?page=0", "page: must be an integer of at least 1", "send a whole number; the first page is 1"),
        ("?per_page=-1", "per_page: must be an integer of at least 1", "send a whole number from 1 to 100"),
        ("?page=1&page=2", "page: given more than once", "send it once"),
        ("?sort=title&sort=rank", "sort: given more than once", "send it once, with each field once: sort=a,-b"),
        (
            "?sort=title,-title",
            "sort: \"title\" appears more than once",
            "send it once, with each field once: sort=a,-b",
        ),
        ("?fields=id&fields=id", "fields: given more than once", "send it once, with all fields: fields=a,b"),
        (
            "?count=all",
            "count: must be one of exact, capped, none",
            "send count=exact, count=capped or count=none, or leave it out",
        ),
        ("?filter[rank]=high", "filter[rank]: must be an integer", "send a whole number, such as 42 or -7"),
        ("?filter[rank][in]=1,x", "filter[rank]: must be an integer", "send a whole number, such as 42 or -7"),
        ("?filter[rank][null]=no", "filter[rank]: must be true or false", "send true or false"),
        (
            "?filter[title]",
            "filter[title]: has no value",
            "send filter[title]=VALUE; an empty VALUE compares with the empty text",
        ),
        (
            "?filter[title][prefix]",
            "filter[title]: has no value",
            "send filter[title][prefix]=VALUE; an empty VALUE compares with the empty text",
        ),
        ("?title=x", "title: unknown parameter", "to filter by `title`, send filter[title]=VALUE"),
        ("?pgae=2", "pgae: unknown parameter", &format!("did you mean `page`? {list}")),
        ("?name=x", "name: unknown parameter", list),
        (
            "?body=x",
            "body: unknown parameter",
            "`body` cannot be filtered; fields that can be filtered: title (eq, prefix, contains, ne), rank (eq, lt, gt, \
             gte, lte, in, null)",
        ),
        (
            "?filter[title]=%FF",
            "filter[title]: is not percent-encoded UTF-8",
            "write other characters as UTF-8 bytes in hex, such as %C3%BC, and a percent sign as %25",
        ),
        ("?filter[title]=a%00b", "filter[title]: must not contain NUL", "send the text without %00"),
        ("?a%00=b", "query: must not contain NUL", "send the text without %00"),
    ] {
        let answer = api.get(query).await;
        refused(&answer, message);
        assert_eq!(answer.json()["details"][0]["help"], help, "{query}");
    }
    let answer = with_uuid.get("?filter[owner]=x").await;
    assert!(answer.json()["details"][0]["help"].as_str().unwrap().starts_with("send a UUID, such as "));
}

#[tokio::test]
async fn an_empty_value_of_a_filter_is_the_empty_text() {
    let api = notes().await;
    api.made(r#"{"title":""}"#).await;
    api.made(r#"{"title":"a"}"#).await;
    assert_eq!(api.get("?filter[title]=").await.rows().len(), 1);
}

#[tokio::test]
async fn the_largest_page_in_a_help_is_that_of_the_resource() {
    let api = serve("few", &NOTES.replace("max_per_page: 100", "max_per_page: 20")).await;
    let answer = api.get("?per_page=none").await;
    assert_eq!(answer.json()["details"][0]["help"], "send a whole number from 1 to 20");
}

#[tokio::test]
async fn a_406_names_what_is_available() {
    let answer = notes().await.ask(Method::GET, "").header("accept", "text/html").send().await;
    assert_eq!(
        (answer.status.as_u16(), answer.message()),
        (406, "The response is available only as application/json".to_owned())
    );
}
