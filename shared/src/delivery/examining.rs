//! Examining: every hour each sender's health is computed and its ramp looked at, and what does harm pauses itself.
//!
//! What is paused is paused as by a person: under its gate, so that nothing leaves after the commit, and after another look
//! behind the gate, so that a person who has just let it go on is not overruled. A person resumes it, and from then on it is
//! judged by what it sends from then on.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_postgres::Row;
use uuid::Uuid;

use super::gates::{self, Gate};
use super::health::{Rates, Thresholds};
use super::senders::ramp::Allowance;
use crate::platform::audit::{self, Actor};
use crate::platform::webhooks::{EventType, outbox};
use crate::{CampaignId, Database, Error, OrganizationId, Result, SenderId, Tx};

/// Organizations of one transaction: each sender and each active campaign of theirs reads its latest mails.
const ORGANIZATIONS: usize = 20;

/// What one run has found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Senders whose health was computed.
    pub senders: usize,
    /// Senders that have come to the end of their ramp.
    pub ramps_finished: usize,
    /// Senders that were paused.
    pub senders_paused: usize,
    /// Campaigns that were paused.
    pub campaigns_paused: usize,
    /// Whether all were examined; else the next run begins anew.
    pub is_finished: bool,
}

/// Examines every organization that sends, until `deadline`.
pub async fn examine(db: &Database, deadline: Instant) -> Result<Examined> {
    let mut examined = Examined::default();
    for batch in organizations(db).await?.chunks(ORGANIZATIONS) {
        if Instant::now() >= deadline {
            return Ok(examined);
        }
        let Found { senders, ramps_finished, harmful } = look(db, batch).await?;
        examined.senders += senders;
        examined.ramps_finished += ramps_finished;
        for (organization, subject) in harmful {
            let is_paused = pause(db, organization, subject).await?;
            match subject {
                Subject::Sender(_) => examined.senders_paused += usize::from(is_paused),
                Subject::Campaign(_) => examined.campaigns_paused += usize::from(is_paused),
            }
        }
    }
    examined.is_finished = true;
    Ok(examined)
}

async fn organizations(db: &Database) -> Result<Vec<OrganizationId>> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("examining/organizations.sql"), &[]).await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What may pause itself.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Sender(SenderId),
    Campaign(CampaignId),
}

/// What a look at a batch has found.
struct Found {
    senders: usize,
    ramps_finished: usize,
    harmful: Vec<(OrganizationId, Subject)>,
}

async fn look(db: &Database, organizations: &[OrganizationId]) -> Result<Found> {
    let tx = db.begin_for(organizations).await?;
    let thresholds = Thresholds::read(&tx).await?;
    let senders = standings(&tx, &thresholds, include_str!("examining/read_senders.sql"), None).await?;
    keep_health(&tx, &thresholds, &senders).await?;
    let campaigns = standings(&tx, &thresholds, include_str!("examining/read_campaigns.sql"), None).await?;
    let ramps_finished = finish_ramps(&tx).await?;
    tx.commit().await?;
    let harmful_senders = senders
        .iter()
        .filter(|standing| thresholds.pauses_sender(standing.judged).is_some())
        .map(|standing| (standing.organization, Subject::Sender(SenderId(standing.id))));
    let harmful_campaigns = campaigns
        .iter()
        .filter(|standing| thresholds.pauses_campaign(standing.judged).is_some())
        .map(|standing| (standing.organization, Subject::Campaign(CampaignId(standing.id))));
    let harmful = harmful_senders.chain(harmful_campaigns).collect();
    Ok(Found { senders: senders.len(), ramps_finished, harmful })
}

/// How a sender or a campaign stands.
struct Standing {
    organization: OrganizationId,
    id: Uuid,
    /// By all of its latest mails.
    latest: Rates,
    /// By those since a person last let it go on.
    judged: Rates,
}

/// Reads all that is active, or the one of this id, by the statement for senders or for campaigns.
async fn standings(tx: &Tx, thresholds: &Thresholds, sql: &str, only: Option<Uuid>) -> Result<Vec<Standing>> {
    let window = chrono::Duration::from_std(thresholds.window).map_err(Error::internal)?;
    let since: DateTime<Utc> = tx.now() - window;
    let rows = tx.query(sql, &[&since, &thresholds.window_sends, &only]).await?;
    rows.iter()
        .map(|row| {
            Ok(Standing {
                organization: row.try_get("organization_id")?,
                id: row.try_get("id")?,
                latest: Rates::from_row(row, "")?,
                judged: Rates::from_row(row, "judged_")?,
            })
        })
        .collect()
}

