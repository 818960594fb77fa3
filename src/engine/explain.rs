//! Explains where a request goes and why, using the same search that serves requests.

mod access;
mod near;
mod text;

pub use self::access::Ruled;

use crate::admission;
use crate::engine::plan::{Forwarding, Place, PlannedRoute, PlannedStep, PlannedTarget, Who, inward, said_by};
use crate::engine::router::{Fit, Found, Lookup, is_preflight};
use crate::engine::snapshot::{HealthPath, Listener, Snapshot};
use gatewright_sdk::Problem;
use gatewright_sdk::limits::Limit;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Serialize;

/// The request to explain.
pub struct Question<'a> {
    /// The name of the listener that it arrives on; the first one if `None`.
    pub listener: Option<&'a str>,
    pub method: &'a Method,
    /// With or without scheme and host. If neither the URI nor a header field names a host, only routes for any host
    /// match.
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

/// Where a request goes, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub method: String,
    /// In normal form.
    pub path: String,
    pub listener: String,
    pub address: String,
    pub outcome: Outcome,
    /// The access rules that decide about it, if it is about a resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Ruled>,
    /// The maintenance mode, if it rejects the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// How the request is forwarded, if not in the default way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarding: Vec<Forwarding>,
    /// The plugins that the request passes, the first outermost.
    pub steps: Vec<Passed>,
    /// The plugins of the route's chain that do not run for it.
    pub without: Vec<String>,
    pub limits: Vec<Bounded>,
    /// The other routes whose path matches the request. If no route gets it, also those whose path comes close.
    pub others: Vec<Lost>,
}

/// The outcome of a request that passes all its plugins.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    Route {
        name: String,
        at: Option<Place>,
        path: String,
        parameters: Vec<(String, String)>,
        target: Box<PlannedTarget>,
    },
    /// A CORS preflight, handled by a plugin.
    Preflight {
        plugin: String,
        /// The route that would serve the actual request.
        route: Option<String>,
    },
    MethodNotAllowed {
        allow: Vec<String>,
    },
    NotFound,
    /// The request is not admitted: only the plugin that assigns ids sees it.
    Refused {
        status: u16,
        message: String,
    },
    /// A health check; methods other than GET and HEAD get 405.
    Health {
        about: HealthPath,
        method_allowed: bool,
        /// The plugin that handles it, if it is a preflight for such a request.
        plugin: Option<String>,
    },
    /// `OPTIONS *` concerns the server as a whole.
    Server,
}

/// A plugin that the request passes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Passed {
    #[serde(flatten)]
    pub step: PlannedStep,
    /// What in the file puts it there.
    pub because: String,
}

/// A limit that applies to the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bounded {
    pub who: String,
    pub limit: String,
}

/// A route that does not get the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lost {
    pub route: String,
    pub at: Option<Place>,
    pub because: String,
}

impl Snapshot {
    /// Explains where a request goes and why.
    ///
    /// # Errors
    /// The listener does not exist.
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation, String> {
        let listener = match question.listener {
            None => self.listeners.first(),
            Some(name) => self.listeners.iter().find(|listener| *listener.name == *name),
        };
        let listener = listener.ok_or_else(|| {
            let names: Vec<_> = self.listeners.iter().map(|listener| format!("`{}`", listener.name)).collect();
            format!("there is no listener `{}`, only {}", question.listener.unwrap_or_default(), names.join(", "))
        })?;
        Ok(Explaining { snapshot: self, listener, question }.explanation())
    }

    fn planned(&self, index: usize) -> Option<&PlannedRoute> {
        let name = &self.routes.get(index)?.name;
        self.plan.routes.iter().find(|route| route.name == **name)
    }
}

struct Explaining<'a> {
    snapshot: &'a Snapshot,
    listener: &'a Listener,
    question: &'a Question<'a>,
}

