use std::collections::BTreeSet;

use chrono::{Duration, TimeZone as _};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::delivery::constraints::Constraint;
use crate::delivery::messages::Kind;
use crate::{CampaignId, ContactId, MessageId};

/// What no sentence may repeat.
const SECRET: &str = "secret";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 4, 10, 0, 0).unwrap()
}

/// A message that has its slot for this moment.
fn planned() -> Message {
    Message {
        id: MessageId::fresh(),
        kind: Kind::Campaign,
        state: State::Scheduled,
        recipient: format!("{SECRET}@people.test"),
        campaign_id: Some(CampaignId::fresh()),
        step_id: None,
        enrollment_id: None,
        contact_id: Some(ContactId::fresh()),
        sender_id: None,
        subject: Some(SECRET.to_owned()),
        send_at: now(),
        expires_at: now() + Duration::hours(4),
        slot_day: Some(now().date_naive()),
        attempts: 0,
        provider_message_id: Some(SECRET.to_owned()),
        outcome_code: None,
        outcome_detail: Some(SECRET.to_owned()),
        sent_at: None,
        delivered_at: None,
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        replied_at: None,
        unsubscribed_at: None,
        skipped_at: None,
        resent_at: None,
        created_at: now(),
    }
}

/// Nothing holds anything.
fn quiet() -> Circumstances {
    Circumstances {
        now: now(),
        attempted_at: None,
        is_waited_for: true,
        ended_at: None,
        hold: None,
        campaign_paused_at: None,
        provider_is_open: true,
        suppression: None,
        limits: Vec::new(),
    }
}

#[test]
fn only_a_message_that_waits_for_a_slot_is_told_what_keeps_it_from_one() {
    let limits =
        vec![Binding::new(Constraint::PersonLimit, Some(now())), Binding::new(Constraint::SenderDailyLimit, None)];
    let limited = Circumstances { limits: limits.clone(), ..quiet() };
    let waiting = Message { slot_day: None, ..planned() };
    assert_eq!(why(&waiting, &limited).limits, limits);
    let held = Circumstances { hold: Some(Hold::PausedSender), ..limited.clone() };
    assert_eq!(why(&waiting, &held).limits, limits, "beside what else holds it");
    assert_eq!(why(&planned(), &limited).limits, []);
    let cancelled = Message { state: State::Cancelled, ..waiting };
    assert_eq!(why(&cancelled, &limited).limits, []);
}

#[test]
fn the_constraints_are_in_the_document_of_the_api_in_their_order() {
    let page = include_str!("../../../../../docs/api.md");
    let (_, section) = page.split_once("## Limits of mails\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let documented: Vec<(&str, &str)> = rows.map(|(name, rest)| (name, rest.split(" | ").next().unwrap())).collect();
    let known: Vec<(&str, &str)> = Constraint::ALL.iter().map(|known| (known.name(), known.sentence())).collect();
    assert_eq!(documented, known);
}

/// A message as the writer of this code leaves it.
fn left_with(code: OutcomeCode) -> Message {
    let (state, _) = noted(code);
    let keeps_slot =
        matches!(code, OutcomeCode::ProviderBusy | OutcomeCode::AccountClosed | OutcomeCode::NoSystemSender)
            || matches!(state, State::Unknown | State::Review);
    let planned = planned();
    let slot_day = planned.slot_day.filter(|_| keeps_slot);
    Message { state, slot_day, outcome_code: Some(code.name().to_owned()), ..planned }
}

#[test]
fn every_code_that_is_written_has_a_sentence_of_its_own() {
    let told: BTreeSet<Reason> = OutcomeCode::ALL.iter().map(|code| why(&left_with(*code), &quiet()).code).collect();
    assert_eq!(told.len(), OutcomeCode::ALL.len(), "{told:?}");
    // What is said where nothing was noted says less.
    for general in [Reason::WaitsForSlot, Reason::Due, Reason::Refused, Reason::OutcomeUnknown, Reason::Cancelled] {
        assert!(!told.contains(&general), "{general:?}");
    }
}

#[test]
fn codes_and_sentences_are_told_apart() {
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    let sentences: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.sentence()).collect();
    assert_eq!((codes.len(), sentences.len()), (Reason::ALL.len(), Reason::ALL.len()));
    for sentence in sentences {
        assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'), "{sentence}");
        assert!(!sentence.contains('|'), "it stands in a table: {sentence}");
    }
}

/// The rows of the documentation's table: the state, and the rest of the row.
fn documented() -> Vec<(State, &'static str)> {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md"));
    let (_, section) = page.split_once("## Why a message stands where it stands\n").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.skip(1).map(|row| row.split_once(' ').unwrap());
    rows.map(|(state, rest)| (State::parse(state).unwrap(), rest)).collect()
}

