//! Row C22 for logs and traces: statements are seen, values are not.

use super::*;
use parking_lot::Mutex;
use std::io::Write;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn c22_spans_carry_the_text_of_statements_and_no_value() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is one subscriber alone, the first thread to reach a span decides by its own, which is none in the tests
    // that run beside this one, whether the span is ever enabled.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api = users().await;
            let (id, _) = api.user("canary@x.com").await;
            api.get(&format!("/{id}")).await;
            api.get("?filter[email]=canary@x.com").await;
            api.put(&id, r#"{"name":"Canary"}"#).await;
            api.ask(Method::DELETE, &format!("/{id}")).send().await;
        });
    });
    let log = String::from_utf8(written.0.lock().clone()).unwrap();
    for wanted in [
        "create users",
        "INSERT ",
        "SELECT users",
        "UPDATE users",
        "; DELETE FROM",
        "; UPDATE ",
        &format!("db.system.name=\"{}\"", if postgres::server().is_some() { "postgresql" } else { "sqlite" }),
        "db.collection.name=\"users\"",
    ] {
        assert!(log.contains(wanted), "{wanted} in {log}");
    }
    for secret in ["password123", "argon2", "canary", "Canary"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn the_span_and_the_debug_log_name_the_rule_that_allowed_or_denied_a_request() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rules = "access: { list: public, create: authenticated, default: { role: admin } }";
            let api = serve("notes", &NOTES.replace("access: { default: public }", rules)).await;
            api.get("").await;
            let ask = api.ask(Method::POST, "").json(r#"{"title":"a"}"#);
            assert_eq!(ask.with(serde_json::json!({ "sub": "a" })).send().await.status, 201);
            let id = uuid::Uuid::now_v7();
            assert_eq!(api.ask(Method::DELETE, &format!("/{id}")).send().await.status, 401);
        });
    });
    let log = String::from_utf8(written.0.lock().clone()).unwrap();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).map(str::to_owned).collect::<Vec<_>>();
    let applied = lines("access rule applied");
    assert_eq!(applied.len(), 2, "{log}");
    assert!(applied[0].contains("rule=\"access.create\" outcome=\"allowed\""), "{applied:?}");
    assert!(applied[1].contains("rule=\"access.default\" outcome=\"denied\""), "{applied:?}");
    let closed: Vec<_> = lines("gateway.operation").into_iter().filter(|line| line.contains("close")).collect();
    let with = |operation: &str| {
        let wanted = format!("gateway.operation=\"{operation}\"");
        closed.iter().find(|line| line.contains(&wanted)).unwrap()
    };
    assert!(with("create").contains("gateway.rule=\"access.create\""), "{closed:?}");
    assert!(with("delete").contains("gateway.rule=\"access.default\""), "{closed:?}");
    assert!(!with("list").contains("gateway.rule"), "{closed:?}");
}

#[test]
fn rows_are_not_counted_again_while_nothing_is_written() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let kept = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api = super::list::filled(30).await;
            let counts = || String::from_utf8_lossy(&written.0.lock()).matches("SELECT count(*)").count();
            // PostgreSQL knows that nothing was written to the server; other tests write to it too.
            for _ in 0..1000 {
                assert_eq!(api.get("").await.header("x-total-count"), "30");
                let before = counts();
                assert_ne!(before, 0);
                assert_eq!(api.get("").await.header("x-total-count"), "30");
                if counts() == before {
                    return true;
                }
            }
            false
        })
    });
    assert!(kept, "each list counts again");
}
