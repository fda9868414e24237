//! The ramp, and what the hourly look at senders and campaigns does to those that do harm.

use std::time::Duration as Wait;

use chrono::{Days, Duration};
use shared::delivery::examining::{self, Examined};
use shared::delivery::gates::{self, Gate};
use shared::delivery::senders::{self, NewSender, Sender, SenderFields};
use shared::outreach::campaigns::{self, Campaign};
use shared::{CampaignId, SenderId};
use testkit::scene::wednesday_morning;
use tokio::time::Instant;

use crate::stage::Stage;

async fn examine(stage: &Stage) -> Examined {
    let far = Instant::now() + Wait::from_secs(3_600);
    let examined = examining::examine(&stage.worker("martlet_maintenance"), far).await.unwrap();
    assert!(examined.is_finished);
    examined
}

async fn sender(stage: &Stage, id: SenderId) -> Sender {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let found = senders::find(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    found
}

async fn campaign(stage: &Stage, id: CampaignId) -> Campaign {
    let tx = stage.worker("martlet_app").begin(stage.scene.organization).await.unwrap();
    let found = campaigns::find(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    found
}

/// Does something to a sender as the API does.
macro_rules! change {
    ($stage:expr, |$tx:ident| $what:expr) => {{
        let $tx = $stage.worker("martlet_app").begin($stage.scene.organization).await.unwrap();
        let done = $what.await.unwrap();
        $tx.commit().await.unwrap();
        done
    }};
}

/// Mails of a campaign sent at `at` (SQL), of which the first have bounced, the next complained and the next been answered.
async fn sent(stage: &Stage, campaign: CampaignId, at: &str, counts: [i64; 4]) {
    let sql = format!(
        "insert into messages (organization_id, id, dedupe_key, campaign_id, step_id, sender_id, recipient, state, slot_day,
                send_at, expires_at, sent_at, attempts, bounced_at, complained_at, replied_at)
         select c.organization_id, gen_random_uuid(), gen_random_uuid()::text, c.id, s.id, cs.sender_id, 'x@people.test', 'sent',
                '2026-03-04', {at}, {at}, {at} - n * interval '1 ms', 1,
                case when n <= $3::bigint then clock_now() end, case when n > $3 and n <= $3 + $4::bigint then clock_now() end,
                case when n > $3 + $4 and n <= $3 + $4 + $5::bigint then clock_now() end
           from campaigns c
           join steps s on s.campaign_id = c.id and s.position = 1
           join campaign_senders cs on cs.campaign_id = c.id
          cross join generate_series(1, $2::bigint) as n
          where c.id = $1"
    );
    let [sends, bounces, complaints, replies] = counts;
    let written = stage.scene.run(&sql, &[&campaign, &sends, &bounces, &complaints, &replies]).await;
    assert_eq!(written, sends.unsigned_abs());
}

/// A campaign with one sender, nobody due.
async fn running() -> (Stage, SenderId, CampaignId) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(0, &[sender], 1, 1_000).await.campaign;
    (stage, sender, campaign)
}

