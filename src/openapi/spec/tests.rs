//! Files that describe APIs: what becomes of their operations and components.

use super::*;
use crate::config::document::process::ErrorFormat;
use crate::openapi::Components;
use crate::openapi::operation::Guards;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The operation `get /a` of a description with these components, taken into an empty one behind `guards`.
fn taken(text: &str, guards: &Guards, components: &mut Components) -> Value {
    let spec = Spec::parse(text.as_bytes(), Path::new("spec.yaml")).unwrap();
    let (path, item) = spec.paths().next().unwrap();
    Import::new(&spec, guards, components).operation((path, "get", item), ("route", &[]), components).unwrap()
}

#[test]
fn schemas_of_3_0_become_json_schema() {
    let text = r"
openapi: 3.0.3
paths:
  /a:
    get:
      responses:
        '200': { description: ok, content: { application/json: { schema: { $ref: '#/components/schemas/Order', nullable: true } } } }
components:
  schemas:
    Order:
      type: object
      nullable: true
      example: { nullable: true }
      properties:
        nullable: { type: boolean }
        example: { type: string, nullable: true, enum: [a, b] }
        size: { type: number, minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false }
        other: { nullable: true, allOf: [{ $ref: '#/components/schemas/Order' }] }
";
    let mut components = Components::new(ErrorFormat::Brief);
    let operation = taken(text, &Guards::default(), &mut components);
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*schema, json!({ "$ref": "#/components/schemas/Order" }));
    let components = components.into_value();
    let order = &components["schemas"]["Order"];
    assert_eq!((&order["type"], &order["example"]), (&json!(["object", "null"]), &json!({ "nullable": true })));
    assert_eq!(order["properties"]["nullable"], json!({ "type": "boolean" }));
    assert_eq!(order["properties"]["example"], json!({ "type": ["string", "null"], "enum": ["a", "b", null] }));
    assert_eq!(order["properties"]["size"], json!({ "type": "number", "maximum": 9, "exclusiveMinimum": 0 }));
    let other = json!({ "anyOf": [{ "allOf": [{ "$ref": "#/components/schemas/Order" }] }, { "type": "null" }] });
    assert_eq!(order["properties"]["other"], other);
}

#[test]
fn components_that_are_used_come_along_under_free_names() {
    let text = r"
openapi: 3.1.0
paths:
  /a:
    parameters: [{ $ref: '#/components/parameters/Page' }, { name: shop, in: query }]
    get:
      operationId: listUsers
      parameters: [{ name: shop, in: query, required: true }]
      responses:
        '200':
          description: ok
          content:
            application/json:
              schema:
                oneOf: [{ $ref: '#/components/schemas/User' }, { $ref: '#/components/schemas/user' }]
                discriminator: { propertyName: kind, mapping: { a: user, b: '#/components/schemas/User' } }
              examples: { one: { value: { $ref: '#/not/a/reference' } } }
        default: { $ref: '#/components/responses/Bad' }
components:
  parameters: { Page: { name: page, in: query, schema: { $ref: '#/components/schemas/Tree/properties/size' } } }
  responses: { Bad: { description: Bad., content: { application/json: { schema: { $ref: '#/components/schemas/Error' } } } } }
  schemas:
    User: { type: object }
    user: { type: array }
    Error: { type: string }
    Unused: { type: string }
    Tree: { type: object, properties: { size: { type: integer }, left: { $ref: '#/components/schemas/Tree' } } }
";
    let mut components = Components::new(ErrorFormat::Brief);
    components.schema("User", json!({ "type": "string" }));
    let _ = components.operations.take("listUsers");
    let operation = taken(text, &Guards::default(), &mut components);
    assert_eq!((&operation["operationId"], &operation["tags"]), (&json!("listUsers2"), &json!(["route"])));
    let names: Vec<&str> =
        operation["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["shop"], "that of the operation counts");
    let content = &operation["responses"]["200"]["content"]["application/json"];
    assert_eq!(content["schema"]["oneOf"][0]["$ref"], "#/components/schemas/User3");
    assert_eq!(content["schema"]["oneOf"][1]["$ref"], "#/components/schemas/user2");
    let mapping = json!({ "a": "#/components/schemas/user2", "b": "#/components/schemas/User3" });
    assert_eq!(content["schema"]["discriminator"]["mapping"], mapping);
    assert_eq!(content["examples"]["one"]["value"]["$ref"], "#/not/a/reference", "an example is data");
    // Any other error comes from one or the other.
    let other = &operation["responses"]["default"]["content"]["application/json"]["schema"]["anyOf"];
    let all = components.into_value();
    let theirs = other[0]["$ref"].as_str().unwrap().trim_start_matches("#/components");
    assert_eq!(all.pointer(theirs).unwrap(), &json!({ "type": "string" }));
    assert_eq!(
        all.pointer(other[1]["$ref"].as_str().unwrap().trim_start_matches("#/components")).unwrap()["type"],
        "object"
    );
    assert_eq!(all["schemas"]["Tree"]["properties"]["left"]["$ref"], "#/components/schemas/Tree");
    assert_eq!(all["parameters"]["Page"]["schema"]["$ref"], "#/components/schemas/Tree/properties/size");
    assert!(all["schemas"].get("Unused").is_none());
}

#[test]
fn components_may_refer_to_each_other_to_any_depth() {
    let last = 5_000;
    let link = |at: usize| {
        format!("    S{at}: {{ properties: {{ next: {{ $ref: '#/components/schemas/S{}' }} }} }}\n", at + 1)
    };
    let links: String = (0..last).map(link).collect();
    let text = format!(
        "openapi: 3.1.0
paths: {{ /a: {{ get: {{ responses: {{ 200: {{ description: ok, content: {{ a/b: {{ schema: {{ $ref: '#/components/schemas/S0' }} }} }} }} }} }} }} }}
components:
  schemas:
{links}    S{last}: {{ type: string }}
"
    );
    let mut components = Components::new(ErrorFormat::Brief);
    taken(&text, &Guards::default(), &mut components);
    assert_eq!(components.into_value()["schemas"][format!("S{last}")], json!({ "type": "string" }));
}

#[test]
fn credentials_of_both_are_needed_and_the_same_ones_once() {
    let text = r"
openapi: 3.1.0
security: [{ token: [] }, { key: [] }]
paths: { /a: { get: { responses: {} } } }
components:
  securitySchemes:
    token: { type: http, scheme: Bearer, description: Theirs. }
    key: { type: apiKey, in: header, name: x-key }
";
    let mut components = Components::new(ErrorFormat::Brief);
    let bearer = components.security("bearer", json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }));
    let guards = Guards { required: vec![BTreeSet::from([bearer])], ..Guards::default() };
    let operation = taken(text, &guards, &mut components);
    assert_eq!(operation["security"], json!([{ "bearer": [] }, { "key": [], "bearer": [] }]));
    let alone = taken(text, &Guards::default(), &mut Components::new(ErrorFormat::Brief));
    assert_eq!(alone["security"], json!([{ "token": [] }, { "key": [] }]));
    let open = taken(&text.replace("get: {", "get: { security: [],"), &guards, &mut components);
    assert_eq!(open["security"], json!([{ "bearer": [] }]), "the upstream asks for nothing, the gateway does");
}

