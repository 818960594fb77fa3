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
