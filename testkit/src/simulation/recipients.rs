//! The recipients: what each does with each mail follows from the seed, the address and how many mails came before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use shared::delivery::feedback::{self, Event, EventKind};
use shared::delivery::inbound::{self, Incoming};
use shared::delivery::messages::MessageKey;
use shared::delivery::tokens::KeyRing;
use shared::delivery::unsubscribing::{self, Wish};
use shared::delivery::visitors::{Manner, Visit, Visitor};
use shared::{Database, ids};

use super::world::{Accepted, Provider};
use crate::TestDb;

/// Reports of one transaction.
const REPORTS_AT_ONCE: usize = 500;
/// Nobody who is simulated has acted after so long.
const LATEST: Duration = Duration::days(4);

/// A number in 0..1 that follows from the seed, an address, what is asked and how often it was.
pub(super) fn draw(seed: u64, address: &str, what: &str, nth: u64) -> f64 {
    // FNV-1a over what is asked, then mixed: only evenness matters.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in seed.to_le_bytes().iter().chain(address.as_bytes()).chain(what.as_bytes()).chain(&nth.to_le_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    #[expect(clippy::cast_precision_loss, reason = "52 bits are kept")]
    let fraction = ((hash ^ (hash >> 33)) >> 12) as f64 / (1_u64 << 52) as f64;
    fraction
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Report(Told),
    Reply,
    Unsubscribe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Delivered,
    Bounced,
    Complained,
    Opened,
    Clicked,
}

/// Something that somebody will do with a mail. Ordered by time, then by how they were thought of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Happening {
    at: DateTime<Utc>,
    number: u64,
    act: Act,
    message: MessageKey,
    provider_message_id: String,
    to: String,
    sent_at: DateTime<Utc>,
}

/// Everybody who gets mail, and what they have in mind.
pub(super) struct Recipients {
    seed: u64,
    agenda: BinaryHeap<Reverse<Happening>>,
    thought_of: u64,
    feedback: Database,
    inbound: Database,
    app: Database,
    keys: KeyRing,
}

impl Recipients {
    pub(super) fn new(seed: u64, db: &TestDb) -> Self {
        Self {
            seed,
            agenda: BinaryHeap::new(),
            thought_of: 0,
            feedback: db.as_role("martlet_feedback"),
            inbound: db.as_role("martlet_inbound"),
            app: db.app(),
            keys: crate::key_ring(),
        }
    }

    /// When somebody acts next.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.agenda.peek().map(|Reverse(happening)| happening.at)
    }

    /// Takes what the provider has accepted, and decides what will come of it.
    pub(super) fn receive(&mut self, accepted: Vec<Accepted>) {
        for mail in accepted {
            let chance = |what: &str| draw(self.seed, &mail.to, what, mail.nth);
            let later = |what: &str| {
                // Most act soon, some after days.
                let share = chance(what).powi(3);
                #[expect(clippy::cast_possible_truncation, reason = "far below the limit")]
                let seconds = (share * LATEST.num_seconds() as f64) as i64;
                Duration::seconds(seconds)
            };
            let delivered = mail.sent_at + Duration::seconds(5);
            let mut acts = Vec::new();
            if draw(self.seed, &mail.to, "dead address", 0) < 0.015 {
                acts.push((delivered, Act::Report(Told::Bounced)));
            } else {
                acts.push((delivered, Act::Report(Told::Delivered)));
                let opened = delivered + Duration::minutes(1) + later("opens when");
                if chance("opens") < 0.35 {
                    acts.push((opened, Act::Report(Told::Opened)));
                    if chance("clicks") < 0.2 {
                        acts.push((opened + Duration::seconds(40), Act::Report(Told::Clicked)));
                    }
                    if chance("replies") < 0.05 {
                        acts.push((opened + Duration::minutes(9), Act::Reply));
                    } else if chance("leaves") < 0.02 {
                        acts.push((opened + Duration::minutes(2), Act::Unsubscribe));
                    } else if chance("complains") < 0.001 {
                        acts.push((opened + Duration::minutes(2), Act::Report(Told::Complained)));
                    }
                }
            }
            for (at, act) in acts {
                self.thought_of += 1;
                self.agenda.push(Reverse(Happening {
                    at,
                    number: self.thought_of,
                    act,
                    message: mail.message,
                    provider_message_id: mail.provider_message_id.clone(),
                    to: mail.to.clone(),
                    sent_at: mail.sent_at,
                }));
            }
        }
    }

    /// Lets everybody do what they had in mind until now.
    pub(super) async fn act(&mut self, now: DateTime<Utc>, provider: &mut Provider) {
        let mut reports = Vec::new();
        while self.agenda.peek().is_some_and(|Reverse(happening)| happening.at <= now) {
            let Some(Reverse(happening)) = self.agenda.pop() else { break };
            match happening.act {
                Act::Report(told) => {
                    if matches!(told, Told::Bounced | Told::Complained) {
                        provider.stop(&happening.to, now);
                    }
                    reports.push(report(&happening, told));
                }
                Act::Reply => {
                    self.reply(&happening).await;
                    provider.stop(&happening.to, now);
                }
                Act::Unsubscribe => {
                    self.unsubscribe(&happening).await;
                    provider.stop(&happening.to, now);
                }
            }
        }
        for reports in reports.chunks(REPORTS_AT_ONCE) {
            feedback::apply(&self.feedback, reports).await.unwrap();
        }
    }

    async fn reply(&self, happening: &Happening) {
        let MessageKey { organization, id } = happening.message;
        let recipient = format!("{}@reply.example.test", self.keys.reply_token(organization.0, id.0));
        let raw = format!(
            "From: <{}>\r\nTo: <{recipient}>\r\nSubject: Re: Hello\r\nMessage-ID: <{}@people.test>\r\n\r\nTell me more.\r\n",
            happening.to,
            ids::fresh()
        );
        let mail = Incoming {
            recipients: std::slice::from_ref(&recipient),
            raw: raw.as_bytes(),
            object_key: &format!("inbound/{}", happening.number),
            received_at: happening.at,
        };
        inbound::take(&self.inbound, &self.keys, &mail).await.unwrap();
    }

    async fn unsubscribe(&self, happening: &Happening) {
        let MessageKey { organization, id } = happening.message;
        let tx = self.app.begin(organization).await.unwrap();
        unsubscribing::unsubscribe(&tx, id, &Wish::default(), &person()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn report(happening: &Happening, told: Told) -> Event {
    let (kind, visit) = match told {
        Told::Delivered => (EventKind::Delivered, None),
        Told::Bounced => (EventKind::Bounced, None),
        Told::Complained => (EventKind::Complained, None),
        Told::Opened => (EventKind::Opened, Some(Visit { visitor: person(), link: None })),
        Told::Clicked => (EventKind::Clicked, Some(Visit { visitor: person(), link: Some("1".to_owned()) })),
    };
    Event {
        message: happening.message,
        kind,
        provider_message_id: happening.provider_message_id.clone(),
        occurred_at: happening.at,
        sent_at: happening.sent_at,
        dedupe_key: format!("{}:{}", kind.name(), happening.number),
        details: json!({}),
        visit,
    }
}

/// Somebody with a browser.
fn person() -> Visitor {
    Visitor {
        ip: Some([192, 0, 2, 7].into()),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".to_owned(),
        manner: Manner::Get,
    }
}
