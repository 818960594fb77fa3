//! Claims are read as the type of the field they are compared with or set.

use super::*;
use serde_json::json;

/// A resource whose items belong to a subject through a field of the given type.
async fn owned(field: &str) -> Api {
    let yaml = format!(
        "store: main\naccess: {{ default: {{ where: {{ owner: $claims.sub }} }}, create: authenticated }}\nfields:\n  owner: {{ {field}, set: $claims.sub }}\n  name: {{ type: string }}"
    );
    serve("things", &yaml).await
}

async fn ask(api: &Api, claims: Value, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(claims).send().await
}

#[tokio::test]
async fn a_subject_is_read_as_the_type_of_the_field() {
    for (field, sub, stored) in [
        ("type: string", "7", json!("7")),
        ("type: integer", "7", json!(7)),
        ("type: integer", "-7", json!(-7)),
        ("type: number", "7.5", json!(7.5)),
        ("type: decimal, precision: 4, scale: 2", "7", json!("7.00")),
        ("type: boolean", "true", json!(true)),
        ("type: uuid", "0191B3F0-0000-7000-8000-000000000000", json!("0191b3f0-0000-7000-8000-000000000000")),
        ("type: email", "ann@x.com", json!("ann@x.com")),
        ("type: string, lowercase: true, trim: true", " Ann", json!("ann")),
        ("type: enum, values: [ann, eve]", "ann", json!("ann")),
        ("type: date", "2026-02-03", json!("2026-02-03")),
    ] {
        let api = owned(field).await;
        let claims = json!({"sub": sub});
        let made = ask(&api, claims.clone(), Method::POST, "", r#"{"name":"a"}"#).await;
        assert_eq!((made.status.as_u16(), &made.json()["owner"]), (201, &stored), "{field}");
        let item = format!("/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(ask(&api, claims.clone(), Method::GET, &item, "").await.status, 200, "{field}");
        assert_eq!(ask(&api, claims.clone(), Method::GET, "", "").await.rows().len(), 1, "{field}");
        assert_eq!(ask(&api, claims, Method::PATCH, &item, r#"{"name":"b"}"#).await.status, 200, "{field}");
        let other = ask(&api, json!({"sub": "8"}), Method::GET, &item, "").await.status.as_u16();
        assert!([403, 404].contains(&other), "{field}: {other}");
    }
}

#[tokio::test]
async fn a_subject_that_is_no_value_of_the_type_is_a_stranger() {
    for (field, subs) in [
        ("type: integer", &["ann", "", "07", "+7", "7.0", " 7", "99999999999999999999", "0x7"][..]),
        ("type: number", &["ann", "NaN", "inf", ".5", "1e999"]),
        ("type: boolean", &["1", "yes", "True"]),
        ("type: uuid", &["ann", "0191b3f0000070008000000000000000", "{0191b3f0-0000-7000-8000-000000000000}"]),
        ("type: decimal, precision: 4, scale: 2", &["ann", "1e1", "1.234"]),
        ("type: enum, values: [ann]", &["eve"]),
        ("type: string, max: 3", &["anna"]),
    ] {
        let api = owned(field).await;
        for sub in subs {
            let made = ask(&api, json!({"sub": sub}), Method::POST, "", r#"{"name":"a"}"#).await;
            let stranger = sub.is_empty() && made.json()["owner"].is_null();
            assert!(made.status == 403 || stranger, "{field} {sub:?}: {} {}", made.status, made.body);
            let item = "/0191b3f0-0000-7000-8000-000000000000";
            let read = ask(&api, json!({"sub": sub}), Method::GET, item, "").await.status.as_u16();
            assert!([403, 404].contains(&read), "{field} {sub:?}: {read}");
        }
    }
}

#[tokio::test]
async fn a_default_from_a_claim_fits_or_the_request_is_refused() {
    let yaml = "store: main\naccess: { default: authenticated }\nfields: { team: { type: integer, required: true, default: $claims.team } }";
    let api = serve("things", yaml).await;
    let made = ask(&api, json!({"sub": "a", "team": "7"}), Method::POST, "", "{}").await;
    assert_eq!((made.status.as_u16(), &made.json()["team"]), (201, &json!(7)));
    let item = format!("/{}", made.json()["id"].as_str().unwrap());
    for (claims, status) in [(json!({"sub": "a", "team": "x"}), 403), (json!({"sub": "a"}), 400)] {
        assert_eq!(ask(&api, claims.clone(), Method::POST, "", "{}").await.status, status);
        assert_eq!(ask(&api, claims.clone(), Method::PUT, &item, "{}").await.status, status);
        assert_eq!(ask(&api, claims, Method::PUT, &item, r#"{"team":8}"#).await.status, 200, "it is not asked for");
    }
}

#[tokio::test]
async fn a_claim_that_is_a_time_is_set_and_compared_as_the_moment() {
    for (kind, stored) in [
        ("datetime", json!("2023-11-14T22:13:20.500000Z")),
        ("number", json!(1_700_000_000.5)),
        ("decimal, scale: 1", json!("1700000000.5")),
        ("json", json!(1_700_000_000.5)),
    ] {
        let yaml = format!(
            "store: main\naccess: {{ default: authenticated }}\nfields: {{ until: {{ type: {kind}, set: $claims.exp }} }}"
        );
        let api = serve("things", &yaml).await;
        let made = ask(&api, json!({"sub": "a", "exp": 1_700_000_000.5}), Method::POST, "", "{}").await;
        assert_eq!((made.status.as_u16(), &made.json()["until"]), (201, &stored), "{kind}");
    }
    let yaml = "store: main\naccess: { default: public, list: { where: { at: { gt: $claims.iat } } } }\nfields: { at: { type: datetime } }";
    let api = serve("things", yaml).await;
    api.made(r#"{"at":"2023-11-14T22:13:20Z"}"#).await;
    for (iat, rows) in [(json!(1_699_999_999), 1), (json!(1_700_000_000), 0)] {
        assert_eq!(ask(&api, json!({"iat": iat}), Method::GET, "", "").await.rows().len(), rows);
    }
}

#[tokio::test]
async fn the_reason_names_the_claim_and_the_type_that_do_not_fit() {
    for (field, team, reason) in [
        ("type: integer", json!("x"), "claim_not_integer:team"),
        ("type: string", json!(7), "claim_not_string:team"),
        ("type: date", json!(1_700_000_000), "claim_not_date:team"),
        ("type: datetime", json!(1_700_000_000), "claim_not_datetime:team"),
        ("type: boolean", json!("yes"), "claim_not_boolean:team"),
        ("type: string, max: 3", json!("long"), "claim_breaks_max:team"),
        ("type: string, required: true", json!(null), "claim_missing:team"),
    ] {
        let yaml = format!(
            "store: main\naccess: {{ default: authenticated }}\nfields: {{ a: {{ {field}, set: $claims.team }} }}"
        );
        let api = serve("things", &yaml).await;
        let answer = ask(&api, json!({"sub": "a", "team": team}), Method::POST, "", "{}").await;
        assert_eq!((answer.status.as_u16(), &*answer.reason), (403, reason), "{field}");
    }
}

#[tokio::test]
async fn a_subject_is_read_as_an_id() {
    for (kind, sub, strange) in [("integer", "1", "01"), ("string", "ann", "eve")] {
        let yaml = format!(
            "store: main\nid: {{ type: {kind} }}\naccess: {{ default: {{ where: {{ id: $claims.sub }} }}, create: authenticated }}\nfields: {{ name: {{ type: string }} }}"
        );
        let api = serve("people", &yaml).await;
        let body = if kind == "string" { r#"{"id":"ann","name":"a"}"# } else { r#"{"name":"a"}"# };
        assert_eq!(ask(&api, json!({"sub": sub}), Method::POST, "", body).await.status, 201);
        let item = format!("/{sub}");
        assert_eq!(ask(&api, json!({"sub": sub}), Method::GET, &item, "").await.status, 200);
        assert_eq!(ask(&api, json!({"sub": sub}), Method::PATCH, &item, r#"{"name":"b"}"#).await.status, 200);
        let other = ask(&api, json!({"sub": strange}), Method::GET, &item, "").await.status.as_u16();
        assert!([403, 404].contains(&other), "{other}");
        assert_eq!(ask(&api, json!({"sub": sub}), Method::DELETE, &item, "").await.status, 204);
    }
}

#[tokio::test]
async fn a_list_of_claims_is_read_element_by_element() {
    let yaml = "store: main\naccess: { default: public, read: { where: { team: { in: $claims.teams } } } }\nfields: { team: { type: integer } }";
    let api = serve("things", yaml).await;
    let (id, _) = api.made(r#"{"team":7}"#).await;
    let read = async |teams: Value| {
        ask(&api, json!({"teams": teams}), Method::GET, &format!("/{id}"), "").await.status.as_u16()
    };
    for teams in [json!(["7"]), json!([7, 8]), json!(["x", "7"]), json!("7"), json!(7)] {
        assert_eq!(read(teams).await, 200);
    }
    for teams in [json!([]), json!(["x"]), json!([null]), json!([[7]]), json!({"7": 7}), json!(null), json!("x")] {
        let status = read(teams).await;
        assert!([403, 404].contains(&status), "{status}");
    }
}

#[tokio::test]
async fn an_empty_claim_is_no_start_of_everything() {
    let yaml = "store: main\naccess: { default: public, list: { where: { path: { prefix: $claims.root } } } }\nfields: { path: { type: string, trim: true } }";
    let api = serve("things", yaml).await;
    api.made(r#"{"path":"/a/b"}"#).await;
    assert_eq!(ask(&api, json!({"root": "/a"}), Method::GET, "", "").await.rows().len(), 1);
    for root in [json!(""), json!("  "), json!(null), json!(5), json!(["/a"])] {
        assert_eq!(ask(&api, json!({"root": root}), Method::GET, "", "").await.status, 403);
    }
}

#[tokio::test]
async fn a_number_that_a_double_cannot_hold_is_no_decimal() {
    let yaml = "store: main\naccess: { default: authenticated }\nfields:\n  o: { type: decimal, precision: 30, scale: 2, set: $claims.n }\n";
    let api = serve("things", yaml).await;
    for (n, stored) in [("7", Some("7.00")), ("7.5", Some("7.50")), ("9007199254740993", Some("9007199254740993.00"))] {
        let claims = serde_json::from_str(&format!(r#"{{"sub":"a","n":{n}}}"#)).unwrap();
        let made = ask(&api, claims, Method::POST, "", "{}").await;
        assert_eq!(made.json()["o"].as_str(), stored, "{n}");
    }
    for n in ["9007199254740993.01", "1e20", "0.12345678901234567"] {
        let claims = serde_json::from_str(&format!(r#"{{"sub":"a","n":{n}}}"#)).unwrap();
        assert_eq!(ask(&api, claims, Method::POST, "", "{}").await.status, 403, "{n}");
    }
}
