//! The hosts and the path that a route takes.

/// The hosts of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    Any,
    /// Lower case; `*.example.com` covers every name below `example.com`.
    Named(Vec<Box<str>>),
}

impl Hosts {
    pub fn new(hosts: &[String]) -> Self {
        if hosts.is_empty() {
            return Self::Any;
        }
        Self::Named(hosts.iter().map(|host| host.to_ascii_lowercase().into_boxed_str()).collect())
    }

    pub(super) fn keys(&self) -> Vec<Option<Box<str>>> {
        match self {
            Self::Any => vec![None],
            Self::Named(hosts) => hosts.iter().cloned().map(Some).collect(),
        }
    }

    /// A host that both name, at the same specificity.
    pub(super) fn shared(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Named(ours), Self::Named(theirs)) => ours.iter().any(|host| theirs.contains(host)),
            _ => false,
        }
    }
}

/// The path of a route.
#[derive(Debug, Clone)]
pub enum Pattern {
    Whole {
        /// With parameters renamed by position, so that `/a/{id}` and `/a/{name}` are seen to be the same.
        template: String,
        /// The names as written.
        parameters: Vec<std::sync::Arc<str>>,
    },
    Prefix(String),
}

/// Names of parameters do not matter: what counts is which paths are taken.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole { template: ours, .. }, Self::Whole { template: theirs, .. }) => ours == theirs,
            (Self::Prefix(ours), Self::Prefix(theirs)) => ours.trim_end_matches('/') == theirs.trim_end_matches('/'),
            _ => false,
        }
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Whole { template, .. } => template.hash(state),
            Self::Prefix(prefix) => prefix.trim_end_matches('/').hash(state),
        }
    }
}

impl Pattern {
    /// From a template as written: `/orders/{id}`, `/files/{*rest}`. The syntax was checked.
    pub fn whole(written: &str) -> Self {
        let mut parameters = Vec::new();
        let segments: Vec<String> = written
            .split('/')
            .map(|segment| match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                None => segment.to_owned(),
                Some(name) => {
                    let (star, name) = name.strip_prefix('*').map_or(("", name), |rest| ("*", rest));
                    parameters.push(name.into());
                    format!("{{{star}p{}}}", parameters.len())
                }
            })
            .collect();
        Self::Whole { template: segments.join("/"), parameters }
    }

    pub fn prefix(written: &str) -> Self {
        Self::Prefix(written.to_owned())
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> Vec<std::sync::Arc<str>> {
        match self {
            Self::Whole { parameters, .. } => parameters.clone(),
            Self::Prefix(_) => vec!["rest".into()],
        }
    }
}
