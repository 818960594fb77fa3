//! Sign-in with an e-mail address and a password: access tokens, refresh tokens, sign-out and change of the password.

mod check;
mod counting;
mod guesses;
mod input;
mod limits;
mod login;
mod logout;
mod measure;
mod password;
mod refresh;
mod tokens;

pub use self::check::{Accounts, compile, warnings};
pub use self::guesses::Guesses;
pub use self::logout::EVERYWHERE;

use self::counting::{Counted, Counting, Verdict};
use self::guesses::Slowed;
use self::measure::Measures;
use super::audit;
use super::handlers::{self, Api};
use super::model::Model;
use super::sessions::Sweeps;
use crate::counters::Store;
use gatewright_sdk::{
    Body, ClientAddress, ClientKey, Facts, HttpService, Identity, Keep, Problem, Reply, Request, Response, TokenSigner,
    Usages,
};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use std::future::Future;
use std::sync::Arc;
use tracing::Instrument;

/// What is served below the path of the route.
pub const ADDRESSES: &[&str] = &["login", "refresh", "logout", "password", "me", "jwks.json"];

const POST: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const GET: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// The state that the addresses share.
struct SignIn {
    api: Arc<Api>,
    accounts: Arc<Accounts>,
    signer: Arc<TokenSigner>,
    counting: Counting,
    sweeps: Arc<Sweeps>,
    measures: Measures,
}

/// The wrong passwords of the accounts of `model`. They must be held for as long as the file has the resource, or a route that is taken
/// out and put back would forgive them.
pub fn guesses(model: &Model, keep: &Keep) -> Arc<Guesses> {
    keep.get_or_make(&format!("sign-in {} {}", model.store, model.table.name), Guesses::default)
}

/// Whether the plugin that accepts the tokens decides about requests for this address first.
pub fn checks_token(address: &str, method: &Method) -> bool {
    match address {
        "me" => matches!(*method, Method::GET | Method::HEAD),
        "password" => *method == Method::POST,
        _ => false,
    }
}

/// The addresses of a sign-in, which counts wrong passwords in `store` if there is one. `behind` puts the plugin that accepts the
/// tokens in front of a service. `usages` gets how far its limits are used, under the name `at`.
pub fn service(
    (api, accounts, signer): (Arc<Api>, Arc<Accounts>, Arc<TokenSigner>),
    store: Option<Arc<Store>>,
    (keep, usages, at): (&Keep, &Usages, &str),
    behind: impl FnOnce(HttpService) -> HttpService,
) -> HttpService {
    let measures = Measures::new(&api.model.name, store.is_some());
    let name = format!("{}/{}", api.model.store, api.model.table.name);
    let counting = Counting::new(guesses(&api.model, keep), accounts.limits, store, &name);
    let (used, resource) = (counting.clone(), Arc::clone(&api.model.name));
    usages.add(&format!("{at}/sign_in"), move || used.usage(&resource));
    let sweeps = keep.get_or_make(&format!("sessions {}", api.model.store), Sweeps::default);
    let keys = keys(&signer);
    let desk = Arc::new(SignIn { api, accounts, signer, counting, sweeps, measures });
    let (own, items) = (Arc::clone(&desk), handlers::items(&desk.api));
    let own = behind(HttpService::from_call(move |request| match request.method() {
        &Method::POST => answer(&own, "password", request, password::change),
        _ => me(&own, &items, request),
    }));
    HttpService::from_call(move |request| {
        let address = request.uri().path().rsplit('/').next().unwrap_or_default();
        let allow = if matches!(address, "me" | "jwks.json") { GET } else { POST };
        match (address, request.method()) {
            (_, &Method::OPTIONS) => Reply::ready(options(allow)),
            ("jwks.json", &Method::GET | &Method::HEAD) => keys.call(request),
            (address, method) if checks_token(address, method) => own.call(request),
            ("login", &Method::POST) => answer(&desk, "login", request, login::answer),
            ("refresh", &Method::POST) => answer(&desk, "refresh", request, refresh::answer),
            ("logout", &Method::POST) => answer(&desk, "logout", request, logout::answer),
            _ => Reply::ready(Problem::method_not_allowed(allow)),
        }
    })
}

