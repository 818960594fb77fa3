//! Bodies that are forms.

use super::*;

const FORMS: &str = r##"
openapi: 3.1.0
paths:
  /orders:
    post:
      requestBody:
        required: true
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [item, count]
              properties:
                item: { type: string, maxLength: 4 }
                count: { type: integer, minimum: 1 }
                gift: { type: boolean }
                due: { type: string, format: date }
                tags: { type: array, items: { enum: [a, b] }, maxItems: 2 }
                sizes: { type: array, items: { type: integer } }
                "ids[]": { type: array, items: { type: integer } }
                code: { anyOf: [{ type: integer, minimum: 100 }, { type: string, pattern: "^[0-9]$" }] }
              additionalProperties: { type: string, maxLength: 3 }
          application/json: { schema: { type: object, required: [json] } }
  /any: { post: { requestBody: { content: { "*/*": { schema: { type: object, required: [a] } } } } } }
  /parts:
    post:
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: { anyOf: [{ $ref: "#/components/schemas/Card" }, { $ref: "#/components/schemas/Cash" }] }
components:
  schemas:
    Card: { type: object, required: [card], properties: { card: { type: string, minLength: 4 } }, additionalProperties: false }
    Cash: { type: object, required: [cash], properties: { cash: { type: number } }, additionalProperties: false }
"##;

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

#[tokio::test]
async fn forms_are_as_they_are_described() {
    let door = door(FORMS, json!({}));
    for (body, wrong) in [
        ("item=tea&count=2", &[][..]),
        ("item=12&count=2&gift=true&due=2026-11-30&tags=a&tags=b&sizes=1&sizes=2&ids%5B%5D=3&note=abc", &[]),
        ("item=a+b&count=%32", &[]),
        ("&item=&count=1&", &[]),
        ("count=2", &[("item", "required")]),
        ("item=coffee&count=0", &[("count", "minimum"), ("item", "maxLength")]),
        ("item=tea&count=two", &[("count", "type")]),
        ("item=tea&count=", &[("count", "type")]),
        ("item=tea&count=1&count=2", &[("count", "repeated")]),
        ("item=tea&count=1&gift=yes", &[("gift", "type")]),
        ("item=tea&count=1&due=30.11.2026", &[("due", "format")]),
        ("item=tea&count=1&tags=a&tags=c", &[("tags[1]", "enum")]),
        ("item=tea&count=1&tags=a&tags=b&tags=a", &[("tags", "maxItems")]),
        ("item=tea&count=1&sizes=1&sizes=x", &[("sizes[1]", "type")]),
        ("item=tea&count=1&note=long", &[("note", "maxLength")]),
        ("item=tea&count=1&note=a&note=b", &[("note", "type")]),
        ("item=tea&count=1&count[]=600", &[("count", "spelling")]),
        ("item=tea&count=1&code=100", &[]),
        ("item=tea&count=1&code=7", &[]),
        ("item=tea&count=1&code=70", &[("code", "minimum")]),
        ("item=tea&count=1.0&code=5.0", &[("code", "pattern"), ("count", "type")]),
        ("item=%FF&count=1", &[("", "encoding")]),
        ("{}", &[("count", "required"), ("item", "required")]),
    ] {
        let (status, reason, mut details, _) = send(&door, Sent("POST", "/orders", &FORM, body)).await;
        details.sort();
        let details: Vec<_> = details.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!((status, details.as_slice()), (if wrong.is_empty() { 200 } else { 400 }, wrong), "{body}");
        assert_eq!(reason, if wrong.is_empty() { "" } else { "schema" }, "{body}");
    }
    let latin = [("content-type", "application/x-www-form-urlencoded; charset=iso-8859-1")];
    let large = format!("item=tea&count=1&note={}", "a".repeat(2000));
    let small = super::door(FORMS, json!({ "max": "1KiB" }));
    for (door, uri, headers, body, status) in [
        (&door, "/orders", &FORM, "", 400),
        (&door, "/orders", &latin, "item=tea&count=1", 415),
        (&door, "/orders", &[("content-type", "application/json")], "item=tea&count=1", 400),
        (&small, "/orders", &FORM, &*large, 413),
        (&door, "/any", &FORM, "a=1", 200),
        (&door, "/any", &FORM, "b=1", 400),
        (&door, "/any", &[("content-type", "text/plain")], "b=1", 200),
        (&door, "/parts", &FORM, "card=1234", 200),
        (&door, "/parts", &FORM, "cash=12.5", 200),
        (&door, "/parts", &FORM, "cash=much", 400),
        (&door, "/parts", &FORM, "card=1234&cash=1", 400),
    ] {
        assert_eq!(send(door, Sent("POST", uri, headers, body)).await.0, status, "{uri} {headers:?} {body}");
    }
}

#[tokio::test]
async fn forms_whose_spelling_is_not_defined_pass_with_a_warning() {
    for (inner, why) in [
        (
            "schema: { type: object, properties: { b: { type: object }, a: { type: array, items: { type: object } } } }",
            "its field `a` is an object, or a list of lists or objects",
        ),
        ("schema: { type: array }", "its schema is not of `type: object`"),
        (
            "schema: { type: object, required: [z] }, encoding: { a: { explode: false } }",
            "its field `a` has another `encoding`",
        ),
    ] {
        let content = format!(
            "openapi: 3.1.0\npaths: {{ /a: {{ post: {{ requestBody: {{ content: {{ application/x-www-form-urlencoded: {{ {inner} }} }} }} }} }} }}\n"
        );
        let file = Written::new(&content);
        let compiled = compile::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
        let place = "`#/paths/~1a/post/requestBody`: `application/x-www-form-urlencoded`: forms are not validated";
        let wanted = format!("{place}: {why}");
        assert!(compiled.faults.is_empty() && compiled.warnings.len() == 1, "{inner}");
        assert!(compiled.warnings[0].message.ends_with(&wanted), "{}", compiled.warnings[0]);
        assert_eq!(send(&door(&content, json!({})), Sent("POST", "/a", &FORM, "x=1")).await.0, 200);
    }
}
