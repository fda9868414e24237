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

#[tokio::test]
async fn the_counts_of_a_few_days_are_found_by_the_index_on_the_day() {
    let scene = Scene::new().await;
    for table in ["daily_stats", "daily_stats_deltas"] {
        let fill = format!(
            "insert into {table} (organization_id, day, campaign_id, step_id, sender_id, sent)
             select $1, date '2026-03-04' - n % 400, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1
               from generate_series(1, {ROWS}) as n"
        );
        scene.run(&fill, &[&scene.organization]).await;
        scene.run(&format!("analyze {table}"), &[]).await;
    }
    let question = include_str!("../../src/outreach/statistics/daily/read.sql")
        .replace("$1", "date '2026-03-01'")
        .replace("$2", "date '2026-03-04'")
        .replace("$3", "null")
        .replace("$4", "null")
        .replace("$5", "null");
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    let plan = explain(&tx, &question).await;
    for index in ["daily_stats_dimensions_key", "daily_stats_deltas_dimensions_idx"] {
        assert!(plan.contains(index), "{index}: {plan}");
    }
    let found_by = condition(&plan, "Index Cond");
    let by_day: Vec<&str> = found_by.lines().filter(|line| line.contains("day >= ")).collect();
    assert_eq!(by_day.len(), 2, "{plan}");
    assert!(by_day.iter().all(|line| line.contains("organization_id = ") && line.contains("day <= ")), "{plan}");
}

/// A ledger that is nearly all of one campaign, step and sender, and mails that were sent; with a few others.
async fn ledger() -> Scene {
    let scene = Scene::new().await;
    let senders = [scene.sender(1, 100, 0).await, scene.sender(2, 100, 0).await];
    let many = scene.draft_campaign(ROWS / 10, &senders[..1], 1, 100).await;
    let few = scene.draft_campaign(1, &senders[1..], 1, 100).await;
    let enroll = "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id)
                  select $1, gen_random_uuid(), $2, unnest($4::uuid[]), $3";
    scene.run(enroll, &[&scene.organization, &many.campaign, &senders[0], &many.contacts]).await;
    let fill =
        "insert into messages (organization_id, id, kind, dedupe_key, enrollment_id, campaign_id, step_id, contact_id,
                                      sender_id, recipient, state, slot_day, send_at, expires_at, created_at)
                select $1, gen_random_uuid(), case when n % 2000 = 1 then 'direct' else 'campaign' end, format('%s:%s', $2::uuid, n),
                       e.id, $2, $3, p.contact_id, $4, 'person@people.test',
                       case n % 2000 when 2 then 'failed' when 3 then 'scheduled' when 4 then 'review' else 'sent' end,
                       current_date, clock_now(), clock_now(), clock_now() - n * interval '1 minute'
                  from generate_series(1, $6::bigint) as n
                  join unnest($5::uuid[]) with ordinality as p (contact_id, number)
                    on p.number = 1 + n % cardinality($5::uuid[])
                  left join enrollments e on e.contact_id = p.contact_id";
    for (campaign, sender, count) in [(&many, senders[0], ROWS), (&few, senders[1], 10)] {
        let count = i64::try_from(count).unwrap();
        let (id, step, contacts) = (&campaign.campaign, &campaign.steps[0], &campaign.contacts);
        scene.run(fill, &[&scene.organization, id, step, &sender, contacts, &count]).await;
    }
    scene.run("analyze messages", &[]).await;
    scene
}

