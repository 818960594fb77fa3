//! Expired deleted items and idempotency keys are removed, and it is noticed if they are not.

use super::silent::{allow, discard};
use super::world::*;
use super::*;
use crate::resource::purge::Purge;

const KEPT: &str = r#"
kept:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: { keep: 90d }
  fields: { name: { type: string } }
"#;

#[tokio::test]
async fn a_turn_fails_if_the_database_keeps_what_has_expired() {
    let world = world(KEPT).await;
    let kept = world.of("kept");
    for id in ["x", "y"] {
        assert_eq!(kept.post(&format!(r#"{{"id":"{id}"}}"#)).await.status, 201);
        assert_eq!(kept.ask(Method::DELETE, &format!("/{id}")).send().await.status, 204);
    }
    world.run("UPDATE \"_gw_deleted_kept\" SET deleted_at = '2020-01-01T00:00:00.000000Z'").await;
    let statements = Arc::new(Statements::new(&world.store, "main", "kept"));
    let purge = Purge::new(&world.models[0].1, &world.store, &statements).unwrap();
    discard(&world, "DELETE", "_gw_deleted_kept").await;
    let error = purge.sweep().await.unwrap_err().to_string();
    assert!(error.contains("not all expired rows of `_gw_deleted_kept` were deleted: a trigger"), "{error}");
    assert_eq!(world.count("SELECT count(*) FROM \"_gw_deleted_kept\"").await, 1, "the others are gone");
    allow(&world, "_gw_deleted_kept").await;
    assert_eq!(purge.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn expired_idempotency_keys_are_removed_without_another_create() {
    let world = world(KEPT).await;
    let create = world.of("kept").ask(Method::POST, "").header("idempotency-key", "k").json(r#"{"id":"x"}"#);
    assert_eq!(create.send().await.status, 201);
    let purge = Purge::keys("main", &world.store);
    assert_eq!(purge.sweep().await.unwrap(), 0, "it is remembered");
    world.run("UPDATE \"_gw_idempotency\" SET \"expires\" = 1").await;
    assert_eq!((purge.sweep().await.unwrap(), purge.sweep().await.unwrap()), (1, 0));
    world.store.close();
    assert!(purge.sweep().await.is_err());
}