async fn acts(stage: &Stage) -> Vec<String> {
    let sql = "select concat_ws(' ', actor_kind, action, details->>'sends', details->>'hard_bounces') from audit_log order by id";
    stage.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_sender_that_warms_up_sends_no_more_than_its_share_of_the_day() {
    let stage = Stage::new().await;
    let id = stage.scene.sender(1, 65, 0).await;
    stage.scene.run("update senders set status = 'warming', ramp_started_on = '2026-03-04'", &[]).await;
    stage.scene.running_campaign(40, &[id], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    for (days, allowed) in [(0, 5), (1, 7), (2, 9)] {
        stage.at(wednesday_morning() + Days::new(days)).await;
        let today = sender(&stage, id).await;
        assert_eq!((today.limit_today, today.daily_limit), (allowed, 65));
        assert_eq!(stage.tick().await.granted, usize::try_from(allowed).unwrap());
        assert_eq!(stage.tick().await.granted, 0);
        stage.deliver_queued().await;
        assert_eq!(sender(&stage, id).await.used_today, allowed);
    }
    stage.check("at the end").await;
}

#[tokio::test]
async fn two_schedulers_do_not_pass_the_ramp() {
    let stage = Stage::new().await;
    let id = stage.scene.sender(1, 65, 0).await;
    stage.scene.run("update senders set status = 'warming', ramp_started_on = '2026-03-04'", &[]).await;
    stage.scene.running_campaign(40, &[id], 1, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    let (one, two) = tokio::join!(stage.tick(), stage.tick());
    assert_eq!(one.granted + two.granted, 5);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_ramp_begins_stands_still_while_paused_and_ends() {
    let stage = Stage::new().await;
    let new: NewSender = serde_json::from_str(r#"{"email": "new@example.test", "status": "pending"}"#).unwrap();
    let id = change!(stage, |tx| senders::create(&tx, new)).id;
    let state = async || {
        let sender = sender(&stage, id).await;
        (sender.status.name(), sender.limit_today)
    };
    assert_eq!(state().await, ("pending", 0));
    change!(stage, |tx| senders::pause(&tx, id, None));
    assert_eq!(state().await, ("paused", 0));
    change!(stage, |tx| senders::resume(&tx, id));
    assert_eq!(state().await, ("warming", 5), "a pause is no way round the ramp");

    stage.at(wednesday_morning() + Days::new(10)).await;
    assert_eq!(state().await, ("warming", 20));
    change!(stage, |tx| senders::pause(&tx, id, Some("a holiday")));
    change!(stage, |tx| senders::pause(&tx, id, Some("a long holiday")));
    stage.at(wednesday_morning() + Days::new(50)).await;
    assert_eq!((state().await, examine(&stage).await.ramps_finished), (("paused", 0), 0));
    change!(stage, |tx| senders::resume(&tx, id));
    assert_eq!(state().await, ("warming", 20));
    change!(stage, |tx| senders::resume(&tx, id));
    assert_eq!(state().await, ("warming", 20), "one that sends is left as it is");

    stage.at(wednesday_morning() + Days::new(69)).await;
    assert_eq!((state().await, examine(&stage).await.ramps_finished), (("warming", 48), 0));
    stage.at(wednesday_morning() + Days::new(70)).await;
    assert_eq!(state().await, ("warming", 50));
    assert_eq!(examine(&stage).await.ramps_finished, 1);
    assert_eq!((state().await, examine(&stage).await.ramps_finished), (("active", 50), 0));
    assert_eq!(acts(&stage).await, ["system sender.ramp_finished"]);
    change!(stage, |tx| senders::pause(&tx, id, None));
    change!(stage, |tx| senders::resume(&tx, id));
    assert_eq!(state().await, ("active", 50));
}

#[tokio::test]
async fn a_ramp_grows_to_the_limit_as_it_is_changed() {
    let stage = Stage::new().await;
    let new: NewSender = serde_json::from_str(r#"{"email": "new@example.test", "status": "warming"}"#).unwrap();
    let id = change!(stage, |tx| senders::create(&tx, new)).id;
    stage.at(wednesday_morning() + Days::new(15)).await;
    assert_eq!(sender(&stage, id).await.limit_today, 27);
    let fields = SenderFields { daily_limit: Some(Some(305)), ..SenderFields::default() };
    assert_eq!(change!(stage, |tx| senders::update(&tx, id, fields)).limit_today, 155);
}

#[tokio::test]
async fn health_is_computed_from_the_latest_mails() {
    let (stage, id, campaign) = running().await;
    let unknown = sender(&stage, id).await;
    assert_eq!((unknown.health_score, unknown.health.is_none()), (100, true));
    // Too old, and too long ago among the others.
    sent(&stage, campaign, "clock_now() - interval '31 days'", [50, 50, 0, 0]).await;
    sent(&stage, campaign, "clock_now() - interval '2 days'", [300, 30, 1, 0]).await;
    sent(&stage, campaign, "clock_now() - interval '1 day'", [500, 10, 0, 50]).await;
    // What was refused counts for nothing.
    stage.scene.run("insert into messages (organization_id, id, dedupe_key, sender_id, kind, recipient, state, send_at, expires_at, sent_at, bounced_at)
                     select organization_id, gen_random_uuid(), 'refused', id, 'direct', 'x', 'failed', clock_now(), clock_now(), clock_now(), clock_now() from senders", &[]).await;
    let examined = examine(&stage).await;
    assert_eq!((examined.senders, examined.senders_paused, examined.campaigns_paused), (1, 0, 0));
    let found = sender(&stage, id).await;
    let health = found.health.unwrap();
    assert_eq!((found.health_score, health.sends, health.hard_bounces, health.replies), (90, 500, 10, 50));
    assert_eq!(health.computed_at, wednesday_morning());

    stage
        .scene
        .run("update system_config set value = '600' where category = 'health' and key = 'window_sends'", &[])
        .await;
    examine(&stage).await;
    assert_eq!(sender(&stage, id).await.health.unwrap().sends, 600);
}

#[tokio::test]
async fn a_sender_that_does_harm_pauses_itself_and_says_why() {
    let (stage, id, campaign_id) = running().await;
    sent(&stage, campaign_id, "clock_now() - interval '1 hour'", [400, 0, 3, 0]).await;
    let examined = examine(&stage).await;
    assert_eq!((examined.senders_paused, examined.campaigns_paused), (1, 0));
    let found = sender(&stage, id).await;
    assert_eq!((found.status.name(), found.health_score, found.limit_today), ("paused", 0, 0));
    let reason = found.paused_reason.unwrap();
    assert!(reason.contains("below 50") && reason.contains("3 were reported as spam"), "{reason}");
    assert_eq!(found.paused_at, Some(wednesday_morning()));
    assert_eq!(acts(&stage).await, ["system sender.paused 400 0"]);
    assert_eq!(examine(&stage).await.senders_paused, 0, "once");

    // A person lets it go on: the same old mails are no reason to pause it again, even where they are reported of later.
    stage.at(wednesday_morning() + Duration::hours(1)).await;
    change!(stage, |tx| senders::resume(&tx, id));
    stage.scene.run("update messages set complained_at = clock_now() where complained_at is null", &[]).await;
    assert_eq!(examine(&stage).await.senders_paused, 0);
    let found = sender(&stage, id).await;
    assert_eq!((found.status.name(), found.paused_reason, found.health_score), ("active", None, 0));

    stage.at(wednesday_morning() + Duration::hours(3)).await;
    sent(&stage, campaign_id, "clock_now() - interval '1 hour'", [10, 0, 2, 0]).await;
    assert_eq!(examine(&stage).await.senders_paused, 0);
    sent(&stage, campaign_id, "clock_now() - interval '1 hour'", [10, 0, 1, 0]).await;
    assert_eq!(examine(&stage).await.senders_paused, 1, "but new ones are");
}

#[tokio::test]
async fn a_campaign_with_too_many_bounces_pauses_itself() {
    let (stage, id, campaign_id) = running().await;
    sent(&stage, campaign_id, "clock_now() - interval '1 hour'", [99, 5, 0, 50]).await;
    assert_eq!(examine(&stage).await.campaigns_paused, 0, "too few to judge by");
    sent(&stage, campaign_id, "clock_now() - interval '1 hour'", [1, 0, 0, 0]).await;
    let examined = examine(&stage).await;
    assert_eq!((examined.senders_paused, examined.campaigns_paused), (0, 1), "a sender has room for as many");
    assert_eq!(sender(&stage, id).await.status.name(), "active");
    let found = campaign(&stage, campaign_id).await;
    assert_eq!((found.status.name(), found.paused_at), ("paused", Some(wednesday_morning())));
    assert!(found.paused_reason.unwrap().starts_with("of its latest 100 mails 5 bounced for good"));
    assert_eq!(acts(&stage).await, ["system campaign.paused 100 5"]);

    stage.at(wednesday_morning() + Duration::hours(1)).await;
    change!(stage, |tx| campaigns::resume(&tx, campaign_id));
    assert_eq!(examine(&stage).await.campaigns_paused, 0);
    let found = campaign(&stage, campaign_id).await;
    assert_eq!((found.status.name(), found.paused_reason, found.paused_seconds), ("active", None, 3_600));
}

#[tokio::test]
async fn nothing_leaves_after_a_campaign_has_paused_itself() {
    let stage = Stage::new().await;
    let id = stage.scene.sender(1, 1_000, 0).await;
    let campaign = stage.scene.running_campaign(3, &[id], 1, 1_000).await.campaign;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    sent(&stage, campaign, "clock_now() - interval '1 hour'", [100, 10, 0, 0]).await;
    assert_eq!(examine(&stage).await.campaigns_paused, 1);
    stage.deliver_queued().await;
    assert!(stage.mailer.handed().is_empty());
    assert_eq!(stage.tick().await.granted, 0);
}

#[tokio::test]
async fn a_pause_waits_for_who_lets_mail_through_and_does_not_overrule_a_person() {
    let (stage, id, campaign) = running().await;
    sent(&stage, campaign, "clock_now() - interval '1 hour'", [100, 0, 3, 0]).await;
    // A person has the gate, and is about to let the sender go on after a pause of their own.
    let tx = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
    gates::close(&tx, &[Gate::Sender(id)]).await.unwrap();
    let person = async {
        stage.until_waiting(1).await;
        assert_eq!(sender(&stage, id).await.status.name(), "active");
        senders::pause(&tx, id, None).await.unwrap();
        senders::resume(&tx, id).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (examined, ()) = tokio::join!(examine(&stage), person);
    assert_eq!(examined.senders_paused, 0);
    assert_eq!((sender(&stage, id).await.status.name(), acts(&stage).await), ("active", Vec::new()));
}

#[tokio::test]
async fn each_organization_is_judged_by_its_own_mails() {
    let (stage, id, campaign) = running().await;
    let (other, domain) = stage.scene.another_organization("other").await;
    let theirs = SenderId::fresh();
    let insert = "insert into senders (organization_id, id, domain_id, email) values ($1, $2, $3, 'me@other.test')";
    stage.scene.run(insert, &[&other, &theirs, &domain]).await;
    sent(&stage, campaign, "clock_now() - interval '1 hour'", [100, 10, 3, 0]).await;
    let examined = examine(&stage).await;
    assert_eq!((examined.senders, examined.senders_paused, examined.campaigns_paused), (2, 1, 1));
    assert_eq!(sender(&stage, id).await.status.name(), "paused");
    let untouched = "select count(*) from senders where id = $1 and status = 'active'";
    assert_eq!(stage.scene.number(untouched, &[&theirs]).await, 1);
    let acts = "select count(*) from audit_log where organization_id = $1";
    assert_eq!(stage.scene.number(acts, &[&other]).await, 0);
}
