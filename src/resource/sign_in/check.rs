//! Compiles the settings of a sign-in for the resource it names, and finds what is wrong with them.

use super::limits::{self, Limits};
use crate::config::document::resource::{Field as WrittenField, Operation};
use crate::config::document::route::SignIn;
use crate::config::words;
use crate::resource::deciding::Deciding;
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::{Model, fixed_conditions};
use crate::resource::predicate::{Column, Comparison};
use crate::resource::sessions::Lifetime;
use crate::resource::settable::{IsServed, Setter};
use crate::resource::store::Row;
use gatewright_sdk::{Code, Fault, HumanDuration};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What a sign-in knows about the accounts of its resource.
pub struct Accounts {
    /// The positions of the fields.
    pub identity: usize,
    pub password: usize,
    /// The keys in the body of a login.
    pub names: [String; 2],
    /// More claims, each with the position of its field.
    pub claims: Vec<(String, usize)>,
    /// What an account must fulfil to sign in.
    pub only: Vec<Comparison>,
    pub ttl: Duration,
    pub lifetime: Lifetime,
    pub limits: Limits,
    /// The store in which several gateways count wrong passwords together.
    pub counts_in: Option<String>,
    /// Finds an account by its identity: version, id and password, and the columns that `only` compares.
    pub find: Arc<str>,
    /// An account by its id: version, id, password, identity, the fields of the claims, in order, and the columns that `only`
    /// compares.
    pub read: Arc<str>,
}

impl Accounts {
    /// Whether the account in `row` may sign in. `from` is the first of the columns that `only` compares.
    pub fn admit(&self, row: &dyn Row, from: usize) -> bool {
        (from..).zip(&self.only).all(|(column, comparison)| comparison.holds(&row.cell(column).owned()))
    }
}

/// Claims that every token has.
const OWN: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid"];

const LONGEST: HumanDuration = HumanDuration::from_secs(24 * 3600);

