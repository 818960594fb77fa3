//! Rows L1 to L9 and L14 to L22.

use super::*;

/// Notes `n00`, `n01`, … with their number as rank.
pub async fn filled(count: usize) -> Api {
    let api = notes().await;
    for at in 0..count {
        api.made(&format!(r#"{{"title":"n{at:02}","rank":{at}}}"#)).await;
    }
    api
}

fn titles(answer: &Answer) -> Vec<String> {
    answer.rows().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn l1_the_first_page_links_to_the_next_by_cursor() {
    let api = filled(45).await;
    let answer = api.get("").await;
    assert_eq!(answer.rows().len(), 20);
    assert_eq!(answer.header("x-total-count"), "45");
    assert_eq!(answer.rels(), ["next", "first"]);
    let next = answer.link("next").unwrap();
    assert!(next.starts_with("?per_page=20&cursor="), "{next}");
    assert!(answer.header("link").starts_with("</api/notes?per_page=20&cursor="));
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let second = api.get(&next).await;
    assert_eq!(titles(&second)[0], "n20", "ids of version 7 keep the order of creation");
    assert_eq!(second.header("x-total-count"), "45");
}

#[tokio::test]
async fn l2_l3_l4_pages_by_number() {
    let api = filled(45).await;
    let second = api.get("?page=2&per_page=20").await;
    assert_eq!((titles(&second)[0].as_str(), second.rows().len()), ("n20", 20));
    assert_eq!(second.rels(), ["first", "prev", "next", "last"]);
    assert_eq!(second.link("next").as_deref(), Some("?page=3&per_page=20"));
    let third = api.get("?page=3").await;
    assert_eq!((third.rows().len(), third.link("next")), (5, None));
    let beyond = api.get("?page=40").await;
    assert_eq!(beyond.body, "[]");
    assert_eq!(beyond.link("prev").as_deref(), Some("?page=3&per_page=20"));
    assert_eq!(beyond.link("last").as_deref(), Some("?page=3&per_page=20"));
}

#[tokio::test]
async fn l5_an_empty_table_is_an_empty_list() {
    let answer = notes().await.get("").await;
    assert_eq!((&*answer.body, &*answer.header("x-total-count")), ("[]", "0"));
    assert_eq!(answer.rels(), ["first"]);
}

#[tokio::test]
async fn l6_l7_pages_are_integers_of_at_least_one() {
    let api = notes().await;
    for name in ["page", "per_page"] {
        for value in ["0", "-1", "abc", "1.5", "", "1e3", "-9223372036854775808", "%2B1", "%201"] {
            let answer = api.get(&format!("?{name}={value}")).await;
            refused(&answer, &format!("{name}: must be an integer of at least 1"));
        }
    }
}

#[tokio::test]
async fn l8_per_page_is_clamped() {
    let api = filled(3).await;
    let answer = api.get("?page=1&per_page=1000").await;
    assert_eq!(answer.link("last").as_deref(), Some("?page=1&per_page=100"));
    for large in ["4294967296", "8589934593", "99999999999999999999"] {
        let answer = api.get(&format!("?page=1&per_page={large}")).await;
        assert_eq!(answer.link("last").as_deref(), Some("?page=1&per_page=100"), "{large}");
        refused(&api.get(&format!("?page={large}")).await, "page: must be an integer of at least 1");
    }
}

#[tokio::test]
async fn l9_a_parameter_is_given_once() {
    refused(&notes().await.get("?page=1&page=2").await, "page: given more than once");
    refused(&notes().await.get("?filter[rank]=1&filter%5Brank%5D=2").await, "filter[rank]: given more than once");
}

#[tokio::test]
async fn l14_only_sortable_fields_sort() {
    let api = users().await;
    for (email, name) in [("a@x.com", "B"), ("b@x.com", "A")] {
        api.post(&format!(r#"{{"email":"{email}","name":"{name}","password":"password123"}}"#)).await;
    }
    let answer = api.get("?sort=-name,created_at").await;
    assert_eq!(answer.rows()[0]["name"], "B");
    refused(&api.get("?sort=password").await, "sort: \"password\" is not sortable");
    refused(&api.get("?sort=email").await, "sort: \"email\" is not sortable");
    refused(&api.get("?sort=name,name").await, "sort: \"name\" appears more than once");
    assert_eq!(api.get("?sort=").await.status, 400);
}

#[tokio::test]
async fn l15_equality_follows_the_unique_index() {
    let api = users().await;
    api.user("a@x.com").await;
    assert_eq!(api.get("?filter[email]=A@X.com").await.rows().len(), 1);
    assert_eq!(api.get("?filter[email][in]=b@x.com,A@x.com").await.rows().len(), 1);
    assert_eq!(api.get("?filter[email]=b@x.com").await.rows().len(), 0);
}

#[tokio::test]
async fn l16_operators_and_fields_are_checked() {
    let api = users().await;
    refused(&api.get("?filter[email][contains]=x").await, "filter[email]: operator \"contains\" is not allowed");
    refused(&api.get("?filter[name][regex]=.*").await, "filter[name]: operator \"regex\" is not allowed");
    refused(&api.get("?filter[password]=x").await, "filter[password]: unknown field");
    refused(&api.get("?filter[nope]=x").await, "filter[nope]: unknown field");
    refused(&api.get("?filter[created_at][gte]=yesterday").await, "filter[created_at]: must be an RFC 3339 date-time");
    refused(&api.get("?filter[]=x").await, "filter[]: unknown field");
    for bad in ["?filter=x", "?a[b][c]=1", "?__proto__[x]=1", "?page=1;per_page=2", "?a=%", "?order=desc,(select%201)"]
    {
        assert_eq!(api.get(bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn l17_a_prefix_knows_no_wildcards() {
    let api = notes().await;
    for title in ["50%_off", "50x off", "51%"] {
        api.made(&format!(r#"{{"title":"{title}"}}"#)).await;
    }
    assert_eq!(titles(&api.get("?filter[title][prefix]=50%25_").await), ["50%_off"]);
    assert_eq!(titles(&api.get("?filter[title][contains]=%25").await), ["50%_off", "51%"]);
    assert_eq!(titles(&api.get("?filter[title]=50x+off").await), ["50x off"]);
    assert_eq!(api.get("?filter[title][prefix]=").await.rows().len(), 3);
}

#[tokio::test]
async fn l18_filters_are_bounded() {
    let api = notes().await;
    let many = vec!["1"; 101].join(",");
    refused(&api.get(&format!("?filter[rank][in]={many}")).await, "filter[rank]: more than 100 values");
    let long = "a".repeat(1025);
    refused(&api.get(&format!("?filter[title]={long}")).await, "filter[title]: must be at most 1024 bytes");
    let many: Vec<_> = (0..17).map(|at| format!("filter[f{at}]=1")).collect();
    refused(&api.get(&format!("?{}", many.join("&"))).await, "filter: more than 16 filters");
}

#[tokio::test]
async fn every_operator_does_what_it_says() {
    let api = filled(6).await;
    api.made(r#"{"title":"none"}"#).await;
    for (query, wanted) in [
        ("filter[rank]=3", vec!["n03"]),
        ("filter[rank][lt]=2", vec!["n00", "n01"]),
        ("filter[rank][lte]=1", vec!["n00", "n01"]),
        ("filter[rank][gt]=4", vec!["n05"]),
        ("filter[rank][gte]=4&filter[title][ne]=n04", vec!["n05"]),
        ("filter[rank][in]=5,1", vec!["n01", "n05"]),
        ("filter[rank][null]=true", vec!["none"]),
        ("filter[rank][null]=false&filter[title][prefix]=n0&page=2&per_page=4", vec!["n04", "n05"]),
    ] {
        assert_eq!(titles(&api.get(&format!("?{query}")).await), wanted, "{query}");
    }
}

#[tokio::test]
async fn l19_counting_can_be_chosen() {
    let api = filled(3).await;
    assert_eq!(api.get("?count=exact&per_page=1").await.header("x-total-count"), "3");
    let none = api.get("?count=none&per_page=1&page=1").await;
    assert_eq!((none.header("x-total-count"), none.link("last")), (String::new(), None));
    assert_eq!(api.get("?count=all").await.status, 400);
}

#[tokio::test]
async fn l20_a_capped_count_says_so() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\ncount: { cap: 3 }")).await;
    for at in 0..5 {
        api.made(&format!(r#"{{"title":"n{at}"}}"#)).await;
    }
    let answer = api.get("?page=1&per_page=2").await;
    assert_eq!(
        (answer.header("x-total-count"), answer.header("x-total-count-exceeds")),
        ("3".to_owned(), "3".to_owned())
    );
    assert_eq!(answer.link("last"), None);
    assert_eq!(api.get("?page=1&per_page=2&count=exact").await.header("x-total-count"), "5");
    assert_eq!(api.get("?filter[title][lt]=n3&page=1&per_page=2").await.status, 400);
    let exact = api.get("?filter[title][prefix]=n4&page=1").await;
    assert_eq!((exact.header("x-total-count"), exact.header("x-total-count-exceeds")), ("1".to_owned(), String::new()));
}

#[tokio::test]
async fn a_rejected_parameter_comes_with_what_to_send_instead() {
    let api = serve("notes", &NOTES.replace("body: { type: text }", "done: { type: boolean, filter: [eq] }")).await;
    let (list, filters) = (
        "known parameters: page, per_page, cursor, sort, fields, count, filter[FIELD], filter[FIELD][OPERATOR]",
        "fields that can be filtered: title (eq, prefix, contains, ne), rank (eq, lt, gt, gte, lte, in, null), done (eq)",
    );
    for (query, help) in [
        ("?x=1", list.to_owned()),
        ("?limit=5", format!("did you mean `per_page`? {list}")),
        ("?perpage=5", format!("did you mean `per_page`? {list}")),
        ("?done=false", "to filter by `done`, send filter[done]=VALUE".to_owned()),
        ("?sort=done", "fields to sort by: id, title, rank; a leading - reverses the order".to_owned()),
        ("?fields=nope", "known fields: id, title, rank, done".to_owned()),
        ("?filter[nope]=1", filters.to_owned()),
        ("?filter[done][lt]=1", "operators of `done`: eq".to_owned()),
        ("?page=1e3", "send a whole number; the first page is 1".to_owned()),
    ] {
        assert_eq!(api.get(query).await.json()["details"][0]["help"], help, "{query}");
    }
    // The same help is given once.
    let answer = api.get("?x=1&y=2").await.json();
    assert_eq!(answer["details"][1].get("help"), None);
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    assert_eq!(api.get(&format!("/{id}?x=1")).await.json()["details"][0]["help"], "known parameter: fields");
    let answer = api.post(r#"{"title":"a","something":1}"#).await.json();
    assert_eq!(answer["details"][0]["help"], "fields of this request: title, rank, done");
}

#[tokio::test]
async fn a_date_in_a_filter_of_times_is_its_midnight_in_utc() {
    let api =
        serve("notes", &NOTES.replace("body: { type: text }", "at: { type: datetime, filter: [eq, gte, lt] }")).await;
    for at in ["2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "2024-01-01T10:00:00+02:00", "2024-01-02T00:00:00Z"] {
        api.made(&format!(r#"{{"title":"{}","at":"{at}"}}"#, &at[..13])).await;
    }
    assert_eq!(api.get("?filter[at][gte]=2024-01-01&filter[at][lt]=2024-01-02").await.rows().len(), 2);
    assert_eq!(titles(&api.get("?filter[at]=2024-01-01").await), ["2024-01-01T00"]);
    refused(&api.get("?filter[at]=2024-02-30").await, "filter[at]: must be an RFC 3339 date-time");
    refused(&api.post(r#"{"title":"a","at":"2024-01-01"}"#).await, "at: must be an RFC 3339 date-time");
}

#[tokio::test]
async fn a_list_selects_fields_too() {
    let api = filled(1).await;
    assert_eq!(api.get("?fields=rank,title").await.body, r#"[{"title":"n00","rank":0}]"#);
    refused(&api.get("?fields=nope").await, "fields: unknown field \"nope\"");
}

#[tokio::test]
async fn links_repeat_the_query_as_it_came() {
    let api = filled(30).await;
    let query = "?sort=-rank&filter%5Btitle%5D[prefix]=n&fields=title";
    let first = api.get(query).await;
    let next = first.link("next").unwrap();
    assert!(next.starts_with(&format!("{query}&per_page=20&cursor=")), "{next}");
    assert_eq!(titles(&api.get(&next).await)[0], "n09");
}
