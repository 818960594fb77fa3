//! Verified tokens are remembered, for as long as the rules and keys that accepted them apply.

use super::*;

#[tokio::test]
async fn all_uses_of_a_plugin_share_verified_tokens() {
    let (keep, services): (_, Arc<dyn Services>) = (Keep::default(), Arc::new(Nothing));
    let compiled = compile::<Jwt>(settings(), false);
    let installed = |keep| install_act(&compiled, "login", keep, &services, answers(|_| "in"));
    let (one, other) = (installed(&keep), installed(&keep));
    let budget = keep.get_or_make("budget of verified tokens", Budget::default);
    let token = token(&claims());
    assert_eq!(ask(&one, &token).await.status(), 200);
    let used = budget.used();
    assert!(used > 0);
    assert_eq!(ask(&other, &token).await.status(), 200);
    assert_eq!(budget.used(), used, "it was known there");
}

#[tokio::test]
async fn verified_tokens_survive_an_edit_unless_it_changes_rules_or_keys() {
    let (keep, services): (_, Arc<dyn Services>) = (Keep::default(), Arc::new(Nothing));
    let budget = keep.get_or_make("budget of verified tokens", Budget::default);
    let installed = |settings: Value| {
        let compiled = compile::<Jwt>(settings, false);
        assert_eq!(compiled.faults, []);
        install_act(&compiled, "login", &keep, &services, answers(|_| "in"))
    };
    let token = token(&claims());
    let first = installed(settings());
    assert_eq!(ask(&first, &token).await.status(), 200);
    let one = budget.used();
    assert!(one > 0);
    // Whether a token is verified again shows in what the caches hold.
    let again = async |settings: Value| {
        let door = installed(settings);
        let status = ask(&door, &token).await.status().as_u16();
        let more = budget.used() - one;
        (status, more > 0)
    };
    assert_eq!(again(settings()).await, (200, false));
    assert_eq!(
        again(with(settings(), "on_missing", json!("continue"))).await,
        (200, false),
        "that is no rule for tokens"
    );
    let rules = [("audiences", json!(["api"])), ("leeway", json!("31s")), ("required_claims", json!(["sub"]))];
    for (key, value) in rules {
        assert_eq!(again(with(settings(), key, value)).await, (200, true), "{key}");
    }
    let other = with(settings(), "secret", json!("another-secret-of-more-than-32-bytes-4Zp"));
    assert_eq!(again(other).await.0, 401, "another secret has not signed it");
    drop(first);
}

#[test]
fn the_digest_of_rules_and_keys_does_not_depend_on_chance() {
    let compiled = |settings: Value| {
        let keep = Keep::default();
        let services: Arc<dyn Services> = Arc::new(Nothing);
        let held: Vec<_> = (0..20)
            .map(|_| {
                install_act(&compile::<Jwt>(settings.clone(), false), "login", &keep, &services, answers(|_| "in"))
            })
            .collect();
        (keep.len(), held.len())
    };
    let one = compiled(settings());
    assert_eq!(compiled(with(settings(), "audiences", json!(["a", "b", "c", "d", "e", "f"]))), one);
}
