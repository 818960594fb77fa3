//! The members that the objects of a description can have. Others are ignored, so a typo in one would describe nothing.

use crate::Place;
use crate::check::Version;
use serde_json::{Map, Value};

/// The kinds of objects whose members the specification fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Document,
    Info,
    Contact,
    License,
    Server,
    ServerVariable,
    Components,
    PathItem,
    Operation,
    ExternalDocs,
    Parameter,
    Header,
    RequestBody,
    MediaType,
    Encoding,
    Response,
    /// Path items, by expressions.
    Callback,
    Example,
    Link,
    Tag,
    Schema,
    Discriminator,
    Xml,
    SecurityScheme,
    OAuthFlows,
    OAuthFlow,
}

/// What a member contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Anything, which is not looked into.
    Data,
    One(Kind),
    List(Kind),
    /// By names that mean nothing.
    Named(Kind),
}

use self::Kind::{
    Callback, Components, Contact, Discriminator, Document, Encoding, Example, ExternalDocs, Header, Info, License,
    Link, MediaType, OAuthFlow, OAuthFlows, Operation, Parameter, PathItem, RequestBody, Response, Schema,
    SecurityScheme, Server, ServerVariable, Tag, Xml,
};
use self::Next::{Data, List, Named, One};

type Members = &'static [(&'static str, Next)];

/// Those of a schema: the keywords of JSON Schema (draft 2020-12), and those that OpenAPI adds.
pub const KEYWORDS: Members = &[
    ("$anchor", Data),
    ("$comment", Data),
    ("$defs", Named(Schema)),
    ("$dynamicAnchor", Data),
    ("$dynamicRef", Data),
    ("$id", Data),
    ("$recursiveRef", Data),
    ("$ref", Data),
    ("$schema", Data),
    ("$vocabulary", Data),
    ("additionalProperties", One(Schema)),
    ("allOf", List(Schema)),
    ("anyOf", List(Schema)),
    ("const", Data),
    ("contains", One(Schema)),
    ("contentEncoding", Data),
    ("contentMediaType", Data),
    ("contentSchema", One(Schema)),
    ("default", Data),
    ("definitions", Named(Schema)),
    ("dependentRequired", Data),
    ("dependentSchemas", Named(Schema)),
    ("deprecated", Data),
    ("description", Data),
    ("discriminator", One(Discriminator)),
    ("else", One(Schema)),
    ("enum", Data),
    ("example", Data),
    ("examples", Data),
    ("exclusiveMaximum", Data),
    ("exclusiveMinimum", Data),
    ("externalDocs", One(ExternalDocs)),
    ("format", Data),
    ("if", One(Schema)),
    ("items", One(Schema)),
    ("maxContains", Data),
    ("maxItems", Data),
    ("maxLength", Data),
    ("maxProperties", Data),
    ("maximum", Data),
    ("minContains", Data),
    ("minItems", Data),
    ("minLength", Data),
    ("minProperties", Data),
    ("minimum", Data),
    ("multipleOf", Data),
    ("not", One(Schema)),
    ("oneOf", List(Schema)),
    ("pattern", Data),
    ("patternProperties", Named(Schema)),
    ("prefixItems", List(Schema)),
    ("properties", Named(Schema)),
    ("propertyNames", One(Schema)),
    ("readOnly", Data),
    ("required", Data),
    ("then", One(Schema)),
    ("title", Data),
    ("type", Data),
    ("unevaluatedItems", One(Schema)),
    ("unevaluatedProperties", One(Schema)),
    ("uniqueItems", Data),
    ("writeOnly", Data),
    ("xml", One(Xml)),
];