impl Explaining<'_> {
    fn explanation(&self) -> Explanation {
        let mut head = self.head();
        let mut explanation = Explanation {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            listener: self.listener.name.to_string(),
            address: self.listener.settings.address.to_string(),
            outcome: Outcome::NotFound,
            access: Vec::new(),
            maintenance: None,
            forwarding: Vec::new(),
            steps: Vec::new(),
            without: Vec::new(),
            limits: Vec::new(),
            others: Vec::new(),
        };
        let spelling = match admission::head(&mut head, &self.listener.terms, false) {
            Ok(spelling) => spelling,
            Err(problem) => {
                explanation.outcome = refused(&problem);
                return explanation;
            }
        };
        if self.names_no_host() {
            head.headers.remove(HOST);
        }
        let Parts { method, uri, headers, .. } = &head;
        let path = uri.path();
        explanation.path = path.to_owned();
        if let Some(about) = self.snapshot.health_path(path, spelling) {
            let guards = &self.listener.guards;
            let mut steps = self.outer(|step| !guards.iter().any(|guard| **guard == *step.plugin));
            let mut plugin = None;
            if is_preflight(method, headers)
                && let Some(index) = steps.iter().position(|passed| passed.step.answers_preflights)
            {
                plugin = steps.get(index).map(|passed| passed.step.plugin.clone());
                steps.truncate(index + 1);
            }
            let method_allowed = matches!(*method, Method::GET | Method::HEAD);
            (explanation.outcome, explanation.steps) = (Outcome::Health { about, method_allowed, plugin }, steps);
            return explanation;
        }
        explanation.maintenance = self.snapshot.maintenance(path).map(|problem| {
            format!("{} before routing, until `maintenance.enabled` is false", problem.status().as_u16())
        });
        let host = self.snapshot.host(uri, headers);
        let lookup = Lookup { listener: self.listener.index, host, path, spelling, method, headers };
        let of_server = path == "*";
        let found = if of_server { Found::Nothing } else { self.snapshot.router.find(&lookup) };
        if !spelling.doubts.is_empty()
            && let Some(problem) = self.snapshot.doubted(self.listener, &lookup, &found)
        {
            explanation.outcome = refused(&problem);
            return explanation;
        }
        explanation.steps = self.outer(|_| true);
        let winner = if let Found::Route { index, .. } = &found { Some(*index) } else { None };
        if !of_server {
            explanation.others = self.others(&lookup, &found);
        }
        let route = winner.and_then(|index| self.snapshot.planned(index));
        if let Some(route) = route {
            explanation.steps.extend(route.steps.iter().map(|step| passed(step, &format!("route `{}`", route.name))));
            explanation.steps.extend(access::token_check(route, method, path));
            explanation.without.clone_from(&route.without);
            explanation.forwarding.clone_from(&route.target.forwarding);
            let model = self.snapshot.models.iter().find(|(name, _)| Some(&**name) == route.target.name.as_deref());
            let model = model.filter(|_| route.target.kind == "resource");
            explanation.access = model.map(|(_, model)| access::rules(route, model, method, uri)).unwrap_or_default();
        }
        explanation.limits = self.limits(&explanation.steps, route);
        let answering = explanation.steps.iter().position(|passed| passed.step.answers_preflights);
        let answering = answering.filter(|_| is_preflight(method, headers));
        explanation.outcome = match answering.and_then(|index| explanation.steps.get(index)) {
            Some(passed) => {
                Outcome::Preflight { plugin: passed.step.plugin.clone(), route: route.map(|route| route.name.clone()) }
            }
            None if of_server => Outcome::Server,
            None => self.outcome(&found, route, path),
        };
        if let Some(index) = answering {
            explanation.steps.truncate(index + 1);
        }
        explanation
    }

    /// The head of the request as a client without a proxy would send it. If the question names no host, a placeholder
    /// stands in until the head has been validated.
    fn head(&self) -> Parts {
        let Question { method, uri, headers, .. } = *self.question;
        let (mut head, ()) = http::Request::new(()).into_parts();
        (head.method, head.uri, head.headers) = (method.clone(), uri.clone(), headers.clone());
        if !headers.contains_key(HOST) {
            let host = uri.authority().map_or("localhost", Authority::as_str);
            head.headers.extend(HeaderValue::from_str(host).map(|host| (HOST, host)));
        }
        head
    }

    fn names_no_host(&self) -> bool {
        self.question.uri.authority().is_none() && !self.question.headers.contains_key(HOST)
    }

    fn outcome(&self, found: &Found, route: Option<&PlannedRoute>, path: &str) -> Outcome {
        match (found, route) {
            (Found::Route { index, parameters, .. }, Some(route)) => {
                let names = self.snapshot.routes.get(*index).map(|route| &*route.parameters).unwrap_or_default();
                let values = parameters.iter().map(|range| path.get(range.clone()).unwrap_or_default().to_owned());
                Outcome::Route {
                    name: route.name.clone(),
                    at: route.at.clone(),
                    path: route.path.to_string(),
                    parameters: names.iter().map(ToString::to_string).zip(values).collect(),
                    target: Box::new(route.target.clone()),
                }
            }
            (Found::WrongMethod { allow }, _) => {
                Outcome::MethodNotAllowed { allow: allow.iter().map(ToString::to_string).collect() }
            }
            _ => Outcome::NotFound,
        }
    }

    /// The steps of the listener's chain for which `wanted` holds.
    fn outer(&self, wanted: impl Fn(&PlannedStep) -> bool) -> Vec<Passed> {
        let listener = self.snapshot.plan.listeners.get(self.listener.index);
        let steps = listener.map(|listener| &*listener.steps).unwrap_or_default();
        let because = format!("listener `{}`", self.listener.name);
        steps.iter().filter(|step| wanted(step)).map(|step| passed(step, &because)).collect()
    }

    fn limits(&self, steps: &[Passed], route: Option<&PlannedRoute>) -> Vec<Bounded> {
        let Some(listener) = self.snapshot.plan.listeners.get(self.listener.index) else { return Vec::new() };
        let own: Vec<(String, Limit)> = route.map_or_else(Vec::new, |route| {
            let name = format!("route `{}`", route.name);
            said_by(&route.limits).map(|limit| (name.clone(), limit)).collect()
        });
        // A limit set by the route replaces those around it.
        let stays = |limit: Limit| !own.iter().any(|(_, own)| own.is_like(limit));
        let around = inward(listener, steps.iter().map(|passed| &passed.step), None);
        let around = around.filter(|(_, bound)| stays(bound.limit)).map(|(who, bound)| (who.to_string(), bound.limit));
        let targets = route.map(|route| &route.target).into_iter();
        let of_target = targets.flat_map(|target| target.bounds.iter().map(move |bound| (target, bound.limit)));
        let of_target = of_target.map(|(target, limit)| (Who::Target(target).to_string(), limit));
        let bounds = around.chain(own.iter().cloned()).chain(of_target);
        bounds.map(|(who, limit)| Bounded { who, limit: text::limit(limit) }).collect()
    }

    /// The routes that do not get the request, and why.
    fn others(&self, lookup: &Lookup<'_>, found: &Found) -> Vec<Lost> {
        let winner = if let Found::Route { index, .. } = found { Some(*index) } else { None };
        if winner.is_none() && is_preflight(lookup.method, lookup.headers) {
            return Vec::new();
        }
        let candidates = self.snapshot.router.candidates(lookup);
        let name = |index: usize| self.snapshot.planned(index).map(|route| route.name.clone()).unwrap_or_default();
        let won = winner.map(name);
        let mut others: Vec<Lost> = Vec::new();
        let mut add = |index: usize, because: String| {
            let Some(route) = self.snapshot.planned(index) else { return };
            if Some(&route.name) != won.as_ref() && !others.iter().any(|lost| lost.route == route.name) {
                others.push(Lost { route: route.name.clone(), at: route.at.clone(), because });
            }
        };
        for (index, fit) in &candidates {
            add(*index, self.because(*index, fit, winner));
        }
        // The router does not try routes for other hosts.
        for (index, rule) in self.snapshot.router.routes().iter().enumerate() {
            if !candidates.iter().any(|(known, _)| *known == index) && rule.pattern.takes(lookup.path) {
                let hosts = self.snapshot.planned(index).map(|route| route.hosts.join("` or `")).unwrap_or_default();
                add(index, self.other_host(&hosts));
            }
        }
        if *found == Found::Nothing {
            let rules = self.snapshot.router.routes().iter().enumerate();
            let near = rules.filter_map(|(index, rule)| {
                let miss = near::miss(rule.pattern.template(), rule.pattern.is_prefix(), lookup.path)?;
                rule.listeners.has(lookup.listener).then_some((miss, index))
            });
            let mut near: Vec<_> = near.collect();
            near.sort();
            near.into_iter().take(near::MOST).for_each(|(miss, index)| add(index, miss.because));
        }
        others
    }

    fn other_host(&self, hosts: &str) -> String {
        let none = if self.names_no_host() { ", and the request names none" } else { "" };
        format!("it requires host `{hosts}`{none}")
    }

    fn because(&self, index: usize, fit: &Fit, winner: Option<usize>) -> String {
        let route = self.snapshot.planned(index);
        match fit {
            Fit::OtherListener => {
                let listeners = route.map(|route| route.listeners.join("` and `")).unwrap_or_default();
                format!("it serves only listener `{listeners}`")
            }
            Fit::OtherHeader(name) if self.question.headers.contains_key(name) => {
                format!("it requires another value of header `{name}`")
            }
            Fit::OtherHeader(name) => format!("it requires header `{name}`"),
            Fit::OtherMethod => {
                format!("it accepts only {}", route.map(|route| route.methods.join(", ")).unwrap_or_default())
            }
            Fit::Takes | Fit::TakesPreflight => {
                let winning = winner.and_then(|winner| self.snapshot.router.routes().get(winner));
                let losing = self.snapshot.router.routes().get(index);
                let (Some(winning), Some(losing)) = (winning, losing) else {
                    return "another route takes precedence".to_owned();
                };
                let name = winner.and_then(|winner| self.snapshot.planned(winner)).map(|route| &*route.name);
                let by = if winning.hosts != losing.hosts {
                    "its host is more specific"
                } else if winning.pattern.is_prefix() != losing.pattern.is_prefix() {
                    "an exact path beats a prefix"
                } else if winning.pattern != losing.pattern {
                    "its path is more specific"
                } else if winning.listeners != losing.listeners {
                    "it names its listeners"
                } else if winning.methods != losing.methods {
                    "it names its methods"
                } else {
                    "it requires more headers"
                };
                format!("`{}` takes precedence: {by}", name.unwrap_or_default())
            }
        }
    }
}

fn refused(problem: &Problem) -> Outcome {
    Outcome::Refused { status: problem.status().as_u16(), message: problem.message().to_owned() }
}

fn passed(step: &PlannedStep, of: &str) -> Passed {
    let because = if step.by_default {
        format!("default chain of {of}")
    } else if let Some(chain) = step.path.strip_prefix("chains.").and_then(|rest| rest.split('[').next()) {
        format!("chain `{chain}` of {of}")
    } else {
        format!("plugins of {of}")
    };
    Passed { step: step.clone(), because }
}
