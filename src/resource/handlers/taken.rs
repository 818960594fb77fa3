//! Which items have values that others have: a conflict with what is stored, and of the items of a list with each other.

use super::api::{Api, within};
use super::many::sort_key;
use crate::config::document::resource::IdKind;
use crate::resource::refusal::{ListFaults, texts};
use crate::resource::sql::{ID, Unique};
use crate::resource::store::{Param, Statement};
use gatewright_sdk::Problem;
use http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;

/// A row of a list that could not be stored.
pub(super) struct Candidate {
    /// Its place in the list.
    pub place: usize,
    /// Its id, if it is known.
    pub id: Option<Param>,
    pub is_new: bool,
    pub fields: Vec<Param>,
}

/// 409 about the rows of a list whose values are taken, after a unique rule on `columns` was hit.
pub(super) async fn taken(api: &Api, rows: Vec<Candidate>, columns: &[String]) -> Problem {
    // By now it may be free again.
    check(api, rows).await.err().unwrap_or_else(|| api.taken(columns))
}

/// 409 about the rows of a list whose values are taken, if there are any.
pub(super) async fn check(api: &Api, mut rows: Vec<Candidate>) -> Result<(), Problem> {
    rows.sort_by_key(|row| row.place);
    let (mut faults, mut seen) = (ListFaults::default(), HashSet::new());
    for row in rows {
        // All values count, also those of a row that is rejected anyway: later rows may have them too.
        let again = repeated(api, &row, &mut seen);
        let found = match api.check_taken(row.id.as_ref(), row.is_new, &row.fields).await {
            Ok(()) => again,
            Err(problem) if problem.status() == StatusCode::CONFLICT => Some(problem),
            Err(problem) => return Err(problem),
        };
        faults.push(row.place, found.iter().flat_map(|problem| problem.faults().iter().cloned()));
    }
    faults.refuse((), |details| Problem::conflict(texts(&details)).details(details))
}

/// 409 if an earlier row has the same values.
fn repeated(api: &Api, row: &Candidate, seen: &mut HashSet<(usize, Vec<String>)>) -> Option<Problem> {
    let mut found = None;
    for (at, unique) in api.model.sql.taken.iter().enumerate() {
        let Some(values) = unique.values(&row.fields) else { continue };
        let text = |value: Param| {
            let text = sort_key(&value);
            if unique.fold { text.to_ascii_lowercase() } else { text }
        };
        if !seen.insert((at, values.into_iter().map(text).collect())) {
            found.get_or_insert_with(|| api.taken_by(unique));
        }
    }
    found
}

impl Api {
    /// 409 if another row than the one with `id` has the same unique values, or if the id that a client chose for a new row is taken.
    pub(super) async fn check_taken(&self, id: Option<&Param>, is_new: bool, fields: &[Param]) -> Result<(), Problem> {
        if let (IdKind::String, true, Some(id)) = (self.model.id, is_new, id)
            && self.found(&self.model.sql.read, vec![id.clone()]).await?.is_some()
        {
            return Err(self.taken(&["id".to_owned()]));
        }
        for unique in &self.model.sql.taken {
            let Some(values) = unique.values(fields) else { continue };
            if self.found(&unique.find, values).await?.is_some_and(|found| Some(&found) != id) {
                return Err(self.taken_by(unique));
            }
        }
        Ok(())
    }

    fn taken_by(&self, unique: &Unique) -> Problem {
        let name = |at: &usize| Some(self.model.fields.get(*at)?.name.clone());
        self.taken(&unique.fields.iter().filter_map(name).collect::<Vec<_>>())
    }

    /// The id of the row that a statement finds by values.
    async fn found(&self, sql: &Arc<str>, parameters: Vec<Param>) -> Result<Option<Param>, Problem> {
        let statement = Statement { sql: Arc::clone(sql), parameters, deadline: self.model.timeout };
        let span = self.sql_span("SELECT", Some(sql));
        let found = self.store.query(statement, |rows| Ok(rows.next()?.map(|row| row.cell(ID).owned())));
        within(self.statements.begin("SELECT"), span, found).await.map_err(|error| self.failure(&error))
    }
}
