//! When a campaign's last mail would go: a projection by the limits' own arithmetic, and not a promise.
//!
//! Everybody takes every step, each day brings as many mails as window, gaps and daily limits allow, and who is due first goes
//! first. What nobody can know shortens it: answers, bounces, people who unsubscribe. What it leaves out lengthens it: other
//! campaigns of the same senders, senders that are still warming up, recipients in other zones, jitter.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use crate::delivery::due_times::Timing;
use crate::delivery::schedule::{SendWindow, due_after};

/// How far it looks ahead; the calendar of somebody who plans further is not worth more than "later".
pub(super) const HORIZON: Duration = Duration::days(3 * 366);

/// How fast a campaign may send.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// When it may send.
    pub(super) window: SendWindow,
    /// Mails in one opening of the window at most.
    pub(super) mails_an_opening: i64,
    /// Between two mails, all senders together.
    pub(super) apart: Duration,
}

/// Where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// With this mail.
    At(DateTime<Utc>),
    /// Later than [`HORIZON`] from now.
    Later,
}

/// People who are due for the same step at the same time, by time and then by step.
type Waiting = BTreeMap<(DateTime<Utc>, usize), i64>;

/// The time of the last mail if `people` are enrolled at `now`; `None` where there is nobody, no step, no room or no opening.
pub(super) fn project(now: DateTime<Utc>, people: i64, steps: &[Timing], pace: &Pace) -> Option<Finish> {
    let first = steps.first()?;
    if people <= 0 || pace.mails_an_opening <= 0 {
        return None;
    }
    let mut waiting = Waiting::from([((due(*first, now, pace), 0), people)]);
    let mut last = now;
    let mut free_from = now;
    while let Some((&(due_at, _), _)) = waiting.first_key_value() {
        let opens = pace.window.snap(due_at.max(free_from));
        if opens - now > HORIZON {
            return Some(Finish::Later);
        }
        let closes = pace.window.closes_at(opens)?;
        last = send_in_opening(&mut waiting, steps, pace, opens, closes).unwrap_or(last);
        free_from = closes;
    }
    Some(Finish::At(last))
}

/// Sends what an opening has room for, and returns when the last mail of it goes. Whoever is sent to is due for the step
/// behind, a cohort at a time: with the last of them.
fn send_in_opening(
    waiting: &mut Waiting,
    steps: &[Timing],
    pace: &Pace,
    opens: DateTime<Utc>,
    closes: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut room = pace.mails_an_opening;
    let mut last = None;
    let mut next_slot = opens;
    while room > 0
        && let Some(entry) = waiting.first_entry()
    {
        let &(due_at, step) = entry.key();
        let from = next_slot.max(due_at);
        if from >= closes {
            break;
        }
        let there_are = entry.remove();
        let sent = there_are.min(room).min(slots(from, closes, pace.apart));
        let last_of_them = from + pace.apart * i32::try_from(sent - 1).unwrap_or(i32::MAX);
        if sent < there_are {
            waiting.insert((due_at, step), there_are - sent);
        }
        if let Some(timing) = steps.get(step + 1) {
            *waiting.entry((due(*timing, last_of_them, pace), step + 1)).or_default() += sent;
        }
        room -= sent;
        last = Some(last_of_them);
        next_slot = last_of_them + pace.apart;
    }
    last
}

/// How many mails go from one instant to before another.
fn slots(from: DateTime<Utc>, to: DateTime<Utc>, apart: Duration) -> i64 {
    let (room, apart) = ((to - from).num_milliseconds(), apart.num_milliseconds());
    if apart <= 0 { i64::MAX } else { 1 + (room - 1).max(0) / apart }
}