#[test]
fn the_documentation_has_each_code_with_its_sentence() {
    let told: Vec<&str> = documented().into_iter().map(|(_, rest)| rest).collect();
    let known: Vec<String> =
        Reason::ALL.iter().map(|reason| format!("| `{}` | {} |", reason.name(), reason.sentence())).collect();
    assert_eq!(told, known);
}

#[test]
fn a_planned_message_says_what_it_waits_for() {
    let later = || Message { send_at: now() + Duration::minutes(1), ..planned() };
    let slotless = || Message { slot_day: None, ..planned() };
    let with = |change: &dyn Fn(&mut Circumstances)| {
        let mut circumstances = quiet();
        change(&mut circumstances);
        circumstances
    };
    let noted = |message: Message, code: OutcomeCode| Message { outcome_code: Some(code.name().to_owned()), ..message };
    let paused_at = now() - Duration::hours(1);
    let paused = with(&|c| (c.hold, c.campaign_paused_at) = (Some(Hold::PausedCampaign), Some(paused_at)));
    let ended = with(&|c| (c.is_waited_for, c.ended_at) = (false, Some(paused_at)));
    let closed = with(&|c| c.provider_is_open = false);
    let tried = with(&|c| c.attempted_at = Some(paused_at));
    let late = with(&|c| c.now = now() + Duration::hours(4) + Duration::seconds(1));
    let late_and_closed = Circumstances { provider_is_open: false, ..late.clone() };
    let late_and_paused = Circumstances { hold: Some(Hold::PausedSender), ..late.clone() };
    let busy = || noted(planned(), OutcomeCode::ProviderBusy);
    for (message, circumstances, code, since) in [
        (later(), quiet(), "planned", None),
        (planned(), quiet(), "due", Some(now())),
        (slotless(), quiet(), "waits_for_slot", None),
        (later(), paused.clone(), "campaign_paused", Some(paused_at)),
        (planned(), paused.clone(), "campaign_paused", Some(paused_at)),
        (slotless(), paused, "campaign_paused", Some(paused_at)),
        (later(), ended.clone(), "ending", Some(paused_at)),
        (slotless(), ended, "waits_for_slot", None),
        // Its time has not come, so it isn't the account that it waits for.
        (later(), closed.clone(), "planned", None),
        (planned(), closed.clone(), "provider_paused", None),
        (busy(), closed, "provider_paused", None),
        (busy(), tried, "provider_busy", Some(paused_at)),
        (planned(), late.clone(), "expiring", Some(now() + Duration::hours(4))),
        (planned(), late_and_closed, "expiring", Some(now() + Duration::hours(4))),
        (planned(), late_and_paused, "sender_paused", None),
        (slotless(), late, "waits_for_slot", None),
        // It has got another slot since it was sent back.
        (noted(later(), OutcomeCode::WindowClosed), quiet(), "planned", None),
        (noted(planned(), OutcomeCode::WindowClosed), quiet(), "due", Some(now())),
        (noted(slotless(), OutcomeCode::WindowClosed), quiet(), "window_closed", None),
        // Written over by what sent it back, so it can't be; and if it were, it would say nothing wrong.
        (noted(slotless(), OutcomeCode::ProviderBusy), quiet(), "waits_for_slot", None),
    ] {
        let told = why(&message, &circumstances);
        assert_eq!((told.code.name(), told.since), (code, since), "{message:?} {circumstances:?}");
    }
}

#[test]
fn each_hold_is_told_whatever_the_time() {
    for (hold, code) in [
        (Hold::Organization, Reason::OrganizationSuspended),
        (Hold::PausedCampaign, Reason::CampaignPaused),
        (Hold::Campaign, Reason::CampaignNotActive),
        (Hold::PausedSender, Reason::SenderPaused),
        (Hold::Sender, Reason::SenderNotActive),
        (Hold::Domain, Reason::DomainNotVerified),
    ] {
        let held = Circumstances { hold: Some(hold), ..quiet() };
        for minutes in [-1, 0, 1] {
            let message = Message { send_at: now() + Duration::minutes(minutes), ..planned() };
            assert_eq!(why(&message, &held).code, code);
        }
        // What is over is not held by anything.
        let over = Message { state: State::Sent, sent_at: Some(now()), ..planned() };
        assert_eq!(why(&over, &held).code, Reason::Accepted);
    }
}

