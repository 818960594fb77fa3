//! Announces that an API will be shut down (RFC 8594), and shuts it down at that time.

use gatewright_sdk::{CheckContext, Compiled, Fault, Filter, Plugin, Problem, Request, Response, Verdict};
use http::header::LINK;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Announces with `Sunset` that an API will be shut down, and responds 410 from that time on.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sunset {
    /// When the API is shut down, such as `2027-06-30T00:00:00Z`.
    at: String,
    /// A page about the shutdown, sent as `Link` with `rel="sunset"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Plugin for Sunset {
    const NAME: &'static str = "sunset";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let at = self.at.parse::<Timestamp>().map_err(|_| {
            let message = format!("`{}` is not a valid time", self.at);
            faults.push(Fault::new("at", message).help("write date, time and time zone: `2027-06-30T00:00:00Z`"));
        });
        let link = self.link.as_deref().map(link).transpose().map_err(|fault| faults.push(fault));
        match (at, link) {
            (Ok(at), Ok(link)) => match HeaderValue::try_from(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
                Ok(date) => Compiled::filter(Announced { at: at.into(), date, link }),
                Err(_) => Fault::new("at", "cannot be written as a header").into(),
            },
            _ => Compiled::default().faults(faults),
        }
    }
}

/// The value of `Link`, or what is wrong with the address.
fn link(address: &str) -> Result<HeaderValue, Fault> {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    match HeaderValue::try_from(format!("<{address}>; rel=\"sunset\"")) {
        Ok(value) if is_web && plain => Ok(value),
        _ => Err(Fault::new("link", format!("`{address}` is not a valid URL")).help("start with `https://`")),
    }
}

/// What each request needs: all of it was computed by `compile`.
struct Announced {
    at: SystemTime,
    date: HeaderValue,
    link: Option<HeaderValue>,
}

impl Filter for Announced {
    type Ticket = ();

    fn decide(&self, _: &Request) -> Verdict<()> {
        if SystemTime::now() < self.at {
            return Verdict::Continue(());
        }
        let mut gone = Problem::new(StatusCode::GONE, "gone", "This API has been shut down").reason("sunset");
        if let Some(link) = &self.link {
            gone = gone.header(LINK, link.clone());
        }
        Verdict::refuse(gone)
    }

    fn response(&self, (): (), response: &mut Response) {
        response.headers_mut().insert(SUNSET, self.date.clone());
        if let Some(link) = &self.link {
            response.headers_mut().append(LINK, link.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sunset;
    use gatewright_sdk::testing::{answers, faults, header, install, request};
    use serde_json::json;

    #[tokio::test]
    async fn before_the_date_it_is_announced() {
        let settings = json!({ "at": "2999-12-31T12:00:00+01:00", "link": "https://example.com/v2" });
        let service = install::<Sunset>(settings, answers(|_| "served"));
        let response = service.call(request("GET", &[])).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "sunset"), "Tue, 31 Dec 2999 11:00:00 GMT");
        assert_eq!(header(&response, "link"), "<https://example.com/v2>; rel=\"sunset\"");
    }

    #[tokio::test]
    async fn after_the_date_the_api_is_gone() {
        let settings = json!({ "at": "2001-01-01T00:00:00Z", "link": "https://example.com/v2" });
        let service = install::<Sunset>(settings, answers(|_| "not reached"));
        let response = service.call(request("GET", &[])).await;
        assert_eq!(response.status(), 410);
        assert_eq!(header(&response, "link"), "<https://example.com/v2>; rel=\"sunset\"");
    }

    #[test]
    fn wrong_settings_are_reported_all_at_once() {
        let found = faults::<Sunset>(json!({ "at": "next summer", "link": "v2" }), false);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`next summer` is not a valid time"), "{found:?}");
        assert!(found[1].contains("`v2` is not a valid URL"), "{found:?}");
        let found = faults::<Sunset>(json!({ "att": "2999-01-01T00:00:00Z" }), false);
        assert!(found.iter().any(|fault| fault.contains("att")), "{found:?}");
    }
}
