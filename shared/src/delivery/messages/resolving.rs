//! Resolving: a person decides about a mail of which no report has told whether it was accepted.
//!
//! To skip it lets the person it was for go on; it stays in `review` with its slot, and a report that still comes says what
//! became of it. To send it again accepts that somebody may get it twice: the same message waits for another slot and is
//! then claimed like any other, under every limit and check, so the choice goes round none of them. Its first slot is given
//! back. Whatever is reported of either attempt counts from then on.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MessageKey, MessageWithEvents, OutcomeCode, State, find};
use crate::delivery::limits::{self, Slot};
use crate::delivery::settling::{self, Ended};
use crate::fields::Fields;
use crate::outreach::campaigns;
use crate::platform::audit::Actor;
use crate::{CampaignId, Error, MessageId, Result, Tx};

/// Messages that one request resolves at most: their rows are locked together.
pub const MAXIMUM: usize = 1_000;

/// What a person chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The person it was for goes on without it.
    Skip,
    /// It goes out once more, perhaps for the second time.
    Resend,
}

impl Choice {
    /// What the choice is called in the record of acts.
    #[must_use]
    pub fn act(self) -> &'static str {
        match self {
            Self::Skip => "message.skipped",
            Self::Resend => "message.resent",
        }
    }

    /// The kind of the event.
    fn event(self) -> &'static str {
        match self {
            Self::Skip => "skipped",
            Self::Resend => "resent",
        }
    }

    fn code(self) -> OutcomeCode {
        match self {
            Self::Skip => OutcomeCode::Skipped,
            Self::Resend => OutcomeCode::Resent,
        }
    }
}

/// Why a message can't be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The organization has no such message.
    NotFound,
    /// It does not wait for a person: a report has told meanwhile, or it never was in doubt.
    MessageNotInReview,
    /// It was skipped before.
    MessageSkipped,
    /// It is not sent again, because nobody waits for it: the person was stopped or is gone.
    MessageNotWaitedFor,
}

impl Obstacle {
    fn error(self) -> Error {
        match self {
            Self::NotFound => Error::not_found("message"),
            Self::MessageNotInReview => {
                Error::conflict("message_not_in_review", "only a message in review can be resolved")
            }
            Self::MessageSkipped => {
                Error::conflict("message_skipped", "this message was skipped, and its person has gone on")
            }
            Self::MessageNotWaitedFor => Error::conflict(
                "message_not_waited_for",
                "this person's way through the campaign has ended, so nothing more is sent to them",
            ),
        }
    }
}

/// A message that was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PassedOver {
    /// Which one.
    pub id: MessageId,
    /// Why.
    pub code: Obstacle,
}

/// What became of the messages of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resolved {
    /// Resolved as was chosen.
    pub resolved: Vec<MessageId>,
    /// Left as they are.
    pub passed_over: Vec<PassedOver>,
    /// Whether the campaign has more of them, for the next request; false where the messages were named.
    pub has_more: bool,
}

/// Which messages are meant, not checked yet: named ones, or all of a campaign.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// What is chosen for all of them.
    pub action: Choice,
    /// These messages, at most [`MAXIMUM`].
    pub message_ids: Option<Vec<MessageId>>,
    /// All of this campaign, at most [`MAXIMUM`] at a time.
    pub campaign_id: Option<CampaignId>,
}

/// Resolves one message and returns it as it stands then. `by` is who chose.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`message_not_in_review`, `message_skipped`, `message_not_waited_for`).
pub async fn resolve_one(tx: &Tx, id: MessageId, choice: Choice, by: Actor) -> Result<MessageWithEvents> {
    if let Some(PassedOver { code, .. }) = resolve_each(tx, &[id], choice, by).await?.passed_over.first() {
        return Err(code.error());
    }
    find(tx, id).await
}

/// Resolves the messages that are meant; those that can't be resolved are named and hold up no others.
///
/// Errors: [`Error::Invalid`], [`Error::NotFound`] for a campaign that is not there.
pub async fn resolve(tx: &Tx, selection: Selection, by: Actor) -> Result<Resolved> {
    let Selection { action, message_ids, campaign_id } = selection;
    match (message_ids, campaign_id) {
        (Some(ids), None) => {
            let mut fields = Fields::default();
            if ids.is_empty() || ids.len() > MAXIMUM {
                fields.refuse("message_ids", "invalid", format!("from 1 to {MAXIMUM} messages are resolved at once"));
            }
            fields.finish()?;
            resolve_each(tx, &ids, action, by).await
        }
        (None, Some(campaign)) => {
            campaigns::find(tx, campaign).await?;
            let mut ids = find_in_campaign(tx, campaign, action).await?;
            let has_more = ids.len() > MAXIMUM;
            ids.truncate(MAXIMUM);
            Ok(Resolved { has_more, ..resolve_each(tx, &ids, action, by).await? })
        }
        _ => Err(Error::invalid("message_ids", "invalid", "either messages are named or a campaign")),
    }
}