#[test]
fn of_a_mail_that_was_sent_the_latest_is_told() {
    let sent = || Message { state: State::Sent, sent_at: Some(now()), ..planned() };
    let at = |seconds| Some(now() + Duration::seconds(seconds));
    for (message, code, since) in [
        (sent(), "accepted", at(0)),
        (Message { opened_at: at(9), clicked_at: at(9), ..sent() }, "accepted", at(0)),
        (Message { delivered_at: at(1), ..sent() }, "delivered", at(1)),
        (Message { delivered_at: at(1), bounced_at: at(2), ..sent() }, "bounced", at(2)),
        (Message { delivered_at: at(2), bounced_at: at(1), ..sent() }, "delivered", at(2)),
        (Message { delivered_at: at(1), replied_at: at(3), unsubscribed_at: at(2), ..sent() }, "replied", at(3)),
        (Message { unsubscribed_at: at(3), complained_at: at(2), ..sent() }, "unsubscribed", at(3)),
        (Message { delivered_at: at(1), complained_at: at(1), bounced_at: at(1), ..sent() }, "complained", at(1)),
    ] {
        let told = why(&message, &quiet());
        assert_eq!((told.code.name(), told.since), (code, since), "{message:?}");
    }
}

#[test]
fn what_was_not_sent_says_which_suppression_or_removal_it_was() {
    let not_sent = Message { state: State::Suppressed, slot_day: None, ..planned() };
    for reason in suppressions::Reason::ALL {
        let told = why(&not_sent, &Circumstances { suppression: Some(reason), ..quiet() });
        assert_eq!(told.code.name(), format!("suppressed_{}", reason.name()));
    }
    assert_eq!(why(&not_sent, &quiet()).code, Reason::Suppressed);
    let removed = left_with(OutcomeCode::Removed);
    assert_eq!(why(&removed, &quiet()).code, Reason::PersonRemoved);
    assert_eq!(why(&Message { contact_id: None, ..removed }, &quiet()).code, Reason::ContactDeleted);
}

/// Codes of ours, of the provider, of nobody.
fn any_code() -> impl Strategy<Value = Option<String>> {
    let ours = select(OutcomeCode::ALL).prop_map(|code| code.name().to_owned());
    option::of(prop_oneof![ours, Just("MessageRejected".to_owned()), Just("stopped".to_owned()), ".{0,20}"])
}

fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    (-100_000_i64..100_000).prop_map(|seconds| now() + Duration::seconds(seconds))
}

prop_compose! {
    fn any_message()(
        state in select(&State::ALL[..]),
        outcome_code in any_code(),
        has_slot in any::<bool>(),
        has_contact in any::<bool>(),
        send_at in any_time(),
        times in [option::of(any_time()), option::of(any_time()), option::of(any_time()), option::of(any_time())],
    ) -> Message {
        let planned = planned();
        let [sent_at, delivered_at, bounced_at, replied_at] = times;
        Message {
            state,
            outcome_code,
            slot_day: planned.slot_day.filter(|_| has_slot),
            contact_id: planned.contact_id.filter(|_| has_contact),
            send_at,
            expires_at: send_at + Duration::hours(4),
            sent_at,
            delivered_at,
            bounced_at,
            replied_at,
            ..planned
        }
    }
}

prop_compose! {
    fn any_circumstances()(
        hold in option::of(select(vec![
            Hold::Organization,
            Hold::PausedCampaign,
            Hold::Campaign,
            Hold::PausedSender,
            Hold::Sender,
            Hold::Domain,
        ])),
        is_waited_for in any::<bool>(),
        provider_is_open in any::<bool>(),
        suppression in option::of(select(&suppressions::Reason::ALL[..])),
        times in [option::of(any_time()), option::of(any_time()), option::of(any_time())],
    ) -> Circumstances {
        let [attempted_at, ended_at, campaign_paused_at] = times;
        Circumstances {
            now: now(),
            attempted_at,
            is_waited_for,
            ended_at,
            hold,
            campaign_paused_at,
            provider_is_open,
            limits: Vec::new(),
            suppression,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn whatever_the_row_and_the_circumstances_there_is_a_code_and_a_sentence(
        message in any_message(),
        circumstances in any_circumstances(),
    ) {
        let told = why(&message, &circumstances);
        prop_assert!(Reason::ALL.contains(&told.code));
        prop_assert_eq!(told.message, told.code.sentence());
        prop_assert!(!told.message.contains(SECRET));
        // It says something of this state, and of no other.
        let code = format!("| `{}` |", told.code.name());
        let states: Vec<State> =
            documented().into_iter().filter(|(_, rest)| rest.starts_with(&code)).map(|(state, _)| state).collect();
        prop_assert_eq!(states, [message.state]);
        if circumstances.hold.is_some() {
            prop_assert!(![Reason::Planned, Reason::Due, Reason::WaitsForSlot].contains(&told.code));
        }
        if told.code == Reason::Planned {
            prop_assert!(message.send_at > circumstances.now);
        }
    }
}
