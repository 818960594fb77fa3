//! The behaviour table of the REST API, row by row, each test with its own store.
mod access;
mod acting_keys;
mod added_unique;
mod adopted;
mod adopted_decimals;
mod bulk;
mod bulk_conflicts;
mod bulk_references;
mod change;
mod claims;
mod conditions;
mod create;
mod delete;
mod described;
mod drift;
mod edits;
mod exceptions;
mod expand;
mod files;
mod foreign_keys;
mod help;
mod hostile;
mod kept_duplicates;
mod large_tables;
mod list;
mod methods;
mod migrations;
mod order;
mod ordered;
mod ownership;
mod paging;
mod partitions;
pub mod postgres;
mod prefer;
mod presets;
mod purges;
mod races;
mod read;
mod reference_edits;
mod references;
mod repeats;
mod sequences;
mod shared_tables;
mod silent;
mod soft_access;
mod soft_delete;
mod soft_edits;
mod soft_references;
mod soft_removal;
mod spans;
mod tags;
mod things;
mod through;
mod trees;
mod triggers;
mod unchanged;
mod under;
mod unfit_tables;
mod values;
mod world;

use self::described::Described;
use crate::config::document::resource::Resource;
use crate::resource::dialect::Dialect;
use crate::resource::measure::Statements;
use crate::resource::model::{self, Model};
use crate::resource::password::Hasher;
use crate::resource::store::{Param, Store};
use crate::resource::table::Table;
use bytes::Bytes;
use gatewright_sdk::{Body, Facts, HttpService, Identity, Refusal, Request};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;

/// The users of the contract.
pub const USERS: &str = r#"
store: main
put: merge
access: { default: public }
pagination: { per_page: 20, max_per_page: 100 }
fields:
  email:
    type: email
    required: true
    message: "Invalid email format"
    unique: { ignore_case: true, message: "Email already registered" }
    filter: [eq, in]
  name:
    type: string
    required: true
    min: 1
    max: 100
    message: "Name must be 1-100 characters"
    filter: [eq, prefix]
    sort: true
  password:
    type: password
    required: true
    min: 8
    accept_on: [create]
    message: "Password must be at least 8 characters"
  created_at: { type: datetime, set: on_create, filter: [gte, lt], sort: true }
"#;

/// A resource of which many rows can be made quickly: no password.
pub const NOTES: &str = r#"
store: main
access: { default: public }
pagination: { per_page: 20, max_per_page: 100, max_offset: 10000 }
fields:
  title: { type: string, required: true, max: 200, filter: [eq, prefix, contains, ne], sort: true }
  rank: { type: integer, filter: [eq, lt, gt, gte, lte, in, "null"], sort: true }
  body: { type: text }
"#;

pub struct Api {
    pub service: HttpService,
    pub store: Arc<Store>,
    pub path: String,
    /// The parameters of the path.
    pub fixed: Vec<(Arc<str>, Box<str>)>,
    described: Described,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// Why it is a refusal, for the operator.
    pub reason: String,
}

pub fn compile(name: &str, yaml: &str) -> Model {
    let spec: Resource = serde_yaml::from_str(yaml).unwrap();
    let dialect = if postgres::server().is_some() { Dialect::Postgres } else { Dialect::Sqlite };
    compiled(name, &spec, dialect)
}

/// For the store at `url`.
pub fn compile_for(name: &str, yaml: &str, url: &str) -> Model {
    let dialect = if url.starts_with("postgres") { Dialect::Postgres } else { Dialect::Sqlite };
    compiled(name, &serde_yaml::from_str(yaml).unwrap(), dialect)
}

fn compiled(name: &str, spec: &Resource, dialect: Dialect) -> Model {
    model::alone(name, spec, dialect, false).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// What a store must have for it.
pub fn tables_of(model: &Model) -> Vec<Table> {
    std::iter::once(model).chain(model.deleted.as_deref()).map(|model| model.table.clone()).collect()
}

pub async fn serve(name: &str, yaml: &str) -> Api {
    serve_at(name, yaml, &url().await).await
}

/// The URL of a new store: in memory, or whatever else the tests are told to use: a new schema of a PostgreSQL server, or a new file.
pub async fn url() -> String {
    match postgres::server() {
        Some(server) => postgres::schema(&server).await,
        None => files::url().unwrap_or_else(|| "sqlite::memory:".to_owned()),
    }
}

pub async fn serve_at(name: &str, yaml: &str, url: &str) -> Api {
    let model = compile_for(name, yaml, url);
    let store = Arc::new(Store::new(&url.parse().unwrap()).unwrap());
    store.prepare(&tables_of(&model)).await.unwrap();
    let (path, described) = (format!("/api/{name}"), Described::of(&model));
    let statements = Statements::new(&store, "main", &model.table.name);
    let api = super::api(Arc::new(model), Arc::clone(&store), Arc::new(Hasher::new()), Arc::new(statements), &[]);
    let service = super::service(&api, &path);
    Api { service, store, path, fixed: Vec::new(), described }
}

pub async fn users() -> Api {
    serve("users", USERS).await
}

pub async fn notes() -> Api {
    serve("notes", NOTES).await
}

/// A request in the making.
pub struct Ask<'a> {
    api: &'a Api,
    request: Request,
}

