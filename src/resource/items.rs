//! Items of a resource for plugins, found by a unique field.

use super::field_type::FieldType;
use super::measure::Statements;
use super::model::Model;
use super::moment::Moment;
use super::sql::{FIRST_FIELD, ID};
use super::store::{Cell, Error, Param, Row, Rows, Sql, Statement, Store};
use super::version;
use gatewright_sdk::items::{Finding, Found, Items, ItemsError, LookedUp, Lookup};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// The items of one table.
pub struct TableItems {
    model: Arc<Model>,
    store: Arc<Store>,
    statements: Arc<Statements>,
    /// The fields that are read, by position.
    reads: Arc<[usize]>,
    /// Reads the item with a key.
    find: Arc<str>,
    /// Sets the version and the time of use of the item with a key.
    touch: Option<Arc<str>>,
}

impl TableItems {
    /// `None` if one of the fields does not exist.
    pub fn new(model: Arc<Model>, store: Arc<Store>, statements: Arc<Statements>, lookup: &Lookup) -> Option<Self> {
        let position = |field: &LookedUp| model.position(&field.setting.name);
        let key = position(&lookup.key)?;
        let reads = lookup.reads.iter().map(position).collect::<Option<Vec<_>>>()?.into();
        let touched = lookup.touches.as_ref().map(|field| position(field).ok_or(())).transpose().ok()?;
        let find = model.sql.read_by(key).into();
        let touch = touched.map(|field| model.sql.set_by(key, field).into());
        Some(Self { reads, find, touch, model, store, statements })
    }
}

fn first(model: &Model, reads: &[usize], rows: &mut dyn Rows) -> Result<Option<Map<String, Value>>, Error> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut item = Map::new();
    item.extend(value(&FieldType::String, row.cell(ID)).map(|id| ("id".to_owned(), id)));
    for position in reads {
        let Some(field) = model.fields.get(*position) else { continue };
        item.extend(read(row, *position, &field.kind).map(|value| (field.name.clone(), value)));
    }
    // A key of two items is a key of neither.
    Ok(rows.next()?.is_none().then_some(item))
}

fn read(row: &dyn Row, position: usize, kind: &FieldType) -> Option<Value> {
    value(kind, row.cell(position.checked_add(FIRST_FIELD)?))
}

/// A cell as JSON; `None` if it is null.
fn value(kind: &FieldType, cell: Cell<'_>) -> Option<Value> {
    match (kind, cell) {
        (_, Cell::Null) => None,
        (FieldType::Boolean, Cell::Integer(number)) => Some((number != 0).into()),
        (_, Cell::Integer(number)) => Some(number.into()),
        (_, Cell::Real(number)) => Some(number.into()),
        (FieldType::Json(_), Cell::Text(text)) => serde_json::from_str(text).ok(),
        (_, Cell::Text(text)) => Some(text.into()),
    }
}

fn found(outcome: Result<Option<Map<String, Value>>, Error>) -> Found {
    outcome.map_err(|error| ItemsError(error.to_string()))
}

impl Items for TableItems {
    fn find(&self, key: &str) -> Finding {
        let parameters = vec![Param::Text(key.to_owned())];
        let statement = Statement { sql: Arc::clone(&self.find), parameters, deadline: self.model.timeout };
        let started = Instant::now();
        let (model, reads) = (Arc::clone(&self.model), Arc::clone(&self.reads));
        if let Some(outcome) = self.store.read_now(&statement, |rows| first(&model, &reads, rows)) {
            self.statements.began("SELECT", started).ends(&outcome);
            return Finding::Ready(found(outcome));
        }
        let (store, statements) = (Arc::clone(&self.store), Arc::clone(&self.statements));
        Finding::Pending(Box::pin(async move {
            let running = statements.began("SELECT", started);
            let outcome = store.read_later(statement, move |rows| first(&model, &reads, rows)).await;
            running.ends(&outcome);
            found(outcome)
        }))
    }

    fn touch(&self, key: &str) {
        let Some(sql) = self.touch.clone() else { return };
        let parameters =
            [Param::Integer(version::fresh()), Param::Text(Moment::now().datetime()), Param::Text(key.to_owned())];
        let sql = Sql::new(&*sql, parameters);
        let (store, statements) = (Arc::clone(&self.store), Arc::clone(&self.statements));
        let (timeout, resource) = (self.model.timeout, Arc::clone(&self.model.name));
        tokio::spawn(async move {
            let running = statements.began("UPDATE", Instant::now());
            let outcome = store.execute(timeout, sql).await;
            running.ends(&outcome);
            if let Err(error) = outcome {
                tracing::warn!(resource = &*resource, %error, "cannot record the use of an item");
            }
        });
    }
}
