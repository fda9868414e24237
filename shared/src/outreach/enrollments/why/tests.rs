use std::collections::BTreeSet;

use chrono::{Duration, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::delivery::schedule::{Holidays, SendDays};

/// A Wednesday.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 4, 10, 0, 0).unwrap()
}

fn later(minutes: i64) -> DateTime<Utc> {
    now() + Duration::minutes(minutes)
}

fn hour(hour: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, 0, 0).unwrap()
}

/// Somebody who is due, and nothing holds their mail.
fn free() -> Facts {
    Facts {
        now: now(),
        organization_is_active: true,
        campaign_status: "active".to_owned(),
        campaign_paused_at: None,
        sender_status: SenderStatus::Active,
        sender_paused_at: None,
        sender_is_in_pool: true,
        domain_is_verified: true,
        is_suppressed: false,
        provider_is_open: true,
        window: SendWindow {
            opens: hour(9),
            closes: hour(18),
            days: SendDays::WORKDAYS,
            holidays: Holidays::default(),
            zone: Tz::UTC,
        },
        limits: Vec::new(),
        stage: Stage::Due(now()),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = free();
    change(&mut facts);
    facts
}

/// The codes that bind, and when the mail may go.
fn told(facts: &Facts) -> (Vec<&'static str>, Option<DateTime<Utc>>) {
    let bindings = constraints(facts);
    (bindings.iter().map(|binding| binding.code.name()).collect(), earliest(facts, &bindings))
}

#[test]
fn codes_and_sentences_are_told_apart() {
    let sentences: Vec<(&str, &str)> = Constraint::ALL.iter().map(|code| (code.name(), code.sentence())).collect();
    let endings: Vec<(&str, &str)> = Ending::ALL.iter().map(|code| (code.name(), code.sentence())).collect();
    for all in [&sentences, &endings] {
        let codes: BTreeSet<&str> = all.iter().map(|(code, _)| *code).collect();
        let told: BTreeSet<&str> = all.iter().map(|(_, sentence)| *sentence).collect();
        assert_eq!((codes.len(), told.len()), (all.len(), all.len()));
        for sentence in told {
            assert!(
                sentence.starts_with(char::is_uppercase) && sentence.ends_with('.') && !sentence.contains('|'),
                "{sentence}"
            );
        }
    }
}

#[test]
fn the_documentation_has_each_code_with_its_sentence() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md"));
    let (_, section) = page.split_once("## Why somebody has not been written to\n").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let constraints = Constraint::ALL.iter().map(|code| (code.name(), code.sentence()));
    let endings = Ending::ALL.iter().map(|code| (code.name(), code.sentence()));
    let known: Vec<String> = constraints.chain(endings).map(|(code, text)| format!("| `{code}` | {text} |")).collect();
    assert_eq!(rows.collect::<Vec<_>>(), known);
}

#[test]
fn nothing_holds_whoever_is_due() {
    assert_eq!(told(&free()), (vec![], Some(now())));
}

#[test]
fn what_somebody_has_to_end_has_no_time() {
    let cases: [(&str, Facts); 9] = [
        ("organization_suspended", with(|facts| facts.organization_is_active = false)),
        ("campaign_paused", with(|facts| facts.campaign_status = "paused".to_owned())),
        ("campaign_not_active", with(|facts| facts.campaign_status = "completed".to_owned())),
        ("sender_paused", with(|facts| facts.sender_status = SenderStatus::Paused)),
        ("sender_not_active", with(|facts| facts.sender_status = SenderStatus::Pending)),
        ("sender_not_in_pool", with(|facts| facts.sender_is_in_pool = false)),
        ("domain_not_verified", with(|facts| facts.domain_is_verified = false)),
        ("suppressed", with(|facts| facts.is_suppressed = true)),
        ("provider_paused", with(|facts| facts.provider_is_open = false)),
    ];
    for (code, facts) in &cases {
        assert_eq!(told(facts), (vec![*code], None), "{code}");
    }
    let paused = with(|facts| {
        facts.campaign_status = "paused".to_owned();
        facts.campaign_paused_at = Some(later(-5));
    });
    assert_eq!(constraints(&paused)[0].since, Some(later(-5)));
}

#[test]
fn limits_keep_their_names_and_say_until_when() {
    let midnight = Utc.with_ymd_and_hms(2026, 3, 5, 0, 0, 0).unwrap();
    let morning = Utc.with_ymd_and_hms(2026, 3, 5, 9, 0, 0).unwrap();
    let used_up = |limit, frees_at| limits::Binding::new(limit, frees_at);
    let facts = with(|facts| facts.limits = vec![used_up(Limit::SenderDailyLimit, Some(midnight))]);
    assert_eq!(constraints(&facts)[0].until, Some(midnight));
    assert_eq!(
        told(&facts),
        (vec!["sender_daily_limit"], Some(morning)),
        "the window opens after the limit begins anew"
    );
    let facts = with(|facts| {
        facts.limits = vec![used_up(Limit::SenderGap, Some(later(1))), used_up(Limit::PersonLimit, None)];
    });
    assert_eq!(told(&facts), (vec!["sender_gap", "person_limit"], None), "nobody can tell when it ends");
}

