//! How the path of a request is rewritten for an upstream, and how paths in its responses are rewritten back.

use super::document::redirect_to::RedirectPiece;
use super::document::route::{Rewrite, Route};
use super::location::Template;
use crate::path;
use gatewright_sdk::{Code, Fault};
use regex::{Captures, Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::Arc;

/// The maximum size of a compiled regular expression, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// A rewrite, ready to use.
#[derive(Debug, Default)]
pub enum Rewriting {
    #[default]
    Nothing,
    /// In whole segments, without a slash at the end.
    Prefix { strip: Box<str>, add: Box<str> },
    /// The whole path, from the parameters of the route.
    Replace(Template),
    Regex {
        pattern: Box<Regex>,
        to: Template,
        /// The group of each parameter of `to`.
        groups: Box<[usize]>,
    },
}

impl Rewriting {
    /// The `rewrite` of `route`.
    ///
    /// # Errors
    /// The first fault, with a path relative to `rewrite`.
    pub fn new(rewrite: &Rewrite, route: &Route) -> Result<Self, Fault> {
        let prefixed = rewrite.strip_prefix.is_some() || rewrite.add_prefix.is_some();
        let given = [
            (if rewrite.strip_prefix.is_some() { "strip_prefix" } else { "add_prefix" }, prefixed),
            ("replace", rewrite.replace.is_some()),
            ("regex", rewrite.regex.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
        if let [first, second, ..] = given.as_slice() {
            let message = format!("`{first}` and `{second}` cannot be combined");
            return Err(Fault::new(*second, message).code(Code::REWRITE).help("keep one of them"));
        }
        if let Some(replace) = &rewrite.replace {
            let template = Template::of_route(replace.pieces(), route);
            return template.map(Self::Replace).map_err(|fault| Fault { path: "replace".to_owned(), ..fault });
        }
        if let Some(regex) = &rewrite.regex {
            return Self::regex(&regex.pattern, regex.to.pieces());
        }
        let trimmed = |prefix: Option<&str>| Box::<str>::from(prefix.unwrap_or_default().trim_end_matches('/'));
        let (strip, add) = (trimmed(rewrite.strip_prefix.as_deref()), trimmed(rewrite.add_prefix.as_deref()));
        Ok(if strip.is_empty() && add.is_empty() { Self::Nothing } else { Self::Prefix { strip, add } })
    }

    fn regex(pattern: &str, to: &[RedirectPiece]) -> Result<Self, Fault> {
        let whole = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_SIZE).build();
        let invalid = |error: regex::Error| {
            let message = format!("`pattern` is not a valid regular expression: {}", reason(&error));
            let help = "use the syntax of Rust's regex crate: https://docs.rs/regex/latest/regex/#syntax";
            Fault::new("regex.pattern", message).code(Code::REWRITE).help(help)
        };
        let pattern = Box::new(whole.map_err(invalid)?);
        let numbered = (1..pattern.captures_len()).map(|group| (group.to_string(), group));
        let named = pattern.capture_names().enumerate().filter_map(|(group, name)| Some((name?.to_owned(), group)));
        let known: Vec<(String, usize)> = numbered.chain(named).collect();
        let parameters: Vec<_> = known.iter().map(|(name, _)| (&**name, false)).collect();
        let to = Template::new(to, &parameters).map_err(|fault| Fault {
            path: "regex.to".to_owned(),
            help: match known.as_slice() {
                [] => Some("add a group to `pattern`, such as `(.*)`".to_owned()),
                _ => fault.help,
            },
            ..fault
        })?;
        Ok(Self::Regex { groups: known.iter().map(|(_, group)| *group).collect(), pattern, to })
    }

    /// The path for the upstream, if it is changed. `parameter` returns the parameters of the route. Parts of the path
    /// are compared by whole segments: `/api` is stripped from `/api` and `/api/x`, not from `/apix`.
    ///
    /// # Errors
    /// The new path is invalid, because of what a group of the regular expression matched.
    pub fn apply<'a>(&self, path: &'a str, parameter: impl Fn(usize) -> &'a str) -> Result<Option<String>, Invalid> {
        let Some(made) = self.made(path, parameter) else { return Ok(None) };
        // A valid path remains valid when its prefix changes.
        if matches!(self, Self::Prefix { .. }) || path::read(&made).is_ok() { Ok(Some(made)) } else { Err(Invalid) }
    }

    /// The path for the upstream, if it is changed. It may be invalid.
    pub fn made<'a>(&self, path: &'a str, parameter: impl Fn(usize) -> &'a str) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Prefix { strip, add } => prefixed(path, strip, add),
            Self::Replace(template) => Some(template.render(path, parameter)),
            Self::Regex { pattern, to, groups } => {
                let found = pattern.captures(path)?;
                let group = |found: &Captures<'a>, index: usize| Some(found.get(*groups.get(index)?)?.as_str());
                Some(to.render(path, |index| group(&found, index).unwrap_or_default()))
            }
        }
    }

    /// The path by which a client reaches `path` of the upstream, if it is another one and known.
    pub fn restore(&self, path: &str) -> Option<String> {
        let Self::Prefix { strip, add } = self else { return None };
        if add.is_empty() && path::strip(path, strip).is_some() {
            return None;
        }
        let rest = if add.is_empty() { path } else { path::strip(path, add)? };
        let restored = format!("{strip}{rest}");
        (!restored.is_empty()).then_some(restored)
    }
}

impl gatewright_sdk::Rewrite for Rewriting {
    fn rewritten<'a>(&self, path: &'a str, parameters: &[(Arc<str>, Box<str>)]) -> Option<Cow<'a, str>> {
        let made = {
            let parameter = |index: usize| parameters.get(index).map_or("", |(_, value)| &**value);
            self.apply(path, parameter).ok()?
        };
        Some(made.map_or(Cow::Borrowed(path), Cow::Owned))
    }

    fn strips(&self, path: &str) -> bool {
        matches!(self, Self::Prefix { strip, .. } if !strip.is_empty() && path::strip(path, strip).is_some())
    }
}

