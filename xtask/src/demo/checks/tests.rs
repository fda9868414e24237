//! Each check holds on a small true story and bites on each way in which the story can be spoiled.

use super::*;
use crate::demo::accounting::{Funnel, StepFunnel};
use crate::demo::crm_export::{Person, Truth};
use crate::demo::ledger::{Person as Enrolled, Usage};
use crate::demo::scenario::Imported;

/// Which checks do not hold.
fn violated(evidence: &Evidence) -> Vec<&'static str> {
    // Nothing so small has the volume.
    all(evidence).into_iter().filter(|check| !check.holds() && check.name != "volume").map(|check| check.name).collect()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const CAMPAIGN: u128 = 1;
const SENDER: u128 = 2;

/// A message of a step to a person, whose ids follow from both.
fn message(person: u128, step: u32, send_at: &str) -> Message {
    let send_at = at(send_at);
    Message {
        id: id(100 * person + u128::from(step)),
        step,
        enrollment_id: Some(id(person)),
        recipient: format!("p{person}@example.com"),
        sender_id: id(SENDER),
        state: "sent".into(),
        slot_day: Some(calendar::day(send_at)),
        send_at,
        bounced: false,
        complained: false,
        replied: false,
        unsubscribed: false,
    }
}

/// The mail of a message, as accepted a moment after its slot.
fn mail(sequence: u64, message: &Message) -> Mail {
    let person = message.recipient.clone();
    Mail {
        sequence,
        accepted_at: message.send_at + TimeDelta::milliseconds(200),
        from: "sales@example.org".into(),
        to: vec![person.to_uppercase()],
        subject: "Ann, a question about Acme, Inc.".into(),
        tags: [("message_id".to_owned(), message.id.to_string())].into(),
    }
}

/// Two people and two steps: the first answers the first mail; the second gets both, and follows a link of the second,
/// whose pixel a proxy has fetched before.
fn story() -> Evidence {
    let mut messages = vec![
        message(11, 1, "2026-11-23T08:00:00Z"),
        message(12, 1, "2026-11-23T08:00:30Z"),
        message(12, 2, "2026-11-25T08:00:30Z"),
    ];
    messages[0].replied = true;
    let mails = vec![mail(1, &messages[0]), mail(2, &messages[1]), mail(4, &messages[2])];
    let stops = vec![Stop { sequence: 3, address: "p11@example.com".into(), kind: "reply".into(), mail: 1 }];
    let enrolled = |person: u128, status: &str| Enrolled {
        id: id(person),
        email: format!("p{person}@example.com"),
        status: status.into(),
        stop_reason: None,
    };
    let mut usage = Vec::new();
    for (day, used) in [("2026-11-23", 2), ("2026-11-25", 1)] {
        for (scope, scope_id) in [("campaign", CAMPAIGN), ("sender", SENDER)] {
            usage.push(Usage { scope: scope.into(), scope_id: id(scope_id), day: day.parse().unwrap(), used });
        }
    }
    let records = Records { messages, people: vec![enrolled(11, "replied"), enrolled(12, "completed")], usage };
    let first = Counts { sent: 2, replied: 1, ..Counts::default() };
    let looked_at =
        Counts { opened: 1, clicked: 1, total_opens: 2, machine_opens: 1, total_clicks: 1, ..Counts::default() };
    let second = Counts { sent: 1, ..looked_at };
    let funnel =
        Funnel { steps: vec![StepFunnel { position: 1, counts: first }, StepFunnel { position: 2, counts: second }] };
    let statistics = Statistics { people: 2, balanced: true, steps: accounting::count(&records, 2), funnel };
    let day = |day: &str, counts| Day { day: day.parse().unwrap(), counts };
    let days = vec![
        day("2026-11-22", Counts::default()),
        day("2026-11-23", first),
        day("2026-11-25", Counts { sent: 1, ..Counts::default() }),
        day("2026-11-26", looked_at),
    ];
    let visits = [(Visit::MachineOpen, "00:00"), (Visit::Open, "08:00"), (Visit::Click, "08:00")]
        .map(|(visit, time)| Visited { mail: 4, visit, at: at(&format!("2026-11-26T{time}:00Z")) })
        .into();
    let person = Person { first_name: "Ann".into(), company: "Acme, Inc.".into() };
    let scenario = Scenario {
        organization: id(0),
        campaign: id(CAMPAIGN),
        gap: TimeDelta::seconds(30),
        steps: vec!["First", "Second"],
        truth: Truth { rows: 4, contacts: 2, repeats: 1, failed: 1 },
        imported: Imported { rows: 4, created: 2, repeats: 1, failed: 1, contacts: 2 },
        people: [11, 12].map(|number| (format!("p{number}@example.com"), person.clone())).into(),
    };
    let course = Course { campaign_status: "completed".into(), ..Course::default() };
    let (folded_days, summary) = (days.clone(), Summary::default());
    Evidence { scenario, course, records, statistics, days, folded_days, mails, stops, visits, summary }
}

