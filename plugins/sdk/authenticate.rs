//! Authentication: how plugins prove who sends a request, and what follows from a proof.

use crate::{Facts, Filter, Identity, Problem, Refusal, Request, Response, Verdict};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A way to authenticate requests.
pub trait Authenticate: Send + Sync + 'static {
    /// Reads the request: returns what its credentials prove, `None` if it has no credentials of this kind, or a
    /// rejection of credentials that are not valid.
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>>;

    /// The rejection of a request that has no credentials of this kind; `None` if it may continue without an identity.
    fn missing(&self) -> Option<Problem>;

    /// Which credentials it reads, as a word such as `Bearer`. Plugins that read the same ones return the same word.
    fn reads(&self) -> &str;

    /// The value of `WWW-Authenticate` that asks for its credentials.
    fn challenge(&self) -> Option<HeaderValue>;

    /// All challenges, if there may be several.
    fn challenges(&self) -> Vec<HeaderValue> {
        self.challenge().into_iter().collect()
    }

    /// The header field with its credentials, if there is one.
    fn field(&self) -> Option<HeaderName> {
        None
    }

    /// Whether upstreams receive that field.
    fn forwards(&self) -> bool {
        true
    }

    /// Request header fields that no one else may set. They are removed from every request that continues.
    fn owns(&self) -> &[HeaderName] {
        &[]
    }
}

/// What a plugin has proven about a request, and what it changes in it.
#[derive(Debug, Default)]
pub struct Proof {
    /// Stored in [`Facts::identity`].
    pub identity: Option<Arc<Identity>>,
    /// Other header fields with credentials that upstreams must not receive. A member of `any_of` leaves it empty.
    pub removes: Option<Arc<[HeaderName]>>,
    /// Fields to add to the request. Name them in [`Authenticate::owns`].
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

impl From<Arc<Identity>> for Proof {
    fn from(identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..Self::default() }
    }
}

/// The filter of a plugin that authenticates.
pub(crate) struct Identifies {
    by: Arc<dyn Authenticate>,
    /// For later plugins and targets that reject a request without an identity.
    challenges: Arc<[HeaderValue]>,
    /// The field with its credentials, if upstreams must not receive it.
    hidden: Option<HeaderName>,
}

impl Identifies {
    pub fn new(by: Arc<dyn Authenticate>) -> Self {
        Self { challenges: by.challenges().into(), hidden: by.field().filter(|_| !by.forwards()), by }
    }
}

impl Filter for Identifies {
    type Ticket = Option<Proof>;
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<Self::Ticket> {
        match self.by.identify(request) {
            Verdict::Continue(None) => self.by.missing().map_or(Verdict::Continue(None), Verdict::refuse),
            Verdict::Later(wait) => {
                let missing = self.by.missing();
                Verdict::Later(wait.map(|proof| match (proof, missing) {
                    (None, Some(problem)) => ControlFlow::Break(problem.into()),
                    (proof, _) => ControlFlow::Continue(proof),
                }))
            }
            decided => decided,
        }
    }

    fn admit(&self, proof: &mut Self::Ticket, request: &mut Request) {
        let headers = request.headers_mut();
        for name in self.by.owns() {
            crate::fields::remove(headers, name);
        }
        let Some(Proof { identity, removes, fields }) = proof.take() else {
            return Facts::of_mut(request).may_ask_for(&self.challenges);
        };
        for name in removes.iter().flat_map(|names| names.iter()).chain(&self.hidden) {
            headers.remove(name);
        }
        if let Some(value) = headers.get_mut(AUTHORIZATION) {
            // Makes the header print as "Sensitive", and keeps it out of HTTP/2 tables.
            value.set_sensitive(true);
        }
        for (name, value) in fields {
            headers.append(name, value);
        }
        if let Some(identity) = identity {
            Facts::of_mut(request).identify(identity);
        }
    }
}

/// Several ways to authenticate: the first that proves an identity decides.
///
/// Members that find no credentials of their kind let the next one try. If a member rejects what it found, only members
/// that read the same credentials are asked; if none of them accepts it, the request is rejected.
pub struct AnyOf {
    members: Vec<Member>,
    owns: Vec<HeaderName>,
}

struct Member {
    /// The place that is reported for it.
    place: Arc<str>,
    by: Arc<dyn Authenticate>,
    /// The fields with credentials that upstreams must not receive if it proves the identity: a password must not reach them
    /// because a key was sent with it.
    hidden: Arc<[HeaderName]>,
}

