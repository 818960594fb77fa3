//! Requests below an item of another resource: `/lists/{list_id}/items`.

use super::api::{Api, within};
use super::input;
use crate::resource::body::Entries;
use crate::resource::field::Field;
use crate::resource::json::Json;
use crate::resource::model::Model;
use crate::resource::predicate::{Column, Comparison, Predicate};
use crate::resource::refusal::refusal;
use crate::resource::relations::{Sight, equal};
use crate::resource::store::{Param, Sql};
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{Detail, Facts, Problem, Request};
use serde_json::Value;

/// Put into requests that reached the resource by such a path: the position of the field that refers to that item.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderField(pub usize);

/// The item in the path.
#[derive(Debug, Clone)]
pub(super) struct Under {
    pub field: usize,
    pub id: Param,
    sight: Sight,
}

impl Under {
    /// `None` if the path has no such item; 400 if it cannot be one.
    pub(super) fn of(api: &Api, request: &Request) -> Result<Option<Self>, Problem> {
        let Some(UnderField(field)) = request.extensions().get::<UnderField>().copied() else { return Ok(None) };
        let known = api.model.fields.get(field).zip(api.relations.target(field));
        let (own, target) = known.ok_or_else(Problem::internal)?;
        let id = input::id_in_path(target, &own.name, Facts::of(request).parameter(&own.name).unwrap_or_default())?;
        Ok(Some(Self { field, id, sight: Sight::of(target, request) }))
    }

    /// The items below it, if the caller may see it.
    pub(super) fn condition(&self) -> Result<Predicate, Problem> {
        let seen = self.sight.condition().map_err(|_| Problem::not_found())?;
        let is_it = Predicate::Is(equal(Column::Id, vec![self.id.clone()]));
        let parent = Predicate::and(Some(is_it), seen.cloned());
        let parent = parent.map(|parent| Predicate::Refers(self.field, Box::new(parent)));
        Ok(Predicate::All(std::iter::once(Predicate::Is(self.filter())).chain(parent).collect()))
    }

    pub(super) fn filter(&self) -> Comparison {
        equal(Column::Field(self.field), vec![self.id.clone()])
    }

    /// The look at the item itself.
    pub(super) fn look(&self, api: &Api) -> Result<Sql, Problem> {
        let seen = self.sight.condition().map_err(|_| Problem::not_found())?;
        let target = api.relations.target(self.field).ok_or_else(Problem::internal)?;
        Ok(match seen {
            Some(condition) => target.sql.read_where(self.id.clone(), condition),
            None => Sql::new(&*target.sql.read, [self.id.clone()]),
        })
    }

    /// Whether what the caller sees below it depends on who that is.
    pub(super) fn asks_who(&self, api: &Api) -> bool {
        api.relations.target(self.field).is_some_and(|target| target.rules.read.asks_who())
    }

    /// 404 if the caller may see no item of that resource.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.sight.condition().map(|_| ()).map_err(|_| Problem::not_found())
    }

    /// 404 if the item does not exist, or the caller may not see it: for requests that look at nothing else.
    pub(super) async fn check_there(&self, api: &Api) -> Result<(), Problem> {
        let look = self.look(api)?;
        let span = api.sql_span("SELECT", Some(&look.text));
        let found = api.store.query(api.statement(look), |rows| Ok(rows.next()?.is_some()));
        match within(api.statements.begin("SELECT"), span, found).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Problem::not_found()),
            Err(error) => Err(api.failure(&error)),
        }
    }

    /// The values in a body. What it leaves out is in the path, and what it has must not contradict it.
    pub(super) fn values(&self, model: &Model, mut entries: Entries, purpose: Purpose) -> Result<Values, Problem> {
        let field = model.fields.get(self.field).ok_or_else(Problem::internal)?;
        let accepted = validate::accepts(field, purpose);
        if let Some(slot) = entries.known.get_mut(self.field).filter(|_| accepted && purpose != Purpose::Merge) {
            slot.get_or_insert_with(|| self.json());
        }
        let mut values = validate::judge(model, entries, purpose)?;
        if let Some(slot) = values.fields.get_mut(self.field) {
            self.agree(field, slot.as_ref())?;
            if purpose == Purpose::Create {
                self.fill(field, slot);
            }
        }
        Ok(values)
    }

    /// The value of a new item, unless the server sets it.
    pub(super) fn fill(&self, field: &Field, slot: &mut Option<Param>) {
        if field.on_create.is_none() {
            *slot = Some(self.id.clone());
        }
    }

    /// Rejects a new item that would be somewhere else.
    pub(super) fn holds(&self, fields: &[Param]) -> Result<(), Problem> {
        let is_there = fields.get(self.field) == Some(&self.id);
        if is_there { Ok(()) } else { Err(Problem::forbidden().log_reason("not_under_path")) }
    }

    fn json(&self) -> Json {
        match &self.id {
            Param::Integer(number) => Json::from(Value::from(*number)),
            Param::Text(text) => Json::String(text.clone()),
            Param::Null | Param::Real(_) => Json::Null,
        }
    }

    /// Rejects a value in the body that contradicts the path.
    fn agree(&self, field: &Field, given: Option<&Param>) -> Result<(), Problem> {
        match given {
            Some(given) if *given != self.id => {
                Err(refusal(vec![Detail::new(&*field.name, "path", "must be the one in the path, or left out")]))
            }
            _ => Ok(()),
        }
    }
}
