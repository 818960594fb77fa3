//! Redirects that lead to themselves for each request.

use crate::config::document::redirect_to::RedirectPiece;
use crate::config::document::route::{Redirect, Route};
use crate::path::{self, TemplateSegment};

/// Whether clients that follow the redirect of `route` arrive at the same path again, whatever they asked for. Header fields that the route
/// requires may be gone by then, so such routes are not judged, and neither are those that only lead from POST to GET.
pub(super) fn leads_to_itself(redirect: &Redirect, route: &Route) -> bool {
    let keeps_method = matches!(redirect.status, 307 | 308);
    let takes_get = route.methods.is_empty() || route.methods.iter().any(|method| method.as_str() == "GET");
    if !redirect.to.origin.is_empty()
        || redirect.scheme.is_some()
        || !route.headers.is_empty()
        || !(keeps_method || takes_get)
    {
        return false;
    }
    let piece = |piece: &RedirectPiece| match piece {
        RedirectPiece::Text(text) => text.clone(),
        RedirectPiece::Parameter(name) => format!("{{{name}}}"),
    };
    let to: String = redirect.to.path.iter().map(piece).collect();
    match (&route.path, &route.path_prefix) {
        (Some(path), None) => {
            let segment = |segment| match segment {
                TemplateSegment::Text(text) => format!("/{text}"),
                TemplateSegment::Parameter(name) | TemplateSegment::Rest(name) => format!("/{{{name}}}"),
            };
            to == path::segments(path).map(segment).collect::<String>()
        }
        (None, Some(prefix)) => {
            let base = prefix.trim_end_matches('/');
            to == format!("{base}/{{rest}}") || (!base.is_empty() && to == format!("{base}{{rest}}"))
        }
        _ => false,
    }
}
