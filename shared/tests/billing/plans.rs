//! What a plan bounds, also for two at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::audience::imports::importing::{Importer, Progress};
use shared::audience::imports::{self, NewImport, Pace};
use shared::audience::lists::{self, List, ListFields, NewMembers};
use shared::delivery::senders::{self, Sender};
use shared::outreach::activation::{self, Activation};
use shared::outreach::campaigns;
use shared::platform::plans::Limit;
use shared::{CampaignId, ContactId, ListId, Result, Tx};
use testkit::{FakeAccount, FakeImportQueue, FakeObjectStore};

use crate::office::{Office, assert_limit_reached, until_waiting};

async fn new_list(tx: &Tx, name: &str) -> Result<List> {
    let fields: ListFields = serde_json::from_value(json!({"name": name})).unwrap();
    lists::create(tx, fields).await
}

async fn new_sender(tx: &Tx, n: usize) -> Result<Sender> {
    senders::create(tx, serde_json::from_value(json!({"email": format!("s{n}@example.test")})).unwrap()).await
}

async fn activate(office: &Office, campaign: CampaignId) -> Result<Activation> {
    let account = FakeAccount::well();
    office.act(async |tx| activation::activate(tx, campaign, Some(&account)).await).await
}

/// Sets one limit of the free plan.
async fn bound(office: &Office, limit: Limit, maximum: i64) {
    let sql = "update plan_limits set maximum = $2 where plan_type = 'free' and name = $1";
    assert_eq!(office.scene.run(sql, &[&limit.name(), &maximum]).await, 1);
}

#[tokio::test]
async fn every_plan_says_what_it_allows() {
    let office = Office::without_sign_up().await;
    let sql = "select plan_type, string_agg(name || '=' || coalesce(maximum::text, '-'), ' ' order by name)
                 from plan_limits group by plan_type order by plan_type";
    let told: Vec<(String, String)> =
        office.scene.rows(sql, &[]).await.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("basic", "active_campaigns=5 contacts_a_list=5000 lists=10 mails_a_day=200 senders=10"),
        ("enterprise", "active_campaigns=- contacts_a_list=- lists=- mails_a_day=5000 senders=100"),
        ("free", "active_campaigns=1 contacts_a_list=5000 lists=3 mails_a_day=50 senders=5"),
        ("pro", "active_campaigns=20 contacts_a_list=25000 lists=50 mails_a_day=500 senders=25"),
    ];
    assert_eq!(told, expected.map(|(plan, limits)| (plan.to_owned(), limits.to_owned())));
}

#[tokio::test]
async fn lists_and_senders_end_at_their_limit_and_the_plan_counts() {
    let office = Office::without_sign_up().await;
    for n in 0..3 {
        office.act(async |tx| new_list(tx, &format!("List {n}")).await).await.unwrap();
    }
    assert_limit_reached(office.act(async |tx| new_list(tx, "More").await).await, "lists");
    for n in 0..5 {
        office.act(async |tx| new_sender(tx, n).await).await.unwrap();
    }
    assert_limit_reached(office.act(async |tx| new_sender(tx, 9).await).await, "senders");
    office.scene.run("update organizations set plan_type = 'basic'", &[]).await;
    office.act(async |tx| new_list(tx, "More").await).await.unwrap();
    // Of a plan that has fallen everything stays, and nothing comes to it.
    office.scene.run("update organizations set plan_type = 'free'", &[]).await;
    assert_limit_reached(office.act(async |tx| new_list(tx, "Still more").await).await, "lists");
    assert_eq!(office.scene.number("select count(*) from lists", &[]).await, 4);
    office.scene.run("update organizations set plan_type = 'enterprise'", &[]).await;
    office.act(async |tx| new_list(tx, "Still more").await).await.unwrap();
}

#[tokio::test]
async fn an_organization_without_plan_limits_is_not_held_to_them() {
    let office = Office::without_sign_up().await;
    office.scene.run("update organizations set has_plan_limits = false", &[]).await;
    bound(&office, Limit::Lists, 0).await;
    bound(&office, Limit::ContactsAList, 0).await;
    let list = office.act(async |tx| new_list(tx, "List").await).await.unwrap();
    let contacts = office.scene.contacts(2).await;
    office.act(async |tx| lists::add_members(tx, list.id, by_id(&contacts)).await).await.unwrap();
}

