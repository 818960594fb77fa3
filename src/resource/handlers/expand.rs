//! `?expand=author`: the items that rows refer to, in the same response. One statement for each field reads them, under the
//! access rule of their own resource: what the caller may not read is null, as if it were not there.

use super::api::{Api, within};
use crate::etag::Form;
use crate::resource::digest::Digest;
use crate::resource::model::Model;
use crate::resource::relations::Sight;
use crate::resource::reply::{self, Selection};
use crate::resource::sql::{FIRST_FIELD, ID};
use crate::resource::store::{Error, Found, Param};
use gatewright_sdk::Request;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields to expand, with what the caller may see.
pub(super) struct Expansion(Vec<Part>);

struct Part {
    field: usize,
    name: String,
    target: Arc<Model>,
    sight: Sight,
}

/// The items that were read: version and JSON, by the text of their id.
type Items = BTreeMap<String, (i64, Vec<u8>)>;

/// What is shown of some rows.
pub(super) struct Expanded(Vec<Items>);

impl Expansion {
    /// `fields` are positions of fields that may be expanded.
    pub(super) fn of(api: &Api, fields: &[usize], request: &Request) -> Self {
        let part = |field: &usize| {
            let target = Arc::clone(api.relations.target(*field)?);
            let name = api.model.fields.get(*field)?.name.clone();
            Some(Part { field: *field, name, sight: Sight::of(&target, request), target })
        };
        Self(fields.iter().filter_map(part).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the response depends on the caller because of it.
    pub(super) fn asks_who(&self) -> bool {
        self.0.iter().any(|part| part.target.rules.read.asks_who())
    }

    /// Adds what the response depends on, besides the rows.
    pub(super) fn note(&self, digest: &mut Digest) {
        for part in &self.0 {
            digest.text(&part.name);
            digest.bytes(part.target.shape.fingerprint());
            match &part.sight {
                Sight::Nothing => digest.number(0),
                Sight::All => digest.number(1),
                Sight::Some(condition) => {
                    let condition = part.target.sql.condition(condition);
                    digest.text(&condition.text);
                    digest.values(&condition.parameters);
                }
            }
        }
    }

    /// Reads the items that `rows` refer to.
    pub(super) async fn read(&self, api: &Api, rows: &[Found]) -> Result<Expanded, Error> {
        let mut all = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            all.push(part.read(api, rows).await?);
        }
        Ok(Expanded(all))
    }

    /// The form of a row: it changes with the items it refers to, so an entity tag is about all that is shown.
    pub(super) fn form(&self, form: Form, expanded: &Expanded, row: &Found) -> Form {
        let mut parts: Vec<Vec<u8>> = vec![form.as_str().into()];
        for (part, items) in self.0.iter().zip(&expanded.0) {
            parts.push(part.name.clone().into_bytes());
            parts.push(part.target.shape.fingerprint().to_vec());
            let item = part.id(row).and_then(|id| items.get(&id));
            parts.push(item.map_or_else(Vec::new, |(version, _)| version.to_le_bytes().to_vec()));
        }
        Form::of(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// Appends a row as a JSON object, with what it refers to.
    pub(super) fn write(
        &self,
        body: &mut Vec<u8>,
        (model, selection): (&Model, &Selection),
        expanded: &Expanded,
        row: &Found,
    ) {
        reply::write_row(body, &model.shape, selection, row);
        body.pop();
        let mut before = &b",\"expand\":{"[..];
        for (part, items) in self.0.iter().zip(&expanded.0) {
            body.extend_from_slice(before);
            before = b",";
            body.extend_from_slice(format!("\"{}\":", part.name).as_bytes());
            let item = part.id(row).and_then(|id| items.get(&id));
            body.extend_from_slice(item.map_or(&b"null"[..], |(_, json)| json));
        }
        body.extend_from_slice(b"}}");
    }
}

impl Part {
    fn id(&self, row: &Found) -> Option<String> {
        let value = row.0.get(self.field.checked_add(FIRST_FIELD)?)?;
        Some(crate::resource::sessions::text(value)).filter(|id| !id.is_empty())
    }

    async fn read(&self, api: &Api, rows: &[Found]) -> Result<Items, Error> {
        let Ok(condition) = self.sight.condition() else { return Ok(Items::new()) };
        let named = |row: &Found| Some((self.id(row)?, row.0.get(self.field.checked_add(FIRST_FIELD)?)?.clone()));
        let wanted: BTreeMap<String, Param> = rows.iter().filter_map(named).collect();
        let Some(last) = wanted.values().next_back().cloned() else { return Ok(Items::new()) };
        // Few different numbers of parameters: each text is prepared once.
        let mut ids: Vec<Param> = wanted.into_values().collect();
        ids.resize(ids.len().next_power_of_two(), last);
        let sql = self.target.sql.read_several(ids, condition);
        let span = api.sql_span("SELECT", Some(&sql.text));
        let model = Arc::clone(&self.target);
        let query = api.store.query(api.statement(sql), move |rows| {
            let (mut items, selection) = (Items::new(), Selection::all(&model.shape));
            while let Some(row) = rows.next()? {
                let mut json = Vec::with_capacity(256);
                reply::write_row(&mut json, &model.shape, &selection, row);
                items.insert(crate::resource::sessions::text(&row.cell(ID).owned()), (reply::version(row), json));
            }
            Ok(items)
        });
        within(api.statements.begin("SELECT"), span, query).await
    }
}
