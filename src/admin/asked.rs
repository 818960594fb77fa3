//! Parses the query of a request to explain: `?method=GET&url=/api/users&header=host:%20a.example&listener=web`.

use crate::engine::explain::Question;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::convert::Infallible;
use url::form_urlencoded;

/// The request, or what is wrong with the query.
pub(super) struct AskedRequest(pub(super) Result<Asked, String>);

#[derive(Default)]
pub(super) struct Asked {
    method: Method,
    url: Uri,
    headers: HeaderMap,
    listener: Option<String>,
}

impl Asked {
    pub(super) fn question(&self) -> Question<'_> {
        let Self { method, url: uri, headers, listener } = self;
        Question { listener: listener.as_deref(), method, uri, headers }
    }

    fn read(query: &str) -> Result<Self, String> {
        let (mut asked, mut has_url) = (Self::default(), false);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "method" => asked.method = value.parse().map_err(|_| "method: is not a method".to_owned())?,
                "url" => {
                    (asked.url, has_url) = (value.parse().map_err(|_| "url: is not a URL or path".to_owned())?, true);
                }
                "header" => {
                    let (name, value) = value.split_once(':').ok_or("header: write `name: value`")?;
                    let wrong = |_| "header: is not a header field".to_owned();
                    let name: HeaderName = name.trim().parse().map_err(|_| wrong(()))?;
                    asked.headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong(()))?);
                }
                "listener" => asked.listener = Some(value.into_owned()),
                "format" => {}
                other => {
                    return Err(format!(
                        "{}: is not a parameter: ask with `method`, `url`, `header`, `listener`",
                        other.escape_debug()
                    ));
                }
            }
        }
        if has_url { Ok(asked) } else { Err("url: is required: the URL or path that is asked about".to_owned()) }
    }
}

impl<S: Sync> FromRequestParts<S> for AskedRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Asked::read(parts.uri.query().unwrap_or_default())))
    }
}
