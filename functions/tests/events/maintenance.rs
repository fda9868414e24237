//! The hourly run.

use std::sync::Arc;

use functions::events::maintenance::{self, Maintenance};
use shared::ImportId;
use shared::audience::enrichment::Work;
use testkit::{FakeEnrichmentQueue, FakeImportQueue, FakeJobQueue, FakeObjectStore, Scene};

use crate::samples::sample;

fn function(scene: &Scene, store: Arc<FakeObjectStore>) -> Maintenance {
    with(scene, store, Arc::default())
}

fn with(scene: &Scene, store: Arc<FakeObjectStore>, enrichment_queue: Arc<FakeEnrichmentQueue>) -> Maintenance {
    let queue = Arc::<FakeJobQueue>::default();
    let import_queue = Arc::<FakeImportQueue>::default();
    Maintenance { db: scene.db.as_role("martlet_maintenance"), store, queue, enrichment_queue, import_queue }
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

#[tokio::test]
async fn a_run_brings_lost_hints_of_enrichments_and_verifications_again() {
    let scene = Scene::new().await;
    let (other, _) = scene.another_organization("other").await;
    let (third, _) = scene.another_organization("third").await;
    let jobs = "with e as (insert into enrichment_jobs (organization_id, id, selection, up_to, started_at, created_at, heartbeat_at)
                           values ($1, gen_random_uuid(), '{\"everybody\": true}', $1, now(), now() - interval '1 day',
                                   now() - make_interval(mins => $2))
                           returning id),
                     v as (insert into verification_jobs (organization_id, id, selection, up_to, started_at, created_at)
                           values ($1, gen_random_uuid(), '{\"everybody\": true}', $1, now(), now() - make_interval(mins => $2))
                           returning id)
                select e.id, v.id from e, v";
    let rows = scene.rows(jobs, &[&scene.organization, &46]).await;
    let lost = [
        Work::EnrichmentJobId(shared::EnrichmentJobId(rows[0].get(0))),
        Work::VerificationJobId(shared::VerificationJobId(rows[0].get(1))),
    ];
    // Somebody is on those of another organization, and the third may do nothing.
    scene.rows(jobs, &[&other, &44]).await;
    scene.rows(jobs, &[&third, &600]).await;
    scene.run("update organizations set status = 'suspended' where id = $1", &[&third]).await;
    let queue = Arc::<FakeEnrichmentQueue>::default();
    let function = with(&scene, Arc::default(), queue.clone());
    for _ in 0..2 {
        let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
        assert_eq!((run.learning.resumed, run.learning.is_finished), (2, true));
        let hints = queue.drain();
        assert!(hints.iter().all(|(organization, ..)| *organization == scene.organization), "{hints:?}");
        assert_eq!(hints.iter().map(|(_, work, _)| *work).collect::<Vec<_>>(), lost);
    }
    // What has ended is brought no more.
    scene.run("update enrichment_jobs set status = 'completed', ended_at = now()", &[]).await;
    scene.run("update verification_jobs set status = 'cancelled', ended_at = now()", &[]).await;
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.learning.resumed, queue.drain().len()), (0, 0));
}

#[tokio::test]
async fn a_run_brings_imports_again_that_nobody_is_on_and_gives_up_what_a_day_has_not_moved() {
    let scene = Scene::new().await;
    let (other, _) = scene.another_organization("other").await;
    let import = "insert into import_batches (organization_id, id, file_name, object_key, object_etag, bytes_total, status, started_at,
                                              run_started_at, heartbeat_at)
                  select $1, gen_random_uuid(), 'people.csv', 'uploads/people', 'etag', 10, 'processing', now(), now(),
                         now() - make_interval(mins => $2)
                  returning id";
    let mut silent = Vec::new();
    for minutes in [46, 1_441] {
        silent.push(ImportId(scene.rows(import, &[&scene.organization, &minutes]).await[0].get(0)));
    }
    scene.rows(import, &[&other, &44]).await;
    let queue = Arc::<FakeImportQueue>::default();
    let function = Maintenance { import_queue: queue.clone(), ..function(&scene, Arc::default()) };
    for given_up in [1, 0] {
        let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
        assert_eq!((run.imports.given_up, run.imports.resumed), (given_up, 2));
        let mut hints: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        hints.sort_by_key(|(_, import)| *import != silent[0]);
        assert_eq!(hints, silent.iter().map(|import| (scene.organization, *import)).collect::<Vec<_>>());
    }
    let abandoned =
        "select count(*) from import_batches where error_code = 'abandoned' and id = $1 and status = 'processing'";
    assert_eq!(scene.number(abandoned, &[&silent[1]]).await, 1, "the importer ends it");
    assert_eq!(scene.number("select count(*) from import_batches where error_code is not null", &[]).await, 1);
}

#[tokio::test]
async fn a_run_sweeps_the_tasks_of_enrichments_that_ended_long_ago_and_no_others() {
    let scene = Scene::new().await;
    // More than go in one transaction.
    let contacts = scene.contacts(5_001).await;
    let jobs = "insert into enrichment_jobs (organization_id, id, selection, up_to, status, started_at, ended_at)
                select $1, gen_random_uuid(), '{\"everybody\": true}', $1, status, clock_now(), ended_at
                  from (values ('completed', clock_now() - interval '92 days'), ('cancelled', clock_now() - interval '92 days'),
                               ('cancelled', clock_now() - interval '90 days'), ('running', null)) as j (status, ended_at)";
    scene.run(jobs, &[&scene.organization]).await;
    let tasks = "insert into enrichment_tasks (organization_id, job_id, contact_id)
                 select j.organization_id, j.id, c.id from enrichment_jobs j, contacts c where c.id = any ($1)";
    scene.run(tasks, &[&&contacts[..3]]).await;
    scene.run(&format!("{tasks} and j.status = 'completed' on conflict do nothing"), &[&contacts]).await;
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.learning.tasks, run.learning.is_finished), (5_004, true));
    let left = "select count(*) from enrichment_tasks t join enrichment_jobs j on j.id = t.job_id where j.tasks_swept_at is null";
    assert_eq!(scene.number(left, &[]).await, 6);
    assert_eq!(scene.number("select count(*) from enrichment_tasks", &[]).await, 6);
    let swept = "select count(*) from enrichment_jobs where tasks_swept_at is not null";
    assert_eq!(scene.number(swept, &[]).await, 2, "the jobs stay, with their counts");
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!(run.learning.tasks, 0);
}

#[tokio::test]
async fn a_run_sweeps_answers_that_are_too_old_to_be_given_to_anybody() {
    let scene = Scene::new().await;
    let answers = "insert into enrichment_cache (source, address_hash, answered_at)
                   select 'acme', sha256(convert_to(n || 'a', 'utf8')), now() - make_interval(days => $1) from generate_series(1, $2) as n
                   on conflict (source, address_hash) do update set answered_at = excluded.answered_at";
    scene.run(answers, &[&8, &5_002]).await;
    scene.run(answers, &[&6, &1]).await;
    scene.run("update system_config set value = '7 days' where key = 'answers_kept_for'", &[]).await;
    let function = function(&scene, Arc::default());
    let run = maintenance::handle(&function, sample("maintenance/hour", &[])).await.unwrap();
    assert_eq!((run.learning.answers, run.learning.is_finished), (5_001, true));
    assert_eq!(scene.number("select count(*) from enrichment_cache", &[]).await, 1);
}