impl Api {
    pub fn ask(&self, method: Method, target: &str) -> Ask<'_> {
        let uri = format!("{}{target}", self.path);
        let mut request = http::Request::builder().method(method).uri(&uri).body(Body::empty()).unwrap();
        let item = request.uri().path()[self.path.len()..].strip_prefix('/');
        let item = item.map(|id: &str| id.strip_suffix("/restore").unwrap_or(id));
        let item = item.map(|id| (Arc::from("id"), Box::from(id)));
        Facts::of_mut(&mut request).parameters = self.fixed.iter().cloned().chain(item).collect();
        Ask { api: self, request }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target).send().await
    }

    pub async fn post(&self, body: &str) -> Answer {
        self.ask(Method::POST, "").json(body).send().await
    }

    pub async fn put(&self, id: &str, body: &str) -> Answer {
        self.ask(Method::PUT, &format!("/{id}")).json(body).send().await
    }

    pub async fn patch(&self, id: &str, body: &str) -> Answer {
        self.ask(Method::PATCH, &format!("/{id}")).json(body).send().await
    }

    /// Makes an item; its id and its entity tag.
    pub async fn made(&self, body: &str) -> (String, String) {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        (
            answer.json()["id"].as_str().map_or_else(|| answer.json()["id"].to_string(), str::to_owned),
            answer.header("etag"),
        )
    }

    /// A user called Test.
    pub async fn user(&self, email: &str) -> (String, String) {
        self.made(&format!(r#"{{"email":"{email}","name":"Test","password":"password123"}}"#)).await
    }
}

impl Ask<'_> {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(Body::from(body.to_owned()))
    }

    pub fn body(mut self, body: Body) -> Self {
        *self.request.body_mut() = body;
        self
    }

    /// Asks as a caller with these claims.
    pub fn with(mut self, claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        Facts::of_mut(&mut self.request).identity = Some(Arc::new(Identity { subject, claims, ..Identity::default() }));
        self
    }

    pub async fn send(self) -> Answer {
        let (parts, body) = self.request.into_parts();
        // A body that arrives in pieces is not looked at.
        let sent = body.size_hint().exact().is_some();
        let (body, sent) = if sent {
            let bytes = body.collect().await.unwrap().to_bytes();
            (Body::from(bytes.clone()), bytes)
        } else {
            (body, Bytes::new())
        };
        let below = parts.uri.path()[self.api.path.len()..].matches('/').count();
        let method = parts.method.clone();
        let response = self.api.service.call(Request::from_parts(parts, body)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reason = parts.extensions.get::<Refusal>().map_or(String::new(), |refusal| refusal.reason.to_string());
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.api.described.check((&method, below, &sent), (parts.status, &parts.headers, &body));
        Answer { status: parts.status, headers: parts.headers, body, reason }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// All values of a header field; empty when it is absent.
    pub fn header(&self, name: &str) -> String {
        let values: Vec<_> = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        values.join(", ")
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    /// The code of the first detail.
    pub fn code(&self) -> String {
        self.json()["details"][0]["code"].as_str().unwrap().to_owned()
    }

    pub fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json().as_array().unwrap().clone()
    }

    /// The target of a link, without the path of the collection.
    pub fn link(&self, rel: &str) -> Option<String> {
        let wanted = format!("rel=\"{rel}\"");
        let header = self.header("link");
        let link = header.split(", ").find(|link| link.ends_with(&wanted))?;
        let target = link.split_once('<')?.1.split_once('>')?.0;
        Some(target[target.find('?')?..].to_owned())
    }

    pub fn rels(&self) -> Vec<String> {
        let header = self.header("link");
        header.split("rel=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }
}

pub fn refused(answer: &Answer, message: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.message()), (400, message));
    assert_eq!(answer.json()["error"], "validation_error");
    assert_eq!(answer.header("cache-control"), "no-store");
}