/// Spoils the story and expects these checks, and no others, to notice.
#[track_caller]
fn expect(violations: &[&str], spoil: impl FnOnce(&mut Evidence)) {
    let mut evidence = story();
    spoil(&mut evidence);
    assert_eq!(violated(&evidence), violations);
}

/// Makes the statistics those of what has happened: as if the API told them of a story that was spoiled elsewhere.
fn retell(evidence: &mut Evidence) {
    let Seen { steps, days } = Seen::of(evidence);
    evidence.statistics.steps = accounting::count(&evidence.records, 2);
    let step = |position| StepFunnel { position, counts: steps.get(&position).copied().unwrap_or_default() };
    evidence.statistics.funnel.steps = [1, 2].map(step).into();
    evidence.days = days.into_iter().map(|(day, counts)| Day { day, counts }).collect();
    // Whatever was reported was so on the first day.
    for counts in steps.values() {
        let Counts { bounced, complained, replied, unsubscribed, .. } = *counts;
        let first = &mut evidence.days[0].counts;
        first.bounced += bounced;
        first.complained += complained;
        first.replied += replied;
        first.unsubscribed += unsubscribed;
    }
    evidence.folded_days.clone_from(&evidence.days);
}

#[test]
fn a_true_story_passes() {
    assert_eq!(violated(&story()), [""; 0]);
    assert_eq!(all(&story()).last().unwrap().violations, 3_997);
}

#[test]
fn a_wrong_import_is_noticed() {
    expect(&["import"], |evidence| evidence.scenario.imported.failed = 0);
    expect(&["import"], |evidence| evidence.scenario.imported.contacts = 3);
    expect(&["import"], |evidence| evidence.records.people[1].email = "p13@example.com".into());
}

#[test]
fn a_second_acceptance_is_a_duplicate() {
    expect(&["duplicates"], |evidence| {
        let again = mail(5, &evidence.records.messages[1]);
        evidence.mails.push(again);
    });
}

#[test]
fn a_second_message_of_a_step_is_a_duplicate() {
    let mut evidence = story();
    let mut again = message(12, 2, "2026-11-25T08:05:00Z");
    again.id = id(99);
    evidence.mails.push(mail(5, &again));
    evidence.records.messages.push(again);
    let duplicates = duplicates(&evidence);
    assert_eq!(duplicates.violations, 1, "{duplicates:?}");
    assert!(violated(&evidence).contains(&"accounting"));
}

#[test]
fn a_mail_that_only_one_side_knows_is_lost() {
    expect(&["lost", "statistics"], |evidence| evidence.mails.truncate(2));
    expect(&["lost", "personalization"], |evidence| {
        let mut unknown = mail(5, &message(12, 1, "2026-11-25T09:00:00Z"));
        unknown.tags.clear();
        unknown.to = vec!["p12@example.com".into()];
        unknown.subject.clear();
        evidence.mails.push(unknown);
        // The subject of a mail that is in nobody's ledger is not looked at; that of a known one is.
        evidence.mails[0].subject = "{{ first_name }}".into();
    });
    expect(&["lost"], |evidence| {
        evidence.records.messages[2].state = "failed".into();
        retell(evidence);
    });
    expect(&["lost", "personalization"], |evidence| evidence.mails[1].to = vec!["p13@example.com".into()]);
}

#[test]
fn a_mail_in_doubt_is_not_lost() {
    expect(&[], |evidence| {
        evidence.records.messages[2].state = "unknown".into();
        retell(evidence);
    });
}

#[test]
fn somebody_without_an_outcome_is_lost() {
    expect(&["lost", "over_cap"], |evidence| {
        evidence.records.messages.pop();
        evidence.mails.pop();
        evidence.visits.clear();
        retell(evidence);
    });
}

#[test]
fn the_window_counts_when_the_mail_is_accepted() {
    for outside in ["2026-11-23T07:59:59Z", "2026-11-23T17:00:02Z", "2026-11-22T10:00:00Z", "2026-11-23T22:30:00Z"] {
        expect(&["outside_window"], |evidence| {
            evidence.mails[0].accepted_at = at(outside);
            retell(evidence);
        });
    }
    expect(&[], |evidence| evidence.mails[0].accepted_at = at("2026-11-23T17:00:01Z"));
}

