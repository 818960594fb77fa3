//! Preconditions of requests: `If-Match` and `If-None-Match` (RFC 9110 section 13).

use crate::config::document::resource::Concurrency;
use crate::etag::{Form, Match, Tags, tag};
use crate::resource::model::Model;
use crate::resource::reply::Selection;
use gatewright_sdk::{Problem, Request};
use http::StatusCode;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};

/// The conditions of a write.
pub(super) struct Conditions {
    matches: Option<Tags>,
    none: Option<Tags>,
    required: bool,
    form: Form,
}

impl Conditions {
    /// The conditions that `request` carries; a malformed list of entity tags is a 400.
    pub(super) fn of(model: &Model, request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        let (matches, required) = match model.concurrency {
            Concurrency::None => (None, false),
            Concurrency::Optional => (Tags::of(headers, &IF_MATCH)?, false),
            Concurrency::Required => (Tags::of(headers, &IF_MATCH)?, true),
        };
        Ok(Self {
            matches,
            none: Tags::of(headers, &IF_NONE_MATCH)?,
            required,
            form: Selection::all(&model.shape).form,
        })
    }

    /// No conditions.
    pub(super) fn none(model: &Model) -> Self {
        Self { matches: None, none: None, required: false, form: Selection::all(&model.shape).form }
    }

    /// Whether the client names the versions it wants to change: then nothing is created.
    pub(super) const fn names_versions(&self) -> bool {
        self.matches.is_some()
    }

    /// Checked after the row is found and before it is written (RFC 9110 section 13.2): 412 or 428.
    pub(super) fn check(&self, version: i64) -> Result<(), Problem> {
        let is_excluded = self.none.as_ref().is_some_and(|tags| tags.names(version, self.form));
        match self.matches.as_ref().map(|tags| tags.covers(version)) {
            // `If-None-Match: *` is a condition too, and it failed.
            None if self.required && !is_excluded => return Err(unconditional()),
            Some(Match::No) => return Err(stale(version, self.form, false)),
            Some(Match::Weakened) => return Err(stale(version, self.form, true)),
            None | Some(Match::Yes) => {}
        }
        if is_excluded { Err(stale(version, self.form, false)) } else { Ok(()) }
    }
}

/// The conditions of a read.
pub(super) struct ReadConditions {
    matches: Option<Tags>,
    known: Option<Tags>,
}

/// The outcome of a conditional read.
pub(super) enum Freshness {
    /// Send the item.
    Show,
    /// The client already has it: 304.
    Known,
    /// 412: it is not the version that the client asked for.
    Changed(Problem),
}

impl ReadConditions {
    /// A malformed `If-Match` is a 400; a malformed `If-None-Match` matches nothing. `If-Modified-Since`
    /// is ignored: items have no `Last-Modified`, and RFC 9110 section 13.1.3 allows it then.
    pub(super) fn of(model: &Model, request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        let matches = match model.concurrency {
            Concurrency::None => None,
            Concurrency::Optional | Concurrency::Required => Tags::of(headers, &IF_MATCH)?,
        };
        Ok(Self { matches, known: Tags::of(headers, &IF_NONE_MATCH).ok().flatten() })
    }

    /// Checked in the order of RFC 9110 section 13.2.2.
    pub(super) fn judge(&self, version: i64, form: Form) -> Freshness {
        match self.matches.as_ref().map(|tags| tags.selects(version, form)) {
            Some(Match::No) => return Freshness::Changed(stale(version, form, false)),
            Some(Match::Weakened) => return Freshness::Changed(stale(version, form, true)),
            None | Some(Match::Yes) => {}
        }
        match &self.known {
            Some(tags) if tags.names(version, form) => Freshness::Known,
            _ => Freshness::Show,
        }
    }
}

fn unconditional() -> Problem {
    let text = "If-Match with the ETag of the resource is required";
    Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", text)
}

/// 412 with the current tag.
fn stale(version: i64, form: Form, weakened: bool) -> Problem {
    let text = if weakened {
        "The resource was changed by someone else: a proxy weakened the ETag"
    } else {
        "The resource was changed by someone else"
    };
    Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", text).header(ETAG, tag(version, form))
}

/// Rejects `If-Match` with tags of a list. They are weak, and a weak tag is never a strong match (RFC 9110 section 8.8.3.2).
pub(super) fn check_list(model: &Model, request: &Request) -> Result<(), Problem> {
    if model.concurrency != Concurrency::None
        && let Some(Tags::List(_)) = Tags::of(request.headers(), &IF_MATCH)?
    {
        let text = "the ETag of a list is weak and cannot be used in If-Match";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", text));
    }
    Ok(())
}
