//! Requests that a server could read in another way than the plugin.

use super::*;

const BODIES: &str = r#"
openapi: 3.1.0
paths:
  /text: { post: { requestBody: { content: { text/json: { schema: { type: object } } } } } }
  /suffix: { post: { requestBody: { content: { application/*+json: { schema: { type: object } } } } } }
  /texts: { post: { requestBody: { content: { text/*: { schema: { type: object } } } } } }
  /all: { post: { requestBody: { content: { "*/*": { schema: { type: object } } } } } }
"#;

#[tokio::test]
async fn every_spelling_of_json_is_validated_and_what_is_no_media_type_is_refused() {
    let door = door(BODIES, json!({}));
    for (uri, media, status) in [
        ("/text", "text/json", 400),
        ("/text", "Text/JSON ; a=b", 400),
        ("/text", "application/json", 415),
        ("/suffix", "application/vnd.a+json", 400),
        ("/suffix", "application/json", 415),
        ("/suffix", "text/vnd.a+json", 415),
        ("/texts", "text/json", 400),
        ("/texts", "text/x-json", 400),
        ("/texts", "text/plain", 200),
        ("/all", "application/x-json", 400),
        ("/all", "model/gltf+json", 400),
        ("/all", "text/plain", 200),
        ("/texts", "text/", 415),
        ("/texts", "text/a b", 415),
        ("/texts", "text/*", 415),
        ("/all", "application/json, text/plain", 415),
        ("/all", "text/plain;a=b, application/json", 415),
        ("/all", "/", 415),
        ("/all", "", 415),
        ("/all", "*/*", 415),
    ] {
        let found = send(&door, Sent("POST", uri, &[("content-type", media)], "[1]")).await;
        assert_eq!(found.0, status, "{uri} {media}");
        if status == 400 {
            assert_eq!(send(&door, Sent("POST", uri, &[("content-type", media)], "{}")).await.0, 200, "{uri} {media}");
        }
    }
}

#[tokio::test]
async fn a_path_that_servers_read_differently_is_refused() {
    let content = "openapi: 3.1.0\npaths: { /x/admin: { delete: {} }, '/x/{any}': { get: { parameters: [{ name: any, in: path, required: true }] } } }\n";
    for undescribed in ["reject", "pass"] {
        let door = door(content, json!({ "undescribed": undescribed }));
        for uri in [
            "/x/admin;a",
            "/x;a/admin",
            "/x/admin%3Ba",
            "/x//admin",
            "/x%2Fadmin",
            "/x/a%2Fb",
            "/x/%2561dmin",
            "/x/%E9",
        ] {
            let found = send(&door, Sent("GET", uri, &[], "")).await;
            assert_eq!((found.0, &*found.1), (400, "path_ambiguous"), "{uri}");
        }
        assert_eq!(send(&door, Sent("GET", "/x/a%20b", &[], "")).await.0, 200);
    }
}

const PARAMETERS: &str = r#"
openapi: 3.1.0
paths:
  /a:
    get:
      parameters:
        - { name: sid, in: cookie, schema: { type: integer } }
        - { name: limit, in: query, schema: { type: integer, maximum: 50 } }
        - { name: tags, in: query, schema: { type: array, items: { enum: [a] } } }
        - { name: f, in: query, style: deepObject, schema: { type: object, properties: { min: { type: integer } } } }
        - { name: page, in: query, schema: { type: object, properties: { size: { type: integer, maximum: 50 } } } }
"#;

#[tokio::test]
async fn a_cookie_is_found_however_its_name_is_written() {
    let door = door(PARAMETERS, json!({}));
    for (cookies, code) in [
        (&["sid=1"][..], ""),
        (&["a=b;  sid = 1 ; sidx=z"], ""),
        (&["sid = zzzzz"], "type"),
        (&["sid =zzzzz"], "type"),
        (&["a=b;\tsid\t=\tzzzzz"], "type"),
        (&["sid=1; sid =2"], "repeated"),
        (&["sid=1", "sid =2"], "repeated"),
        (&["a=\u{e9}; sid=zzzzz"], "type"),
        (&["sid=\u{e9}"], "type"),
        (&["sid"], "encoding"),
    ] {
        let headers: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
        let (status, _, details, _) = send(&door, Sent("GET", "/a", &headers, "")).await;
        assert_eq!(status, if code.is_empty() { 200 } else { 400 }, "{cookies:?}");
        assert_eq!(details.first().map_or("", |(_, code)| code), code, "{cookies:?}");
    }
}

#[tokio::test]
async fn described_names_in_brackets_are_refused() {
    let door = door(PARAMETERS, json!({}));
    for (query, field) in [
        ("limit=5&tags=a&tags=a&f[min]=1&f[other]=x&size=5", ""),
        ("other[]=x&limits[0]=600&page=x", ""),
        ("limit[]=600", "limit"),
        ("limit%5B%5D=600", "limit"),
        ("limit=5&limit[0]=600", "limit"),
        ("[limit]=600", "limit"),
        ("tags[0]=x", "tags"),
        ("tags[]=x", "tags"),
        ("f=evil", "f"),
        ("f[min]x=a", "f"),
        ("f[min][]=a", "f"),
        ("f[]=a", "f"),
        ("size[]=600", "size"),
        ("page[size]=600", "page"),
    ] {
        let (status, reason, details, _) = send(&door, Sent("GET", &format!("/a?{query}"), &[], "")).await;
        if field.is_empty() {
            assert_eq!((status, &*reason), (200, ""), "{query}");
        } else {
            assert_eq!((status, &*reason), (400, "schema"), "{query}");
            assert_eq!(details, [(field.to_owned(), "spelling".to_owned())], "{query}");
        }
    }
}
