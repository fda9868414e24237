//! What the provider reports, in any order, late and repeated.

use chrono::Duration;
use proptest::prelude::{Just, Strategy};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use shared::delivery::feedback::{Event, EventKind};
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::Answer;
use shared::delivery::visitors::{Manner, Visit, Visitor};
use testkit::scene::wednesday_morning;

use crate::scheduling::foreign_campaign;
use crate::stage::{Stage, person};

/// Everything that a report may change, as text.
async fn final_rows(stage: &Stage) -> Vec<String> {
    let mut rows = Vec::new();
    for sql in [
        "select concat_ws(' ', m.recipient, m.state, m.slot_day, m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.outcome_code,
                m.provider_message_id, m.enqueue_again_at) from messages m order by m.recipient, m.campaign_id",
        "select concat_ws(' ', status, stop_reason, current_step, next_due_at, last_sent_at, completed_at) from enrollments order by campaign_id",
        "select concat_ws(' ', email, status) from contacts order by email",
        "select concat_ws(' ', email_lower, reason) from suppressions order by 1",
        "select concat_ws(' ', kind, dedupe_key, occurred_at) from message_events order by 1",
        "select concat_ws(' ', scope, day, used) from limit_usage order by 1",
    ] {
        rows.extend(stage.scene.rows(sql, &[]).await.iter().map(|row| row.get::<_, String>(0)));
    }
    rows
}

/// All orders of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|i| {
            let mut rest = items.to_vec();
            let first = rest.remove(i);
            orders(&rest).into_iter().map(move |mut order| {
                order.insert(0, first.clone());
                order
            })
        })
        .collect()
}

#[tokio::test]
async fn the_order_and_the_repetition_of_reports_change_nothing() {
    use EventKind::{Bounced, Complained, Delayed, Delivered, Rejected, Sent, SoftBounced};
    // What a mail may meet: in doubt, planned again, or recorded as sent. Each order of its reports happens to one person.
    let lives: [&[EventKind]; 4] =
        [&[Sent, Delayed, Delivered], &[Sent, Delivered, Complained], &[Sent, SoftBounced, Bounced], &[Sent, Rejected]];
    let orders: Vec<(usize, Vec<EventKind>)> = lives
        .iter()
        .enumerate()
        .flat_map(|(life, kinds)| orders(kinds).into_iter().map(move |order| (life, order)))
        .collect();
    for state in ["unknown", "sent", "replanned"] {
        let (stage, messages) = in_state(state, orders.len()).await;
        let mut expected: [Option<String>; 4] = [const { None }; 4];
        for (n, ((life, order), message)) in orders.iter().zip(messages).enumerate() {
            let provider_message_id = format!("ses-{}", message.id);
            let mut events = Vec::new();
            for kind in order {
                let occurred_at = wednesday_morning() + Duration::minutes(*kind as i64);
                let event = stage.event(message, *kind).await;
                let provider_message_id = provider_message_id.clone();
                events.push(Event { provider_message_id, sent_at: wednesday_morning(), occurred_at, ..event });
            }
            // One by one with repetitions, or all at once.
            if n % 2 == 0 {
                for (i, event) in events.iter().enumerate() {
                    stage.apply(&[event.clone(), event.clone()]).await;
                    stage.apply(&events[..i]).await;
                }
            } else {
                stage.apply(&events).await;
                stage.apply(&events).await;
            }
            let row = final_row(&stage, message).await;
            match &expected[*life] {
                None => expected[*life] = Some(row),
                Some(expected) => assert_eq!(&row, expected, "{state}: {order:?}"),
            }
        }
        stage.check(state).await;
    }
}

/// Every kind that the provider reports.
const KINDS: [EventKind; 13] = [
    EventKind::Sent,
    EventKind::Delivered,
    EventKind::Bounced,
    EventKind::SoftBounced,
    EventKind::Complained,
    EventKind::NotSpam,
    EventKind::Rejected,
    EventKind::Delayed,
    EventKind::RenderingFailed,
    EventKind::Opened,
    EventKind::Clicked,
    EventKind::SubscriptionChanged,
    EventKind::Unsubscribed,
];
/// How many ways in which the same reports can arrive are tried.
const ARRIVALS: usize = 10;

/// The same reports for each of several messages, in an order, with repetitions and in batches of its own.
#[derive(Debug, Clone)]
struct Arrivals {
    /// The kinds with their minutes; a kind may happen more than once.
    happened: Vec<(usize, i64)>,
    /// For each message the positions in `happened` as they arrive, each at least once, and the size of its batches.
    orders: Vec<(Vec<usize>, usize)>,
}

