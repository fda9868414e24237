//! The daily counts: at any moment what counting messages and events anew would give, folded or not.

use std::time::Duration as Wait;

use chrono::{DateTime, Duration, NaiveDate, TimeZone as _, Utc};
use futures_util::future::join_all;
use shared::OrganizationId;
use shared::delivery::feedback::EventKind;
use shared::delivery::messages::MessageKey;
use shared::outreach::statistics::daily::{self, Filter, Period, Series};
use shared::outreach::statistics::folding::{self, Folded};
use tokio::time::Instant;

use crate::model::Dice;
use crate::scheduling::foreign_campaign;
use crate::stage::Stage;

/// Where the counts kept differ from the rows counted anew, per day, dimensions and counter.
pub(crate) const DIFFERENCES: &str = "
    select format('%s %s %s %s %s: %s too many', day, campaign_id, step_id, sender_id, counter, sum(n))
      from (select k.organization_id, k.day, k.campaign_id, k.step_id, k.sender_id, c.key as counter, c.value::bigint as n
              from (select organization_id, day, campaign_id, step_id, sender_id, to_jsonb(s) as kept from daily_stats s
                    union all
                    select organization_id, day, campaign_id, step_id, sender_id, to_jsonb(d) from daily_stats_deltas d) as k
             cross join lateral jsonb_each_text(k.kept - array['organization_id', 'day', 'campaign_id', 'step_id', 'sender_id',
                                                               'updated_at']) as c
            union all
            select m.organization_id, (c.happened_at at time zone 'UTC')::date, m.campaign_id, m.step_id, m.sender_id, c.counter, -1
              from messages m
             cross join lateral (values
                       ('sent', coalesce(m.sent_at, m.send_at), m.state = 'sent'),
                       ('failed', coalesce(m.sent_at, m.send_at), m.state = 'failed'),
                       ('delivered', m.delivered_at, true), ('opened', m.opened_at, true), ('clicked', m.clicked_at, true),
                       ('bounced', m.bounced_at, true), ('complained', m.complained_at, true),
                       ('replied', m.replied_at, true), ('unsubscribed', m.unsubscribed_at, true))
                       as c (counter, happened_at, counts)
             where c.counts and c.happened_at is not null
            union all
            select e.organization_id, (e.occurred_at at time zone 'UTC')::date, m.campaign_id, m.step_id, m.sender_id, c.counter, -1
              from message_events e
              join messages m on m.organization_id = e.organization_id and m.id = e.message_id
             cross join lateral (values
                       ('soft_bounced', e.kind = 'soft_bounced'), ('automatic_replies', e.kind = 'auto_replied'),
                       ('total_opens', e.kind = 'opened'), ('machine_opens', e.kind = 'opened' and e.is_machine),
                       ('total_clicks', e.kind = 'clicked'), ('machine_clicks', e.kind = 'clicked' and e.is_machine))
                       as c (counter, counts)
             where c.counts) as counted
     group by organization_id, day, campaign_id, step_id, sender_id, counter
    having sum(n) <> 0";

const DELTAS: &str = "select count(*) from daily_stats_deltas";

impl Stage {
    async fn fold(&self) -> Folded {
        let deadline = Instant::now() + Wait::from_secs(600);
        folding::fold(&self.worker("martlet_maintenance"), deadline).await.unwrap()
    }

    /// Folds until nothing is left, waiting for whoever else is at it.
    async fn fold_everything(&self) {
        for _ in 0..2_000 {
            if self.fold().await.is_finished {
                return;
            }
            tokio::time::sleep(Wait::from_millis(5)).await;
        }
        panic!("somebody keeps the lock of folding");
    }