#[tokio::test]
async fn the_plan_that_a_trial_has_lent_bounds_nobody_after_its_end() {
    let office = Office::new().await;
    office.complete().await;
    for n in 0..4 {
        office.act(async |tx| new_list(tx, &format!("List {n}")).await).await.unwrap();
    }
    office.after(chrono::Duration::days(7)).await;
    assert_limit_reached(office.act(async |tx| new_list(tx, "More").await).await, "lists");
}

#[tokio::test]
async fn of_two_who_want_the_last_place_one_gets_it() {
    let office = Office::without_sign_up().await;
    bound(&office, Limit::Lists, 1).await;
    let other = office.scene.db.app();
    let tx = other.begin(office.scene.organization).await.unwrap();
    new_list(&tx, "First").await.unwrap();
    let second = office.act(async |tx| new_list(tx, "Second").await);
    let first = async {
        until_waiting(&office.scene, 1).await;
        tx.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(second, first);
    assert_limit_reached(second, "lists");
}

#[tokio::test]
async fn many_at_once_never_come_to_more_than_the_plan_allows() {
    let office = Office::without_sign_up().await;
    let create = |n: usize| {
        let db = office.scene.db.app();
        let organization = office.scene.organization;
        async move {
            let tx = db.begin(organization).await.unwrap();
            match new_sender(&tx, n).await {
                Ok(_) => tx.commit().await.is_ok(),
                Err(_) => false,
            }
        }
    };
    let made = futures_util::future::join_all((0..10).map(create)).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 5);
    assert_eq!(office.scene.number("select count(*) from senders", &[]).await, 5);
}

#[tokio::test]
async fn campaigns_are_bounded_while_they_are_active() {
    let office = Office::without_sign_up().await;
    let sender = office.scene.sender(1, 100, 60).await;
    let mut drafts = Vec::new();
    for _ in 0..2 {
        drafts.push(office.scene.draft_campaign(1, &[sender], 1, 50).await.campaign);
    }
    activate(&office, drafts[0]).await.unwrap();
    assert_limit_reached(activate(&office, drafts[1]).await, "active_campaigns");
    office.act(async |tx| campaigns::pause(tx, drafts[0]).await).await.unwrap();
    activate(&office, drafts[1]).await.unwrap();
    assert_limit_reached(office.act(async |tx| campaigns::resume(tx, drafts[0]).await).await, "active_campaigns");
    office.act(async |tx| campaigns::archive(tx, drafts[1]).await).await.unwrap();
    office.act(async |tx| campaigns::resume(tx, drafts[0]).await).await.unwrap();
}

#[tokio::test]
async fn a_list_takes_all_of_a_request_or_nothing() {
    let office = Office::without_sign_up().await;
    bound(&office, Limit::ContactsAList, 3).await;
    let list = office.act(async |tx| new_list(tx, "List").await).await.unwrap().id;
    let people = office.scene.contacts(5).await;
    let add =
        async |contacts: &[ContactId]| office.act(async |tx| lists::add_members(tx, list, by_id(contacts)).await).await;
    assert_eq!(add(&people[..2]).await.unwrap().added, 2);
    assert_limit_reached(add(&people[2..4]).await, "contacts_a_list");
    assert_eq!(members(&office, list).await, 2);
    // Whoever is on it already takes no room.
    assert_eq!(add(&people[..3]).await.unwrap().added, 1);
    assert_eq!(add(&people[..3]).await.unwrap().already, 3);
    assert_limit_reached(add(&people[3..4]).await, "contacts_a_list");
}

async fn members(office: &Office, list: ListId) -> i64 {
    office.scene.number("select count(*) from list_members where list_id = $1", &[&list]).await
}

/// Imports a file into a list in chunks of some rows.
async fn import(
    office: &Office,
    list: Option<ListId>,
    file: &str,
    rows: usize,
) -> (imports::Import, Vec<(i64, String)>) {
    let (store, queue) = (Arc::new(FakeObjectStore::default()), Arc::new(FakeImportQueue::default()));
    let new = NewImport { file_name: "people.csv".to_owned(), size: 100, list_id: list, ..NewImport::default() };
    let id = office.act(async |tx| imports::create(tx, &*store, new).await).await.unwrap().0.id;
    store.upload(&format!("uploads/{}/{id}", office.scene.organization), file);
    office.act(async |tx| imports::start(tx, &*store, &*queue, id, None).await).await.unwrap();
    let pace = Pace { rows, ..Pace::default() };
    let importer = Importer { db: office.scene.db.app(), store, queue, pace };
    let far = Instant::now() + Duration::from_secs(3_600);
    let progress = importer.run(office.scene.organization, id, far).await.unwrap();
    assert_eq!(progress, Progress::Ended);
    let import = office.act(async |tx| imports::find(tx, id).await).await.unwrap();
    let errors = office.act(async |tx| imports::list_errors(tx, id, None, 100).await).await.unwrap();
    (import, errors.into_iter().map(|error| (error.line, error.code)).collect())
}