fn arrivals() -> impl Strategy<Value = Arrivals> {
    let happened = proptest::collection::vec((0..KINDS.len(), 0..600_i64), 1..8);
    happened.prop_flat_map(|happened| {
        let positions: Vec<usize> = (0..happened.len()).collect();
        let order =
            (proptest::collection::vec(0..happened.len(), 0..6), 1..6_usize).prop_flat_map(move |(again, size)| {
                let all = [positions.clone(), again].concat();
                (Just(all).prop_shuffle(), Just(size))
            });
        (Just(happened), proptest::collection::vec(order, ARRIVALS))
            .prop_map(|(happened, orders)| Arrivals { happened, orders })
    })
}

/// What must come out the same. Why a person was stopped is told by the first report that did; that one was is told by all.
async fn summary(stage: &Stage, message: MessageKey) -> String {
    let sql = "select concat_ws(' ', m.state, m.slot_day, m.sent_at, 'd', m.delivered_at, 'b', m.bounced_at, 'c', m.complained_at,
                      'o', m.opened_at, 'k', m.clicked_at, 'u', m.unsubscribed_at, m.outcome_code is null, m.enqueue_again_at,
                      c.status = 'contacted', e.status = 'in_progress', e.next_due_at is null,
                      exists (select from suppressions s where s.email_lower = c.email_lower),
                      (select string_agg(concat_ws(' ', dedupe_key, occurred_at), ',' order by dedupe_key)
                         from message_events v where v.message_id = m.id))
                 from messages m
                 join enrollments e on e.id = m.enrollment_id
                 join contacts c on c.id = m.contact_id
                where m.id = $1";
    stage.scene.rows(sql, &[&message.id]).await[0].get(0)
}

#[test]
fn any_order_repetition_and_lateness_of_any_reports_has_one_outcome() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Each case is a database with as many messages as there are arrivals, so that a few cases are many.
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 4, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&arrivals(), |arrivals| {
        runtime.block_on(arrive(&arrivals));
        Ok(())
    });
    outcome.unwrap();
}

async fn arrive(Arrivals { happened, orders }: &Arrivals) {
    for state in ["unknown", "sent", "replanned"] {
        let (stage, messages) = in_state(state, orders.len()).await;
        let mut expected = None;
        for ((order, size), message) in orders.iter().zip(messages) {
            let template = stage.event(message, EventKind::Sent).await;
            let events: Vec<Event> = order
                .iter()
                .map(|position| {
                    let (kind, minutes) = happened[*position];
                    let once = matches!(
                        KINDS[kind],
                        EventKind::Sent | EventKind::Rejected | EventKind::RenderingFailed | EventKind::Unsubscribed
                    );
                    // What happens once has one time, whoever tells it.
                    let minutes = if once { 5 } else { minutes };
                    Event {
                        kind: KINDS[kind],
                        provider_message_id: format!("ses-{}", message.id),
                        sent_at: wednesday_morning(),
                        occurred_at: wednesday_morning() + Duration::minutes(minutes),
                        dedupe_key: format!("{}:{minutes}", KINDS[kind].name()),
                        // People and machines, by turns.
                        visit: match KINDS[kind] {
                            EventKind::Opened => Some(Visit {
                                visitor: if minutes % 2 == 0 { Visitor::new(None, "", Manner::Get) } else { person(1) },
                                link: None,
                            }),
                            EventKind::Clicked => {
                                Some(Visit { visitor: person(1), link: Some("https://example.com/".to_owned()) })
                            }
                            _ => None,
                        },
                        ..template.clone()
                    }
                })
                .collect();
            for batch in events.chunks(*size) {
                stage.apply(batch).await;
            }
            let summary = summary(&stage, message).await;
            assert_eq!(&summary, expected.get_or_insert_with(|| summary.clone()), "{state}: {order:?} by {size}");
        }
        stage.check(state).await;
    }
}

#[tokio::test]
async fn a_report_never_takes_back_what_another_has_added() {
    let (stage, messages) = in_state("sent", 1).await;
    let mut known = 0;
    for (n, kind) in (0..).zip(KINDS) {
        let event = stage.event(messages[0], kind).await;
        stage.apply(&[Event { occurred_at: wednesday_morning() + Duration::minutes(100 - n), ..event }]).await;
        let sql = "select num_nonnulls(sent_at, delivered_at, bounced_at, complained_at, opened_at, clicked_at, unsubscribed_at)::bigint from messages";
        let now_known = stage.scene.number(sql, &[]).await;
        assert!(now_known >= known, "{kind:?}");
        known = now_known;
    }
    assert_eq!(known, 7);
}

