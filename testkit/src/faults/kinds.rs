//! The kinds of fault, by the ids that the documentation has (docs/reliability.md).

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! kinds {
    ($($kind:ident $name:literal $what:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $what] $kind,)* }

        impl Kind {
            /// Every kind, in the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its id.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    KillBeforeClaim "kill_before_claim" "The sender is killed before it claims.",
    KillAfterClaim "kill_after_claim" "The sender is killed after its claim has committed.",
    KillInCall "kill_in_call" "The sender is killed while the provider has not accepted its mail.",
    KillAfterAccept "kill_after_accept" "The sender is killed when the provider has accepted and not answered.",
    KillAfterRecord "kill_after_record" "The sender is killed after it has recorded the outcomes.",
    KillBeforeAck "kill_before_ack" "The sender is killed before it acknowledges to the queue.",
    KillSchedulerAfterCommit "kill_scheduler_after_commit" "The scheduler is killed between its commit and the queue.",
    KillFeedback "kill_feedback" "The feedback function is killed before or after its commit.",
    DbStop "db_stop" "Every connection to the database is cut in a transaction, and none is taken for a while.",
    DbCutAtCommit "db_cut_at_commit" "The connection is cut at COMMIT, before or after the server has it.",
    DbSlow "db_slow" "A COMMIT takes two seconds longer.",
    DbExhausted "db_exhausted" "The database has no connection free.",
    DbRestoredOneHour "db_restored_one_hour" "The database is restored to what it was an hour ago.",
    QueueTriple "queue_triple" "The queue brings every message three times.",
    QueueShuffle "queue_shuffle" "The queue brings messages out of order.",
    QueueLost10 "queue_lost_10" "The queue loses every tenth message.",
    QueueVisibility "queue_visibility" "A batch is visible again while it is worked on.",
    QueueRedrivenTwice "queue_redriven_twice" "Dead letters are redriven, and that twice.",
    PoisonMessage "poison_message" "One message of a batch is unreadable.",
    Ses429Storm "ses_429_storm" "The provider throttles everything for ten minutes.",
    SesDailyQuota "ses_daily_quota" "The account's daily quota is used up.",
    SesPaused "ses_paused" "The account is paused.",
    Ses500 "ses_500" "The provider answers 500, having accepted the mail or not.",
    Ses503 "ses_503" "The provider answers 503, having accepted the mail or not.",
    SesAcceptReset "ses_accept_reset" "The provider accepts and resets the connection.",
    SesAcceptHang "ses_accept_hang" "The provider accepts and never answers.",
    SesTruncated "ses_truncated" "The provider accepts and breaks off in its answer.",
    SesGarbage200 "ses_garbage_200" "The provider accepts and answers 200 with what nobody can read.",
    SesEventFirst "ses_event_first" "The provider's event comes before its answer.",
    SesClosesIdle "ses_closes_idle" "A kept-alive connection is closed when the next request comes.",
    SesRefusesConnections "ses_refuses_connections" "Nobody listens where the provider is.",
    EventsTwice "events_twice" "Every event comes twice.",
    EventsShuffled "events_shuffled" "Events come out of order.",
    EventsLate3d "events_late_3d" "Events come three days late.",
    EventsNever "events_never" "Events never come.",
    EventsForged "events_forged" "Events name messages under ids that the provider never gave.",
    RaceUnsubscribe "race_unsubscribe" "Somebody unsubscribes while their mail is being sent.",
    RaceSuppress "race_suppress" "An address is suppressed while mail to it is being sent.",
    RacePause "race_pause" "A campaign is paused while it sends.",
    RaceReply "race_reply" "Somebody replies while their next mail is being sent.",
    Workers16OneCap "workers_16_one_cap" "Sixteen schedulers at once under one cap, beside another campaign.",
    EnrollTwice "enroll_twice" "A campaign is activated twice at once.",
    SchedulerTwice "scheduler_twice" "Two schedulers run at once.",
    ClockPlus1h "clock_plus_1h" "People's clock jumps ahead by an hour.",
    ClockMinus1h "clock_minus_1h" "People's clock jumps back by an hour.",
    DstGap "dst_gap" "An hour of the window does not exist.",
    DstFold "dst_fold" "An hour of the window comes twice.",
    SkippedDay "skipped_day" "A whole local day does not exist.",
    HalfHourShift "half_hour_shift" "The clocks change by half an hour.",
    MigrateDuringSend "migrate_during_send" "A migration runs while mail is sent, by processes from before and after it.",
}

impl Kind {
    /// The kind of this id.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it takes seconds of real time each time.
    #[must_use]
    pub fn is_slow(self) -> bool {
        matches!(self, Self::DbSlow | Self::SesAcceptHang)
    }

    /// The people of a round: few where a fault strikes only once or twice a round.
    #[must_use]
    pub(super) fn people(self) -> usize {
        match self {
            Self::DstGap | Self::DstFold | Self::SkippedDay | Self::HalfHourShift => 16,
            Self::KillSchedulerAfterCommit
            | Self::QueueShuffle
            | Self::PoisonMessage
            | Self::EventsShuffled
            | Self::SchedulerTwice
            | Self::DbRestoredOneHour
            | Self::RaceReply => 20,
            _ => 40,
        }
    }

    /// A zone and the instant (UTC) shortly after which its clocks do what the kind is about.
    pub(super) fn transition(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::DstGap => Some(("Europe/Berlin", "2026-03-29T00:40:00Z")),
            Self::DstFold => Some(("Europe/Berlin", "2026-10-25T00:40:00Z")),
            Self::SkippedDay => Some(("Pacific/Apia", "2011-12-30T09:40:00Z")),
            Self::HalfHourShift => Some(("Australia/Lord_Howe", "2026-04-04T14:40:00Z")),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| Kind::named(kind.name()) == Some(*kind)));
        assert_eq!(Kind::named("kill_everything"), None);
    }
}
