//! Campaigns: what is sent to whom, and the states between draft and archive.
//!
//! Whatever changes a campaign goes through [`hold`], which closes its gate: no two changes meet, and nothing leaves
//! between a change and its commit.

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use super::settings::{self, TimezoneMode};
use super::steps;
use crate::delivery::due_times::{OffsetClock, Timing};
use crate::delivery::gates::{self, Gate};
use crate::delivery::stopping;
use crate::error::violated_constraint;
use crate::fields::Fields;
use crate::platform::plans::{self, Limit};
use crate::platform::webhooks::{EventType, outbox};
use crate::{CampaignId, Error, ListId, Result, SegmentId, StepId, Tx};

/// Characters of a name at most.
pub const NAME_LIMIT: usize = 200;
/// Characters of description, strategy and summary at most.
pub const TEXT_LIMIT: usize = 10_000;
/// Characters of a link at most: what every browser and mail program still follows.
const URL_LIMIT: usize = 2_000;

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CampaignStatus")]
pub enum Status {
    /// Being written: nobody is enrolled.
    Draft,
    /// A job enrolls the audience.
    Activating,
    /// Sending.
    Active,
    /// Stopped until somebody resumes it.
    Paused,
    /// Everybody has come to an end.
    Completed,
    /// Ended by a person; whoever was on the way was stopped.
    Archived,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::Activating, Self::Active, Self::Paused, Self::Completed, Self::Archived];

    /// The status's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }

    /// Reads a status's name.
    ///
    /// Errors: [`Error::Invalid`] on the field `status`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| Error::invalid("status", "unknown", "this is not a status of a campaign"))
    }
}

/// A campaign as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What people call it.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// How it wants to convince.
    pub strategy: Option<String>,
    /// What it says, in short.
    pub summary: Option<String>,
    /// Where its mails lead.
    pub cta_url: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Whose members are enrolled when it is activated.
    pub list_id: Option<ListId>,
    /// Whose people are enrolled when it is activated, in place of a list's.
    pub segment_id: Option<SegmentId>,
    /// When it was activated: from then on the offsets of its steps count.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub started_at: Option<DateTime<Utc>>,
    /// Since when it has been paused.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub paused_at: Option<DateTime<Utc>>,
    /// Why it has paused itself; null where a person has.
    pub paused_reason: Option<String>,
    /// Total of the pauses that are over, in seconds.
    pub paused_seconds: i64,
    /// When the last person came to an end.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was archived.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What a new campaign is made of.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// 1 to 200 characters.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// How it wants to convince.
    pub strategy: Option<String>,
    /// What it says, in short.
    pub summary: Option<String>,
    /// An https link.
    pub cta_url: Option<String>,
    /// Whose members will be enrolled.
    pub list_id: Option<ListId>,
    /// Whose people will be enrolled, in place of a list's.
    pub segment_id: Option<SegmentId>,
}

/// What changes: absent fields stay as they are, `Some(None)` empties one.
#[derive(Debug, Clone, Default)]
pub struct CampaignPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<Option<String>>,
    /// How it wants to convince.
    pub strategy: Option<Option<String>>,
    /// What it says, in short.
    pub summary: Option<Option<String>>,
    /// An https link.
    pub cta_url: Option<Option<String>>,
    /// Whose members will be enrolled; in a draft only.
    pub list_id: Option<Option<ListId>>,
    /// Whose people will be enrolled, in place of a list's; in a draft only.
    pub segment_id: Option<Option<SegmentId>>,
}

impl Campaign {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            strategy: row.try_get("strategy")?,
            summary: row.try_get("summary")?,
            cta_url: row.try_get("cta_url")?,
            status: Status::parse(row.try_get("status")?).map_err(|_| Error::internal("unknown campaign status"))?,
            list_id: row.try_get("list_id")?,
            segment_id: row.try_get("segment_id")?,
            started_at: row.try_get("started_at")?,
            paused_at: row.try_get("paused_at")?,
            paused_reason: row.try_get("paused_reason")?,
            paused_seconds: row.try_get("paused_seconds")?,
            completed_at: row.try_get("completed_at")?,
            archived_at: row.try_get("archived_at")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }

    /// The clock of its offsets; none before it is activated.
    pub(super) fn clock(&self) -> Option<OffsetClock> {
        Some(OffsetClock { started_at: self.started_at?, paused: Duration::try_seconds(self.paused_seconds)? })
    }

    /// Errors: [`Error::Conflict`] (`campaign_not_draft`).
    pub(super) fn require_draft(&self) -> Result<()> {
        if self.status == Status::Draft {
            return Ok(());
        }
        Err(self.conflict("campaign_not_draft", "only a draft can be changed like this"))
    }

    /// Errors: [`Error::Conflict`] (`campaign_not_editable`) unless it is a draft or paused.
    pub(super) fn require_editable(&self) -> Result<()> {
        if matches!(self.status, Status::Draft | Status::Paused) {
            return Ok(());
        }
        Err(self.conflict("campaign_not_editable", "only a draft or a paused campaign can be changed"))
    }

    /// A conflict that says where the campaign stands.
    pub(super) fn conflict(&self, code: &'static str, rule: &str) -> Error {
        Error::conflict(code, format!("{rule}; this one is {}", self.status.name()))
    }
}

