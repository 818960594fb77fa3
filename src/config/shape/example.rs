//! The shape to write where another kind of value was found: one short example for each type of settings.

use crate::config::schema::ConfigSchema;
use serde_json::Value as Json;

/// An example for each type that is written as a map, by its name in the schema.
const EXAMPLES: &[(&str, &str)] = &[
    ("Reload", "{ debounce: 100ms }"),
    ("Shutdown", "{ drain: 30s }"),
    ("Admin", "{ address: \"127.0.0.1:9901\" }"),
    ("Health", "{ summary: /health }"),
    ("Errors", "{ format: auto }"),
    ("Listener", "{ address: \"127.0.0.1:3000\" }"),
    ("Tls", "{ certificates: [{ cert_file: certs/tls.crt, key_file: certs/tls.key }] }"),
    ("Certificate", "{ cert_file: certs/tls.crt, key_file: certs/tls.key }"),
    ("ClientAuth", "{ mode: required, ca_file: certs/ca.crt }"),
    ("Maintenance", "{ enabled: true }"),
    ("Limits", "{ body_bytes: 2MiB }"),
    ("Paths", "{ allow: [encoded_slash] }"),
    ("Telemetry", "{ service_name: gateway }"),
    ("Traces", "{ otlp: { endpoint: \"http://localhost:4317\" } }"),
    ("Otlp", "{ endpoint: \"http://localhost:4317\" }"),
    ("OtlpTls", "{ ca_file: certs/ca.crt }"),
    ("StoreTls", "{ ca_file: certs/ca.crt }"),
    ("OtlpMetrics", "{ endpoint: \"http://localhost:4317\" }"),
    ("Sampler", "{ parentbased_traceidratio: 0.25 }"),
    ("Metrics", "{ prometheus: { path: /metrics } }"),
    ("Prometheus", "{ path: /metrics }"),
    ("Logs", "{ level: info }"),
    ("AccessLog", "{ sample: 1.0 }"),
    ("Dns", "{ servers: [\"10.0.0.53\"] }"),
    ("StoreSpec", "{ url: \"sqlite://data/gatewright.db\" }"),
    ("PoolSpec", "{ max: 16 }"),
    ("Bulk", "{ create: true }"),
    ("Idempotency", "{ ttl: 24h }"),
    ("Plugin", "{ timeout: { request: 10s } }"),
    ("Step", "{ use: login }"),
    ("RequestValidation", "{ body: { schema_file: schemas/order.json } }"),
    ("BodySchema", "{ schema: { type: object } }"),
    ("Described", "{ file: specs/orders.yaml }"),
    ("Upstream", "{ targets: [{ url: \"http://10.0.1.11:8081\" }] }"),
    ("Target", "{ url: \"http://10.0.1.11:8081\" }"),
    ("LoadBalancing", "{ policy: round_robin }"),
    ("HealthChecks", "{ active: { path: /health } }"),
    ("ActiveCheck", "{ path: /health }"),
    ("GrpcCheck", "{ service: orders.Orders }"),
    ("PassiveCheck", "{ consecutive_failures: 5 }"),
    ("CircuitBreaker", "{ max_requests: 1024 }"),
    ("FailureRatio", "{ over: 50% }"),
    ("UpstreamTls", "{ ca_file: certs/ca.crt }"),
    ("Timeouts", "{ connect: 1s }"),
    ("Resource", "{ store: main, fields: { title: { type: string } }, access: { default: authenticated } }"),
    ("Id", "{ type: uuid }"),
    ("Access", "{ default: authenticated }"),
    ("Condition", "{ role: admin }"),
    ("CountCap", "{ cap: 10000 }"),
    ("UniqueRule", "{ ignore_case: true }"),
    ("SoftDeleteRule", "{ keep: 90d }"),
    ("Pagination", "{ per_page: 20 }"),
    ("Field", "{ type: string }"),
    ("Route", "{ path: /hello, respond: { text: hello } }"),
    ("RouteLimits", "{ body_bytes: 2MiB }"),
    ("Rewrite", "{ strip_prefix: /api }"),
    ("RegexRewrite", "{ pattern: \"^/v1/(.*)$\", to: \"/{1}\" }"),
    ("Share", "{ upstream: app, weight: 1 }"),
    ("Sticky", "{ cookie: share }"),
    ("Mirror", "{ upstream: next }"),
    ("Retry", "{ attempts: 2 }"),
    ("Backoff", "{ base: 25ms }"),
    ("SignIn", "{ resource: users, token: { plugin: login } }"),
    ("OpenApi", "{ title: Shop }"),
    ("Contact", "{ email: api@example.com }"),
    ("AccessToken", "{ plugin: login, ttl: 15m }"),
    ("RefreshToken", "{ ttl: 30d }"),
    ("WrongPasswords", "{ client_and_account: { burst: 5, every: 10m } }"),
    ("WrongPasswordLimit", "{ burst: 5, every: 10m }"),
    ("Respond", "{ text: hello }"),
    ("Redirect", "{ to: /new }"),
    ("AnyOf", "[bearer, partners]"),
    ("ApiKey", "{ keys: { file: api-keys.yaml } }"),
    ("ApiKeySource", "{ file: api-keys.yaml }"),
    ("Authorize", "{ role: admin }"),
    ("Basic", "{ htpasswd_file: htpasswd }"),
    ("BodyLimit", "{ max: 64KiB }"),
    ("ClientCert", "{ subjects: [\"CN=billing,O=Example\"] }"),
    ("Compression", "{ algorithms: [zstd, br, gzip] }"),
    ("ConcurrencyLimit", "{ key: client.ip, max: 10 }"),
    ("ConcurrencyOverride", "{ max: 50 }"),
    ("Cors", "{ allow_origins: [\"https://app.example.com\"] }"),
    ("Csrf", "{ trusted_origins: [\"https://app.example.com\"] }"),
    ("ForwardAuth", "{ url: \"http://auth.internal/verify\" }"),
    ("Headers", "{ response: { set: { x-frame-options: DENY } } }"),
    ("HeaderChanges", "{ set: { x-frame-options: DENY } }"),
    ("IpFilter", "{ allow: [10.0.0.0/8] }"),
    (
        "Jwt",
        "{ issuer: \"https://idp.example.com/\", audiences: [api], algorithms: [ES256], jwks: { url: \"https://idp.example.com/keys\" } }",
    ),
    ("JwtIssuer", "{ issuer: \"https://idp.example.com/\", jwks: { discovery: true } }"),
    ("Jwks", "{ url: \"https://idp.example.com/keys\" }"),
    ("RateLimitOverride", "{ quota: 50000 }"),
    ("RateLimit", "{ key: client.ip, quota: 100, window: 1s }"),
    ("RequestId", "{ header: x-request-id }"),
    ("SecurityHeaders", "{ referrer_policy: no-referrer }"),
    ("Timeout", "{ request: 10s }"),
];