/// The item of the caller, as the resource itself returns it: by the same rules.
fn me(desk: &SignIn, items: &HttpService, mut request: Request) -> Reply {
    let identity = match desk.identity(&request) {
        Ok(identity) => identity,
        Err(problem) => return Reply::ready(problem),
    };
    // The subject of a token that the gateway did not issue need not be an id.
    if handlers::input::id(&desk.api.model, &identity.subject).is_none() {
        return Reply::ready(Problem::not_found());
    }
    let parameters = &mut Facts::of_mut(&mut request).parameters;
    parameters.retain(|(name, _)| **name != *"id");
    parameters.push(("id".into(), identity.subject.as_str().into()));
    items.call(request)
}

/// Answers a request in a span.
fn answer<F>(
    desk: &Arc<SignIn>,
    operation: &'static str,
    request: Request,
    work: impl FnOnce(Arc<SignIn>, Request) -> F,
) -> Reply
where
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    let span = desk.api.span(operation);
    let work = work(Arc::clone(desk), request);
    Reply::pending(async move { work.await.unwrap_or_else(Response::from) }.instrument(span))
}

fn options(allow: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// The public keys, which clients may keep for some minutes: a new key must be published for longer before it signs.
fn keys(signer: &TokenSigner) -> HttpService {
    let body = serde_json::to_vec(signer.public_keys()).unwrap_or_default();
    HttpService::from_call(move |request| {
        let shown = if request.method() == Method::HEAD { Vec::new() } else { body.clone() };
        let mut response = Response::new(Body::from(shown));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Reply::ready(response)
    })
}

/// Who sends a request.
#[derive(Clone, Copy)]
struct Caller {
    address: ClientAddress,
    key: ClientKey,
}

impl Caller {
    fn of(request: &Request) -> Self {
        let address = Facts::of(request).client.ip;
        Self { address, key: ClientKey::of(address) }
    }
}

impl SignIn {
    fn resource(&self) -> &str {
        &self.api.model.name
    }

    /// Who sends a request with an access token of this gateway.
    fn identity(&self, request: &Request) -> Result<Arc<Identity>, Problem> {
        let identity = Facts::of(request).identity.clone();
        let identity = identity.ok_or_else(|| Problem::unauthorized(false).log_reason("missing"))?;
        // The plugin may accept tokens of other issuers, whose subjects are not our accounts.
        let issuer = identity.claims.get("iss").and_then(serde_json::Value::as_str);
        if issuer == Some(self.signer.issuer()) {
            return Ok(identity);
        }
        Err(Problem::forbidden().log_reason("other_issuer"))
    }

    /// Counts an attempt to name the password of `account`, or rejects it: too many were wrong.
    async fn attempt(&self, caller: Caller, account: &str) -> Result<Counted, Problem> {
        let (verdict, alone) = self.counting.attempt(caller.key, account).await;
        if alone {
            self.measures.fell_back();
        }
        let Slowed { wait, newly } = match verdict {
            Verdict::Counted(counted) => return Ok(counted),
            Verdict::Refused => return Err(Problem::unavailable(1).log_reason("store")),
            Verdict::Busy => return Err(self.busy()),
            Verdict::Slowed(slowed) => slowed,
        };
        if let Some(what) = newly {
            audit::sign_in_slowed(self.resource(), what, caller.address);
        }
        self.measures.slowed();
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Err(Problem::too_many_requests(seconds).reason("too_many_wrong_passwords"))
    }

    /// Whether the password is right, and the account may sign in. The attempt counts unless it is so, or no one looked: an account
    /// that may not sign in is slowed like any wrong password.
    async fn is_right(
        &self,
        (caller, attempt): (Caller, Counted),
        password: zeroize::Zeroizing<String>,
        (hash, may_sign_in): (Option<String>, bool),
    ) -> Result<bool, Problem> {
        let span = tracing::info_span!(target: "gatewright::resource", "verify password");
        let right = self.api.hasher.matches(caller.key, password, hash).instrument(span).await;
        let Ok(right) = right else {
            self.counting.unjudged(attempt);
            return Err(self.busy());
        };
        let right = right && may_sign_in;
        if right {
            self.counting.right(attempt).await;
        } else {
            self.measures.failed();
        }
        Ok(right)
    }

    fn busy(&self) -> Problem {
        self.measures.busy();
        Problem::unavailable(1).log_reason("hasher_busy")
    }
}