async fn keep_health(tx: &Tx, thresholds: &Thresholds, senders: &[Standing]) -> Result<()> {
    let organizations: Vec<OrganizationId> = senders.iter().map(|standing| standing.organization).collect();
    let ids: Vec<Uuid> = senders.iter().map(|standing| standing.id).collect();
    let scores: Vec<i32> = senders.iter().map(|standing| thresholds.score(standing.latest)).collect();
    let counts = |count: fn(&Rates) -> i64| senders.iter().map(|standing| count(&standing.latest)).collect::<Vec<_>>();
    tx.execute(
        include_str!("examining/keep_health.sql"),
        &[
            &organizations,
            &ids,
            &scores,
            &counts(|rates| rates.sends),
            &counts(|rates| rates.hard_bounces),
            &counts(|rates| rates.complaints),
            &counts(|rates| rates.replies),
            &tx.now(),
        ],
    )
    .await?;
    Ok(())
}

/// Lets senders that have come to the end of their ramp send up to their daily limit.
async fn finish_ramps(tx: &Tx) -> Result<usize> {
    let has_ramped = |row: &Row| match Allowance::from_row(row, "") {
        Ok(allowance) => allowance.has_ramped(tx.now()),
        // One tenant's unreadable settings keep nobody else waiting.
        Err(error) => {
            tracing::error!(?error, "a sender's ramp cannot be looked at");
            false
        }
    };
    let rows = tx.query(include_str!("examining/read_warming.sql"), &[]).await?;
    let ids: Vec<SenderId> =
        rows.iter().filter(|row| has_ramped(row)).map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let finished = tx.query(include_str!("examining/finish_ramps.sql"), &[&ids]).await?;
    for row in &finished {
        let (organization, id): (_, Uuid) = (row.try_get(0)?, row.try_get(1)?);
        audit::record_for(tx, organization, Actor::System, "sender.ramp_finished", id, &json!({}), None).await?;
    }
    Ok(finished.len())
}

/// Pauses what does harm, unless somebody has changed that before its gate was closed.
async fn pause(db: &Database, organization: OrganizationId, subject: Subject) -> Result<bool> {
    let tx = db.begin_for(&[organization]).await?;
    let (gate, id, read, write, act) = match subject {
        Subject::Sender(id) => (
            Gate::Sender(id),
            id.0,
            include_str!("examining/read_senders.sql"),
            include_str!("examining/pause_sender.sql"),
            "sender.paused",
        ),
        Subject::Campaign(id) => (
            Gate::Campaign(id),
            id.0,
            include_str!("examining/read_campaigns.sql"),
            include_str!("examining/pause_campaign.sql"),
            "campaign.paused",
        ),
    };
    gates::close(&tx, &[gate]).await?;
    let thresholds = Thresholds::read(&tx).await?;
    let standing = standings(&tx, &thresholds, read, Some(id)).await?.pop();
    let reason = standing.as_ref().and_then(|standing| match subject {
        Subject::Sender(_) => thresholds.pauses_sender(standing.judged),
        Subject::Campaign(_) => thresholds.pauses_campaign(standing.judged),
    });
    let (Some(Standing { judged, .. }), Some(reason)) = (standing, reason) else {
        tx.commit().await?;
        return Ok(false);
    };
    tx.execute(write, &[&id, &reason, &tx.now()]).await?;
    let Rates { sends, hard_bounces, complaints, replies } = judged;
    let details = json!({
        "reason": reason,
        "sends": sends, "hard_bounces": hard_bounces, "complaints": complaints, "replies": replies,
    });
    audit::record_for(&tx, organization, Actor::System, act, id, &details, None).await?;
    let (event_type, data) = match subject {
        Subject::Sender(id) => {
            (EventType::SenderPaused, json!({ "sender_id": id, "status": "paused", "reason": reason }))
        }
        Subject::Campaign(id) => {
            (EventType::CampaignPaused, json!({ "campaign_id": id, "status": "paused", "reason": reason }))
        }
    };
    outbox::emit(&tx, organization, event_type, id, &data).await?;
    tx.commit().await?;
    tracing::warn!(%organization, %id, act, reason, "it has paused itself");
    Ok(true)
}