#[test]
fn limits_are_counted_from_what_was_accepted() {
    let mut evidence = story();
    let first = evidence.mails[0].clone();
    // One sender, one day: 601 mails pass its limit by one, and not the campaign's.
    evidence.mails = (0..601).map(|_| first.clone()).collect();
    assert_eq!(over_cap(&evidence).violations, 1);
    // Three senders with 500 each pass the campaign's limit by 300.
    evidence.mails = (0..1_500).map(|n| Mail { from: format!("s{}@example.org", n % 3), ..first.clone() }).collect();
    assert_eq!(over_cap(&evidence).violations, 300);
    // The day is the local one: midnight in Berlin is 23:00 in UTC.
    for mail in &mut evidence.mails[..300] {
        mail.accepted_at = at("2026-11-23T23:00:00Z");
    }
    assert_eq!(over_cap(&evidence).violations, 0);
}

#[test]
fn gaps_and_counters_are_those_of_the_ledger() {
    expect(&["over_cap"], |evidence| evidence.records.messages[1].send_at = at("2026-11-23T08:00:29.999Z"));
    expect(&["over_cap"], |evidence| evidence.records.usage[0].used += 1);
    expect(&["over_cap"], |evidence| drop(evidence.records.usage.pop()));
    expect(&["over_cap"], |evidence| evidence.records.messages[0].slot_day = None);
}

#[test]
fn nothing_follows_a_stop() {
    expect(&["after_stop"], |evidence| evidence.stops[0].sequence = 0);
    expect(&["after_stop"], |evidence| {
        evidence.mails[2].sequence = 6;
        evidence.mails[1].sequence = 5;
        evidence.records.messages[0].replied = false;
        evidence.records.messages[1].replied = true;
        evidence.stops[0] = Stop { sequence: 5, address: "p12@example.com".into(), kind: "reply".into(), mail: 5 };
        evidence.visits.clear();
        retell(evidence);
    });
}

#[test]
fn sums_have_to_add_up_on_both_sides() {
    expect(&["accounting", "statistics"], |evidence| evidence.statistics.steps[0].sent += 1);
    expect(&["accounting"], |evidence| evidence.statistics.balanced = false);
    expect(&["accounting"], |evidence| {
        evidence.records.people[0].status = "in_progress".into();
        evidence.statistics.steps = accounting::count(&evidence.records, 2);
    });
}

#[test]
fn statistics_are_held_against_the_stand_in() {
    expect(&["statistics"], |evidence| evidence.stops.clear());
    expect(&["statistics"], |evidence| evidence.statistics.steps[1].bounced = 1);
    expect(&["statistics"], |evidence| evidence.statistics.funnel.steps[1].counts.bounced = 1);
    expect(&["statistics"], |evidence| evidence.statistics.funnel.steps[0].counts.clicked = 1);
    expect(&["statistics"], |evidence| evidence.statistics.funnel.steps.truncate(1));
    expect(&["statistics"], |evidence| evidence.statistics.people = 3);
    expect(&["statistics"], |evidence| {
        evidence.records.messages[1].unsubscribed = true;
        evidence.statistics.steps = accounting::count(&evidence.records, 2);
    });
}

#[test]
fn days_are_held_against_the_stand_in() {
    expect(&["statistics"], |evidence| evidence.visits[0].visit = Visit::Open);
    expect(&["statistics"], |evidence| evidence.visits[2].at = at("2026-11-27T00:00:00Z"));
    expect(&["statistics"], |evidence| evidence.folded_days[1].counts.sent += 1);
    let both = |evidence: &mut Evidence, change: fn(&mut Vec<Day>)| {
        change(&mut evidence.days);
        change(&mut evidence.folded_days);
    };
    expect(&["statistics"], |evidence| both(evidence, |days| days[2].counts.sent += 1));
    expect(&["statistics"], |evidence| both(evidence, |days| days.truncate(3)));
    expect(&["statistics"], |evidence| both(evidence, |days| days[1].counts.replied = 0));
    // A report may come the day after.
    expect(&[], |evidence| both(evidence, |days| (days[1].counts.replied, days[2].counts.replied) = (0, 1)));
}

#[test]
fn what_failed_on_the_way_back_is_noticed() {
    expect(&["agenda"], |evidence| evidence.summary.unpublished = 1);
    expect(&["agenda"], |evidence| evidence.summary.failed_unsubscribes = 1);
    expect(&["agenda"], |evidence| evidence.course.failed.extend([("reply".into(), 1)]));
}

#[test]
fn an_end_too_early_is_noticed() {
    expect(&["completion"], |evidence| evidence.course.campaign_status = "active".into());
    expect(&["completion"], |evidence| evidence.course.remaining = 4);
}

#[test]
fn every_violation_is_counted_and_the_first_are_shown() {
    let mut evidence = story();
    let late = Mail { accepted_at: at("2026-11-22T10:00:00Z"), ..evidence.mails[0].clone() };
    evidence.mails.extend((0..20).map(|_| late.clone()));
    let check = outside_window(&evidence);
    assert_eq!((check.violations, check.examples.len()), (20, SHOWN));
    assert!(check.examples[0].contains("Sun 2026-11-22 11:00:00"), "{:?}", check.examples);
}
