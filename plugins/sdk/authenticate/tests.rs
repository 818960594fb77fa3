//! `AnyOf`: which member decides, and what a rejection asks for.

use super::*;
use crate::testing::{answers, header, request};
use crate::{DynFilter, HttpService};
use std::time::Duration;

/// Reads a word from the header field of its name: `ok` proves an identity, anything else is rejected. `later` waits
/// first.
struct Word {
    field: &'static str,
    challenge: &'static str,
    subject: &'static str,
    accepts: &'static str,
    rejects_strangers: bool,
}

impl Authenticate for Word {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        let Some(word) = request.headers().get(self.field) else { return Verdict::Continue(None) };
        let word = word.to_str().unwrap().to_owned();
        let identity = Arc::new(Identity { subject: self.subject.into(), ..Identity::default() });
        let proof = Proof {
            fields: vec![(HeaderName::from_static("x-by"), HeaderValue::from_static(self.subject))],
            ..identity.into()
        };
        let refused = || Problem::challenge(HeaderValue::from_static("Wrong")).log_reason("wrong");
        if word == "hang" {
            return Verdict::later(Duration::from_secs(1), Problem::unavailable(1), std::future::pending());
        }
        let accepted = word.trim_start_matches("later ") == self.accepts;
        if word.starts_with("later") {
            return Verdict::later(Duration::from_secs(1), Problem::unavailable(1), async move {
                if accepted { ControlFlow::Continue(Some(proof)) } else { ControlFlow::Break(refused().into()) }
            });
        }
        if accepted { Verdict::Continue(Some(proof)) } else { Verdict::refuse(refused()) }
    }

    fn missing(&self) -> Option<Problem> {
        self.rejects_strangers.then(|| Problem::challenge(HeaderValue::from_static(self.challenge)))
    }

    fn reads(&self) -> &str {
        self.field
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(self.challenge))
    }

    fn field(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static(self.field))
    }

    /// Tokens reach upstreams, except those of `second`; keys do not.
    fn forwards(&self) -> bool {
        self.subject == "first"
    }

    fn owns(&self) -> &[HeaderName] {
        static OWNED: [HeaderName; 1] = [HeaderName::from_static("x-by")];
        &OWNED
    }
}

fn service(rejects_strangers: [bool; 3]) -> HttpService {
    let member = |field, challenge, subject, accepts, rejects_strangers| {
        let word = Word { field, challenge, subject, accepts, rejects_strangers };
        (format!("web/{subject}").into(), Arc::new(word) as Arc<dyn Authenticate>)
    };
    let [first, second, third] = rejects_strangers;
    let members = vec![
        member("x-token", "Bearer", "first", "one", first),
        member("x-token", "Bearer", "second", "two", second),
        member("x-key", "Key", "third", "ok", third),
    ];
    let echo = answers(|request| {
        let subject = Facts::of(&request).identity.as_ref().map_or("", |identity| &identity.subject).to_owned();
        let by: Vec<_> = request.headers().get_all("x-by").iter().map(|by| by.to_str().unwrap()).collect();
        let sent = ["x-token", "x-key"].into_iter().filter(|name| request.headers().contains_key(*name));
        format!("{subject} {} {}", by.join(","), sent.collect::<Vec<_>>().join(","))
    });
    Arc::new(Identifies::new(Arc::new(AnyOf::new(&members)))).seat("web/who".into(), echo)
}

/// The status, and the body or the challenges with the place that rejected.
async fn ask(service: &HttpService, headers: &[(&str, &str)]) -> (u16, String) {
    let response = service.call(request("GET", headers)).await;
    let status = response.status().as_u16();
    let place = response.extensions().get::<Refusal>().and_then(|refusal| refusal.plugin.clone());
    let text = match place {
        Some(place) => format!("{} {place}", header(&response, "www-authenticate")),
        None => String::from_utf8(crate::testing::bytes(response).await).unwrap(),
    };
    (status, text)
}

#[tokio::test(start_paused = true)]
async fn the_first_member_that_proves_an_identity_decides() {
    let service = service([true; 3]);
    for (headers, status, text) in [
        (&[("x-token", "one")][..], 200, "first first x-token"),
        (&[("x-token", "two")], 200, "second second "),
        (&[("x-key", "ok")], 200, "third third "),
        (&[("x-token", "later one")], 200, "first first x-token"),
        (&[("x-token", "later two")], 200, "second second "),
        (&[("x-token", "two"), ("x-key", "ok")], 200, "second second "),
        (&[("x-token", "one"), ("x-by", "root")], 200, "first first x-token"),
        // The key of a member that was not asked stays here.
        (&[("x-token", "one"), ("x-key", "ok")], 200, "first first x-token"),
        (&[("x-token", "later one"), ("x-key", "ok")], 200, "first first x-token"),
        // A wrong credential is rejected, whatever else the request has.
        (&[("x-token", "no"), ("x-key", "ok")], 401, "Wrong, Key web/first"),
        (&[("x-token", "later no"), ("x-key", "ok")], 401, "Wrong, Key web/first"),
        (&[("x-key", "no")], 401, "Wrong, Bearer web/third"),
        (&[("x-token", "hang"), ("x-key", "ok")], 503, " web/first"),
        (&[], 401, "Bearer, Key web/who"),
    ] {
        assert_eq!(ask(&service, headers).await, (status, text.to_owned()), "{headers:?}");
    }
}

#[tokio::test]
async fn a_request_without_credentials_continues_only_if_every_member_lets_it() {
    for (rejects, status) in
        [([true; 3], 401), ([false, false, true], 401), ([true, false, false], 401), ([false; 3], 200)]
    {
        let (found, text) = ask(&service(rejects), &[("x-by", "root")]).await;
        assert_eq!(found, status, "{rejects:?} {text}");
        assert!(status == 401 || text == "  ", "no member lets a client set its field: {text}");
    }
}
