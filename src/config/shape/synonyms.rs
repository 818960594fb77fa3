//! The words of other programs for the keys of this format.

/// Each key with other words for it.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("address", &["port", "host", "ip", "bind", "listen", "addr"]),
    ("targets", &["url", "urls", "uri", "server", "servers", "host", "hosts", "backends", "nodes", "endpoints"]),
    ("url", &["uri", "address", "path", "file", "dsn", "connection"]),
    ("endpoint", &["url", "uri", "address", "host"]),
    ("upstream", &["target", "to", "proxy", "proxy_pass", "backend", "forward"]),
    ("to", &["url", "uri", "location", "target"]),
    ("text", &["body", "content", "message"]),
    ("use", &["name", "plugin"]),
    ("rewrite", &["strip_path", "strip_prefix", "add_prefix", "rewrite_target", "prefix_rewrite"]),
    ("path", &["pattern", "uri", "match"]),
    ("plugins", &["middleware", "middlewares", "filters", "policies"]),
    ("store", &["database", "db"]),
    ("fields", &["columns", "properties", "schema"]),
    ("access", &["rules", "permissions"]),
    ("audiences", &["aud"]),
    ("issuer", &["iss"]),
    ("jwks", &["keys", "key", "jwks_url", "jwks_uri"]),
    ("quota", &["rate", "limit", "max", "requests"]),
    ("attempts", &["tries", "retries", "num_retries", "count", "max"]),
    ("retry_on", &["on", "conditions", "statuses", "codes", "status_codes"]),
    ("policy", &["type", "algorithm", "strategy", "lb_policy"]),
    ("interval", &["every", "period"]),
    ("consecutive_failures", &["consecutive_5xx", "max_fails", "failures"]),
    ("max_requests", &["requests", "max_concurrent_requests"]),
    ("window", &["per", "period", "interval"]),
];

/// The known key for which `word` is another word.
pub(super) fn synonym<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (key, _) = SYNONYMS.iter().find(|(key, words)| known.contains(key) && words.contains(&word))?;
    known.iter().copied().find(|known| known == key)
}
