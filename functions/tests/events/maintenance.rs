//! The hourly run.

use std::sync::Arc;

use functions::events::maintenance::{self, Maintenance};
use testkit::{FakeJobQueue, FakeObjectStore, Scene};

use crate::samples::sample;

fn function(scene: &Scene, store: Arc<FakeObjectStore>) -> Maintenance {
    Maintenance { db: scene.db.as_role("martlet_maintenance"), store, queue: Arc::<FakeJobQueue>::default() }
}

#[tokio::test]
async fn a_run_folds_the_counts_of_every_organization_and_the_next_finds_nothing() {
    let scene = Scene::new().await;
    let (other, _) = scene.another_organization("other").await;
    for organization in [scene.organization, other] {
        let delta = "insert into daily_stats_deltas (organization_id, day, sent) values ($1, '2026-03-04', 1)";
        for _ in 0..2 {
            scene.run(delta, &[&organization]).await;
        }
    }
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.folded.deltas, run.folded.is_finished), (4, true));
    assert_eq!(scene.number("select count(*) from daily_stats where sent = 2", &[]).await, 2);
    assert_eq!(scene.number("select count(*) from daily_stats_deltas", &[]).await, 0);
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.folded.deltas, run.folded.is_finished), (0, true));
}

#[tokio::test]
async fn a_run_sweeps_the_expired_keys_of_every_organization_and_no_others() {
    let scene = Scene::new().await;
    let (other, _) = scene.another_organization("other").await;
    for organization in [scene.organization, other] {
        let keys =
            "insert into idempotency_keys (organization_id, key, request_hash, attempt, state, answer_code, body,
                                                  lease_until, expires_at)
                    select $1, kind || n, sha256(''), gen_random_uuid(), 'answered', 200, 'secret',
                           now(), now() + case kind when 'expired' then interval '-1 second' else interval '1 hour' end
                      from unnest(array['expired', 'kept']) as kind, generate_series(1, 3) as n";
        scene.run(keys, &[&organization]).await;
    }
    // More than go in one transaction.
    let many = "insert into idempotency_keys (organization_id, key, request_hash, attempt, lease_until, expires_at)
                select $1, 'many' || n, sha256(''), gen_random_uuid(), now(), now() - interval '1 day'
                  from generate_series(1, 1000) as n";
    scene.run(many, &[&other]).await;
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.swept.keys, run.swept.is_finished), (1_006, true));
    for organization in [scene.organization, other] {
        let left = "select count(*) from idempotency_keys where organization_id = $1 and key like 'kept%'";
        assert_eq!(scene.number(left, &[&organization]).await, 3);
    }
    assert_eq!(scene.number("select count(*) from idempotency_keys", &[]).await, 6);
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.swept.keys, run.swept.is_finished), (0, true));
}

#[tokio::test]
async fn a_key_that_somebody_is_taking_is_neither_waited_for_nor_swept() {
    let scene = Scene::new().await;
    let key = "insert into idempotency_keys (organization_id, key, request_hash, attempt, lease_until, expires_at)
               values ($1, $2, sha256(''), gen_random_uuid(), now(), now() - interval '1 second')";
    for name in ["taken", "idle"] {
        scene.run(key, &[&scene.organization, &name]).await;
    }
    let taking = scene.db.app().begin(scene.organization).await.unwrap();
    let take = "update idempotency_keys set expires_at = now() + interval '1 day' where key = 'taken'";
    assert_eq!(taking.execute(take, &[]).await.unwrap(), 1);
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!(run.swept.keys, 1);
    taking.commit().await.unwrap();
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!(run.swept.keys, 0);
    assert_eq!(scene.number("select count(*) from idempotency_keys where key = 'taken'", &[]).await, 1);
}

#[tokio::test]
async fn a_run_computes_the_health_of_senders_and_ends_their_ramps() {
    let scene = Scene::new().await;
    let sender = scene.sender(1, 100, 0).await;
    scene.run("update senders set status = 'warming', ramp_started_on = '2026-02-01'", &[]).await;
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.examined.senders, run.examined.ramps_finished, run.examined.is_finished), (1, 1, true));
    let healthy = "select count(*) from sender_health h join senders s on s.id = h.sender_id
                    where s.id = $1 and s.status = 'active' and h.score = 100";
    assert_eq!(scene.number(healthy, &[&sender]).await, 1);
}

#[tokio::test]
async fn a_run_deletes_organizations_whose_time_of_grace_is_over() {
    let scene = Scene::new().await;
    let (other, _) = scene.another_organization("other").await;
    let store = Arc::<FakeObjectStore>::default();
    for organization in [scene.organization, other] {
        store.upload(&format!("logos/{organization}/logo"), "bytes");
        let deleting = "update organizations set status = 'deleting', deletion_id = gen_random_uuid(),
                               delete_after = clock_now() + case when id = $2 then interval '1 second' else interval '0' end
                         where id = $1";
        scene.run(deleting, &[&organization, &other]).await;
    }
    let function = function(&scene, store.clone());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.deleted.organizations, run.deleted.objects, run.deleted.is_finished), (1, 1, true));
    let left = scene.rows("select id from organizations where status = 'deleting'", &[]).await;
    assert_eq!(left[0].get::<_, shared::OrganizationId>(0), other);
    assert!(store.object(&format!("logos/{other}/logo")).is_some());
}