/// Everything that reports on a message may change, as text.
async fn final_row(stage: &Stage, message: MessageKey) -> String {
    let sql = "select concat_ws(' ', m.state, m.slot_day, m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.outcome_code,
                      m.enqueue_again_at, '|', e.status, e.stop_reason, e.current_step, e.next_due_at, e.last_sent_at, e.completed_at,
                      '|', c.status, s.reason,
                      (select string_agg(concat_ws(' ', kind, occurred_at), ',' order by kind) from message_events v where v.message_id = m.id))
                 from messages m
                 join enrollments e on e.id = m.enrollment_id
                 join contacts c on c.id = m.contact_id
                 left join suppressions s on s.email_lower = lower(m.recipient)
                where m.id = $1";
    stage.scene.rows(sql, &[&message.id]).await[0].get(0)
}

/// Messages in a state, at the time of their first sending.
async fn in_state(state: &str, people: usize) -> (Stage, Vec<MessageKey>) {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(people, &[sender], 2, 1_000).await;
    stage.scene.run("update campaign_settings set gap_seconds = 0", &[]).await;
    stage.scene.run("update system_config set value = '1000' where key = 'breaker_failures'", &[]).await;
    stage.tick().await;
    stage.queue.drain();
    let messages = stage.messages().await;
    for message in &messages {
        let answer = match state {
            "sent" => Answer::Accepted(format!("ses-{}", message.id)),
            "unknown" => Answer::Unclear("reset".to_owned()),
            _ => Answer::Later("429".to_owned()),
        };
        stage.mailer.always_answer(message.id, answer);
    }
    stage.deliver(&messages).await;
    if state == "replanned" {
        stage.scene.run("update campaigns set status = 'paused'", &[]).await;
        stage.deliver(&messages).await;
        assert_eq!(stage.slots_used("sender").await, 0);
        assert_eq!(stage.scene.states().await, format!("scheduled={people}"));
    } else {
        assert_eq!(stage.scene.states().await, format!("{state}={people}"));
    }
    (stage, messages)
}

#[tokio::test]
async fn a_bounce_and_a_complaint_stop_the_person_everywhere() {
    for (kind, people, reason) in [
        (EventKind::Bounced, "bounced bounced", "hard_bounce"),
        (EventKind::Complained, "stopped/complaint stopped/complaint", "complaint"),
    ] {
        let (stage, messages) = Stage::with_two_mails_to_one_person().await;
        stage.at(wednesday_morning() + Duration::days(2)).await;
        assert_eq!(stage.tick().await.granted, 2);
        assert_eq!(stage.slots_used("sender").await, 4);
        let event = stage.event(messages[0], kind).await;
        assert_eq!(stage.apply(std::slice::from_ref(&event)).await.new, 1);
        assert_eq!(stage.apply(&[event]).await.new, 0);
        assert_eq!(stage.scene.states().await, "cancelled=2 sent=2");
        assert_eq!(stage.people().await, people);
        assert_eq!(stage.slots_used("sender").await, 2);
        let suppressed = "select count(*) from suppressions where email_lower = 'person1@people.test' and reason = $1 and campaign_id is null";
        assert_eq!(stage.scene.number(suppressed, &[&reason]).await, 1);
        let status = if kind == EventKind::Complained { "unsubscribed" } else { "bounced" };
        let marked = format!("select count(*) from contacts where status = '{status}'");
        assert_eq!(stage.scene.number(&marked, &[]).await, 1);
        stage.deliver_queued().await;
        assert_eq!(stage.mailer.handed().len(), 2);
        stage.check("at the end").await;
    }
}