/// The example of the type with this name.
pub(super) fn of_type(name: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, example)| *example)
}

/// The shape of a value, such as `{ to: /new }`. `branches` are the alternatives, each with its name if it has one.
pub(super) fn shape(schema: &ConfigSchema, branches: &[(Option<&str>, &Json)]) -> Option<String> {
    branches.iter().find_map(|(name, branch)| {
        let named = name.and_then(of_type).map(str::to_owned);
        let inner = |key: &str| {
            let inner = branch.get(key).filter(|inner| inner.is_object())?;
            shape(schema, &schema.branches(inner))
        };
        let written = branch.get("examples").and_then(|all| all.get(0)).map(|example| match example.as_str() {
            Some(word) if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => word.to_owned(),
            _ => example.to_string(),
        });
        named.or(written).or_else(|| match branch.get("type").and_then(Json::as_str) {
            Some("array") => inner("items").map(|item| format!("[{item}]")),
            Some("object") => inner("additionalProperties").map(|entry| format!("{{ name: {entry} }}")),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Published;

    #[test]
    fn each_type_that_is_a_map_has_an_example_that_is_valid() {
        let schema = ConfigSchema::new(gatewright_plugins::ALL.iter().copied()).published(Published::Document);
        let definitions = schema["definitions"].as_object().unwrap();
        let compiled = |name: &str| {
            let mut one = schema.clone();
            let one_object = one.as_object_mut().unwrap();
            for key in ["type", "properties", "required", "additionalProperties", "anyOf", "oneOf", "allOf"] {
                one_object.remove(key);
            }
            one_object.insert("$ref".to_owned(), format!("#/definitions/{name}").into());
            jsonschema::validator_for(&one).unwrap()
        };
        for (name, example) in EXAMPLES {
            assert!(definitions.contains_key(*name), "{name} is no longer a type");
            let value: Json = serde_yaml::from_str(example).unwrap();
            assert!(compiled(name).is_valid(&value), "{name}: {example}");
        }
        let settings = definitions.iter().filter(|(_, definition)| {
            definition["type"] == "object"
                && definition["additionalProperties"] == false
                && definition["properties"].is_object()
        });
        for (name, _) in settings {
            assert!(EXAMPLES.iter().any(|(known, _)| known == name), "{name} has no example: add one");
        }
    }
}