/// Makes a draft; its settings come with it.
///
/// Errors: [`Error::Invalid`], also for a list or a segment that is not there, and for both.
pub async fn create(tx: &Tx, new: &NewCampaign) -> Result<Campaign> {
    check(Some(&new.name), [&new.description, &new.strategy, &new.summary], new.cta_url.as_deref())?;
    check_audience(new.list_id, new.segment_id)?;
    let row = tx
        .query_one(
            include_str!("campaigns/insert.sql"),
            &[
                &tx.organization()?,
                &CampaignId::fresh(),
                &new.name,
                &new.description,
                &new.strategy,
                &new.summary,
                &new.cta_url,
                &new.list_id,
                &new.segment_id,
            ],
        )
        .await
        .map_err(unknown_audience)?;
    Campaign::from_row(&row)
}

/// One campaign.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    let row = tx.query_opt(include_str!("campaigns/find.sql"), &[&id]).await?.ok_or(Error::not_found("campaign"))?;
    Campaign::from_row(&row)
}

/// The newest campaigns, at most `limit`, older than `before`, of one status or all.
pub async fn list(tx: &Tx, status: Option<Status>, before: Option<CampaignId>, limit: i64) -> Result<Vec<Campaign>> {
    let status = status.map(Status::name);
    tx.query(include_str!("campaigns/list.sql"), &[&status, &before, &limit])
        .await?
        .iter()
        .map(Campaign::from_row)
        .collect()
}

/// Closes the campaign's gate and reads it in a statement after that: until this transaction ends nobody else changes
/// the campaign, and none of its mails is let through.
///
/// Errors: [`Error::NotFound`].
pub async fn hold(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    // Whoever can't see the campaign must not hold up its owner at the gate.
    find(tx, id).await?;
    gates::close(tx, &[Gate::Campaign(id)]).await?;
    find(tx, id).await
}

/// Passes the campaign's gate and reads it in a statement after that: until this transaction ends nobody else changes the campaign.
/// Its mails are let through meanwhile.
///
/// Errors: [`Error::NotFound`].
pub(super) async fn pass(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    find(tx, id).await?;
    gates::pass(tx, &[Gate::Campaign(id)]).await?;
    find(tx, id).await
}

/// Changes a draft or a paused campaign; the list or segment of a draft only, since the audience is fixed at activation.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_editable`, `campaign_not_draft`), [`Error::Invalid`].
pub async fn update(tx: &Tx, id: CampaignId, patch: CampaignPatch) -> Result<Campaign> {
    let texts = [&patch.description, &patch.strategy, &patch.summary].map(|text| text.clone().flatten());
    check(patch.name.as_deref(), [&texts[0], &texts[1], &texts[2]], patch.cta_url.as_ref().and_then(Option::as_deref))?;
    let campaign = hold(tx, id).await?;
    campaign.require_editable()?;
    let list = patch.list_id.unwrap_or(campaign.list_id);
    let segment = patch.segment_id.unwrap_or(campaign.segment_id);
    if (list, segment) != (campaign.list_id, campaign.segment_id) {
        campaign.require_draft()?;
    }
    check_audience(list, segment)?;
    let row = tx
        .query_one(
            include_str!("campaigns/update.sql"),
            &[
                &id,
                &patch.name.unwrap_or(campaign.name),
                &patch.description.unwrap_or(campaign.description),
                &patch.strategy.unwrap_or(campaign.strategy),
                &patch.summary.unwrap_or(campaign.summary),
                &patch.cta_url.unwrap_or(campaign.cta_url),
                &list,
                &segment,
            ],
        )
        .await
        .map_err(unknown_audience)?;
    Campaign::from_row(&row)
}

/// Deletes a draft with its steps and settings. What has sent anything is archived instead: the ledger stays.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`).
pub async fn delete(tx: &Tx, id: CampaignId) -> Result<()> {
    hold(tx, id).await?.require_draft()?;
    tx.execute(include_str!("campaigns/delete.sql"), &[&id]).await?;
    Ok(())
}

/// Stops an active campaign at once, what is queued included, until it is resumed. The offset clock stands still.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_active`).
pub async fn pause(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    let campaign = hold(tx, id).await?;
    if campaign.status != Status::Active {
        return Err(campaign.conflict("campaign_not_active", "only an active campaign can be paused"));
    }
    let row = tx.query_one(include_str!("campaigns/pause.sql"), &[&id, &tx.now()]).await?;
    tell(tx, EventType::CampaignPaused, id, Status::Paused).await?;
    Campaign::from_row(&row)
}

