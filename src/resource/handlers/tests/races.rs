//! Requests for one item at once: each sees the others wholly or not at all, and passwords are hashed last.

use super::described::Described;
use super::*;
use crate::resource::password::Hasher;
use futures_util::future::join_all;

const KEYS: &str = r#"
store: main
id: { type: string }
access: { default: public }
fields: { v: { type: string } }
"#;

async fn keys() -> Api {
    serve("kv", KEYS).await
}

async fn put(api: &Api, header: Option<(&'static str, &str)>, value: usize) -> Answer {
    let ask = api.ask(Method::PUT, "/a").json(&format!(r#"{{"v":"{value}"}}"#));
    match header {
        Some((name, value)) => ask.header(name, value).send().await,
        None => ask.send().await,
    }
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn of_first_puts_at_once_one_creates_and_the_rest_replace() {
    let api = keys().await;
    let answers = join_all((0..8).map(|value| put(&api, None, value))).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 7));
    assert_eq!(api.get("").await.rows().len(), 1);
}

#[tokio::test]
async fn of_guarded_first_puts_at_once_one_creates_and_the_rest_are_412() {
    let api = keys().await;
    let answers = join_all((0..8).map(|value| put(&api, Some(("if-none-match", "*")), value))).await;
    assert_eq!((count(&answers, 201), count(&answers, 412)), (1, 7));
    let winner = answers.iter().find(|answer| answer.status == 201).unwrap();
    assert_eq!(api.get("/a").await.body, winner.body);
}

#[tokio::test]
async fn a_guarded_first_put_is_412_where_a_condition_is_required() {
    let settings = format!("{KEYS}concurrency: required\n");
    let api = serve("kv", &settings).await;
    let first = put(&api, Some(("if-none-match", "*")), 1).await;
    let second = put(&api, Some(("if-none-match", "*")), 2).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 412));
    assert_eq!(put(&api, None, 3).await.status, 428);
}

#[tokio::test]
async fn of_conditional_writes_at_once_one_wins() {
    let api = keys().await;
    let tag = put(&api, None, 100).await.header("etag");
    let writes = (0..8).map(|number| {
        let method = [Method::PUT, Method::PATCH, Method::DELETE][number % 3].clone();
        let ask = api.ask(method.clone(), "/a").header("if-match", &tag);
        if method == Method::DELETE { ask.send() } else { ask.json(&format!(r#"{{"v":"{number}"}}"#)).send() }
    });
    let answers = join_all(writes).await;
    assert_eq!(count(&answers, 200) + count(&answers, 204), 1);
    assert_eq!(count(&answers, 412) + count(&answers, 404), 7);
}

#[tokio::test]
async fn of_deletes_at_once_one_finds_the_item() {
    let api = keys().await;
    put(&api, None, 1).await;
    let answers = join_all((0..8).map(|_| api.ask(Method::DELETE, "/a").send())).await;
    assert_eq!((count(&answers, 204), count(&answers, 404)), (1, 7));
}

const ACCOUNTS: &str = r#"
store: main
id: { type: string }
access:
  default: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] }
fields:
  owner: { type: string, default: $claims.sub, nullable: true }
  email: { type: email, unique: true }
  password: { type: password, required: true }
"#;

const NEW: &str = r#"{"email":"a@x.com","password":"password123"}"#;

async fn ask(api: &Api, who: &str, method: Method, header: Option<(&'static str, &str)>, body: &str) -> Answer {
    let ask = api.ask(method, "/a").json(body).with(serde_json::json!({"sub": who}));
    match header {
        Some((name, value)) => ask.header(name, value).send().await,
        None => ask.send().await,
    }
}

#[tokio::test]
async fn a_password_is_hashed_after_everything_else_was_judged() {
    let (api, busy) = serve_with(ACCOUNTS, Hasher::new(), Hasher::busy()).await;
    assert_eq!(ask(&api, "ann", Method::PUT, None, NEW).await.status, 201);
    let other = api.ask(Method::PUT, "/b").json(r#"{"email":"b@x.com","password":"password123"}"#);
    assert_eq!(other.with(serde_json::json!({"sub": "ann"})).send().await.status, 201);

    // From now on, requests that get as far as hashing get a 503.
    for method in [Method::PUT, Method::PATCH] {
        assert_eq!(ask(&busy, "ann", method.clone(), None, NEW).await.status, 503, "it is hashed at all");
        let stale = Some(("if-match", "\"9.x\""));
        assert_eq!(ask(&busy, "ann", method.clone(), stale, NEW).await.status, 412);
        assert_eq!(ask(&busy, "ann", method.clone(), Some(("if-none-match", "*")), NEW).await.status, 412);
        let given = r#"{"email":"a@x.com","password":"password123","owner":"eve"}"#;
        assert_eq!(ask(&busy, "ann", method.clone(), None, given).await.status, 403);
        let taken = r#"{"email":"b@x.com","password":"password123"}"#;
        assert_eq!(ask(&busy, "ann", method.clone(), None, taken).await.status, 409);
        let absent = busy.ask(method.clone(), "/absent").header("if-match", "*").json(NEW);
        assert_eq!(absent.with(serde_json::json!({"sub": "ann"})).send().await.status, 404);
    }
    assert_eq!(ask(&busy, "eve", Method::PATCH, None, NEW).await.status, 404, "a row of another");
    assert_eq!(ask(&busy, "eve", Method::PUT, None, NEW).await.status, 409, "an id of another");
    let again = busy.ask(Method::POST, "").json(r#"{"id":"a","email":"c@x.com","password":"password123"}"#);
    assert_eq!(again.with(serde_json::json!({"sub": "ann"})).send().await.status, 409);
    let create = busy.ask(Method::PUT, "/c").json(r#"{"email":"c@x.com","password":"password123","owner":"eve"}"#);
    assert_eq!(create.with(serde_json::json!({"sub": "ann"})).send().await.status, 403);
}

#[tokio::test]
async fn conditions_hold_although_a_password_was_hashed_in_between() {
    let api = serve("accounts", ACCOUNTS).await;
    let tag = ask(&api, "ann", Method::PUT, None, NEW).await.header("etag");
    let changes =
        (0..4).map(|_| ask(&api, "ann", Method::PATCH, Some(("if-match", &tag)), r#"{"password":"password456"}"#));
    let answers = join_all(changes).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 3));
    let api = serve("accounts", ACCOUNTS).await;
    let answers = join_all((0..4).map(|_| ask(&api, "ann", Method::PUT, None, NEW))).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 3));
}

/// The same rows behind two services that hash differently.
async fn serve_with(yaml: &str, first: Hasher, second: Hasher) -> (Api, Api) {
    let store = Arc::new(Store::new(&url().await.parse().unwrap()).unwrap());
    let model = Arc::new(compile("accounts", yaml));
    store.prepare(std::slice::from_ref(&model.table)).await.unwrap();
    let statements = Arc::new(Statements::new(&store, "main", &model.table.name));
    let api = |hasher: Hasher| {
        let hasher = Arc::new(hasher);
        let service = super::super::items(&super::super::api(
            Arc::clone(&model),
            Arc::clone(&store),
            hasher,
            Arc::clone(&statements),
            &[],
        ));
        Api {
            service,
            store: Arc::clone(&store),
            path: "/api/accounts".into(),
            fixed: Vec::new(),
            described: Described::of(&model),
        }
    };
    (api(first), api(second))
}