#[tokio::test]
async fn what_is_not_final_stops_nothing() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    for kind in [EventKind::SoftBounced, EventKind::Delayed, EventKind::Delivered, EventKind::Sent] {
        let event = stage.event(messages[0], kind).await;
        stage.apply(&[event]).await;
    }
    assert_eq!(stage.people().await, "in_progress in_progress");
    assert_eq!(stage.scene.number("select count(*) from suppressions", &[]).await, 0);
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_rejected_mail_has_failed_and_gives_its_slot_back_once() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    let event = stage.event(messages[0], EventKind::Rejected).await;
    stage.apply(std::slice::from_ref(&event)).await;
    stage.apply(&[event]).await;
    assert_eq!(stage.scene.states().await, "failed=1 sent=1");
    assert_eq!(stage.slots_used("sender").await, 1);
    assert_eq!(stage.people().await, "in_progress in_progress");
    let late = stage.event(messages[0], EventKind::Delivered).await;
    stage.apply(&[late]).await;
    assert_eq!(stage.scene.states().await, "failed=1 sent=1");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_refusal_beside_other_reports_waits_for_the_person_before_it_holds_the_mail() {
    for kind in [EventKind::Rejected, EventKind::RenderingFailed] {
        let (stage, messages) = in_state("sent", 1).await;
        let reports = [stage.event(messages[0], EventKind::Delivered).await, stage.event(messages[0], kind).await];
        // Whoever stops the person holds the contact, and then asks for the mail.
        let stopping = stage.scene.db.app().begin(stage.scene.organization).await.unwrap();
        stopping.query("select from contacts for update", &[]).await.unwrap();
        let apply = stage.apply(&reports);
        let stop = async {
            stage.until_waiting(1).await;
            stopping.query("select from messages for update nowait", &[]).await.unwrap();
            stopping.commit().await.unwrap();
        };
        let (applied, ()) = tokio::join!(apply, stop);
        assert_eq!(applied.new, 2, "{kind:?}");
        assert_eq!(stage.scene.states().await, "failed=1");
        stage.check("at the end").await;
    }
}

#[tokio::test]
async fn what_is_not_about_a_mail_of_ours_changes_nothing() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    let (other, domain) = stage.scene.another_organization("other").await;
    foreign_campaign(&stage, other, domain, 1).await;
    stage.tick().await;
    let unsent = stage.messages().await.into_iter().find(|key| key.organization == other).unwrap();
    let before = final_rows(&stage).await;
    let good = stage.event(messages[0], EventKind::Bounced).await;
    let forged = [
        Event { provider_message_id: "ses-other".to_owned(), ..good.clone() },
        Event { message: MessageKey { id: shared::MessageId::fresh(), ..messages[0] }, ..good.clone() },
        Event { message: MessageKey { organization: other, ..messages[0] }, ..good.clone() },
        Event { message: MessageKey { organization: shared::OrganizationId::fresh(), ..messages[0] }, ..good.clone() },
        Event { message: unsent, ..good.clone() },
    ];
    let applied = stage.apply(&forged).await;
    assert_eq!((applied.new, applied.passed_over), (0, 5));
    assert_eq!(final_rows(&stage).await, before);
}

#[tokio::test]
async fn a_report_on_a_planned_retry_calls_it_off() {
    let stage = Stage::new().await;
    let sender = stage.scene.sender(1, 1_000, 0).await;
    stage.scene.running_campaign(1, &[sender], 2, 1_000).await;
    stage.tick().await;
    stage.mailer.answer_next([Answer::Later("429".to_owned())]);
    stage.deliver_queued().await;
    let message = stage.messages().await[0];
    let event = stage.event(message, EventKind::Delivered).await;
    stage.apply(&[event]).await;
    stage.deliver(&[message]).await;
    assert_eq!(stage.mailer.handed().len(), 1);
    assert_eq!(stage.scene.states().await, "sent=1");
    assert_eq!(stage.people().await, "in_progress");
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_mail_that_left_without_a_slot_is_counted_and_a_rejection_takes_that_back() {
    let (stage, messages) = in_state("replanned", 1).await;
    let message = messages[0];
    let event = stage.event(message, EventKind::Sent).await;
    stage.apply(&[event]).await;
    assert_eq!((stage.slots_used("sender").await, stage.slots_used("campaign").await), (1, 1));
    stage.check("when it is known to be sent").await;
    let event = stage.event(message, EventKind::Rejected).await;
    stage.apply(&[event]).await;
    assert_eq!((stage.slots_used("sender").await, stage.slots_used("campaign").await), (0, 0));
    stage.check("at the end").await;
}

#[tokio::test]
async fn a_bounce_of_an_old_address_leaves_its_former_owner_alone() {
    let (stage, messages) = Stage::with_two_mails_to_one_person().await;
    stage.scene.run("update contacts set email = 'new@people.test'", &[]).await;
    let event = stage.event(messages[0], EventKind::Bounced).await;
    stage.apply(&[event]).await;
    assert_eq!(stage.people().await, "in_progress in_progress");
    let suppressed = "select count(*) from suppressions where email_lower = 'person1@people.test'";
    assert_eq!(stage.scene.number(suppressed, &[]).await, 1);
}
