//! The way of a hint through the binary that learns about people and checks addresses.

use serde_json::{Value, json};
use testkit::installation::ENRICHMENT_QUEUE;
use testkit::{Installation, Scene};

const ENRICHER: &str = env!("CARGO_BIN_EXE_enricher");
const ENRICH: &str = include_str!("../../../events/enricher/enrich.json");
const VERIFY: &str = include_str!("../../../events/enricher/verify.json");

/// A sample with its ids filled in.
fn sample(text: &str, scene: &Scene, job: &str) -> Value {
    let text = text.replace("${ORGANIZATION_ID}", &scene.organization.to_string());
    let text = text.replace("${ENRICHMENT_JOB_ID}", job).replace("${VERIFICATION_JOB_ID}", job);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_hint_runs_its_job_to_the_end_and_a_second_one_does_nothing() {
    let scene = Scene::new().await;
    scene.contacts(3).await;
    // One is among the examples, which are asked where no provider is set up; another's address is no person's whatever DNS says.
    scene.run("update contacts set email = 'amelia.hart@example.com' where email like 'person1@%'", &[]).await;
    scene.run("update contacts set email = 'info@people.test' where email like 'person2@%'", &[]).await;
    let functions = Installation::new(&scene.db).await;
    let enricher = functions.function("enricher", ENRICHER).start().await;
    for (table, text) in [("enrichment_jobs", ENRICH), ("verification_jobs", VERIFY)] {
        let job = format!(
            "insert into {table} (organization_id, id, selection, up_to, started_at)
             values ($1, gen_random_uuid(), '{{\"everybody\": true}}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', clock_now())
             returning id::text"
        );
        let id: String = scene.rows(&job, &[&scene.organization]).await[0].get(0);
        for _ in 0..2 {
            assert_eq!(enricher.invoke(&sample(text, &scene, &id)).await.outcome.answer(), Value::Null);
            let status = format!("select status from {table}");
            assert_eq!(scene.rows(&status, &[]).await[0].get::<_, String>(0), "completed");
        }
        // Of a job that nobody has, as of another organization's, nothing is done and nothing is wrong.
        let nobody = "00000000-0000-7000-8000-000000000000";
        assert_eq!(enricher.invoke(&sample(text, &scene, nobody)).await.outcome.answer(), Value::Null);
    }
    let learned = "select city from persons";
    assert_eq!(scene.rows(learned, &[]).await[0].get::<_, String>(0), "Melbourne");
    let invalid =
        "select count(*) from email_verifications where email_lower = 'info@people.test' and status = 'invalid'";
    assert_eq!(scene.number(invalid, &[]).await, 1);
    assert_eq!(scene.number("select count(*) from email_verifications where status = 'valid'", &[]).await, 0);
    assert!(functions.aws.drain_queue(ENRICHMENT_QUEUE).is_empty(), "nothing waits for a job that has ended");
}

#[tokio::test]
async fn what_waits_for_the_budget_asks_for_itself_a_quarter_of_an_hour_later_and_what_is_no_hint_is_an_error() {
    let scene = Scene::new().await;
    scene.contacts(1).await;
    let provider =
        json!({"name": "acme", "url": "https://api.acme.test/?of={email}", "fields": {"city": "/city"}}).to_string();
    for (key, value) in [("provider", provider.as_str()), ("cost", "10")] {
        let sql = "update system_config set value = $2 where category = 'enrichment' and key = $1";
        scene.run(sql, &[&key, &value]).await;
    }
    let job = "insert into enrichment_jobs (organization_id, id, selection, up_to, started_at)
               values ($1, gen_random_uuid(), '{\"everybody\": true}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', clock_now())
               returning id::text";
    let id: String = scene.rows(job, &[&scene.organization]).await[0].get(0);
    let functions = Installation::new(&scene.db).await;
    let enricher = functions.function("enricher", ENRICHER).start().await;
    enricher.invoke(&sample(ENRICH, &scene, &id)).await.outcome.answer();
    let hints = functions.aws.drain_queue(ENRICHMENT_QUEUE);
    let [hint] = hints.as_slice() else { panic!("{} hints", hints.len()) };
    let body: Value = serde_json::from_str(&hint.body).unwrap();
    assert_eq!(body, json!({"organization_id": scene.organization, "enrichment_job_id": id}));
    let waits = "select count(*) from enrichment_jobs where waits_for = 'budget' and heartbeat_at is not null";
    assert_eq!(scene.number(waits, &[]).await, 1);
    let mut broken = sample(ENRICH, &scene, &id);
    broken["Records"][0]["body"] = json!("{}");
    let outcome = enricher.invoke(&broken).await.outcome;
    assert!(matches!(outcome, testkit::runtime_api::Outcome::Failed(_)), "{outcome:?}");
}