impl Kind {
    /// Its members in 3.0 and 3.1 together: a member of the other version is no typo.
    const fn members(self) -> Members {
        match self {
            Document => &[
                ("openapi", Data),
                ("info", One(Info)),
                ("jsonSchemaDialect", Data),
                ("servers", List(Server)),
                ("paths", Named(PathItem)),
                ("webhooks", Named(PathItem)),
                ("components", One(Components)),
                ("security", Data),
                ("tags", List(Tag)),
                ("externalDocs", One(ExternalDocs)),
            ],
            Info => &[
                ("title", Data),
                ("summary", Data),
                ("description", Data),
                ("termsOfService", Data),
                ("contact", One(Contact)),
                ("license", One(License)),
                ("version", Data),
            ],
            Contact => &[("name", Data), ("url", Data), ("email", Data)],
            License => &[("name", Data), ("identifier", Data), ("url", Data)],
            Server => &[("url", Data), ("description", Data), ("variables", Named(ServerVariable))],
            ServerVariable => &[("enum", Data), ("default", Data), ("description", Data)],
            Components => &[
                ("schemas", Named(Schema)),
                ("responses", Named(Response)),
                ("parameters", Named(Parameter)),
                ("examples", Named(Example)),
                ("requestBodies", Named(RequestBody)),
                ("headers", Named(Header)),
                ("securitySchemes", Named(SecurityScheme)),
                ("links", Named(Link)),
                ("callbacks", Named(Callback)),
                ("pathItems", Named(PathItem)),
            ],
            PathItem => &[
                ("$ref", Data),
                ("summary", Data),
                ("description", Data),
                ("get", One(Operation)),
                ("put", One(Operation)),
                ("post", One(Operation)),
                ("delete", One(Operation)),
                ("options", One(Operation)),
                ("head", One(Operation)),
                ("patch", One(Operation)),
                ("trace", One(Operation)),
                ("servers", List(Server)),
                ("parameters", List(Parameter)),
            ],
            Operation => &[
                ("tags", Data),
                ("summary", Data),
                ("description", Data),
                ("externalDocs", One(ExternalDocs)),
                ("operationId", Data),
                ("parameters", List(Parameter)),
                ("requestBody", One(RequestBody)),
                ("responses", Named(Response)),
                ("callbacks", Named(Callback)),
                ("deprecated", Data),
                ("security", Data),
                ("servers", List(Server)),
            ],
            ExternalDocs => &[("description", Data), ("url", Data)],
            Parameter | Header => &[
                ("name", Data),
                ("in", Data),
                ("description", Data),
                ("required", Data),
                ("deprecated", Data),
                ("allowEmptyValue", Data),
                ("style", Data),
                ("explode", Data),
                ("allowReserved", Data),
                ("schema", One(Schema)),
                ("example", Data),
                ("examples", Named(Example)),
                ("content", Named(MediaType)),
            ],
            RequestBody => &[("description", Data), ("content", Named(MediaType)), ("required", Data)],
            MediaType => &[
                ("schema", One(Schema)),
                ("example", Data),
                ("examples", Named(Example)),
                ("encoding", Named(Encoding)),
            ],
            Encoding => &[
                ("contentType", Data),
                ("headers", Named(Header)),
                ("style", Data),
                ("explode", Data),
                ("allowReserved", Data),
            ],
            Response => &[
                ("description", Data),
                ("headers", Named(Header)),
                ("content", Named(MediaType)),
                ("links", Named(Link)),
            ],
            Callback => &[],
            Example => &[("summary", Data), ("description", Data), ("value", Data), ("externalValue", Data)],
            Link => &[
                ("operationRef", Data),
                ("operationId", Data),
                ("parameters", Data),
                ("requestBody", Data),
                ("description", Data),
                ("server", One(Server)),
            ],
            Tag => &[("name", Data), ("description", Data), ("externalDocs", One(ExternalDocs))],
            Schema => KEYWORDS,
            Discriminator => &[("propertyName", Data), ("mapping", Data)],
            Xml => &[("name", Data), ("namespace", Data), ("prefix", Data), ("attribute", Data), ("wrapped", Data)],
            SecurityScheme => &[
                ("type", Data),
                ("description", Data),
                ("name", Data),
                ("in", Data),
                ("scheme", Data),
                ("bearerFormat", Data),
                ("flows", One(OAuthFlows)),
                ("openIdConnectUrl", Data),
            ],
            OAuthFlows => &[
                ("implicit", One(OAuthFlow)),
                ("password", One(OAuthFlow)),
                ("clientCredentials", One(OAuthFlow)),
                ("authorizationCode", One(OAuthFlow)),
            ],
            OAuthFlow => &[("authorizationUrl", Data), ("tokenUrl", Data), ("refreshUrl", Data), ("scopes", Data)],
        }
    }
}

/// A member that the specification does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// A JSON Pointer to it.
    pub place: String,
    pub name: String,
    /// What it is a member of.
    pub kind: Kind,
}

impl Unknown {
    /// The names that are known there.
    pub fn known(&self) -> impl Iterator<Item = &'static str> {
        self.kind.members().iter().map(|(name, _)| *name)
    }
}

/// At most so many are reported.
const REPORTED: usize = 20;

/// The members of a description that the specification does not know. Names that begin with `x-` are free.
pub(crate) fn unknown(document: &Value, version: Version) -> Vec<Unknown> {
    let mut looking = Looking { version, found: Vec::new() };
    if let Some(members) = document.as_object() {
        looking.members(Document, members, &|key, visit| visit(&Place::root(key)));
    }
    looking.found
}

struct Looking {
    version: Version,
    found: Vec<Unknown>,
}

/// Calls a function with the place of a member.
type Below<'a> = &'a dyn Fn(&str, &mut dyn FnMut(&Place<'_>));

impl Looking {
    fn object(&mut self, kind: Kind, value: &Value, at: &Place<'_>) {
        let Some(members) = value.as_object() else { return };
        // What is beside a reference is ignored, except in schemas of 3.1 and in path items.
        let beside = kind == PathItem || (kind == Schema && self.version == Version::V3_1);
        if members.get("$ref").is_some_and(Value::is_string) && !beside {
            return;
        }
        self.members(kind, members, &|key, visit| visit(&at.key(key)));
    }

    fn members(&mut self, kind: Kind, members: &Map<String, Value>, below: Below<'_>) {
        for (name, value) in members.iter().filter(|(name, _)| !name.starts_with("x-")) {
            if self.found.len() >= REPORTED {
                return;
            }
            let next = kind.members().iter().find(|(known, _)| known == name).map(|(_, next)| *next);
            below(name, &mut |at| match next {
                _ if kind == Callback => self.object(PathItem, value, at),
                Some(next) => self.member(next, value, at),
                None if kind == Schema && name == "nullable" && self.version == Version::V3_0 => {}
                None => self.found.push(Unknown { place: at.to_string(), name: name.clone(), kind }),
            });
        }
    }

    fn member(&mut self, next: Next, value: &Value, at: &Place<'_>) {
        match (next, value) {
            (One(kind), value) => self.object(kind, value, at),
            (List(kind), Value::Array(items)) => {
                items.iter().enumerate().for_each(|(index, item)| self.object(kind, item, &at.index(index)));
            }
            (Named(kind), Value::Object(named)) => {
                let named = named.iter().filter(|(name, _)| kind == Schema || !name.starts_with("x-"));
                named.for_each(|(name, value)| self.object(kind, value, &at.key(name)));
            }
            (Data | List(_) | Named(_), _) => {}
        }
    }
}
