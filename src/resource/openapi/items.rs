//! The operations of a resource.

use super::replies::{self, ITEM_TAG, LIST_TAG, minimal, tagged, unchanged};
use super::{Around, Naming, lists, parameters, schema};
use crate::config::document::resource::{Concurrency, IdKind, Operation as Kind, Patch, Put};
use crate::openapi::{Body, Components, Operation};
use crate::resource::access::Demand;
use crate::resource::model::Model;
use crate::resource::validate::Purpose;
use serde_json::{Map, Value, json};

const JSON: &[&str] = &["application/json"];
/// JSON is accepted too. Generators of clients have trouble with several media types of one schema.
const PATCHES: &[&str] = &["application/merge-patch+json"];

/// The operations on the collection, on its items, and on deleted ones.
pub fn operations(
    model: &Model,
    naming: &Naming,
    around: Around<'_>,
    components: &mut Components,
) -> [Vec<Operation>; 3] {
    let below = around.parent(model).map(|(_, parent)| parent.one);
    let mut described = Described { model, naming, around, below, components };
    let (mut collection, mut item) = (Vec::new(), Vec::new());
    if model.has(Kind::List) {
        collection.push(described.list());
    }
    if model.has(Kind::Create) {
        collection.push(described.create());
    }
    collection.extend(described.upsert());
    if model.has(Kind::Read) {
        item.push(described.read(&described.named("read"), "/{id}"));
    }
    if model.has(Kind::Update) {
        item.extend(described.put());
        item.extend(described.patch());
    }
    if model.has(Kind::Delete) {
        item.push(described.delete());
    }
    let restore = model.has(Kind::Restore).then(|| described.restore());
    [collection, item, restore.into_iter().collect()]
}

/// The item of the caller.
pub(super) fn own(
    (model, naming): (&Model, &Naming),
    around: Around<'_>,
    id: &str,
    components: &mut Components,
) -> Operation {
    Described { model, naming, around, below: None, components }.read(id, "")
}

struct Described<'a> {
    model: &'a Model,
    naming: &'a Naming,
    around: Around<'a>,
    /// What an item in the path is called, if the path has one.
    below: Option<String>,
    components: &'a mut Components,
}

