//! `?expand=`: the items that items refer to, in the same response.

use super::world::*;
use super::*;
use serde_json::json;

const BLOG: &str = r#"
users:
  store: main
  id: { type: string }
  access: { default: public, read: { any: [ { role: admin }, { where: { id: $claims.sub } }, { where: { open: true } } ] } }
  fields:
    name: { type: string }
    secret: { type: string, hidden: true, default: "secret" }
    password: { type: password }
    open: { type: boolean, default: true }
tags:
  store: main
  id: { type: integer }
  access: { default: public }
  fields: { word: { type: string } }
posts:
  store: main
  access: { default: public }
  fields:
    author: { type: ref, to: users, expand: true }
    editor: { type: ref, to: users, expand: true }
    tag: { type: ref, to: tags, expand: true, on_delete: set_null }
    other: { type: ref, to: posts }
    title: { type: string, sort: true }
"#;

async fn blog() -> (World, String) {
    let world = world(BLOG).await;
    for (id, open) in [("ann", true), ("bob", true), ("eve", false)] {
        let made = world.of("users").post(&json!({"id": id, "name": id, "open": open}).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let (tag, _) = world.of("tags").made(r#"{"word":"x"}"#).await;
    let body = format!(r#"{{"author":"ann","editor":"eve","tag":{tag},"title":"1"}}"#);
    let admin = world.of("posts").ask(Method::POST, "").json(&body).with(json!({"sub": "root", "role": "admin"}));
    let post = admin.send().await.id();
    for title in ["2", "3"] {
        world.of("posts").made(&format!(r#"{{"author":"bob","title":"{title}"}}"#)).await;
    }
    (world, post)
}

#[tokio::test]
async fn an_item_is_shown_with_what_it_refers_to() {
    let (world, post) = blog().await;
    let posts = world.of("posts");
    let shown = posts.get(&format!("/{post}?expand=author,tag,editor")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let ann = json!({"id": "ann", "name": "ann", "open": true});
    let expected = json!({"author": ann, "editor": null, "tag": {"id": 1, "word": "x"}});
    assert_eq!(shown.json()["expand"], expected, "no field and no item that the caller may not see");
    assert_eq!(shown.json()["editor"], "eve", "the id stays");
    let own = posts.ask(Method::GET, &format!("/{post}?expand=editor")).with(json!({"sub": "eve"})).send().await;
    assert_eq!(own.json()["expand"]["editor"]["name"], "eve");
    let few = posts.get(&format!("/{post}?fields=title&expand=tag")).await;
    assert_eq!(few.json(), json!({"title": "1", "expand": {"tag": {"id": 1, "word": "x"}}}));
    assert!(posts.get(&format!("/{post}")).await.json().get("expand").is_none());
    let refused = posts.get(&format!("/{post}?expand=other")).await;
    assert_eq!((refused.status.as_u16(), refused.message()), (400, "expand: \"other\" cannot be expanded".into()));
    assert_eq!(refused.json()["details"][0]["help"], "fields that can be expanded: author, editor, tag");
    assert_eq!(posts.get(&format!("/{post}?expand=tag&expand=tag")).await.status, 400);
    assert_eq!(world.of("tags").get("/1?expand=word").await.status, 400);
    assert_eq!(posts.get("/01a22510-357c-72a9-84c8-411555ce7244?expand=tag").await.status, 404);
}

#[tokio::test]
async fn a_list_reads_each_relation_once() {
    let (world, _) = blog().await;
    let page = world.of("posts").get("?expand=author,tag&sort=title").await;
    let rows = page.rows();
    let names: Vec<_> = rows.iter().map(|row| row["expand"]["author"]["name"].clone()).collect();
    assert_eq!(names, ["ann", "bob", "bob"]);
    assert_eq!(rows[0]["expand"]["tag"]["word"], "x");
    assert_eq!(rows[1]["expand"]["tag"], json!(null));
    let first = world.of("posts").get("?expand=author&sort=title&per_page=2").await;
    assert_eq!(first.rows().len(), 2);
    assert!(first.header("link").contains("expand=author"));
    let next = world.of("posts").get(&first.link("next").unwrap()).await;
    assert_eq!(next.rows()[0]["expand"]["author"]["name"], "bob");
    assert_eq!(world.of("posts").get("?expand=tag&filter[title]=zz").await.status, 400);
}

#[tokio::test]
async fn a_tag_is_about_all_that_is_shown() {
    let (world, post) = blog().await;
    let (posts, users) = (world.of("posts"), world.of("users"));
    let path = format!("/{post}?expand=author,editor");
    let known = async |path: &str, tag: &str| {
        posts.ask(Method::GET, path).header("if-none-match", tag).send().await.status.as_u16()
    };
    let plain = posts.get(&format!("/{post}")).await.header("etag");
    let tag = posts.get(&path).await.header("etag");
    assert_ne!(plain, tag);
    assert_eq!(posts.get(&format!("/{post}?expand=editor,author")).await.header("etag"), tag, "in any order");
    assert_ne!(posts.get(&format!("/{post}?expand=author")).await.header("etag"), tag);
    assert_eq!(known(&path, &tag).await, 304);
    let list = posts.get("?expand=author").await.header("etag");
    assert_eq!(known("?expand=author", &list).await, 304);
    assert_eq!(users.patch("ann", r#"{"name":"Ann"}"#).await.status, 200);
    assert_eq!(known(&path, &tag).await, 200, "the author has changed");
    assert_eq!(known("?expand=author", &list).await, 200);
    assert_eq!(known(&format!("/{post}"), &plain).await, 304, "the post has not");
    // The editor opens her item: what was null is shown.
    let tag = posts.get(&path).await.header("etag");
    let open = users.ask(Method::PATCH, "/eve").json(r#"{"open":true}"#).with(json!({"sub": "eve"})).send().await;
    assert_eq!(open.status, 200);
    assert_eq!(known(&path, &tag).await, 200);
    // The tag of an item with others is good for a write.
    let tag = posts.get(&path).await.header("etag");
    let write = posts.ask(Method::PATCH, &format!("/{post}")).header("if-match", &tag).json(r#"{"title":"4"}"#);
    assert_eq!(write.send().await.status, 200);
}

#[tokio::test]
async fn caches_know_that_it_depends_on_the_caller() {
    let (world, post) = blog().await;
    let posts = world.of("posts");
    for target in [format!("/{post}?expand=author"), "?expand=author".to_owned()] {
        let shown = posts.get(&target).await;
        assert_eq!(
            (&*shown.header("cache-control"), &*shown.header("vary")),
            ("no-store", "authorization"),
            "{target}"
        );
    }
    let shown = posts.get(&format!("/{post}?expand=tag")).await;
    assert_eq!((&*shown.header("cache-control"), &*shown.header("vary")), ("private, no-cache", ""));
    // The list of one caller is not the list of another.
    let list = posts.get("?expand=editor").await.header("etag");
    let other = posts.ask(Method::GET, "?expand=editor").header("if-none-match", &list).with(json!({"sub": "eve"}));
    assert_eq!(other.send().await.status, 200);
}

#[tokio::test]
async fn expansion_works_below_a_parent_and_for_a_head() {
    let (world, post) = blog().await;
    let below = world.under("users", "ann", "posts", "author");
    let page = below.get("?expand=author").await;
    assert_eq!(page.rows().len(), 1);
    assert_eq!(page.rows()[0]["expand"]["author"]["name"], "ann");
    assert_eq!(below.get(&format!("/{post}?expand=tag")).await.json()["expand"]["tag"]["word"], "x");
    let head = below.ask(Method::HEAD, &format!("/{post}?expand=tag")).send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}