    /// Opens or clicks, as a person or a machine, in the way of the public routes.
    async fn track(&self, message: MessageKey, kind: &str, at: DateTime<Utc>, is_machine: bool) {
        let db = self.worker("martlet_app");
        let tx = db.begin(message.organization).await.unwrap();
        tx.query("select from messages where id = $1 for update", &[&message.id]).await.unwrap();
        let event =
            "insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, is_machine)
                     values ($1, $2, $3, $4, gen_random_uuid()::text, $5, $6)";
        let id = shared::ids::fresh();
        tx.execute(event, &[&message.organization, &id, &message.id, &kind, &at, &is_machine]).await.unwrap();
        if !is_machine {
            let column = if kind == "opened" { "opened_at" } else { "clicked_at" };
            let first = format!("update messages set {column} = least({column}, $2) where id = $1");
            tx.execute(&first, &[&message.id, &at]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn series(&self, organization: OrganizationId, from: &str, to: &str) -> Series {
        let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
        let period = Period::new(day(from), day(to), NaiveDate::MIN).unwrap();
        let tx = self.worker("martlet_app").begin(organization).await.unwrap();
        let series = daily::read(&tx, period, Filter::default()).await.unwrap();
        tx.commit().await.unwrap();
        series
    }

    /// `count` mails of the first step, sent.
    async fn with_sent(count: usize) -> (Self, Vec<MessageKey>) {
        let stage = Self::new().await;
        let sender = stage.scene.sender(1, 1_000, 0).await;
        stage.scene.running_campaign(count, &[sender], 2, 1_000).await;
        stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
        stage.tick().await;
        stage.deliver_queued().await;
        let messages = stage.messages().await;
        assert_eq!(messages.len(), count);
        (stage, messages)
    }
}

#[tokio::test]
async fn whatever_is_recorded_at_once_the_counts_are_those_of_the_rows() {
    for seed in 1..=3 {
        everything_at_once(seed).await;
    }
}

async fn everything_at_once(seed: u64) {
    let stage = Stage::new().await;
    let senders = [stage.scene.sender(1, 1_000, 0).await, stage.scene.sender(2, 1_000, 0).await];
    stage.scene.running_campaign(24, &senders, 2, 1_000).await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 8).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.tick().await;
    let hints = stage.queue.drain();
    let (sent, waiting) = hints.split_at(hints.len() / 2);
    for batch in sent.chunks(10) {
        stage.deliver(batch).await;
    }
    let dice = |n: u64| Dice(seed * 1_000 + n);
    let sending = async {
        for batch in waiting.chunks(3) {
            stage.deliver(batch).await;
        }
    };
    let reports = join_all((0..3).map(|n| {
        let (stage, mut dice) = (&stage, dice(n));
        async move {
            for _ in 0..8 {
                let mut events = Vec::new();
                for _ in 0..=dice.below(9) {
                    let kind = KINDS[dice.below(KINDS.len())];
                    let mut event = stage.event(sent[dice.below(sent.len())], kind).await;
                    // Hours and days later, repeated with another time, under a new key or the same.
                    event.occurred_at += Duration::hours(i64::try_from(dice.below(90)).unwrap());
                    event.dedupe_key = format!("{} {}", kind.name(), dice.below(3));
                    events.push(event);
                }
                stage.apply(&events).await;
            }
        }
    }));
    let tracking = join_all((0..2).map(|n| {
        let (stage, mut dice) = (&stage, dice(10 + n));
        async move {
            let begin = stage.now().await;
            for _ in 0..16 {
                let message = sent[dice.below(sent.len())];
                let kind = if dice.one_in(3) { "clicked" } else { "opened" };
                let at = begin + Duration::minutes(i64::try_from(dice.below(6_000)).unwrap());
                stage.track(message, kind, at, dice.one_in(3)).await;
            }
        }
    }));
    let answers = async {
        let mut dice = dice(20);
        for n in 0..6 {
            let headers = if dice.one_in(2) { "Auto-Submitted: auto-replied\r\n" } else { "" };
            stage.receive(sent[dice.below(sent.len())], &format!("{n}@people.test"), headers).await;
            stage.unsubscribe(sent[dice.below(sent.len())]).await;
        }
    };
    let folding = join_all((0..2).map(|_| async {
        for _ in 0..12 {
            stage.fold().await;
        }
    }));
    tokio::join!(sending, reports, tracking, answers, folding);

    let when = format!("seed {seed}");
    stage.check(&when).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(stage.scene.number(deadlocks, &[]).await, 0, "{when}");
    let before = stage.series(stage.scene.organization, "2026-03-01", "2026-03-31").await;
    stage.fold_everything().await;
    assert_eq!(stage.scene.number(DELTAS, &[]).await, 0, "{when}");
    stage.check(&format!("{when}, folded")).await;
    let after = stage.series(stage.scene.organization, "2026-03-01", "2026-03-31").await;
    assert_eq!(before, after, "{when}");
    assert!(after.totals.counters.sent > 0 && after.totals.counters.total_opens > 0, "{when}: {after:?}");
}

const KINDS: [EventKind; 10] = [
    EventKind::Delivered,
    EventKind::Delivered,
    EventKind::Delivered,
    EventKind::Bounced,
    EventKind::SoftBounced,
    EventKind::Complained,
    EventKind::Rejected,
    EventKind::Rejected,
    EventKind::Opened,
    EventKind::Clicked,
];

#[tokio::test]
async fn what_comes_twice_late_or_the_wrong_way_round_counts_once_on_its_day() {
    let (stage, messages) = Stage::with_sent(2).await;
    let organization = stage.scene.organization;
    let at = |day, hour| Utc.with_ymd_and_hms(2026, 3, day, hour, 0, 0).unwrap();
    for (key, day) in [("late", 6), ("early", 5), ("late", 6)] {
        let mut event = stage.event(messages[0], EventKind::Delivered).await;
        (event.dedupe_key, event.occurred_at) = (key.to_owned(), at(day, 9));
        stage.apply(&[event]).await;
    }
    stage.track(messages[0], "opened", at(6, 10), true).await;
    stage.track(messages[0], "opened", at(6, 11), false).await;
    stage.track(messages[0], "opened", at(7, 11), false).await;
    // Accepted, and refused the day after.
    let mut rejection = stage.event(messages[1], EventKind::Rejected).await;
    rejection.occurred_at = at(5, 9);
    stage.fold_everything().await;
    stage.apply(&[rejection]).await;

    let series = stage.series(organization, "2026-03-03", "2026-03-08").await;
    let shown: Vec<[i64; 6]> = series
        .days
        .iter()
        .map(|day| day.counters)
        .map(|c| [c.sent, c.failed, c.delivered, c.opened, c.total_opens, c.machine_opens])
        .collect();
    let nothing = [0; 6];
    let expected = [nothing, [1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 2, 1], [0, 0, 0, 0, 1, 0], nothing];
    assert_eq!(shown, expected);
    assert_eq!(series.totals.rates.delivered, Some(1.0));
    assert_eq!(series.totals.counters.follow_ups_sent, 0);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_step_after_the_first_is_a_follow_up() {
    let (stage, _) = Stage::with_sent(3).await;
    stage.at(stage.now().await + Duration::days(2)).await;
    stage.tick().await;
    stage.deliver_queued().await;
    let counters = stage.series(stage.scene.organization, "2026-03-01", "2026-03-31").await.totals.counters;
    assert_eq!((counters.sent, counters.follow_ups_sent), (6, 3));
}

#[tokio::test]
async fn what_is_undone_leaves_no_count() {
    let (stage, messages) = Stage::with_sent(1).await;
    let before = stage.scene.number(DELTAS, &[]).await;
    let db = stage.worker("martlet_app");
    let tx = db.begin(messages[0].organization).await.unwrap();
    let update = "update messages set opened_at = clock_now() where id = $1";
    assert_eq!(tx.execute(update, &[&messages[0].id]).await.unwrap(), 1);
    assert_eq!(tx.query_one(DELTAS, &[]).await.unwrap().get::<_, i64>(0), before + 1);
    tx.rollback().await.unwrap();
    assert_eq!(stage.scene.number(DELTAS, &[]).await, before);
    stage.check("after the rollback").await;
}

#[tokio::test]
async fn folding_that_is_killed_changes_nothing_and_two_do_not_fold_at_once() {
    let (stage, messages) = Stage::with_sent(3).await;
    let organization = messages[0].organization;
    let before = stage.scene.number(DELTAS, &[]).await;
    assert!(before > 0);
    let killed = stage.worker("martlet_maintenance");
    let tx = killed.begin_for(&[organization]).await.unwrap();
    assert_eq!(folding::fold_chunk(&tx, 1).await.unwrap(), Some(1));
    // Readers are not held up, and nobody else folds meanwhile.
    assert_eq!(stage.series(organization, "2026-03-04", "2026-03-04").await.totals.counters.sent, 3);
    assert_eq!(stage.fold().await, Folded { deltas: 0, is_finished: false });
    drop(tx);
    assert_eq!(stage.scene.number(DELTAS, &[]).await, before);
    assert_eq!(stage.scene.number("select count(*) from daily_stats", &[]).await, 0);
    stage.fold_everything().await;
    assert_eq!(stage.series(organization, "2026-03-04", "2026-03-04").await.totals.counters.sent, 3);
    assert_eq!(stage.fold().await, Folded { deltas: 0, is_finished: true });
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_deadline_that_has_passed_leaves_the_rest_for_the_next_run() {
    let (stage, _) = Stage::with_sent(1).await;
    let folded = folding::fold(&stage.worker("martlet_maintenance"), Instant::now()).await.unwrap();
    assert_eq!(folded, Folded { deltas: 0, is_finished: false });
    assert!(stage.scene.number(DELTAS, &[]).await > 0);
}

#[tokio::test]
async fn no_count_comes_to_another_tenant() {
    let (stage, messages) = Stage::with_sent(2).await;
    let (other, _) = stage.scene.another_organization("other").await;
    stage.fold_everything().await;
    stage.track(messages[0], "opened", stage.now().await, false).await;
    assert_eq!(stage.series(other, "2026-03-01", "2026-03-31").await.totals, Default::default());
    let forged = "insert into daily_stats_deltas (organization_id, day, sent) values ($1, '2026-03-04', 1)";
    for role in ["martlet_scheduler", "martlet_sender", "martlet_feedback", "martlet_inbound"] {
        let tx = stage.worker(role).begin_for(&[messages[0].organization]).await.unwrap();
        assert!(tx.execute(forged, &[&other]).await.is_err(), "{role}");
    }
    let tx = stage.worker("martlet_app").begin(messages[0].organization).await.unwrap();
    assert!(tx.execute(forged, &[&other]).await.is_err());
    // Folding takes what is its batch's and nothing else.
    let tx = stage.worker("martlet_maintenance").begin_for(&[other]).await.unwrap();
    assert_eq!(folding::fold_chunk(&tx, 100).await.unwrap(), Some(0));
}

#[tokio::test]
async fn mail_outside_campaigns_has_one_row_a_day() {
    let (stage, _) = Stage::with_sent(0).await;
    for n in 0..2 {
        stage
            .scene
            .run(
                "insert into messages (organization_id, id, kind, dedupe_key, recipient, state, slot_day, send_at, sent_at, expires_at)
                 values ($1, gen_random_uuid(), 'system', $2, 'person@people.test', 'sent', '2026-03-04', clock_now(), clock_now(), clock_now())",
                &[&stage.scene.organization, &format!("system {n}")],
            )
            .await;
        stage.fold_everything().await;
    }
    assert_eq!(stage.scene.number("select count(*) from daily_stats", &[]).await, 1);
    assert_eq!(stage.scene.number("select sent from daily_stats where campaign_id is null", &[]).await, 2);
    assert_eq!(stage.scene.rows(DIFFERENCES, &[]).await.len(), 0);
}
