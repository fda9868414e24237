//! Limits that stack: each holds with sixteen schedulers at once, is used up, and gives back what is released.

use chrono::Duration;
use futures_util::future::join_all;
use shared::delivery::constraints::{self, Binding};
use shared::delivery::feedback::EventKind;
use shared::delivery::provider_account::{self, AccountState};
use shared::delivery::scheduling;
use shared::delivery::sending::Answer;
use shared::delivery::stopping::{self, Stop};
use shared::{EnrollmentId, SenderId};
use testkit::FakeAccount;
use testkit::scene::wednesday_morning;

use crate::scheduling::foreign_campaign;
use crate::stage::Stage;

/// Two campaigns of sixty people each on two senders of one domain, with room for all of them.
async fn crowd() -> (Stage, Vec<SenderId>) {
    let stage = Stage::new().await;
    let senders = vec![stage.scene.sender(1, 1_000, 0).await, stage.scene.sender(2, 1_000, 0).await];
    for _ in 0..2 {
        stage.scene.running_campaign(60, &senders, 2, 1_000).await;
    }
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    (stage, senders)
}

/// Sixteen schedulers at once; what one of them left because another had it is planned by the last two.
async fn plan(stage: &Stage) {
    join_all((0..16).map(|_| stage.tick())).await;
    stage.tick().await;
    stage.tick().await;
}

async fn scheduled(stage: &Stage) -> i64 {
    stage.scene.number("select count(*) from messages where state = 'scheduled' and slot_day is not null", &[]).await
}

async fn settle(stage: &Stage, settings: &str) {
    let sql = "update organizations set settings = $2::text::jsonb where id = $1";
    stage.scene.run(sql, &[&stage.scene.organization, &settings]).await;
}

/// Whatever limit was set, sixteen schedulers use it up and do not pass it, and a slot that is given back is used again.
async fn holds(stage: &Stage, cap: i64) {
    plan(stage).await;
    assert_eq!(scheduled(stage).await, cap, "used up and not passed");
    stage.check("when it is used up").await;
    let ours = "select enrollment_id from messages where organization_id = $1 order by id limit 1";
    let enrollment: EnrollmentId = stage.scene.rows(ours, &[&stage.scene.organization]).await[0].get(0);
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    tx.query("select from contacts for update", &[]).await.unwrap();
    stopping::stop_enrollment(&tx, stage.scene.organization, enrollment, Stop::Removed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scheduled(stage).await, cap - 1);
    stage.check("when one was given back").await;
}

async fn holds_and_is_used_again(stage: &Stage, cap: i64) {
    holds(stage, cap).await;
    plan(stage).await;
    assert_eq!(scheduled(stage).await, cap, "the slot that was given back");
    stage.check("at the end").await;
}

#[tokio::test]
async fn the_organization_s_limit_holds() {
    let (stage, _) = crowd().await;
    settle(&stage, r#"{"daily_limit": 37}"#).await;
    holds_and_is_used_again(&stage, 37).await;
    assert_eq!(stage.slots_used("organization").await, 37);
    stage.at(wednesday_morning() + Duration::days(1)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 74, "and the next day again");
}

#[tokio::test]
async fn the_plan_s_limit_holds_where_the_operator_says_so() {
    let (stage, _) = crowd().await;
    stage.scene.run("update organizations set plan_type = 'free', has_plan_limits = true", &[]).await;
    holds_and_is_used_again(&stage, 50).await;
    stage.scene.run("update organizations set has_plan_limits = false", &[]).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 119, "a plan alone binds nobody");
}

#[tokio::test]
async fn the_domain_s_limit_holds_over_its_senders() {
    let (stage, _) = crowd().await;
    stage.scene.run("update domains set daily_limit = 41", &[]).await;
    holds_and_is_used_again(&stage, 41).await;
}

#[tokio::test]
async fn the_account_s_quota_holds_over_organizations() {
    let (stage, _) = crowd().await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 30).await;
    stage.scene.run("update provider_accounts set daily_quota = 44, sent_elsewhere = 4", &[]).await;
    holds_and_is_used_again(&stage, 40).await;
    let foreign = "select count(*) from messages where organization_id = $1";
    assert!(stage.scene.number(foreign, &[&other]).await > 0, "both have got some");
    stage.at(wednesday_morning() + Duration::hours(7)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 40);
    stage.at(wednesday_morning() + Duration::hours(25)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 80, "a day after the hour is over");
}