#[test]
fn times_say_until_when() {
    assert_eq!(told(&with(|facts| facts.stage = Stage::Due(later(90)))), (vec!["step_not_due"], Some(later(90))));
    let evening = with(|facts| {
        facts.now = Utc.with_ymd_and_hms(2026, 3, 6, 18, 0, 0).unwrap();
        facts.limits = vec![
            limits::Binding::new(Limit::SenderGap, Some(facts.now + Duration::minutes(1))),
            limits::Binding::new(Limit::Window, Some(facts.now + Duration::days(3))),
        ];
    });
    let monday = Utc.with_ymd_and_hms(2026, 3, 9, 9, 0, 0).unwrap();
    assert_eq!(told(&evening), (vec!["window_closed", "sender_gap"], Some(monday)));
}

#[test]
fn a_message_says_how_far_it_has_come() {
    let at = |stage| with(|facts| facts.stage = stage);
    assert_eq!(told(&at(Stage::Planned(later(1)))), (vec!["message_planned"], Some(later(1))));
    assert_eq!(told(&at(Stage::Planned(later(-1)))), (vec!["message_due"], Some(now())));
    for (state, code) in
        [(State::Sending, "message_sending"), (State::Unknown, "message_unknown"), (State::Review, "message_in_review")]
    {
        assert_eq!(told(&at(Stage::Handed(state, None))), (vec![code], None));
    }
    assert_eq!(told(&at(Stage::Nothing)), (vec![], None));
    let held = with(|facts| {
        facts.stage = Stage::Planned(later(1));
        facts.campaign_status = "paused".to_owned();
    });
    assert_eq!(told(&held).0, ["campaign_paused", "message_planned"], "it has its slot already");
}

#[test]
fn each_end_of_a_way_is_read() {
    for ending in Ending::ALL {
        let name = ending.name();
        let (status, reason) = match name {
            "completed" | "replied" | "bounced" | "unsubscribed" => (name, None),
            reason => ("stopped", Some(reason)),
        };
        assert_eq!(Ending::parse(status, reason).unwrap(), Some(*ending));
    }
    assert_eq!(Ending::parse("pending", None).unwrap(), None);
    assert!(Ending::parse("lost", None).is_err());
}

prop_compose! {
    fn any_facts()(
        flags in prop::array::uniform6(any::<bool>()),
        campaign in select(vec!["active", "paused", "completed", "archived"]),
        sender in select(vec![SenderStatus::Pending, SenderStatus::Warming, SenderStatus::Active, SenderStatus::Paused]),
        minutes in (-10_000..10_000_i64, -10_000..10_000_i64),
        limits in prop::collection::btree_map(select(Limit::ALL), prop::option::of(0..10_000_i64), 0..4),
        stage in 0..4_usize,
    ) -> Facts {
        let [organization_is_active, sender_is_in_pool, domain_is_verified, is_suppressed, provider_is_open, _] = flags;
        let at = later(minutes.1);
        let stages = [Stage::Due(at), Stage::Planned(at), Stage::Handed(State::Unknown, Some(at)), Stage::Nothing];
        Facts {
            now: later(minutes.0),
            organization_is_active, sender_is_in_pool, domain_is_verified, is_suppressed, provider_is_open,
            campaign_status: campaign.to_owned(),
            sender_status: sender,
            limits: limits
                .into_iter()
                .map(|(limit, frees_in)| limits::Binding::new(limit, frees_in.map(|after| later(minutes.0 + after))))
                .collect(),
            stage: stages[stage],
            ..free()
        }
    }
}

proptest! {
    #[test]
    fn what_is_told_fits_together(facts in any_facts()) {
        let bindings = constraints(&facts);
        let codes: BTreeSet<Code> = bindings.iter().map(|binding| binding.code).collect();
        prop_assert_eq!(codes.len(), bindings.len(), "nothing is told twice");
        for binding in &bindings {
            prop_assert!(binding.until.is_none_or(|until| until >= facts.now), "{:?}", binding);
        }
        match earliest(&facts, &bindings) {
            Some(at) => {
                prop_assert!(at >= facts.now && facts.window.is_open(at));
                prop_assert!(bindings.iter().all(|binding| binding.until.is_some_and(|until| until <= at)));
            }
            None => prop_assert!(facts.next_due_at().is_none() || bindings.iter().any(|binding| binding.until.is_none())),
        }
    }
}
