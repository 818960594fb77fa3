//! Compiling depends on the document alone: a hundred are compiled from memory at once.

use super::*;
use crate::config::load;
use crate::config::schema::ConfigSchema;
use std::path::Path;
use std::thread;

fn registry() -> Registry {
    Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN)
}

/// Compiles document `number` from files that exist only in memory.
fn compiled(number: usize, registry: &Registry, schema: &ConfigSchema) -> (Option<Compiled>, Diagnostics) {
    let routes: String = (0..=number % 7)
        .map(|route| format!("  r{route}: {{ path: \"/{number}/{route}/{{id}}\", chain: api, respond: {{ body_file: {number}.txt }} }}\n"))
        .collect();
    let yaml = format!(
        "version: 1
listeners: {{ web: {{ address: \"127.0.0.1:{port}\", chain: edge }}, inner: {{ address: \"127.0.0.1:0\" }} }}
stores: {{ main: {{ url: \"sqlite://nowhere/{number}.db\" }} }}
plugins:
  id: {{ request_id: {{}} }}
  limit: {{ rate_limit: {{ key: client.ip, quota: {quota}, window: 1s }} }}
  login: {{ jwt: {{ issuer: i{number}, audiences: [a], algorithms: [ES256], public_key_file: key.pem }} }}
  keys: {{ jwt: {{ issuer: i{number}, audiences: [a], algorithms: [ES256], jwks: {{ file: keys.json }} }} }}
chains: {{ edge: [id, limit], api: [login] }}
upstreams: {{ up: {{ targets: [{{ url: \"http://10.0.0.1:{port}\" }}] }} }}
resources: {{ notes: {{ store: main, access: {{ default: authenticated }}, fields: {{ title: {{ type: string, max: {quota} }} }} }} }}
routes:
  notes: {{ path: /notes, listeners: [web], chain: api, resource: notes }}
  there: {{ path_prefix: /there, plugins: [keys], upstream: up }}
{routes}",
        port = 1000 + number,
        quota = 1 + number,
    );
    let (key, keys) = (
        include_bytes!("../../../plugins/jwt/fixtures/p256.pub.pem"),
        include_bytes!("../../../plugins/jwt/fixtures/jwks.json"),
    );
    let body = format!("body {number}");
    let files: [(&str, &[u8]); 3] =
        [("key.pem", key), ("keys.json", keys), (&format!("{number}.txt"), body.as_bytes())];
    let sources = Sources::in_memory(Path::new("/nowhere/gateway.yaml"), &yaml, &files);
    let loaded = load::judge(sources, Diagnostics::default(), &HashMap::new(), schema);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    compile(Arc::new(loaded.document.unwrap()), &loaded.sources, registry)
}

#[test]
fn a_hundred_documents_are_compiled_from_memory_and_at_once() {
    let registry = registry();
    let schema = ConfigSchema::new(registry.kinds());
    let plan = |number| compiled(number, &registry, &schema).0.expect("no errors").plan;
    let alone: Vec<_> = (0..100).map(plan).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let compile = |first: usize| (first..100).step_by(8).map(|number| (number, plan(number))).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|first| scope.spawn(move || compile(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(together.len(), 100);
    for (number, plan) in together {
        assert_eq!(plan, alone[number], "{number}");
        assert_eq!(alone.iter().filter(|other| **other == plan).count(), 1, "each is a plan of its own");
    }
}

#[test]
fn a_plan_records_what_was_written_and_where() {
    let registry = registry();
    let plan = compiled(3, &registry, &ConfigSchema::new(registry.kinds())).0.unwrap().plan;
    let notes = plan.routes.iter().find(|route| route.name == "notes").unwrap();
    assert_eq!(
        (notes.path.to_string().as_str(), notes.target.to_string().as_str()),
        ("/notes[/{id}]", "resource notes")
    );
    assert_eq!(notes.listeners, ["web"]);
    assert_eq!(notes.steps[0].at.as_ref().unwrap().0.to_string(), "/nowhere/gateway.yaml:9:36");
    assert_eq!(plan.listeners[0].steps[1].kind, "rate_limit");
    assert_eq!(plan.plugins.get("limit").unwrap().settings["max_keys"], 200_000, "a default");
    assert_eq!(plan.files.keys().collect::<Vec<_>>(), ["3.txt", "key.pem", "keys.json"]);
}
