//! Acts on many contacts and files of them, killed at seeded points and delivered again: the same rows and the same counts in the end.

use axum::http::Method;
use serde_json::{Value, json};
use shared::{ListId, OrganizationId};
use testkit::Killed;

use crate::bulk::Desk;

/// Runs that are killed at most, before one is left to end.
const KILLS: u64 = 24;

/// A small source of numbers that are the same again for a seed (SplitMix64).
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Begins a job, kills its runs at points that follow from the seed, and returns the job as it ends.
async fn killed(desk: &Desk, seed: u64, path: &str, body: Value) -> Value {
    let begun = desk.post(path, body).await.expect(202);
    let job = begun.headers["location"].to_str().unwrap().to_owned();
    let mut number = numbers(seed);
    let mut kills = 0;
    let hints = desk.hints();
    loop {
        let polls = if kills < KILLS { usize::try_from(1 + number(8 + 2 * kills)).unwrap() } else { usize::MAX };
        // As the queue brings it: the hint that nobody has acknowledged, whoever was killed before or after a commit.
        kills += u64::from(Killed::after(polls, desk.deliver(&hints)).await.is_none());
        // Until the server has noticed that whoever was killed is gone, the job is taken.
        desk.app.scene.rows("select id from jobs for update", &[]).await;
        let seen = desk.get(&job).await;
        if !["pending", "running"].contains(&seen["state"].as_str().unwrap()) {
            assert!(kills > 5, "{kills} kills");
            return seen;
        }
    }
}

async fn calm(desk: &Desk, path: &str, body: Value) -> Value {
    let begun = desk.post(path, body).await.expect(202);
    desk.run_jobs().await;
    desk.get(begun.headers["location"].to_str().unwrap()).await
}

fn told(job: &Value) -> Value {
    json!({"state": job["state"], "progress": job["progress"], "total": job["total"], "outcomes": job["outcomes"], "error": job["error"]})
}

async fn list(desk: &Desk, name: &str) -> ListId {
    let (organization, list): (OrganizationId, _) = (desk.app.scene.organization, ListId::fresh());
    let sql = "insert into lists (organization_id, id, name) values ($1, $2, $3)";
    desk.app.scene.run(sql, &[&organization, &list, &name]).await;
    list
}

#[tokio::test]
async fn an_act_on_many_that_is_killed_anywhere_comes_to_the_same_rows_and_counts() {
    const BULK: &str = "/v1/contacts/bulk";
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    scene.contacts(4_500).await;
    scene.run("update organizations set has_plan_limits = true", &[]).await;
    scene.run("update plan_limits set maximum = 4400 where name = 'contacts_a_list'", &[]).await;
    let (one, other) = (list(&desk, "One").await, list(&desk, "Other").await);
    let act =
        |kind: &str, list: ListId| json!({"act": {"kind": kind, "list_id": list}, "selection": {"everybody": true}});
    let same_members = "select count(*) from (select contact_id from list_members where list_id = $1
                          except select contact_id from list_members where list_id = $2) as x";
    for (seed, kind) in [(1, "add_to_list"), (2, "remove_from_list")] {
        let expected = calm(&desk, BULK, act(kind, one)).await;
        let seen = killed(&desk, seed, BULK, act(kind, other)).await;
        assert_eq!(told(&seen), told(&expected), "{kind}");
        assert_eq!(scene.number(same_members, &[&one, &other]).await, 0, "{kind}");
        assert_eq!(scene.number(same_members, &[&other, &one]).await, 0, "{kind}");
    }
    let tags = [0, 1].map(|n| shared::TagId(uuid::Uuid::from_u128(n)));
    for (n, tag) in tags.iter().enumerate() {
        let sql = "insert into tags (organization_id, id, name) values ($1, $2, $3)";
        scene.run(sql, &[&scene.organization, tag, &n.to_string()]).await;
    }
    for (seed, kind) in [(3, "tag"), (4, "untag")] {
        let act = |tag: usize| json!({"act": {"kind": kind, "tag_id": tags[tag]}, "selection": {"everybody": true}});
        let expected = calm(&desk, BULK, act(0)).await;
        assert_eq!(told(&killed(&desk, seed, BULK, act(1)).await), told(&expected), "{kind}");
        let given = "select count(*) from contact_tags group by tag_id";
        assert_eq!(scene.rows(given, &[]).await.len(), if kind == "tag" { 2 } else { 0 });
    }
    let seen = killed(&desk, 5, BULK, json!({"act": {"kind": "delete"}, "selection": {"everybody": true}})).await;
    assert_eq!(told(&seen)["outcomes"], json!({"deleted": 4_500}));
    for (sql, number) in [("select count(*) from contacts", 0), ("select count(*) from deleted_contacts", 4_500)] {
        assert_eq!(scene.number(sql, &[]).await, number, "{sql}");
    }
    let acts = "select count(*) from audit_log where action = 'contacts.bulk_act_done'";
    assert_eq!(scene.number(acts, &[]).await, 9, "each is told once");
}

#[tokio::test]
async fn a_file_of_contacts_whose_writer_is_killed_anywhere_is_the_same_file() {
    const EXPORTS: &str = "/v1/contacts/exports";
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    scene.contacts(900).await;
    scene.run("update contacts set custom = jsonb_build_object('note', repeat('x', 15000))", &[]).await;
    let asked = || json!({"selection": {"everybody": true}, "columns": ["id", "email", "custom.note"]});
    let file = |job: &Value| {
        let key = format!("exports/{}/{}.csv", scene.organization, job["id"].as_str().unwrap());
        desk.store.archive(&key).unwrap()
    };
    let expected = calm(&desk, EXPORTS, asked()).await;
    let seen = killed(&desk, 6, EXPORTS, asked()).await;
    assert_eq!(told(&seen), told(&expected));
    assert!(file(&seen) == file(&expected), "the files differ");
    assert_eq!(file(&seen).iter().filter(|byte| **byte == b'\n').count(), 901);
}

#[tokio::test]
async fn an_enrollment_of_many_that_is_killed_anywhere_enrolls_everybody_once() {
    let desk = Desk::new().await;
    let scene = &desk.app.scene;
    let senders = [scene.sender(1, 600, 30).await, scene.sender(2, 600, 30).await];
    let campaigns =
        [scene.running_campaign(3, &senders, 2, 100).await, scene.running_campaign(3, &senders, 2, 100).await];
    scene.contacts(4_100).await;
    let path = |n: usize| format!("/v1/campaigns/{}/enrollments", campaigns[n].campaign);
    let asked = || json!({"selection": {"everybody": true}});
    let expected = calm(&desk, &path(0), asked()).await;
    assert_eq!(expected["outcomes"], json!({"enrolled": 4_103, "already": 3}));
    let seen = killed(&desk, 7, &path(1), asked()).await;
    assert_eq!(told(&seen), told(&expected));
    // Of each sender as many, and of each person one.
    let dealt = "select count(*) from (
                     select campaign_id, sender_id, count(*), count(distinct contact_id) from enrollments group by 1, 2
                 ) as x (campaign, sender, people, contacts) where people <> contacts or people not between 2052 and 2054";
    assert_eq!(scene.number(dealt, &[]).await, 0);
    desk.send(Method::GET, &format!("/v1/campaigns/{}/enrollments", campaigns[1].campaign), None).await.expect(200);
}
