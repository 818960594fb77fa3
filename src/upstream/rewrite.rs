//! The request target that the upstream sees: path and query, byte for byte, without the stripped prefix.

use crate::config::document::route::Rewrite;
use crate::path;
use http::Uri;
use http::uri::PathAndQuery;

/// A path rewrite, ready to use.
pub(super) struct Stripped(Option<Box<str>>);

impl Stripped {
    pub fn new(rewrite: Option<&Rewrite>) -> Self {
        let prefix = rewrite.map(|rewrite| rewrite.strip_prefix.trim_end_matches('/'));
        Self(prefix.filter(|prefix| !prefix.is_empty()).map(Into::into))
    }

    /// `uri` in origin form (RFC 9112 section 3.2.1). The prefix is compared by whole segments: `/api` is stripped from
    /// `/api` and `/api/x`, not from `/apix`.
    pub fn apply(&self, uri: &Uri) -> Uri {
        let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let rest = self.0.as_deref().and_then(|prefix| {
            let rest = path::strip(uri.path(), prefix)?;
            whole.get(uri.path().len() - rest.len()..)
        });
        let target = match rest {
            Some("") => Some(PathAndQuery::from_static("/")),
            Some(rest) if rest.starts_with('/') => rest.parse().ok(),
            Some(rest) if rest.starts_with('?') => format!("/{rest}").parse().ok(),
            _ => None,
        };
        let target = target.or_else(|| uri.path_and_query().cloned());
        Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_match_whole_segments_and_other_bytes_are_unchanged() {
        let apply = |prefix: &str, uri: &str| {
            let rewrite = Rewrite { strip_prefix: prefix.parse().expect("a prefix") };
            Stripped::new(Some(&rewrite)).apply(&Uri::try_from(uri).expect("a valid target")).to_string()
        };
        assert_eq!(apply("/api", "/api"), "/");
        assert_eq!(apply("/api", "/api?x=1&y=%2F"), "/?x=1&y=%2F");
        assert_eq!(apply("/api", "/api/orders/1?x"), "/orders/1?x");
        assert_eq!(apply("/api", "/api/"), "/");
        assert_eq!(apply("/api", "/apix/1"), "/apix/1");
        assert_eq!(apply("/%61@pi", "/a%40pi/%40x?y"), "/%40x?y");
        assert_eq!(apply("/", "/a/b"), "/a/b");
        assert_eq!(apply("/api", "/api//a%2fb/../c;v=1"), "//a%2fb/../c;v=1");
        assert_eq!(apply("/api", "http://example.com/api/x?q"), "/x?q");
        assert_eq!(apply("/api", "*"), "*");
        assert_eq!(Stripped::new(None).apply(&Uri::from_static("/a?b")).to_string(), "/a?b");
    }
}
