//! What row-level security leaves of the indexes: plans as the run-time roles get them, over 20,000 rows.

use shared::{OrganizationId, Tx};
use testkit::Scene;

/// Enough that the planner does not read the table through.
const ROWS: usize = 20_000;

#[tokio::test]
async fn an_address_is_found_by_the_index_on_its_lower_case() {
    let scene = crowded().await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let plan = explain(&tx, "select id from contacts where email_lower = 'person777@people.test'").await;
    assert!(plan.contains("using contacts_email_key"), "{plan}");
    assert!(condition(&plan, "Index Cond").contains("email_lower = 'person777@people.test'"), "{plan}");
    assert!(condition(&plan, "Index Cond").contains("organization_id = "), "{plan}");
    tx.commit().await.unwrap();
    // The trap: lower() is not leakproof, so even its own index does not look the address up.
    scene.run("create index contacts_trap_idx on contacts (organization_id, lower(email))", &[]).await;
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let plan = explain(&tx, "select id from contacts where lower(email) = 'person777@people.test'").await;
    assert!(!condition(&plan, "Index Cond").contains("lower"), "{plan}");
    assert!(condition(&plan, "Filter").contains("lower(email)"), "{plan}");
}

#[tokio::test]
async fn due_people_are_found_by_the_index_on_their_due_time() {
    let scene = crowded().await;
    let sender = scene.sender(1, 100, 0).await;
    let campaign = scene.draft_campaign(0, &[sender], 1, 100).await.campaign;
    scene
        .run(
            "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
             select organization_id, gen_random_uuid(), $1, id, $2, clock_now() + random() * interval '30 days'
               from contacts where organization_id = $3",
            &[&campaign, &sender, &scene.organization],
        )
        .await;
    scene.run("analyze enrollments", &[]).await;
    let question = format!(
        "select id from enrollments
          where campaign_id = '{campaign}' and sender_id = '{sender}' and next_due_at <= clock_now() + interval '2 minutes'
          order by next_due_at, id limit 500 for update skip locked"
    );
    let app = scene.db.app().begin(scene.organization).await.unwrap();
    let scheduler = scene.db.as_role("martlet_scheduler").begin_for(&[scene.organization]).await.unwrap();
    for (role, tx) in [("martlet_app", app), ("martlet_scheduler", scheduler)] {
        let plan = explain(&tx, &question).await;
        assert!(plan.contains("enrollments_due_idx"), "{role}: {plan}");
        let found_by = condition(&plan, "Index Cond");
        for column in ["organization_id", "campaign_id", "sender_id", "next_due_at"] {
            assert!(found_by.contains(column), "{role} does not look {column} up: {plan}");
        }
    }
}

/// An organization with many contacts beside another with some.
async fn crowded() -> Scene {
    let scene = Scene::new().await;
    scene.contacts(ROWS).await;
    let (other, _) = scene.another_organization("other").await;
    fill(&scene, other, ROWS / 10).await;
    scene.run("analyze contacts", &[]).await;
    scene
}

async fn fill(scene: &Scene, organization: OrganizationId, count: usize) {
    scene
        .run(
            "insert into contacts (organization_id, id, email)
             select $1, gen_random_uuid(), format('person%s@people.test', n) from generate_series(1, $2::bigint) as n",
            &[&organization, &i64::try_from(count).unwrap()],
        )
        .await;
}

async fn explain(tx: &Tx, question: &str) -> String {
    let rows = tx.query(&format!("explain (costs off) {question}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n")
}

/// The lines of the plan that begin with `kind`.
fn condition(plan: &str, kind: &str) -> String {
    plan.lines().filter(|line| line.trim_start().starts_with(kind)).collect::<Vec<_>>().join("\n")
}