impl Described<'_> {
    /// The id of an operation on an item: `readUser`, or `readItemOfList` below a list.
    fn named(&self, verb: &str) -> String {
        let below = self.below.as_ref().map_or_else(String::new, |below| format!("Of{below}"));
        format!("{verb}{}{below}", self.naming.one)
    }

    fn operation(&self, kind: Kind, method: &'static str, id: String) -> Operation {
        let demand = self.model.demand(kind).unwrap_or(Demand::Impossible);
        let mut problems = vec![503];
        if demand >= Demand::Identity {
            problems.extend([401, 403]);
        }
        if demand >= Demand::Item && matches!(kind, Kind::Create | Kind::Update) {
            // An item that anyone may write, if it meets a condition.
            problems.push(403);
        }
        if matches!(kind, Kind::List | Kind::Read | Kind::Create | Kind::Update) {
            problems.extend([400, 406]);
        }
        if matches!(kind, Kind::Create | Kind::Update) {
            problems.extend([409, 413, 415]);
        }
        if kind == Kind::Create {
            problems.push(422);
        }
        if matches!(kind, Kind::Read | Kind::Update | Kind::Delete) {
            problems.extend([400, 404, 412]);
        }
        if kind == Kind::List {
            // The tag of a list in `If-Match`.
            problems.push(412);
        }
        if kind == Kind::Delete {
            // Also of items that refer to it by a field that the configuration no longer has.
            problems.push(409);
        }
        if matches!(kind, Kind::List | Kind::Read | Kind::Delete) && self.model.shows_deleted() {
            // Who may see deleted items, and remove them for good, is another rule.
            problems.extend([401, 403]);
        }
        if kind == Kind::Restore {
            problems.extend([400, 404, 406, 409, 412]);
        }
        if self.below.is_some() {
            problems.extend([400, 404]);
        }
        if matches!(kind, Kind::Update | Kind::Delete | Kind::Restore)
            && self.model.concurrency == Concurrency::Required
        {
            problems.push(428);
        }
        Operation {
            method,
            id,
            tag: self.model.name.to_string(),
            problems: problems.into_iter().collect(),
            needs_identity: demand >= Demand::Identity,
            ..Operation::default()
        }
    }

    fn whole(&mut self) -> Value {
        let schema = schema::shown(self.model, (&self.naming.one, true), None, self.components);
        self.components.schema(&self.naming.one, schema)
    }

    fn selected(&mut self) -> Value {
        let schema = schema::shown(self.model, (&self.naming.one, false), Some(self.around), self.components);
        self.components.schema(&format!("Selected{}", self.naming.one), schema)
    }

    fn body(&mut self, name: &str, purpose: Purpose, media: &'static [&'static str]) -> Option<Body> {
        let (own, below) = (&self.naming.one, self.below.as_ref());
        let schema = schema::written(self.model, own, (purpose, self.around.under), self.components);
        // The path has what such a body may leave out.
        let name = below
            .filter(|_| purpose != Purpose::Merge)
            .map_or_else(|| name.to_owned(), |below| format!("{name}Of{below}"));
        Some(Body { schema: self.components.schema(&name, schema), media })
    }

    fn list(&mut self) -> Operation {
        let page = json!({ "type": "array", "items": self.selected() });
        let found = json!({
            "description": "A page of items.",
            "headers": parameters::page_headers(),
            "content": { "application/json": { "schema": page } }
        });
        Operation {
            summary: format!("List {}", self.model.name),
            description: format!(
                "A page of the {} that the caller may see. For the next page, send the `cursor` of the link with \
                 `rel=\"next\"` in `Link`, with the same `sort` and filters and without `page`.",
                self.model.name
            ),
            parameters: parameters::list(self.model),
            responses: vec![(200, found), (304, unchanged(LIST_TAG))],
            ..self.operation(Kind::List, "get", self.list_id())
        }
    }

    fn list_id(&self) -> String {
        let below = self.below.as_ref().map_or_else(String::new, |below| format!("Of{below}"));
        format!("list{}{below}", self.naming.many)
    }

    fn create(&mut self) -> Operation {
        let mut body = self.body(&format!("New{}", self.naming.one), Purpose::Create, JSON);
        let mut responses = vec![(201, self.created())];
        responses.iter_mut().for_each(|(_, created)| replies::repeatable(created));
        let mut prefers = parameters::prefer(Some("the response has no body."), self.model.bulk.create);
        let mut description =
            "Creates an item. `Location` is its path. With the header field `Idempotency-Key` and a new value, a request can be \
             repeated: the item is created once."
                .to_owned();
        if self.model.bulk.create {
            description.push(' ');
            description.push_str(&lists::posted(self.model));
            body = body.map(|body| lists::or_list(self.model, body));
            let whole = self.whole();
            responses.iter_mut().for_each(|(_, created)| lists::created(&whole, created));
            responses.push((207, lists::outcomes(&whole, self.components)));
            // `return=minimal` is no example: tools would miss the body of 201.
            prefers = parameters::with_examples(prefers, &["handling=lenient"]);
        }
        Operation {
            summary: format!("Create {}", self.article()),
            description,
            parameters: parameters::idempotency_key(self.model).into_iter().chain([prefers]).collect(),
            body,
            responses,
            ..self.operation(Kind::Create, "post", self.named("create"))
        }
    }

    fn upsert(&mut self) -> Option<Operation> {
        let by = self.model.bulk.upsert?;
        let purpose = if self.model.put == Put::Merge { Purpose::Merge } else { Purpose::Replace };
        let mut item = schema::written(self.model, &self.naming.one, (purpose, self.around.under), self.components);
        lists::identify(self.model, by, &mut item);
        let below = self.below.as_ref().map_or_else(String::new, |below| format!("Of{below}"));
        let item = self.components.schema(&format!("Upserted{}{below}", self.naming.one), item);
        let (whole, model) = (self.whole(), self.model);
        let mut operation = Operation {
            summary: format!("Create or change {}", model.name.replace('_', " ")),
            description: lists::put(model, by),
            body: Some(Body { schema: lists::of(model, &item), media: JSON }),
            parameters: vec![parameters::prefer_any()],
            responses: vec![
                (200, lists::stored(&whole)),
                (204, minimal("The items are written.", Map::new())),
                (207, lists::outcomes(&whole, self.components)),
            ],
            ..self.operation(Kind::Create, "put", format!("upsert{}{below}", self.naming.many))
        };
        operation.needs_identity |= model.demand(Kind::Update).is_some_and(|demand| demand >= Demand::Identity);
        operation.problems.insert(412);
        if operation.needs_identity {
            operation.problems.extend([401, 403]);
        }
        operation.problems.remove(&422);
        Some(operation)
    }

    /// 201 with the item, and what can be done with it.
    fn created(&mut self) -> Value {
        let location = json!({
            "description": "The path of the new item.", "required": true, "schema": { "type": "string" }
        });
        let mut headers = crate::openapi::object([("Location", location)]);
        headers.extend(tagged());
        headers.insert("Preference-Applied".to_owned(), replies::applied("return=minimal", false));
        let mut response = json!({
            "description": "The new item.",
            "headers": headers,
            "content": { "application/json": { "schema": self.whole() } }
        });
        let links = self.links();
        if let (Some(response), false) = (response.as_object_mut(), links.is_empty()) {
            response.insert("links".to_owned(), links.into());
        }
        response
    }

    /// The operations on the item in a response, by their ids.
    fn links(&self) -> Map<String, Value> {
        let update = self.model.has(Kind::Update);
        let ids = [
            (self.model.has(Kind::Read), self.named("read")),
            (update && self.model.put != Put::None, self.put_id()),
            (update && self.model.patch != Patch::None, self.named("update")),
            (self.model.has(Kind::Delete), self.named("delete")),
        ];
        let there = ids.into_iter().filter(|(there, _)| *there);
        there
            .map(|(_, id)| {
                let link = json!({ "operationId": id, "parameters": { "id": "$response.body#/id" } });
                (id, link)
            })
            .collect()
    }

    fn read(&mut self, id: &str, suffix: &str) -> Operation {
        let found = json!({
            "description": "The item.",
            "headers": tagged(),
            "content": { "application/json": { "schema": self.selected() } }
        });
        let path = (!suffix.is_empty()).then(|| parameters::id(self.model));
        let own = [
            Some(parameters::fields(self.model)),
            parameters::expand(self.model),
            // The item of the caller is never a deleted one.
            parameters::deleted(self.model).filter(|_| path.is_some()),
            Some(parameters::if_none_match()),
        ];
        let own = own.into_iter().flatten();
        Operation {
            summary: format!("Read {}", self.article()),
            description: "Returns an item, with its entity tag in `ETag`.".to_owned(),
            parameters: path.into_iter().chain(own).collect(),
            responses: vec![(200, found), (304, unchanged(ITEM_TAG))],
            ..self.operation(Kind::Read, "get", id.to_owned())
        }
    }

    fn put_id(&self) -> String {
        let verb = if self.model.put == Put::Merge { "put" } else { "replace" };
        self.named(verb)
    }

    /// Whether a PUT of an unknown id makes an item.
    fn put_creates(&self) -> bool {
        self.model.id == IdKind::String && self.model.put == Put::Replace && self.model.has(Kind::Create)
    }

    fn put(&mut self) -> Option<Operation> {
        let (purpose, name, description) = match self.model.put {
            Put::None => return None,
            Put::Merge => (Purpose::Merge, "Changed", "Changes the fields that are sent, like PATCH."),
            Put::Replace => {
                (Purpose::Replace, "Replaced", "Replaces an item. Fields that are missing get their defaults.")
            }
        };
        let body = self.body(&format!("{name}{}", self.naming.one), purpose, JSON);
        let mut operation = self.update("put", self.put_id(), body, description);
        operation.summary = format!("Replace {}", self.article());
        if purpose == Purpose::Merge {
            operation.summary = format!("Change {} with PUT", self.article());
        }
        if self.put_creates() {
            let created = self.created();
            operation.responses.push((201, created));
        }
        Some(operation)
    }

    fn patch(&mut self) -> Option<Operation> {
        if self.model.patch == Patch::None {
            return None;
        }
        let body = self.body(&format!("Changed{}", self.naming.one), Purpose::Merge, PATCHES);
        let text = "Changes the fields that are sent (RFC 7396). `application/json` is accepted too.";
        let mut operation = self.update("patch", self.named("update"), body, text);
        operation.summary = format!("Change {}", self.article());
        Some(operation)
    }

    fn update(&mut self, method: &'static str, id: String, body: Option<Body>, description: &str) -> Operation {
        let prefers = parameters::prefer_minimal(method != "put" || !self.put_creates());
        Operation {
            description: format!("{description}{}", self.condition()),
            parameters: self.addressed().into_iter().chain([prefers]).collect(),
            body,
            responses: vec![(200, replies::now(&self.whole())), (204, minimal("The item is changed.", tagged()))],
            ..self.operation(Kind::Update, method, id)
        }
    }

    fn delete(&self) -> Operation {
        Operation {
            summary: format!("Delete {}", self.article()),
            description: format!("Deletes an item.{}", self.condition()),
            parameters: self.addressed().into_iter().chain(parameters::for_good(self.model)).collect(),
            responses: vec![(204, json!({ "description": "The item is deleted." }))],
            ..self.operation(Kind::Delete, "delete", self.named("delete"))
        }
    }

    fn restore(&mut self) -> Operation {
        Operation {
            summary: format!("Restore {}", self.article()),
            description: format!("Brings a deleted item back, with what was deleted with it.{}", self.condition()),
            parameters: self.addressed().into_iter().chain([parameters::prefer_minimal(true)]).collect(),
            responses: vec![(200, replies::now(&self.whole())), (204, minimal("The item is restored.", tagged()))],
            ..self.operation(Kind::Restore, "post", self.named("restore"))
        }
    }

    fn addressed(&self) -> Vec<Value> {
        std::iter::once(parameters::id(self.model)).chain(parameters::if_match(self.model)).collect()
    }

    /// How a write avoids overwriting changes of others.
    const fn condition(&self) -> &'static str {
        match self.model.concurrency {
            Concurrency::None => "",
            Concurrency::Optional | Concurrency::Required => {
                " With the header field `If-Match` and the entity tag of the item, only if no one has changed it since."
            }
        }
    }

    /// `a user`, `an order`.
    fn article(&self) -> String {
        let one = crate::openapi::names::singular(&self.model.name).replace('_', " ");
        let article = if one.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        format!("{article} {one}")
    }
}