/// Compiles `settings` for `model`. `required` are the claims that the plugin demands of tokens.
///
/// # Errors
/// All faults, with paths relative to `sign_in`.
pub fn compile(settings: &SignIn, model: &Model, required: &[String]) -> Result<Accounts, Vec<Fault>> {
    let mut faults = Vec::new();
    let identity = field(model, "identity", &settings.identity).and_then(|at| identity(model, at));
    let identity = identity.map_err(|fault| faults.push(fault)).ok();
    let password = field(model, "password", &settings.password).and_then(|at| password(model, at));
    let password = password.map_err(|fault| faults.push(fault)).ok();
    let mut claims = Vec::new();
    for (claim, name) in settings.token.claims.iter() {
        match self::claim(model, claim, name) {
            Ok(at) => claims.push((claim.to_owned(), at)),
            Err(fault) => faults.push(fault),
        }
    }
    let given = |name: &String| OWN.contains(&&**name) || settings.token.claims.contains(name);
    if let Some(missing) = required.iter().find(|name| !given(name)) {
        let message = format!("`{}` requires the claim `{missing}`, which these tokens lack", settings.token.plugin);
        let help = format!("add `claims: {{ {missing}: FIELD }}`, or remove it from `required_claims`");
        faults.push(Fault::new("token.plugin", message).code(Code::SIGN_IN_TOKEN).help(help));
    }
    faults.extend(times(settings));
    faults.extend(limits::faults(&settings.wrong_passwords));
    let only = fixed_conditions(&settings.r#where, (model.id, &model.fields), "where");
    let only = only.map_err(|found| faults.extend(found)).unwrap_or_default();
    let (Some(identity), Some(password), true) = (identity, password, faults.is_empty()) else { return Err(faults) };
    let fold = model.fields.get(identity).is_some_and(|field| field.fold);
    let compared = || only.iter().map(|comparison| comparison.column);
    let fields = |positions: &[usize]| positions.iter().copied().map(Column::Field).collect::<Vec<_>>();
    let find: Vec<_> = fields(&[password]).into_iter().chain(compared()).collect();
    let claimed = claims.iter().map(|(_, at)| Column::Field(*at));
    let read: Vec<_> = fields(&[password, identity]).into_iter().chain(claimed).chain(compared()).collect();
    let find = model.sql.columns_by(&find, Column::Field(identity), fold).into();
    let read = model.sql.columns_by(&read, Column::Id, false).into();
    Ok(Accounts {
        identity,
        password,
        names: [settings.identity.clone(), settings.password.clone()],
        claims,
        only,
        ttl: settings.token.ttl.get(),
        lifetime: Lifetime {
            unused: settings.refresh.ttl.get(),
            most: settings.refresh.max_session.get(),
            grace: settings.refresh.reuse_grace.get(),
        },
        limits: Limits::from(&settings.wrong_passwords),
        counts_in: settings.wrong_passwords.store.clone(),
        find,
        read,
    })
}

/// The position of the field that the setting at `path` names.
fn field(model: &Model, path: &str, name: &str) -> Result<usize, Fault> {
    model.position(name).ok_or_else(|| {
        let known: Vec<&str> = model.names.iter().map(String::as_str).collect();
        let message = format!("`{}` is not a field of `{}`", name.escape_debug(), model.name);
        Fault::new(path, message).code(Code::UNKNOWN_FIELD).help(words::way_out(name, &known))
    })
}

fn of(model: &Model, at: usize) -> (&str, Option<&FieldType>) {
    model.fields.get(at).map_or(("", None), |field| (&field.name, Some(&field.kind)))
}

fn identity(model: &Model, at: usize) -> Result<usize, Fault> {
    let (name, kind) = of(model, at);
    let wrong = |message: String, help: String| Fault::new("identity", message).code(Code::SIGN_IN).help(help);
    if !kind.is_some_and(|kind| matches!(kind, FieldType::String | FieldType::Text | FieldType::Email)) {
        let word = kind.map(FieldType::word).unwrap_or_default();
        let message = format!("`{name}` has the type `{word}`, and cannot name an account");
        return Err(wrong(message, "use a unique field of type `email` or `string`".into()));
    }
    let unique = |index: &&crate::resource::table::Index| index.unique && index.columns == [name];
    if !model.table.indexes.iter().any(|index| unique(&index)) {
        let message = format!("`{name}` is not unique, so it does not name one account");
        let help = format!("add `unique: {{ ignore_case: true }}` to the field `{name}` of `{}`", model.name);
        return Err(wrong(message, help));
    }
    Ok(at)
}

fn password(model: &Model, at: usize) -> Result<usize, Fault> {
    let (name, kind) = of(model, at);
    if matches!(kind, Some(FieldType::Password)) {
        return Ok(at);
    }
    let word = kind.map(FieldType::word).unwrap_or_default();
    let message = format!("`{name}` has the type `{word}`, and not `password`");
    let is_password = |field: &&Field| matches!(field.kind, FieldType::Password);
    let help = match model.fields.iter().find(is_password) {
        Some(field) => format!("did you mean `{}`?", field.name),
        None => "only fields of type `password` are stored as hashes: add one to the resource".to_owned(),
    };
    Err(Fault::new("password", message).code(Code::SIGN_IN).help(help))
}

fn claim(model: &Model, claim: &str, name: &str) -> Result<usize, Fault> {
    let path = format!("token.claims.{claim}");
    if OWN.contains(&claim) {
        let message = format!("`{claim}` is set by the sign-in itself");
        let help = "remove it; `sub` is the id of the account, and `sid` the id of the session";
        return Err(Fault::new(path, message).code(Code::SIGN_IN).help(help));
    }
    let at = field(model, &path, name)?;
    if matches!(of(model, at).1, Some(FieldType::Password)) {
        let fault = Fault::new(path, format!("`{name}` is a password, and everyone can read the claims of a token"));
        return Err(fault.code(Code::SIGN_IN).help("remove it"));
    }
    Ok(at)
}

fn times(settings: &SignIn) -> Option<Fault> {
    let (ttl, refresh) = (settings.token.ttl, &settings.refresh);
    let wrong =
        |path: &str, message: String, help: &str| Some(Fault::new(path, message).code(Code::SIGN_IN).help(help));
    if ttl < HumanDuration::from_secs(1) {
        return wrong("token.ttl", "the tokens would expire at once".into(), "use a time such as 15m");
    }
    if ttl > LONGEST {
        let message = format!("`{ttl}` is too long: these tokens cannot be revoked");
        return wrong("token.ttl", message, "use at most 24h, such as 15m; refresh tokens keep users signed in");
    }
    if refresh.ttl <= ttl {
        let message = format!("sessions would end before their tokens, which are valid for {ttl}");
        return wrong("refresh.ttl", message, "use a longer time than `token.ttl`, such as 30d");
    }
    if refresh.max_session < refresh.ttl {
        let message = format!("sessions end after {} in any case, so `refresh.ttl` has no effect", refresh.max_session);
        return wrong("refresh.max_session", message, "use at least `refresh.ttl`");
    }
    if refresh.reuse_grace > HumanDuration::from_secs(60) {
        let message = format!("`{}` is too long: a copied token would not be noticed", refresh.reuse_grace);
        return wrong("refresh.reuse_grace", message, "use at most 1m, such as 10s");
    }
    None
}

/// Claims that give permissions, and fields that decide who may sign in, which callers can set themselves; and a password that they can
/// change without the current one, unless `written`, what the file says about the field, allows it. `deciding` are the claims by which
/// the document decides, and `is_served` says whether a route of the accounts takes such requests.
pub fn warnings(
    settings: &SignIn,
    model: &Model,
    (written, deciding): (Option<&WrittenField>, &Deciding),
    is_served: IsServed<'_>,
) -> Vec<Fault> {
    let fault = |path: String, name: &str, message: String| {
        let help = format!("add `hidden: true` or `read_only: true` to the field `{name}` of `{}`", model.name);
        Fault::new(path, message).code(Code::CHOSEN_CLAIM).help(help)
    };
    let claim = |(claim, name): (&str, &String)| {
        let (end, who) = (deciding.end_of(claim)?, who_sets(model, name, is_served)?);
        let message = format!("{who} can set `{name}`, and so choose the claim `{claim}` of their tokens{end}");
        let fault = fault(format!("token.claims.{claim}"), name, message);
        // Users have to set it.
        let help = "compare `sub`, which no one chooses: whoever signs up may write any address or name";
        Some(if *name == settings.identity { fault.help(help) } else { fault })
    };
    let condition = |(name, _): (&str, &Value)| {
        let message =
            format!("{} can set `{name}`, and so decide whether they may sign in", who_sets(model, name, is_served)?);
        Some(fault(format!("where.{name}"), name, message))
    };
    let claims = settings.token.claims.iter().filter_map(claim);
    let password = written.filter(|field| field.accept_on.is_none() && is_served(Operation::Update));
    let password = password.and_then(|_| password_of_holders(settings, model));
    let subject = subject_of_choice(model, is_served);
    claims.chain(settings.r#where.iter().filter_map(condition)).chain(subject).chain(password).collect()
}

/// A warning if a token is enough to set another password: with a stolen one, the account could be taken over.
fn password_of_holders(settings: &SignIn, model: &Model) -> Option<Fault> {
    let name = &settings.password;
    let at = model.position(name)?;
    if !model.may_update(model.fields.get(at)?, at) {
        return None;
    }
    let message = format!(
        "users who may change their own item can set `{name}` without the current one: a stolen token is enough"
    );
    let help = format!(
        "add `accept_on: [create]` to the field `{name}` of `{}`, which leaves `…/password` of the sign-in; \
         `accept_on: [create, update]` if it is meant",
        model.name
    );
    Some(Fault::new("password", message).code(Code::SIGN_IN_PASSWORD).help(help))
}

/// A warning if callers choose the ids of accounts, and so the subjects of their tokens.
fn subject_of_choice(model: &Model, is_served: IsServed<'_>) -> Option<Fault> {
    let who = who(model.chooser_of_ids(is_served)?);
    let message = format!(
        "{who} can choose the `id` of the account, which is the subject of its tokens: also that of a deleted account, or of a caller \
         whom another plugin authenticates"
    );
    let help = format!(
        "write `id: {{ type: uuid }}` in `{}`, and keep the name in a unique field; or let the rule for `create` ask for a role",
        model.name
    );
    Some(Fault::new("resource", message).code(Code::CHOSEN_CLAIM).help(help))
}

/// Who can set the field of an account without any permission.
fn who_sets(model: &Model, name: &str, is_served: IsServed<'_>) -> Option<&'static str> {
    model.setter(name, is_served).map(who)
}

const fn who(setter: Setter) -> &'static str {
    match setter {
        Setter::Anyone => "anyone who signs up",
        Setter::Authenticated => "users who may make another account",
        Setter::Changer => "users who may change their own item",
    }
}
