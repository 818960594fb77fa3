//! Change of the password by the user: ends all other sessions of the account.

use super::tokens::{Account, id, no_account};
use super::{Caller, SignIn, input};
use crate::resource::audit::{self, Actor};
use crate::resource::handlers::api::within;
use crate::resource::json::Json;
use crate::resource::moment::Moment;
use crate::resource::refusal::refusal;
use crate::resource::reply;
use crate::resource::store::{Decision, Done, Param, Statement, only};
use crate::resource::{sessions, version};
use gatewright_sdk::{Detail, Identity, Problem, Request, Response};
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;
use tracing::Instrument;
use zeroize::Zeroizing;

const CURRENT: &str = "current_password";
const NEW: &str = "new_password";

pub(super) async fn change(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let identity = desk.identity(&request)?;
    let [current, new] = input::texts(request, [CURRENT, NEW]).await?;
    input::check_length(CURRENT, &current)?;
    let new = desk.valid(&new)?;
    let account = desk.account(id(&desk.api.model, &identity.subject)).await?;
    let account = account.ok_or_else(|| no_account("account_deleted"))?;
    if !account.may_sign_in {
        return Err(no_account("account_refused"));
    }
    let name = account.identity.as_deref().unwrap_or_default();
    let attempt = desk.attempt(caller, &desk.folded(name)).await?;
    if !desk.is_right((caller, attempt), current, (account.hash.clone(), true)).await? {
        return Err(
            refusal(vec![Detail::new(CURRENT, "wrong", "is not the current password")]).log_reason("wrong_password")
        );
    }
    let span = tracing::info_span!(target: "gatewright::resource", "hash password");
    let hash = desk.api.hasher.hash(caller.key, new).instrument(span).await;
    let hash = hash.map_err(|_| Problem::unavailable(1).log_reason("hasher_busy"))?;
    let subject = identity.subject.clone();
    let ended = desk.set(account, hash, identity).await?;
    let ended = ended.ok_or_else(|| Problem::conflict("The password was changed in the meantime"))?;
    let actor = Actor { subject: Some(&subject), client: caller.address };
    audit::password_changed(desk.resource(), &subject, &actor, ended);
    desk.measures.password_changed();
    Ok(reply::empty(StatusCode::NO_CONTENT, true))
}

impl SignIn {
    /// The new password, if it fulfils the rules of the field.
    fn valid(&self, new: &str) -> Result<Zeroizing<String>, Problem> {
        let model = &self.api.model;
        let Some(field) = model.fields.get(self.accounts.password) else { return Err(Problem::internal()) };
        match field.read(Json::String(new.to_owned())) {
            Ok(Param::Text(text)) => Ok(Zeroizing::new(text)),
            Ok(_) => Err(refusal(vec![Detail::new(NEW, "type", "must be a string")])),
            Err(detail) => Err(refusal(vec![Detail { field: NEW.to_owned(), ..detail }])),
        }
    }

    async fn account(&self, id: Param) -> Result<Option<Account>, Problem> {
        let (api, accounts) = (&self.api, Arc::clone(&self.accounts));
        let sql = Arc::clone(&self.accounts.read);
        let span = api.sql_span("SELECT", Some(&sql));
        let statement = Statement { sql, parameters: vec![id], deadline: api.model.timeout };
        let found = api.store.query(statement, move |rows| Ok(rows.next()?.map(|row| Account::of(row, &accounts))));
        within(api.statements.begin("SELECT"), span, found).await.map_err(|error| api.failure(&error))
    }

    /// Stores the hash if the password is still the one that was verified, and ends the other sessions. Returns how many.
    async fn set(&self, account: Account, hash: String, by: Arc<Identity>) -> Result<Option<u64>, Problem> {
        let (api, accounts, model) = (&self.api, Arc::clone(&self.accounts), Arc::clone(&self.api.model));
        let at = Moment::now();
        let mut changes = vec![(accounts.password, Param::Text(hash))];
        for (position, field) in model.fields.iter().enumerate() {
            if let Some(source) = &field.on_write {
                changes.push((position, source.value(field, Some(&by), at)));
            }
        }
        let span = api.sql_span("UPDATE", None);
        let (timeout, looks) = (model.timeout, vec![accounts.look(&account.id)]);
        let update = model.sql.update(version::fresh(), account.id.clone(), &changes);
        let sid = by.claims.get("sid").and_then(Value::as_str);
        let [end, left] = sessions::end_all(model.sql.dialect(), &model.table.name, &account.id, sid);
        let statements = [update, end, left];
        let decide = move |found| {
            let now = only(found).map(|row| Account::of(&row, &accounts));
            match now.is_some_and(|now| now.hash == account.hash) {
                true => Decision::run(statements.clone(), ())
                    .none(vec![(2, sessions::not_ended())])
                    .checked(|done| Done::wrote(done.first(), "changed")),
                false => Decision::leave(()),
            }
        };
        let job = api.store.write(timeout, looks, decide);
        let done = within(api.statements.begin("UPDATE"), span, job).await.map_err(|error| api.failure(&error))?.1;
        Ok(done.get(1).map(|done| done.changed))
    }
}
