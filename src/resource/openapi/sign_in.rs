//! The operations of a sign-in.

use super::{Around, Naming, items, pattern, schema};
use crate::config::document::route::SignIn;
use crate::openapi::{Body, Components, Operation};
use crate::resource::field::LONGEST_PASSWORD;
use crate::resource::model::Model;
use crate::resource::sign_in::EVERYWHERE;
use crate::resource::validate::Purpose;
use serde_json::{Value, json};

const JSON: &[&str] = &["application/json"];
const REFRESH_TOKEN: &str = "refresh_token";

/// The operations of the sign-in `settings` of route `tag`, each with the name below the path of the route.
pub fn operations(
    settings: &SignIn,
    model: &Model,
    (naming, tag): (&Naming, &str),
    around: Around<'_>,
    components: &mut Components,
) -> Vec<(&'static str, Operation)> {
    let SignIn { identity, password, .. } = settings;
    let post = |id: &str, summary: &str, description: String, problems: &[u16]| Operation {
        method: "post",
        id: id.to_owned(),
        tag: tag.to_owned(),
        summary: summary.to_owned(),
        description,
        problems: [400, 406, 413, 415, 503].iter().chain(problems).copied().collect(),
        ..Operation::default()
    };
    let tokens = tokens(components);
    let issued = json!({ "description": "New tokens.", "content": { "application/json": { "schema": tokens } } });
    let done = |text: &str| vec![(204, json!({ "description": text }))];
    let login = texts(&[(identity, 0), (password, LONGEST_PASSWORD)]);
    let login = components.schema("Login", login);
    let refresh = components.schema("RefreshToken", texts(&[(REFRESH_TOKEN, 0)]));
    let logout = components.schema("Logout", logout());
    let change = components.schema("PasswordChange", change(model, settings, naming));
    let body = |schema: &Value| Some(Body { schema: schema.clone(), media: JSON });
    let me = Operation {
        tag: tag.to_owned(),
        summary: "Read your own item".to_owned(),
        description: "The item of the signed-in caller.".to_owned(),
        needs_identity: true,
        ..items::own((model, naming), around, "readMe", components)
    };
    let me = Operation { problems: me.problems.iter().chain(&[401, 403]).copied().collect(), ..me };
    let keys = components.schema(
        "KeySet",
        json!({
            "type": "object",
            "description": "A JSON Web Key Set (RFC 7517).",
            "properties": { "keys": { "type": "array", "items": { "type": "object" } } },
            "required": ["keys"]
        }),
    );
    vec![
        (
            "login",
            Operation {
                body: body(&login),
                responses: vec![(200, issued.clone())],
                ..post("login", "Sign in", format!("Returns tokens for `{identity}` and `{password}`."), &[401, 429])
            },
        ),
        (
            "refresh",
            Operation {
                body: body(&refresh),
                responses: vec![(200, issued)],
                ..post(
                    "refresh",
                    "Get new tokens",
                    "Returns new tokens. A refresh token can be used once: using it again ends its session.".to_owned(),
                    &[401],
                )
            },
        ),
        (
            "logout",
            Operation {
                body: body(&logout),
                responses: done("The session is ended, if there was one; with `everywhere`, all sessions of the user."),
                ..post(
                    "logout",
                    "Sign out",
                    "Ends the session of a refresh token; with `everywhere`, all sessions of its user, and the status is 401 if the \
                     token has no session."
                        .to_owned(),
                    &[401],
                )
            },
        ),
        (
            "password",
            Operation {
                body: body(&change),
                responses: done("The password is changed."),
                needs_identity: true,
                ..post(
                    "changePassword",
                    "Change your password",
                    "Changes the password of the caller, and ends the other sessions.".to_owned(),
                    &[401, 403, 409, 429],
                )
            },
        ),
        ("me", me),
        (
            "jwks.json",
            Operation {
                method: "get",
                id: "listKeys".to_owned(),
                tag: tag.to_owned(),
                summary: "List the public keys".to_owned(),
                description:
                    "The keys with which others can verify the tokens. Empty if they are signed with a secret."
                        .to_owned(),
                responses: vec![(
                    200,
                    json!({ "description": "The keys.", "content": { "application/json": { "schema": keys } } }),
                )],
                ..Operation::default()
            },
        ),
    ]
}

/// An object of these texts, each with its maximum length if it has one.
fn texts(names: &[(&str, usize)]) -> Value {
    let properties = names.iter().map(|(name, most)| {
        let mut schema = json!({ "type": "string", "pattern": pattern::WITHOUT_NUL });
        if let (Some(schema), 1..) = (schema.as_object_mut(), most) {
            schema.insert("maxLength".to_owned(), json!(most));
            schema.insert("format".to_owned(), "password".into());
            schema.insert("writeOnly".to_owned(), true.into());
        }
        ((*name).to_owned(), schema)
    });
    let properties: serde_json::Map<_, _> = properties.collect();
    let required: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The body of a logout.
fn logout() -> Value {
    let mut object = texts(&[(REFRESH_TOKEN, 0)]);
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        let text = "Whether all sessions of the user end, not only this one.";
        properties.insert(EVERYWHERE.to_owned(), json!({ "type": "boolean", "default": false, "description": text }));
    }
    object
}

fn change(model: &Model, settings: &SignIn, naming: &Naming) -> Value {
    let mut object = texts(&[("current_password", LONGEST_PASSWORD), ("new_password", LONGEST_PASSWORD)]);
    let field = model.fields.iter().find(|field| field.name == settings.password);
    if let (Some(field), Some(new)) = (field, object.pointer_mut("/properties/new_password")) {
        // A password needs no shared schema.
        let unused = &mut Components::new(crate::config::document::process::ErrorFormat::Auto);
        *new = schema::of_request(field, &naming.one, Purpose::Merge, unused).into();
    }
    object
}

/// The response to a login (RFC 6749 section 5.1).
fn tokens(components: &mut Components) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let schema = json!({
        "type": "object",
        "description": "Tokens (RFC 6749, section 5.1).",
        "properties": {
            "access_token": text("For `Authorization: Bearer`."),
            "token_type": { "type": "string", "const": "Bearer" },
            "expires_in": { "type": "integer", "description": "For how many seconds the access token is valid." },
            "refresh_token": text("For new tokens.")
        },
        "required": ["access_token", "token_type", "expires_in", "refresh_token"]
    });
    components.schema("Tokens", schema)
}
