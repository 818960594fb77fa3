//! The hosts and the path of a route.

use crate::path::{self, TemplateSegment};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// The hosts of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hosts {
    Any,
    /// In the form of [`host_key`]; `*.example.com` covers every name below `example.com`.
    Named(Vec<Box<str>>),
}

impl Hosts {
    pub fn new<H: AsRef<str>>(hosts: &[H]) -> Self {
        if hosts.is_empty() {
            return Self::Any;
        }
        Self::Named(hosts.iter().map(|host| host_key(host.as_ref()).into_boxed_str()).collect())
    }

    pub(super) fn keys(&self) -> Vec<Option<Box<str>>> {
        match self {
            Self::Any => vec![None],
            Self::Named(hosts) => hosts.iter().cloned().map(Some).collect(),
        }
    }

    /// A host that both name with the same specificity.
    pub(super) fn shared(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Named(ours), Self::Named(theirs)) => ours.iter().any(|host| theirs.contains(host)),
            _ => false,
        }
    }

    /// Whether these hosts cover `host`, which is in the form of [`host_key`].
    pub fn cover(&self, host: &str) -> bool {
        let covers = |name: &str| match name.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => name == host,
        };
        match self {
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| covers(name)),
        }
    }

    /// One example for each host.
    pub fn samples(&self, sample: &str) -> Vec<Option<String>> {
        let host = |host: &str| match host.strip_prefix('*') {
            Some(suffix) => format!("{sample}{suffix}"),
            None => host.to_owned(),
        };
        match self {
            Self::Any => vec![None],
            Self::Named(hosts) => hosts.iter().map(|name| Some(host(name))).collect(),
        }
    }
}

/// One spelling for each host: lower case, without the trailing dot, IPv6 addresses in their shortest form.
pub(super) fn host_key(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::parse::<Ipv6Addr>);
    match address {
        Some(Ok(address)) => format!("[{address}]"),
        _ => host.to_ascii_lowercase(),
    }
}

/// The path of a route. Two are equal if they match the same paths: names of parameters and spelling do not matter.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(super) parts: Vec<Part>,
    /// In normal form, with the names of the parameters.
    template: Box<str>,
    parameters: Vec<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// A literal segment, as [`path::name`] decodes it.
    Text(Box<[u8]>),
    /// `{name}`: any non-empty segment.
    Parameter,
    /// `{*name}`: the rest of the path, at least one byte.
    Rest,
    /// The end of a prefix: nothing more, or anything below.
    Below,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

impl Pattern {
    /// Parses a template in normal form: `/orders/{id}`, `/files/{*rest}`. Its syntax has been checked.
    pub fn whole(template: &str) -> Self {
        let template: Box<str> = template.into();
        let mut parameters: Vec<Arc<str>> = Vec::new();
        let part = |segment| match segment {
            TemplateSegment::Text(segment) => text(segment),
            TemplateSegment::Parameter(name) => {
                parameters.push(name.into());
                Part::Parameter
            }
            TemplateSegment::Rest(name) => {
                parameters.push(name.into());
                Part::Rest
            }
        };
        let parts = path::segments(&template).map(part).collect();
        Self { parts, template, parameters }
    }

    /// A prefix, from a path in normal form.
    pub fn prefix(prefix: &str) -> Self {
        let base = prefix.trim_end_matches('/');
        let parts = base.split('/').skip(1).map(text).chain([Part::Below]).collect();
        Self { parts, template: format!("{base}/{{*rest}}").into(), parameters: vec!["rest".into()] }
    }

    /// The value of `http.route`.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> &[Arc<str>] {
        &self.parameters
    }

    /// A path that matches, with `sample` for each parameter.
    pub fn sample(&self, sample: &str) -> String {
        let segment = |segment| if str::starts_with(segment, '{') { sample } else { segment };
        self.template.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// A path that matches, with the segments of `path` for its parameters, or `sample` where there is none. `None` if
    /// that equals [`Pattern::sample`].
    pub fn filled(&self, path: &str, sample: &str) -> Option<String> {
        let (mut given, mut filled, mut says_more) = (path.split('/'), Vec::new(), false);
        for segment in self.template.split('/') {
            let here = given.next().filter(|segment| !segment.is_empty()).unwrap_or(sample);
            if !segment.starts_with('{') {
                filled.push(segment);
                continue;
            }
            let begin = filled.len();
            filled.push(here);
            if segment.starts_with("{*") {
                filled.extend(given.by_ref());
            }
            says_more |= filled.iter().skip(begin).any(|segment| *segment != sample);
        }
        says_more.then(|| filled.join("/"))
    }

    /// Whether it matches `path`, which is in normal form.
    pub fn takes(&self, path: &str) -> bool {
        self.values(path).is_some()
    }

    /// The values of its parameters in `path`, if it matches.
    pub fn values<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let (mut remaining, mut values) = (path.strip_prefix('/'), Vec::new());
        for part in &self.parts {
            match (part, remaining.map(path::split)) {
                (Part::Below, _) => {
                    values.push(remaining.unwrap_or_default());
                    return Some(values);
                }
                (Part::Rest, _) => {
                    values.push(remaining.filter(|rest| !rest.is_empty())?);
                    return Some(values);
                }
                (Part::Text(text), Some((segment, after))) if *path::name(segment) == **text => remaining = after,
                (Part::Parameter, Some((segment, after))) if !segment.is_empty() => {
                    values.push(segment);
                    remaining = after;
                }
                _ => return None,
            }
        }
        remaining.is_none().then_some(values)
    }

    /// The path with these `values` of its parameters.
    pub fn with(&self, values: &[String]) -> String {
        let mut values = values.iter();
        let mut segment = |segment| {
            let mut value = || values.next().map_or("", String::as_str);
            if str::starts_with(segment, '{') { value() } else { segment }
        };
        self.template.split('/').map(&mut segment).collect::<Vec<_>>().join("/")
    }

    /// Whether it matches a path and everything below it.
    pub fn is_prefix(&self) -> bool {
        self.parts.last() == Some(&Part::Below)
    }

    /// Whether it matches everything below a path, but not that path.
    pub fn takes_rest(&self) -> bool {
        self.parts.last() == Some(&Part::Rest)
    }

    /// Paths that it does not match and that many servers treat as equal to one that it does: with a trailing slash
    /// added or removed. For a pattern that matches everything below a path, that path.
    pub fn beside(&self) -> Vec<Self> {
        let template = match self.template.rsplit_once('/') {
            _ if self.is_prefix() => return Vec::new(),
            Some((base, _)) if self.takes_rest() => base,
            _ => self.template.trim_end_matches('/'),
        };
        let beside = [template.to_owned(), format!("{template}/")].into_iter().filter(|path| !path.is_empty());
        beside.map(|path| Self::whole(&path)).filter(|path| path != self).collect()
    }
}

fn text(segment: &str) -> Part {
    Part::Text(path::name(segment).into())
}