fn due(timing: Timing, previous: DateTime<Utc>, pace: &Pace) -> DateTime<Utc> {
    match timing {
        Timing::Delay(delay) => due_after(previous, delay, &pace.window),
        Timing::Offset(reached) => pace.window.snap(reached.max(previous)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::schedule::{Holidays, SendDays, StepDelay};

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    fn office(mails_an_opening: i64, apart: i64) -> Pace {
        let window = SendWindow {
            opens: time("09:00"),
            closes: time("18:00"),
            days: SendDays::WORKDAYS,
            holidays: Holidays::default(),
            zone: Tz::UTC,
        };
        Pace { window, mails_an_opening, apart: Duration::seconds(apart) }
    }

    fn days(days: u32) -> Timing {
        Timing::Delay(StepDelay { days, hours: 0 })
    }

    #[test]
    fn one_step_takes_as_many_days_as_the_limit_makes_of_it() {
        // A Wednesday at ten: 50 a day, two minutes apart.
        let now = utc("2026-03-04T10:00:00Z");
        let finish = |people, pace: &Pace| project(now, people, &[days(0)], pace);
        assert_eq!(finish(1, &office(50, 120)), Some(Finish::At(now)));
        assert_eq!(finish(50, &office(50, 120)), Some(Finish::At(utc("2026-03-04T11:38:00Z"))));
        assert_eq!(finish(51, &office(50, 120)), Some(Finish::At(utc("2026-03-05T09:00:00Z"))));
        assert_eq!(finish(151, &office(50, 120)), Some(Finish::At(utc("2026-03-09T09:00:00Z"))), "behind the weekend");
        // From ten to six there is room for eight mails that are an hour apart.
        assert_eq!(finish(9, &office(50, 3_600)), Some(Finish::At(utc("2026-03-05T09:00:00Z"))));
        assert_eq!(finish(1_000_000, &office(1_000_000, 0)), Some(Finish::At(now)));
    }

    #[test]
    fn steps_wait_for_their_time_and_share_the_days() {
        let now = utc("2026-03-04T10:00:00Z");
        let pace = office(10, 60);
        assert_eq!(project(now, 1, &[days(0), days(2)], &pace), Some(Finish::At(utc("2026-03-06T10:00:00Z"))));
        let offset = Timing::Offset(utc("2026-03-05T12:00:00Z"));
        assert_eq!(project(now, 1, &[days(0), offset], &pace), Some(Finish::At(utc("2026-03-05T12:00:00Z"))));
        // An offset that has passed goes right after the step before, a gap later.
        assert_eq!(project(now, 1, &[days(2), offset], &pace), Some(Finish::At(utc("2026-03-06T10:01:00Z"))));
        // Wednesday ten, Thursday ten; on Friday ten second mails, on Monday the other ten.
        let finish = project(now, 20, &[days(0), days(2)], &pace);
        assert_eq!(finish, Some(Finish::At(utc("2026-03-09T09:09:00Z"))));
    }

    #[test]
    fn nothing_to_do_and_no_end_in_sight_are_said() {
        let now = utc("2026-03-04T10:00:00Z");
        assert_eq!(project(now, 0, &[days(0)], &office(10, 0)), None);
        assert_eq!(project(now, 5, &[], &office(10, 0)), None);
        assert_eq!(project(now, 5, &[days(0)], &office(0, 0)), None);
        assert_eq!(project(now, 1_000_000, &[days(0)], &office(50, 0)), Some(Finish::Later));
        let beyond = Timing::Offset(now + HORIZON + Duration::days(3));
        assert_eq!(project(now, 1, &[days(0), beyond], &office(10, 0)), Some(Finish::Later));
    }

    proptest! {
        #[test]
        fn it_ends_in_the_window_not_before_the_limit_allows_and_later_for_more_people(
            people in 1i64..3_000,
            more in 0i64..500,
            limit in 1i64..200,
            apart in 0i64..1_000,
            delays in prop::collection::vec(0u32..20, 1..5),
            seconds in 1_700_000_000i64..1_900_000_000,
        ) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let steps: Vec<Timing> = delays.iter().map(|delay| days(*delay)).collect();
            let pace = office(limit, apart);
            let Some(Finish::At(at)) = project(now, people, &steps, &pace) else { return Ok(()) };
            prop_assert!(at >= now && pace.window.is_open(at));
            let mails = people * i64::try_from(steps.len()).unwrap();
            // As many whole days lie between as the limit needs, less the first and the last.
            prop_assert!((at - now).num_days() + 2 >= mails / limit);
            prop_assert!(at - now >= Duration::days(delays.iter().map(|delay| i64::from(*delay)).sum::<i64>()) - Duration::days(1));
            match project(now, people + more, &steps, &pace) {
                Some(Finish::At(later)) => prop_assert!(later.date_naive() >= at.date_naive()),
                other => prop_assert_eq!(other, Some(Finish::Later)),
            }
        }
    }
}