/// Lets a paused campaign go on. What fell due meanwhile by a delay is spread from now on by the usual gap; what is due by an
/// offset is put off by the pause.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_paused`).
pub async fn resume(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    let campaign = hold(tx, id).await?;
    if campaign.status != Status::Paused {
        return Err(campaign.conflict("campaign_not_paused", "only a paused campaign can be resumed"));
    }
    plans::check(tx, Limit::ActiveCampaigns).await?;
    let row = tx.query_one(include_str!("campaigns/resume.sql"), &[&id, &tx.now()]).await?;
    put_off_offsets(tx, id, OffsetClock::from_row(&row)?).await?;
    tell(tx, EventType::CampaignResumed, id, Status::Active).await?;
    Campaign::from_row(&row)
}

/// Tells whoever wants to know how a campaign stands now.
pub(super) async fn tell(tx: &Tx, event_type: EventType, id: CampaignId, status: Status) -> Result<()> {
    let data = json!({ "campaign_id": id, "status": status.name() });
    outbox::emit(tx, tx.organization()?, event_type, id.0, &data).await
}

/// Puts off what is due by an offset to when the clock reaches it. It is one instant for each step: the minute that is a
/// person's own, by their zone and their jitter, is found by the claim when they come up.
async fn put_off_offsets(tx: &Tx, id: CampaignId, clock: OffsetClock) -> Result<()> {
    let settings = settings::find(tx, id).await?;
    let mut steps: Vec<StepId> = Vec::new();
    let mut due: Vec<DateTime<Utc>> = Vec::new();
    for step in steps::list(tx, id).await? {
        if let Timing::Offset(reached) = step.timing(clock) {
            steps.push(step.id);
            due.push(match settings.timezone_mode() {
                TimezoneMode::Campaign => settings.window().snap(reached),
                TimezoneMode::Recipient => reached,
            });
        }
    }
    if !steps.is_empty() {
        tx.query(include_str!("campaigns/lock_due.sql"), &[&id]).await?;
        tx.execute(include_str!("campaigns/put_off_offsets.sql"), &[&id, &steps, &due]).await?;
    }
    Ok(())
}

/// Ends a campaign for good: whoever is on the way is stopped, what is queued is cancelled.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_archivable`) for a draft, which is deleted instead,
/// for one that is being activated, and for one that is archived.
pub async fn archive(tx: &Tx, id: CampaignId) -> Result<Campaign> {
    let campaign = hold(tx, id).await?;
    if !matches!(campaign.status, Status::Active | Status::Paused | Status::Completed) {
        let rule = "only an active, paused or completed campaign can be archived";
        return Err(campaign.conflict("campaign_not_archivable", rule));
    }
    let row = tx.query_one(include_str!("campaigns/archive.sql"), &[&id, &tx.now()]).await?;
    stopping::archive_campaign(tx, id).await?;
    Campaign::from_row(&row)
}

fn check(name: Option<&str>, texts: [&Option<String>; 3], cta_url: Option<&str>) -> Result<()> {
    let mut fields = Fields::default();
    if let Some(name) = name {
        fields.required_line("name", name, NAME_LIMIT);
    }
    for (field, text) in ["description", "strategy", "summary"].into_iter().zip(texts) {
        if let Some(text) = text {
            fields.text(field, Some(text), TEXT_LIMIT);
        }
    }
    if let Some(url) = cta_url
        && !is_https_url(url)
    {
        fields.refuse("cta_url", "invalid", "this is a complete https:// link of 2000 characters at most");
    }
    fields.finish()
}

/// Only https, a host that is there, no credentials and nothing that a header or an attribute could be broken with.
fn is_https_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    url.len() <= URL_LIMIT
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
        && !authority.contains('@')
        && !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

fn check_audience(list: Option<ListId>, segment: Option<SegmentId>) -> Result<()> {
    if list.is_some() && segment.is_some() {
        return Err(Error::invalid("segment_id", "ambiguous", "a campaign has a list or a segment, and not both"));
    }
    Ok(())
}

fn unknown_audience(error: Error) -> Error {
    match violated_constraint(&error) {
        Some("campaigns_segment_fkey") => Error::invalid("segment_id", "not_found", "there is no such segment"),
        Some("campaigns_list_fkey") => Error::invalid("list_id", "not_found", "there is no such list"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_complete_https_and_nothing_else() {
        for good in ["https://example.test", "https://example.test:8443/a?b=c#d", "https://a-b.example.test/%20"] {
            assert!(is_https_url(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///path",
            "http://example.test",
            "HTTPS://example.test",
            "https://user@example.test",
            "https://example.test/\r\nBcc: x",
            "https://example.test/\"onclick",
            "https://exämple.test",
            "javascript:alert(1)",
        ] {
            assert!(!is_https_url(bad), "{bad}");
        }
        assert!(!is_https_url(&format!("https://example.test/{}", "a".repeat(URL_LIMIT))));
    }
}