#[tokio::test]
async fn the_ledger_is_listed_by_an_index_whatever_the_filter() {
    let scene = ledger().await;
    let of = async |column: &str, sender: &str| -> String {
        let sql = format!(
            "select quote_literal(m.{column}) from messages m join senders s on s.id = m.sender_id and s.email like '{sender}@%' limit 1"
        );
        scene.rows(&sql, &[]).await[0].get(0)
    };
    let (many, few) = ("sender1", "sender2");
    let literal = |text: &str| format!("'{text}'");
    // Which parameter, its value, the index, and whether the index looks it up.
    let cases = [
        ("campaign_id", 3, of("campaign_id", few).await, "messages_campaign_idx"),
        ("campaign_id", 3, of("campaign_id", many).await, "messages_created_at_idx"),
        ("step_id", 4, of("step_id", few).await, "messages_step_idx"),
        ("step_id", 4, of("step_id", many).await, "messages_created_at_idx"),
        ("enrollment_id", 5, of("enrollment_id", many).await, "messages_enrollment_idx"),
        ("contact_id", 6, of("contact_id", many).await, "messages_contact_idx"),
        ("sender_id", 7, of("sender_id", few).await, "messages_sender_idx"),
        ("sender_id", 7, of("sender_id", many).await, "messages_created_at_idx"),
        ("kind", 8, literal("direct"), "messages_kind_idx"),
        ("kind", 8, literal("campaign"), "messages_created_at_idx"),
        ("state", 9, literal("review"), "messages_doubt_idx"),
        ("state", 9, literal("scheduled"), "messages_campaign_idx"),
        ("state", 9, literal("failed"), "messages_campaign_idx"),
        ("state", 9, literal("sent"), "messages_created_at_idx"),
        ("created_at", 10, literal("2026-03-03 10:00Z"), "messages_created_at_idx"),
        ("created_at", 11, literal("2026-02-19 10:00Z"), "messages_created_at_idx"),
    ];
    let tx = scene.db.app().begin(scene.organization).await.unwrap();
    for (column, parameter, value, index) in cases {
        let plan = explain(&tx, &question(&[(parameter, &value), (12, "21")])).await;
        assert!(plan.contains(&format!("using {index} ")) && !plan.contains("Seq Scan"), "{column} {value}: {plan}");
        let found_by = condition(&plan, "Index Cond");
        assert!(found_by.contains("organization_id = "), "{column} {value}: {plan}");
        let looked_up = index != "messages_created_at_idx" || column == "created_at";
        assert_eq!(found_by.contains(&format!("({column} ")), looked_up, "{column} {value}: {plan}");
    }
    // The next page begins where the last one has ended.
    let place = [(1, "'2026-02-27 10:00Z'"), (2, "'ffffffff-ffff-ffff-ffff-ffffffffffff'"), (12, "21")];
    let plan = explain(&tx, &question(&place)).await;
    assert!(plan.contains("Backward using messages_created_at_idx ") && !plan.contains("Sort"), "{plan}");
    assert!(condition(&plan, "Index Cond").contains("ROW(created_at, id) < "), "{plan}");
}

#[tokio::test]
async fn the_oldest_doubt_is_found_without_reading_the_ledger() {
    let scene = ledger().await;
    let body: String =
        scene.rows("select prosrc from pg_proc where proname = 'oldest_unresolved_seconds'", &[]).await[0].get(0);
    let plan = explain(&scene.db.as_role("owner").begin(scene.organization).await.unwrap(), &body).await;
    let doubtful = plan.lines().filter(|line| line.contains(" on messages ")).collect::<Vec<_>>();
    assert_eq!(doubtful.len(), 2, "{plan}");
    assert!(doubtful.iter().all(|line| line.contains("using messages_doubt_idx ")), "{plan}");
    let found_by = condition(&plan, "Index Cond");
    for state in ["'unknown'", "'review'"] {
        assert!(found_by.contains(state), "{plan}");
    }
}

#[tokio::test]
async fn the_latest_mails_of_senders_and_campaigns_are_read_from_the_end_of_an_index() {
    let scene = ledger().await;
    scene.run("update messages set sent_at = created_at where state = 'sent'", &[]).await;
    scene.run("analyze messages", &[]).await;
    let tx = scene.db.as_role("martlet_maintenance").begin_for(&[scene.organization]).await.unwrap();
    for (sql, index) in [
        (include_str!("../../src/delivery/examining/read_senders.sql"), "messages_sender_idx"),
        (include_str!("../../src/delivery/examining/read_campaigns.sql"), "messages_campaign_sent_idx"),
    ] {
        let since = "clock_now() - interval '30 days'";
        let plan = explain(&tx, &sql.replace("$1", since).replace("$2", "500").replace("$3", "null")).await;
        assert!(plan.contains(&format!("Backward using {index} ")) && !plan.contains("Sort Key: m.sent_at"), "{plan}");
    }
}

/// The list of messages with these parameters, as the planner sees it when it knows them; the others are null.
fn question(given: &[(usize, &str)]) -> String {
    let sql = include_str!("../../src/delivery/messages/list.sql").to_owned();
    // From the last, since $1 is the beginning of $10.
    (1..=13).rev().fold(sql, |sql, n| {
        let value = given.iter().find(|(parameter, _)| *parameter == n).map_or("null", |(_, value)| value);
        sql.replace(&format!("${n}"), &format!("({value})"))
    })
}

/// An organization with many contacts beside another with some.
pub(super) async fn crowded() -> Scene {
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

pub(super) async fn explain(tx: &Tx, question: &str) -> String {
    let rows = tx.query(&format!("explain (costs off) {question}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n")
}

/// The lines of the plan that begin with `kind`.
pub(super) fn condition(plan: &str, kind: &str) -> String {
    plan.lines().filter(|line| line.trim_start().starts_with(kind)).collect::<Vec<_>>().join("\n")
}