impl AnyOf {
    /// `members` have the places that are reported for them.
    pub fn new(members: &[(Arc<str>, Arc<dyn Authenticate>)]) -> Self {
        let mut owns: Vec<HeaderName> = Vec::new();
        for name in members.iter().flat_map(|(_, member)| member.owns()) {
            if !owns.contains(name) {
                owns.push(name.clone());
            }
        }
        let fields = |winner: &dyn Authenticate| {
            let kept = winner.field().filter(|_| winner.forwards());
            let all = members.iter().filter(|(_, member)| !member.forwards()).filter_map(|(_, member)| member.field());
            all.filter(|name| Some(name) != kept.as_ref()).collect()
        };
        let member = |(place, by): &(Arc<str>, Arc<dyn Authenticate>)| {
            let hidden = fields(&**by);
            Member { place: Arc::clone(place), by: Arc::clone(by), hidden }
        };
        Self { members: members.iter().map(member).collect(), owns }
    }
}

impl Authenticate for AnyOf {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        let (mut found, mut refused, mut waits) = (None, None, Vec::new());
        for Member { place, by: member, hidden } in &self.members {
            if found.is_some_and(|found| found != member.reads()) {
                continue;
            }
            match member.identify(request) {
                Verdict::Continue(None) => continue,
                Verdict::Continue(Some(proof)) => {
                    return Verdict::Continue(Some(Proof { removes: Some(Arc::clone(hidden)), ..proof }));
                }
                Verdict::Break(mut response) => {
                    Refusal::sign(&mut response, place);
                    refused = Some(worse(refused, response));
                }
                Verdict::Later(wait) => waits.push((Arc::clone(place), Arc::clone(hidden), wait)),
            }
            found = Some(member.reads());
        }
        let Some(kind) = found else { return Verdict::Continue(None) };
        let others = self.members.iter().filter(|member| member.by.reads() != kind);
        let others: Vec<HeaderValue> = others.filter_map(|member| member.by.challenge()).collect();
        if waits.is_empty() {
            return refused.map_or(Verdict::Continue(None), |refused| Verdict::Break(challenged(refused, others)));
        }
        let within = waits.iter().map(|(.., wait)| wait.within()).sum();
        Verdict::later(within, Problem::unavailable(1).log_reason("timeout"), async move {
            for (place, hidden, wait) in waits {
                match wait.decide(&place).await {
                    ControlFlow::Continue(None) => {}
                    ControlFlow::Continue(Some(proof)) => {
                        return ControlFlow::Continue(Some(Proof { removes: Some(hidden), ..proof }));
                    }
                    ControlFlow::Break(mut response) => {
                        Refusal::sign(&mut response, &place);
                        refused = Some(worse(refused, response));
                    }
                }
            }
            refused.map_or(ControlFlow::Continue(None), |refused| ControlFlow::Break(challenged(refused, others)))
        })
    }

    /// A request without credentials may continue only if every member lets it.
    fn missing(&self) -> Option<Problem> {
        self.members.iter().find_map(|member| member.by.missing())?;
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized").log_reason("missing");
        let with = |problem: Problem, challenge| problem.header(WWW_AUTHENTICATE, challenge);
        Some(self.challenges().into_iter().fold(problem, with))
    }

    /// More than one kind.
    fn reads(&self) -> &str {
        ""
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    /// The different challenges of all members.
    fn challenges(&self) -> Vec<HeaderValue> {
        let mut challenges: Vec<HeaderValue> = Vec::new();
        for challenge in self.members.iter().filter_map(|member| member.by.challenge()) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        challenges
    }

    fn owns(&self) -> &[HeaderName] {
        &self.owns
    }
}

/// Of two rejections, the one to return: if a member could not decide, its credentials may be valid.
fn worse(refused: Option<Response>, response: Response) -> Response {
    match refused {
        Some(refused) if refused.status().is_server_error() || !response.status().is_server_error() => refused,
        _ => response,
    }
}

/// Adds the challenges of the other members to a 401 (RFC 9110 section 11.6.1).
fn challenged(mut response: Response, others: Vec<HeaderValue>) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        for challenge in others {
            if !response.headers().get_all(WWW_AUTHENTICATE).iter().any(|sent| *sent == challenge) {
                response.headers_mut().append(WWW_AUTHENTICATE, challenge);
            }
        }
    }
    response
}

#[cfg(test)]
mod tests;
