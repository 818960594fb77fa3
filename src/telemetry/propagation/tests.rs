//! Untrusted sampling fields are not forwarded, whether we trace or not.

use crate::telemetry::tests::{facts, observer, request, spec};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

#[test]
fn an_untrusted_client_cannot_force_upstreams_to_sample_even_without_tracing() {
    let off = spec(
        serde_json::json!({ "traces": { "otlp": { "endpoint": "http://127.0.0.1:1" }, "sampler": "always_off" } }),
    );
    for spec in [spec(serde_json::json!({})), off] {
        let after = |trusted: bool, parent: &str| {
            let mut request = request("/x", &[("traceparent", parent), ("b3", "1")]);
            assert!(observer(&spec).begin(&mut request, &facts(trusted), None).is_none());
            let field = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (field("traceparent"), field("b3"))
        };
        let sampled = format!("{PARENT}-01");
        assert_eq!(after(true, &sampled), (Some(sampled.clone()), Some("1".to_owned())));
        let (parent, b3) = after(false, &sampled);
        let parent = parent.unwrap();
        assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-00"), "{parent}");
        assert_eq!(b3, None);
        for malformed in [
            "",
            "00-abc-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(after(false, malformed).0, None, "{malformed}");
        }
    }
}