/// A rewritten path that is not valid.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

fn prefixed(path: &str, strip: &str, add: &str) -> Option<String> {
    let rest = if strip.is_empty() { Some(path) } else { path::strip(path, strip) };
    match rest {
        Some("") => Some(if add.is_empty() { "/" } else { add }.to_owned()),
        Some(rest) if rest.starts_with('/') => Some(format!("{add}{rest}")),
        _ => None,
    }
}

/// The last line of the message, without the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rewriting(rewrite: serde_json::Value, path: &str) -> Result<Rewriting, Fault> {
        let key = if path.contains('{') { "path" } else { "path_prefix" };
        let route: Route = serde_json::from_value(json!({ key: path, "rewrite": rewrite })).unwrap();
        Rewriting::new(route.rewrite.as_ref().unwrap(), &route)
    }

    fn applied(rewrite: serde_json::Value, prefix: &str, path: &str) -> Option<String> {
        let rest = path::strip(path, prefix.trim_end_matches('/')).unwrap_or_default().trim_start_matches('/');
        rewriting(rewrite, prefix).unwrap().apply(path, |_| rest).unwrap()
    }

    #[test]
    fn prefixes_are_removed_and_added_in_whole_segments() {
        let (strip, both) = (json!({ "strip_prefix": "/api" }), json!({ "strip_prefix": "/api", "add_prefix": "/v2" }));
        for (path, stripped, swapped) in [
            ("/api", Some("/"), Some("/v2")),
            ("/api/", Some("/"), Some("/v2/")),
            ("/api/a%20b", Some("/a%20b"), Some("/v2/a%20b")),
            ("/api//a%2fb/;v=1", Some("//a%2fb/;v=1"), Some("/v2//a%2fb/;v=1")),
            ("/apix", None, None),
            ("*", None, None),
        ] {
            assert_eq!(applied(strip.clone(), "/", path).as_deref(), stripped, "{path}");
            assert_eq!(applied(both.clone(), "/", path).as_deref(), swapped, "{path}");
        }
        assert_eq!(applied(json!({ "add_prefix": "/v2" }), "/", "/a").as_deref(), Some("/v2/a"));
        assert_eq!(applied(json!({ "add_prefix": "/v2" }), "/", "/").as_deref(), Some("/v2/"));
        assert_eq!(applied(json!({ "strip_prefix": "/" }), "/", "/a/b"), None);
        assert_eq!(applied(json!({ "strip_prefix": "/%61@pi" }), "/", "/a%40pi/%40x").as_deref(), Some("/%40x"));
    }

    #[test]
    fn a_template_cannot_leave_the_path() {
        let replace = json!({ "replace": "/x/{rest}" });
        assert_eq!(applied(replace.clone(), "/api", "/api/a/b%3Fc").as_deref(), Some("/x/a/b%3Fc"));
        assert_eq!(applied(replace, "/api", "/api").as_deref(), Some("/x/"));
        let regex = json!({ "regex": { "pattern": "/u([0-9]+)(?<rest>/.*)?", "to": "/users/{1}{rest}" } });
        assert_eq!(applied(regex.clone(), "/", "/u7/a").as_deref(), Some("/users/7/a"));
        assert_eq!(applied(regex.clone(), "/", "/u7").as_deref(), Some("/users/7"));
        assert_eq!(applied(regex, "/", "/x/u7"), None, "the pattern matches whole paths");
        let joined = json!({ "regex": { "pattern": "/(.*)a(.*)", "to": "/{1}{2}" } });
        let joined = rewriting(joined, "/").unwrap();
        for path in ["/.a.", "/%2a/", "/%2ae", "/x/.a./y"] {
            assert_eq!(joined.apply(path, |_| ""), Err(Invalid), "{path}");
        }
    }

    #[test]
    fn a_path_in_a_response_is_rewritten_back() {
        let restored = |rewrite: serde_json::Value, path: &str| rewriting(rewrite, "/api").unwrap().restore(path);
        let strip = || json!({ "strip_prefix": "/api" });
        assert_eq!(restored(strip(), "/orders/1").as_deref(), Some("/api/orders/1"));
        assert_eq!(restored(strip(), "/").as_deref(), Some("/api/"));
        assert_eq!(restored(strip(), "/api/orders"), None, "the upstream has done it");
        let both = || json!({ "strip_prefix": "/api", "add_prefix": "/v2" });
        assert_eq!(restored(both(), "/v2/orders").as_deref(), Some("/api/orders"));
        assert_eq!(restored(both(), "/other"), None, "no client reaches it");
        assert_eq!(restored(json!({ "add_prefix": "/v2" }), "/v2/a").as_deref(), Some("/a"));
        assert_eq!(restored(json!({ "replace": "/x" }), "/x"), None);
    }

    #[test]
    fn faults_name_their_key() {
        for (rewrite, path, text) in [
            (json!({ "strip_prefix": "/api", "replace": "/x" }), "replace", "cannot be combined"),
            (json!({ "replace": "/{id}" }), "replace", "unknown placeholder `{id}`"),
            (json!({ "regex": { "pattern": "(", "to": "/" } }), "regex.pattern", "not a valid regular expression"),
            (json!({ "regex": { "pattern": "/a", "to": "/{1}" } }), "regex.to", "unknown placeholder `{1}`"),
        ] {
            let fault = rewriting(rewrite, "/api").unwrap_err();
            assert!(fault.path == path && fault.message.contains(text) && fault.help.is_some(), "{fault}");
        }
    }
}