#[test]
fn what_would_make_the_joined_description_invalid_is_mended() {
    let text = r"
openapi: 3.0.1
paths:
  '/a/{id}':
    parameters: [{ $ref: '#/components/parameters/Id' }]
    get: { responses: { '200': { content: { application/json: { schema: { $ref: '#/components/schemas/Page%C2%ABOrder~1s%C2%BB' } } } } } }
components:
  parameters: { Id: { in: path, name: id, required: true, schema: { type: string } } }
  schemas:
    Page«Order/s»: { type: array, items: { $ref: '#/components/schemas/Pet' } }
    Pet: { type: object, discriminator: { propertyName: kind } }
    Cat: { allOf: [{ $ref: '#/components/schemas/Pet' }, { properties: { lives: { type: integer } } }] }
";
    let mut components = Components::new(ErrorFormat::Brief);
    components.schema("Cat", json!({ "type": "string" }));
    let spec = Spec::parse(text.as_bytes(), Path::new("spec.yaml")).unwrap();
    let (path, item) = spec.paths().next().unwrap();
    let renamed = [("id", "orderId")];
    let guards = Guards::default();
    let mut import = Import::new(&spec, &guards, &mut components);
    let operation = import.operation((path, "get", item), ("route", &renamed), &mut components);
    let operation = operation.unwrap();
    assert_eq!(operation["parameters"][0]["name"], "orderId", "{operation}");
    let found = &operation["responses"]["200"];
    assert_eq!(found["description"], "", "a response has one");
    let schema = &found["content"]["application/json"]["schema"];
    assert_eq!(*schema, json!({ "$ref": "#/components/schemas/Page_Order_s_" }));
    let all = components.into_value();
    assert_eq!(all["schemas"]["Page_Order_s_"]["items"]["$ref"], "#/components/schemas/Pet");
    // The name of the schema was the value, and it has another name here.
    assert_eq!(all["schemas"]["Pet"]["discriminator"]["mapping"], json!({ "Cat": "#/components/schemas/Cat2" }));
    assert_eq!(all["schemas"]["Cat2"]["allOf"][1]["properties"]["lives"]["type"], "integer");
}

#[test]
fn many_names_that_are_taken_do_not_take_long() {
    let mut components = Components::new(ErrorFormat::Brief);
    for _ in 0..50_000 {
        components.reserve("schemas", "Order");
        let _ = components.operations.take("get");
    }
    // Trying every number from the start would be more than a billion names.
    assert_eq!(components.reserve("schemas", "order"), "order50001");
    assert_eq!(components.operations.take("Get"), "Get50001");
}
