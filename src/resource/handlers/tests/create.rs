//! Rows C1 to C22.

use super::*;
use axum::body::Bytes;

const ANN: &str = r#"{"email":"test@example.com","name":"Test","password":"password123"}"#;

#[tokio::test]
async fn c1_create_answers_201_with_location_and_etag() {
    let api = users().await;
    let answer = api.post(ANN).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let json = answer.json();
    let id = json["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(answer.header("location"), format!("/api/users/{id}"));
    let tag = answer.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.contains('.'), "{tag}");
    assert_eq!(answer.header("content-type"), "application/json");
    let created = json["created_at"].as_str().unwrap();
    let wanted = format!(r#"{{"id":"{id}","email":"test@example.com","name":"Test","created_at":"{created}"}}"#);
    assert_eq!(answer.body, wanted, "these keys in this order, no trailing newline");
    assert_eq!(created.len(), 27);
}

#[tokio::test]
async fn c2_every_failing_field_is_named_in_declared_order() {
    let answer = users().await.post(r#"{"password":"short","email":"invalid","name":""}"#).await;
    assert_eq!(answer.status, 400);
    let wanted = concat!(
        r#"{"error":"validation_error","message":"email: Invalid email format, name: Name must be 1-100 characters, "#,
        r#"password: Password must be at least 8 characters","details":[{"field":"email","code":"format","#,
        r#""message":"Invalid email format"},{"field":"name","code":"min","message":"Name must be 1-100 characters"},"#,
        r#"{"field":"password","code":"min","message":"Password must be at least 8 characters"}]}"#
    );
    assert_eq!(answer.body, wanted);
}

#[tokio::test]
async fn c3_missing_fields_are_required() {
    let answer = users().await.post("{}").await;
    refused(&answer, "email: is required, name: is required, password: is required");
    assert_eq!(answer.code(), "required");
}

#[tokio::test]
async fn c4_characters_are_counted_not_bytes() {
    let api = users().await;
    let of = |name: String| format!(r#"{{"email":"e@x.com","name":"{name}","password":"password123"}}"#);
    refused(&api.post(&of("a".repeat(101))).await, "name: Name must be 1-100 characters");
    assert_eq!(api.post(&of("é".repeat(100))).await.status, 201);
}

#[tokio::test]
async fn c5_a_wrong_type_is_named() {
    let answer = users().await.post(r#"{"email":5,"name":["a"],"password":"password123"}"#).await;
    refused(&answer, "email: must be a string, name: must be a string");
    assert_eq!(answer.code(), "type");
}

#[tokio::test]
async fn c6_null_is_not_a_value_of_a_required_field() {
    let answer = users().await.post(r#"{"email":"a@x.com","name":null,"password":"password123"}"#).await;
    refused(&answer, "name: must not be null");
    assert_eq!(answer.code(), "null");
}

#[tokio::test]
async fn c7_unknown_fields_are_refused_with_a_guess() {
    let api = users().await;
    let with = |key: &str| format!(r#"{{"email":"a@x.com","name":"A","password":"password123","{key}":"x"}}"#);
    let answer = api.post(&with("role")).await;
    refused(&answer, "role: unknown field");
    assert_eq!(answer.code(), "unknown");
    refused(&api.post(&with("nmae")).await, "nmae: unknown field, did you mean \"name\"?");
    refused(&api.post(&with("__proto__")).await, "__proto__: unknown field");
}

#[tokio::test]
async fn c7_unknown_fields_can_be_ignored() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nunknown_fields: ignore")).await;
    let answer = api.post(r#"{"title":"A","role":"admin"}"#).await;
    assert_eq!(answer.status, 201);
    assert!(!answer.body.contains("admin"));
}

#[tokio::test]
async fn c8_what_the_server_sets_is_not_accepted() {
    let api = users().await;
    let with = |key: &str| {
        format!(r#"{{"email":"a@x.com","name":"A","password":"password123","{key}":"2026-11-22T16:23:11Z"}}"#)
    };
    for key in ["id", "created_at"] {
        let answer = api.post(&with(key)).await;
        refused(&answer, &format!("{key}: is set by the server"));
        assert_eq!(answer.code(), "read_only");
    }
}

#[tokio::test]
async fn c9_a_taken_email_is_a_conflict_in_any_case() {
    let api = users().await;
    api.user("test@example.com").await;
    for email in ["test@example.com", "TEST@EXAMPLE.COM"] {
        let answer = api.post(&ANN.replace("test@example.com", email)).await;
        assert_eq!(answer.status, 409);
        let wanted = r#"{"error":"conflict","message":"Email already registered","details":[{"field":"email","code":"unique","message":"Email already registered"}]}"#;
        assert_eq!(answer.body, wanted);
    }
}

#[tokio::test]
async fn c10_of_parallel_creates_one_wins() {
    let yaml = NOTES.replace("max: 200, filter", "max: 200, unique: true, filter");
    let api = serve("notes", &yaml).await;
    let answers = futures_util::future::join_all((0..20).map(|_| api.post(r#"{"title":"one"}"#))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(409)), (1, 19));
    assert_eq!(answers.iter().find(|answer| answer.status == 409).unwrap().message(), "Title is already taken");
}

#[tokio::test]
async fn c11_to_c16_bodies_that_are_no_object_are_refused() {
    let api = users().await;
    refused(&api.post("{").await, "body: invalid JSON at line 1 column 2");
    refused(&api.post("").await, "body: must not be empty");
    refused(&api.post("[]").await, "body: must be a JSON object");
    refused(&api.post(r#"{"name":"a","name":"b"}"#).await, "name: duplicate key");
    let nul = api.post(r#"{"email":"a@x.com","name":"a\u0000b","password":"password123"}"#).await;
    refused(&nul, "name: must not contain NUL");
    refused(&api.post(&format!("{{\"name\":{}", "[".repeat(1000))).await, "body: nested too deeply");
}

#[tokio::test]
async fn c17_other_content_types_are_refused() {
    let api = users().await;
    let bare = api.ask(Method::POST, "").body(Body::from(ANN)).send().await;
    let text = api.ask(Method::POST, "").header("content-type", "text/plain").body(Body::from(ANN)).send().await;
    for answer in [bare, text] {
        assert_eq!(answer.status, 415);
        assert_eq!(answer.header("accept-post"), "application/json");
        assert_eq!(
            answer.body,
            r#"{"error":"unsupported_media_type","message":"Content-Type must be application/json"}"#
        );
    }
}

#[tokio::test]
async fn c18_json_suffixes_and_utf8_are_taken() {
    let api = users().await;
    for (at, value) in ["application/json; charset=utf-8", "application/vnd.x+json"].into_iter().enumerate() {
        let body = Body::from(ANN.replace("test@", &format!("t{at}@")));
        let answer = api.ask(Method::POST, "").header("content-type", value).body(body).send().await;
        assert_eq!(answer.status, 201, "{value}: {}", answer.body);
    }
}

#[tokio::test]
async fn c19_a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let api = users().await;
    let long = format!("{{\"name\":\"{}\"}}", "a".repeat(300_000));
    let announced = api.post(&long).await;
    let frames = long
        .into_bytes()
        .chunks(10_000)
        .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
        .collect::<Vec<_>>();
    let stream = Body::from_stream(futures_util::stream::iter(frames));
    let chunked = api.ask(Method::POST, "").header("content-type", "application/json").body(stream).send().await;
    for answer in [announced, chunked] {
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(answer.body, r#"{"error":"payload_too_large","message":"Request body exceeds 256 KiB"}"#);
    }
}

#[tokio::test]
async fn c19_a_limit_in_front_speaks_for_itself() {
    let failing = futures_util::stream::once(async { Err::<Bytes, _>(gatewright_sdk::body::BodyTooLarge(10)) });
    let ask = users().await;
    let answer = ask
        .ask(Method::POST, "")
        .header("content-type", "application/json")
        .body(Body::from_stream(failing))
        .send()
        .await;
    assert_eq!((answer.status.as_u16(), &*answer.message()), (413, "Request body exceeds 10 B"));
}

#[tokio::test]
async fn c19_a_body_in_pieces_is_put_together() {
    let frames: Vec<_> =
        ANN.as_bytes().chunks(7).map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk))).collect();
    let body = Body::from_stream(futures_util::stream::iter(frames));
    let answer = users().await.ask(Method::POST, "").header("content-type", "application/json").body(body).send().await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn c20_a_password_has_an_end() {
    let body = ANN.replace("password123", &"p".repeat(1025));
    refused(&users().await.post(&body).await, "password: Password must be at most 1024 bytes");
}

#[tokio::test]
async fn c21_a_full_hashing_queue_is_503_with_retry_after() {
    let api = users().await;
    let bodies: Vec<_> = (0..200).map(|n| ANN.replace("test@", &format!("test{n}@"))).collect();
    // They are queued together, long before so many are hashed.
    let answers = futures_util::future::join_all(bodies.iter().map(|body| api.post(body))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len(), "{} of {}", refused.len(), answers.len());
    for answer in refused {
        assert_eq!((answer.status.as_u16(), &*answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.body, r#"{"error":"unavailable","message":"Service temporarily unavailable"}"#);
    }
    assert_eq!(api.post(ANN).await.status, 201, "room again");
}

#[tokio::test]
async fn c22_neither_password_nor_hash_comes_back() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    for target in [format!("/{id}"), String::new(), "?sort=name".to_owned()] {
        let body = api.get(&target).await.body;
        assert!(body.contains("a@x.com") && !body.contains("password") && !body.contains("argon2"), "{body}");
    }
    let kept = api.store.query(
        crate::resource::store::Statement {
            sql: "SELECT password FROM users".into(),
            parameters: vec![],
            deadline: std::time::Duration::from_secs(5),
        },
        |rows| Ok(rows.next()?.unwrap().cell(0).owned()),
    );
    let kept = format!("{:?}", kept.await.unwrap());
    assert!(kept.contains("$argon2id$") && !kept.contains("password123"), "{kept}");
}

#[tokio::test]
async fn errors_never_echo_what_was_sent() {
    let body = r#"{"email":"canary-1","name":{"x":"canary-2"},"password":"can"}"#;
    let answer = users().await.post(body).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("canary"), "{}", answer.body);
}

#[tokio::test]
async fn what_the_server_sets_on_one_create_is_the_same_moment() {
    let fields = "  created_at: { type: datetime, set: on_create }\n  updated_at: { type: datetime, set: on_write }\n";
    let api = serve("notes", &format!("store: main\naccess: {{ default: public }}\nfields:\n{fields}")).await;
    let item = api.post("{}").await.json();
    assert_eq!(item["created_at"], item["updated_at"]);
}