#[tokio::test]
async fn the_account_s_rate_holds_in_every_second() {
    let (stage, _) = crowd().await;
    stage.scene.run("update provider_accounts set mails_per_second = 3", &[]).await;
    join_all((0..16).map(|_| stage.tick_ahead(Duration::seconds(9)))).await;
    stage.tick_ahead(Duration::seconds(9)).await;
    let fullest = "select max(n) from (select count(*) as n from messages group by date_trunc('second', send_at)) as s";
    assert_eq!(stage.scene.number(fullest, &[]).await, 3);
    assert_eq!(scheduled(&stage).await, 30, "three in each of ten seconds");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_recipient_s_domain_gets_its_mails_of_the_hour_and_the_others_behind_it_go() {
    let (stage, _) = crowd().await;
    // A hundred at one large domain are due for longest, and twenty elsewhere behind them.
    stage
        .scene
        .run("update contacts set email = replace(email, 'people.test', 'Other.test') where email ~ '[05]@'", &[])
        .await;
    stage
        .scene
        .run(
            "update enrollments e set next_due_at = clock_now() - interval '1 hour'
               from contacts c where c.id = e.contact_id and c.email like '%people.test'",
            &[],
        )
        .await;
    settle(&stage, r#"{"recipient_domain_hourly_limit": 9}"#).await;
    holds(&stage, 18).await;
    let per_domain =
        "select count(*) from messages where state = 'scheduled' group by split_part(recipient, '@', 2) order by 1";
    let rows = stage.scene.rows(per_domain, &[]).await;
    let counts: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(counts, [8, 9], "one of them was given back");
    let waiting = "select count(*) from enrollments where next_due_at = clock_now() + interval '1 hour'";
    assert!(stage.scene.number(waiting, &[]).await >= 100, "the others are due in the next hour");
    stage.at(wednesday_morning() + Duration::hours(1)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 17 + 18);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_person_gets_so_many_mails_over_all_campaigns() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let first = stage.scene.running_campaign(20, &[sender], 2, 1_000).await;
    // The same twenty in four more campaigns, each with a sender in a zone of its own.
    for (n, zone) in ["Asia/Tokyo", "America/New_York", "UTC", "Europe/Berlin"].into_iter().enumerate() {
        let sender = stage.scene.sender(n + 2, 1_000, 0).await;
        stage.scene.run("update senders set timezone = $2 where id = $1", &[&sender, &zone]).await;
        let other = stage.scene.running_campaign(0, &[sender], 1, 1_000).await;
        stage
            .scene
            .run(
                "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
                 select organization_id, gen_random_uuid(), $2, contact_id, $3, clock_now()
                   from enrollments where campaign_id = $1",
                &[&first.campaign, &other.campaign, &sender],
            )
            .await;
    }
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    settle(&stage, r#"{"person_limit": {"mails": 2, "days": 2}}"#).await;
    holds(&stage, 40).await;
    let fullest = "select max(n) from (select count(*) as n from messages group by contact_id) as p";
    assert_eq!(stage.scene.number(fullest, &[]).await, 2);
    // On the next day nobody has room, but for the one whose mail was given back.
    stage.at(wednesday_morning() + Duration::days(1)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 40);
    stage.at(wednesday_morning() + Duration::days(2)).await;
    plan(&stage).await;
    assert_eq!(scheduled(&stage).await, 80 - 1);
    stage.check("at the end").await;
}

#[tokio::test]
async fn people_who_are_held_back_do_not_stand_in_front_of_others() {
    let stage = Stage::new().await;
    // Two minutes apart: two slots a run, and a hundred people who have had theirs stand in front of five.
    let sender = stage.scene.sender(1, 1_000, 120).await;
    stage.scene.running_campaign(105, &[sender], 1, 1_000).await;
    stage
        .scene
        .run(
            "insert into limit_usage (organization_id, scope, scope_id, day, used)
             select organization_id, 'person', contact_id, clock_now()::date, 1 from enrollments order by id limit 100",
            &[],
        )
        .await;
    stage
        .scene
        .run(
            "update enrollments set next_due_at = clock_now() - interval '1 hour'
              where contact_id in (select scope_id from limit_usage)",
            &[],
        )
        .await;
    settle(&stage, r#"{"person_limit": {"mails": 1, "days": 7}}"#).await;
    assert_eq!(stage.tick_ahead(Duration::minutes(2)).await.granted, 2, "in the first run");
}

#[tokio::test]
async fn every_slot_is_given_back_once_whatever_becomes_of_the_mail() {
    let (stage, _) = crowd().await;
    settle(
        &stage,
        r#"{"daily_limit": 90, "recipient_domain_hourly_limit": 80, "person_limit": {"mails": 2, "days": 5}}"#,
    )
    .await;
    stage.tick().await;
    assert_eq!(scheduled(&stage).await, 80);
    let hints = stage.queue.drain();
    let refused = |address_at_fault| Answer::Refused {
        code: "MessageRejected".to_owned(),
        detail: "no".to_owned(),
        address_at_fault,
    };
    stage.mailer.answer_next([refused(true), refused(false), Answer::Unclear("reset".to_owned())]);
    for hints in hints[..60].chunks(10) {
        stage.deliver(hints).await;
    }
    stage.check("after sending").await;
    let sent = "select organization_id, id from messages where state = 'sent' order by id limit 4";
    let sent: Vec<_> = stage.scene.rows(sent, &[]).await.iter().map(crate::stage::key).collect();
    let mut events = Vec::new();
    for (message, kind) in sent.iter().zip([EventKind::Rejected, EventKind::Bounced, EventKind::Complained]) {
        events.push(stage.event(*message, kind).await);
    }
    for _ in 0..2 {
        stage.apply(&events).await;
    }
    stage.check("after reports, each twice").await;
    stage.unsubscribe(sent[3]).await;
    stage.scene.run("update campaign_settings set window_end = '10:00'", &[]).await;
    for hints in hints[60..].chunks(10) {
        stage.deliver(hints).await;
    }
    stage.check("after a window has closed").await;
}

#[tokio::test]
async fn a_slot_of_an_earlier_release_is_given_back_as_it_was_counted() {
    let (stage, _) = crowd().await;
    stage.tick().await;
    stage.scene.run("update messages set slot_domain = null", &[]).await;
    stage.scene.run("delete from limit_usage where scope in ('organization', 'domain')", &[]).await;
    stage.scene.run("delete from provider_account_usage", &[]).await;
    stage.check("as the earlier release has left it").await;
    stage.scene.run("update campaign_settings set window_end = '10:00'", &[]).await;
    stage.deliver_queued().await;
    stage.check("after everything was given back").await;
    assert_eq!(stage.slots_used("sender").await, 0);
}

#[tokio::test]
async fn what_binds_somebody_is_told_by_name_and_when_it_ends() {
    let (stage, _) = crowd().await;
    settle(&stage, r#"{"daily_limit": 10, "person_limit": {"mails": 1, "days": 3}}"#).await;
    stage.tick().await;
    stage.scene.run("update senders set gap_seconds = 600", &[]).await;
    let told = async |sql: &str| {
        let enrollment: EnrollmentId = stage.scene.rows(sql, &[]).await[0].get(0);
        let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
        let bindings: Vec<Binding> = constraints::of_enrollment(&tx, enrollment).await.unwrap();
        tx.commit().await.unwrap();
        let now = wednesday_morning();
        bindings.iter().map(|b| (b.name.name(), b.frees_at.map(|at| (at - now).num_minutes()))).collect::<Vec<_>>()
    };
    let planned = told("select id from enrollments where waiting_message_id is not null limit 1").await;
    let day = ("organization_daily_limit", Some(14 * 60));
    assert_eq!(planned, [day, ("sender_gap", Some(10)), ("person_limit", Some((2 * 24 + 14) * 60))]);
    let waiting = told("select id from enrollments where waiting_message_id is null limit 1").await;
    assert_eq!(waiting, [day, ("sender_gap", Some(10))]);
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    assert!(constraints::of_enrollment(&tx, EnrollmentId::fresh()).await.is_err());
}

#[tokio::test]
async fn what_the_provider_tells_is_kept_and_others_mails_count() {
    let (stage, _) = crowd().await;
    stage.tick().await;
    let db = stage.worker("martlet_scheduler");
    let state = AccountState { daily_quota: Some(200), sent_in_a_day: 150, ..FakeAccount::well() };
    provider_account::keep(&db, &state).await.unwrap();
    let row =
        &stage.scene.rows("select mails_per_second, daily_quota, sent_elsewhere from provider_accounts", &[]).await[0];
    let kept: (Option<i32>, Option<i64>, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(kept, (Some(14), Some(200), 30), "120 of the 150 are ours");
    let unbounded = AccountState { daily_quota: None, mails_per_second: None, sent_in_a_day: 3, ..state };
    provider_account::keep(&db, &unbounded).await.unwrap();
    let told = "select count(*) from provider_accounts where daily_quota is null and mails_per_second is null and sent_elsewhere = 0";
    assert_eq!(stage.scene.number(told, &[]).await, 1);
}

/// How many runs, a minute apart, it takes until all of a small organization's people are planned, beside the backlog of
/// another one that has filled the seconds ahead. The account takes a mail a second.
async fn rounds(people: usize, backlog: i32) -> i64 {
    let stage = Stage::new().await;
    stage.scene.run("update provider_accounts set mails_per_second = 1", &[]).await;
    if backlog > 0 {
        let (large, domain) = stage.scene.another_organization("large").await;
        foreign_campaign(&stage, large, domain, backlog).await;
        stage.tick_ahead(Duration::minutes(2)).await;
    }
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let unplanned = "select count(*) from enrollments where organization_id = $1 and next_due_at is not null";
    let mut rounds = 0;
    while stage.scene.number(unplanned, &[&stage.scene.organization]).await > 0 {
        rounds += 1;
        assert!(rounds < 100, "it never gets its turn");
        stage.at(wednesday_morning() + Duration::minutes(rounds)).await;
        stage.tick_ahead(Duration::minutes(2)).await;
    }
    stage.check("at the end").await;
    rounds
}

#[tokio::test]
async fn a_small_organization_waits_no_longer_beside_a_large_one() {
    assert_eq!(rounds(30, 0).await, 1);
    assert_eq!(rounds(30, 2_000).await, 1, "half of the sixty seconds of a round are its own");
    assert_eq!(rounds(90, 2_000).await, 3, "and half of those of each further one");
}

/// How long a small organization's mails wait for their slots on average beside the backlog of another one, in seconds,
/// where the account takes fourteen mails a second.
async fn wait(backlog: i32) -> f64 {
    let (stage, horizon) = (Stage::new().await, scheduling::horizon(shared::db::Stage::Deployed));
    stage.scene.run("update provider_accounts set mails_per_second = 14", &[]).await;
    if backlog > 0 {
        let (large, domain) = stage.scene.another_organization("large").await;
        foreign_campaign(&stage, large, domain, backlog).await;
        stage.tick_ahead(horizon).await;
    }
    stage.at(wednesday_morning() + Duration::minutes(1)).await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(100, &[sender], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick_ahead(horizon).await;
    let sql = "select count(*), avg(extract(epoch from send_at - clock_now()))::float8 from messages where organization_id = $1";
    let row = &stage.scene.rows(sql, &[&stage.scene.organization]).await[0];
    assert_eq!(row.get::<_, i64>(0), 100, "all of them are planned by one run");
    stage.check("at the end").await;
    row.get(1)
}

#[tokio::test]
async fn beside_a_backlog_of_100_000_nobody_waits_twice_as_long() {
    let (alone, beside) = (wait(0).await, wait(100_000).await);
    // From when somebody becomes due half a minute passes on average until a run looks at them.
    let usual = 30.0 + alone;
    assert!(30.0 + beside <= 2.0 * usual, "{beside} s for a slot, {alone} s without the backlog");
}

#[tokio::test]
async fn the_people_of_a_paused_sender_wait_for_it_and_keep_it_and_their_thread() {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 1_000, 0).await, stage.scene.sender(2, 1_000, 0).await];
    stage.scene.running_campaign(4, &senders, 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    stage.deliver_queued().await;
    stage.at(wednesday_morning() + Duration::days(2)).await;
    stage.scene.run("update senders set status = 'paused' where id = $1", &[&senders[0]]).await;
    assert_eq!(stage.tick().await.granted, 2, "those of the other one");
    stage.at(wednesday_morning() + Duration::days(20)).await;
    assert_eq!(stage.tick().await.granted, 0, "however long it takes, nobody is handed over");
    stage.scene.run("update senders set status = 'active'", &[]).await;
    assert_eq!(stage.tick().await.granted, 2);
    stage.deliver_queued().await;
    let strays =
        "select count(*) from messages m join enrollments e on e.id = m.enrollment_id where m.sender_id <> e.sender_id";
    assert_eq!(stage.scene.number(strays, &[]).await, 0);
    let seconds: Vec<_> = stage.mailer.handed().into_iter().skip(4).collect();
    // The two whose mails were planned for the day on which the sender was paused are due anew.
    for mail in &seconds {
        let first = stage.mailer.handed().into_iter().find(|first| first.to == mail.to).unwrap();
        let sql = "select provider_message_id from messages where organization_id = $1 and id = $2";
        let row = &stage.scene.rows(sql, &[&first.message.organization, &first.message.id]).await[0];
        let thread = format!("<{}@email.amazonses.com>", row.get::<_, &str>(0));
        let raw = mail.raw.replace("\r\n ", " ").replace("\r\n\t", " ");
        assert!(raw.contains(&format!("In-Reply-To: {thread}")), "{raw}");
        assert!(raw.contains(&format!("References: {thread}")), "{raw}");
        let from = |raw: &str| raw.lines().find(|line| line.starts_with("From:")).unwrap().to_owned();
        assert_eq!(from(&mail.raw), from(&first.raw), "the same sender");
    }
    stage.check("at the end").await;
}