#[tokio::test]
async fn an_import_takes_the_first_people_of_the_file_and_tells_the_others() {
    let file = "Email,Company\nd@x.test,1\nc@x.test,2\nb@x.test,3\nd@x.test,4\na@x.test,5\nb@x.test,6\nc@x.test,7\n";
    for rows in [1, 2, 3, 100] {
        let office = Office::without_sign_up().await;
        bound(&office, Limit::ContactsAList, 2).await;
        let list = office.act(async |tx| new_list(tx, "List").await).await.unwrap().id;
        let (done, errors) = import(&office, Some(list), file, rows).await;
        assert_eq!((done.status.as_str(), done.rows_total, done.rows_failed), ("completed", 7, 3), "{rows}");
        let reached = |line| (line, "plan_limit_reached".to_owned());
        assert_eq!(errors, [reached(4), reached(6), reached(7)], "{rows}");
        let emails = office.scene.rows("select email from contacts order by email", &[]).await;
        let emails: Vec<String> = emails.iter().map(|row| row.get(0)).collect();
        assert_eq!(emails, ["c@x.test", "d@x.test"], "nobody beyond the limit is made, {rows}");
        assert_eq!(members(&office, list).await, 2);
        // The same file again, under a plan that allows it, brings the others.
        office.scene.run("update organizations set plan_type = 'pro'", &[]).await;
        let (done, errors) = import(&office, Some(list), file, rows).await;
        assert_eq!((done.rows_failed, errors.len(), members(&office, list).await), (0, 0, 4), "{rows}");
    }
}

#[tokio::test]
async fn an_import_updates_those_who_are_on_a_full_list_and_nobody_else() {
    let office = Office::without_sign_up().await;
    bound(&office, Limit::ContactsAList, 1).await;
    let list = office.act(async |tx| new_list(tx, "List").await).await.unwrap().id;
    import(&office, Some(list), "Email,Company\na@x.test,Old\n", 100).await;
    import(&office, None, "Email,Company\nb@x.test,Old\n", 100).await;
    let (done, errors) = import(&office, Some(list), "Email,Company\nb@x.test,New\na@x.test,New\n", 100).await;
    assert_eq!((done.rows_updated, done.rows_failed), (1, 1));
    assert_eq!(errors[0].0, 2);
    let rows = office.scene.rows("select company from contacts order by email", &[]).await;
    assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["New", "Old"]);
}

#[tokio::test]
async fn usage_tells_each_limit_and_the_month() {
    let office = Office::without_sign_up().await;
    let sender = office.scene.sender(1, 100, 60).await;
    let campaign = office.scene.running_campaign(3, &[sender], 1, 50).await;
    let sent = "insert into daily_stats (organization_id, day, sent)
                values ($1, '2026-03-01', 7), ($1, '2026-02-28', 100)";
    office.scene.run(sent, &[&office.scene.organization]).await;
    let used = "insert into limit_usage (organization_id, scope, scope_id, day, used)
                values ($1, 'organization', $1, '2026-03-04', 5)";
    office.scene.run(used, &[&office.scene.organization]).await;
    let usage = office.usage().await;
    let told: Vec<(Limit, i64, Option<i64>)> =
        usage.limits.iter().map(|limit| (limit.limit, limit.used, limit.maximum)).collect();
    let expected = [
        (Limit::MailsADay, 5, Some(50)),
        (Limit::Senders, 1, Some(5)),
        (Limit::ActiveCampaigns, 1, Some(1)),
        (Limit::Lists, 1, Some(3)),
        (Limit::ContactsAList, 3, Some(5_000)),
        (Limit::ApiRequestsAMonth, 0, None),
    ];
    assert_eq!(told, expected);
    assert_eq!((usage.plan_type.as_str(), usage.has_plan_limits, usage.month.mails_sent), ("free", true, 7));
    assert_eq!(campaign.contacts.len(), 3);
}

fn by_id(contacts: &[ContactId]) -> NewMembers {
    NewMembers { contact_ids: contacts.to_vec(), ..NewMembers::default() }
}