/// One more than are resolved at a time, which tells whether there are more.
async fn find_in_campaign(tx: &Tx, campaign: CampaignId, choice: Choice) -> Result<Vec<MessageId>> {
    let limit = i64::try_from(MAXIMUM + 1).unwrap_or(i64::MAX);
    let must_be_waited_for = choice == Choice::Resend;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&campaign, &must_be_waited_for, &limit];
    let rows = tx.query(include_str!("resolving/find_in_campaign.sql"), &params).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Locks in the order of locks, looks in a statement after that, and carries out what can be.
async fn resolve_each(tx: &Tx, ids: &[MessageId], choice: Choice, by: Actor) -> Result<Resolved> {
    let ids: Vec<MessageId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    tx.query(include_str!("../sending/lock_enrollments.sql"), &[&ids]).await?;
    tx.query(include_str!("../sending/lock_attempts.sql"), &[&ids]).await?;
    let mut obstacles: BTreeMap<MessageId, Obstacle> = ids.iter().map(|id| (*id, Obstacle::NotFound)).collect();
    let mut keys = Vec::new();
    let mut slots = Vec::new();
    for row in tx.query(include_str!("resolving/read.sql"), &[&ids]).await? {
        let key = MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("id")? };
        let obstacle = if State::parse(row.try_get("state")?)? != State::Review {
            Some(Obstacle::MessageNotInReview)
        } else if row.try_get("is_skipped")? {
            Some(Obstacle::MessageSkipped)
        } else if choice == Choice::Resend && !row.try_get::<_, bool>("is_waited_for")? {
            Some(Obstacle::MessageNotWaitedFor)
        } else {
            keys.push(key);
            slots.extend(Slot::from_row(&row)?);
            None
        };
        match obstacle {
            Some(obstacle) => obstacles.insert(key.id, obstacle),
            None => obstacles.remove(&key.id),
        };
    }
    carry_out(tx, &keys, &slots, choice).await?;
    let resolved: Vec<MessageId> = keys.iter().map(|key| key.id).collect();
    note(tx, &resolved, choice, by).await?;
    let passed_over = obstacles.into_iter().map(|(id, code)| PassedOver { id, code }).collect();
    Ok(Resolved { resolved, passed_over, has_more: false })
}

/// The messages are locked, and can be resolved like this; `slots` are theirs.
async fn carry_out(tx: &Tx, keys: &[MessageKey], slots: &[Slot], choice: Choice) -> Result<()> {
    let ids: Vec<MessageId> = keys.iter().map(|key| key.id).collect();
    let now: DateTime<Utc> = tx.now();
    match choice {
        Choice::Skip => {
            tx.execute(include_str!("resolving/skip.sql"), &[&ids, &now, &choice.code().name()]).await?;
            let skipped = keys.iter().map(|key| (*key, Ended::Skipped(now))).collect();
            settling::move_on(tx, &skipped).await
        }
        Choice::Resend => {
            let organizations: Vec<_> = keys.iter().map(|key| key.organization).collect();
            tx.execute(include_str!("resolving/resend.sql"), &[&ids, &now, &choice.code().name()]).await?;
            // Due like anybody whose mail was sent back: the claim gives the same message its slot.
            tx.execute(include_str!("../sending/replan_enrollments.sql"), &[&organizations, &ids, &now]).await?;
            limits::release(tx, slots).await
        }
    }
}

/// Writes the choice among the events, with who made it.
async fn note(tx: &Tx, ids: &[MessageId], choice: Choice, by: Actor) -> Result<()> {
    let events: Vec<Uuid> = ids.iter().map(|_| crate::ids::fresh()).collect();
    tx.execute(
        include_str!("resolving/insert_events.sql"),
        &[&tx.organization()?, &events, &ids, &choice.event(), &tx.now(), &by.details()],
    )
    .await?;
    Ok(())
}
