//! Steps: the mails of a campaign's sequence, in order.
//!
//! Order and timing belong to the draft, since people's due times are computed from them; a text may still be corrected
//! while the campaign is paused.
//!
//! A step is due a delay after the step before, or at an offset from the start of its campaign, whose clock stands still
//! while the campaign is paused. In either way it follows the step before: one whose offset has passed goes right after it.

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::campaigns;
use super::templates::{MAX_SOURCE, Part, Template, TemplateError};
use crate::delivery::due_times::{OffsetClock, Timing};
use crate::delivery::schedule::StepDelay;
use crate::fields::Fields;
use crate::{CampaignId, Error, Result, StepId, Tx};

/// Steps of one campaign at most.
pub const STEPS_LIMIT: usize = 50;
/// Characters of a name at most.
const NAME_LIMIT: usize = 200;
/// Characters of a subject template at most.
const SUBJECT_LIMIT: usize = 1_000;
/// Days of a delay at most.
const DELAY_DAYS: std::ops::RangeInclusive<i32> = 0..=365;
/// Hours of a delay beside its days.
const DELAY_HOURS: std::ops::RangeInclusive<i32> = 0..=23;
/// Milliseconds of an offset, at most two years of 365 days.
const START_OFFSET_MS: std::ops::RangeInclusive<i64> = 0..=63_072_000_000;

/// What a step's due time counts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimingKind {
    /// The end of the step before, or the activation for the first step.
    #[default]
    Delay,
    /// The start of the campaign.
    Offset,
}

impl TimingKind {
    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Offset => "offset",
        }
    }

    /// Reads a kind's name.
    ///
    /// Errors: [`Error::Invalid`] on the field `timing`.
    pub fn parse(name: &str) -> Result<Self> {
        [Self::Delay, Self::Offset]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::invalid("timing", "unknown", "this is delay or offset"))
    }
}

/// A step as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// Its campaign.
    pub campaign_id: CampaignId,
    /// Its place in the sequence, from 1.
    pub position: i32,
    /// What people call it.
    pub name: String,
    /// The subject, with variables.
    pub subject_template: String,
    /// The text, with variables.
    pub body_template: String,
    /// What its due time counts from.
    pub timing: TimingKind,
    /// Days after the previous mail was sent, or after activation for the first step; they count with the timing `delay`.
    pub delay_days: i32,
    /// Hours on top of the days.
    pub delay_hours: i32,
    /// Milliseconds after the start of the campaign, pauses not counted; null unless the timing is `offset`.
    pub start_offset_ms: Option<i64>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub updated_at: DateTime<Utc>,
}

/// What a new step is made of.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// 1 to 200 characters.
    pub name: String,
    /// One line of 1 to 1,000 characters.
    pub subject_template: String,
    /// At most [`MAX_SOURCE`] bytes.
    pub body_template: String,
    /// What its due time counts from.
    pub timing: TimingKind,
    /// 0 to 365.
    pub delay_days: i32,
    /// 0 to 23.
    pub delay_hours: i32,
    /// 0 to 63,072,000,000 with the timing `offset`, and nothing without.
    pub start_offset_ms: Option<i64>,
}

/// What changes; absent fields stay as they are.
#[derive(Debug, Clone, Default)]
pub struct StepPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// One line of 1 to 1,000 characters.
    pub subject_template: Option<String>,
    /// At most [`MAX_SOURCE`] bytes.
    pub body_template: Option<String>,
    /// What its due time counts from; in a draft only.
    pub timing: Option<TimingKind>,
    /// 0 to 365; in a draft only.
    pub delay_days: Option<i32>,
    /// 0 to 23; in a draft only.
    pub delay_hours: Option<i32>,
    /// 0 to 63,072,000,000; in a draft only. `Some(None)` takes it away, with the timing `offset`.
    pub start_offset_ms: Option<Option<i64>>,
}

impl Step {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            campaign_id: row.try_get("campaign_id")?,
            position: row.try_get("position")?,
            name: row.try_get("name")?,
            subject_template: row.try_get("subject_template")?,
            body_template: row.try_get("body_template")?,
            timing: TimingKind::parse(row.try_get("timing")?)
                .map_err(|_| Error::internal("unknown timing of a step"))?,
            delay_days: row.try_get("delay_days")?,
            delay_hours: row.try_get("delay_hours")?,
            start_offset_ms: row.try_get("start_offset_ms")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }

    /// When it is due in a campaign whose clock this is.
    pub(super) fn timing(&self, clock: OffsetClock) -> Timing {
        match self.timing {
            TimingKind::Delay => Timing::Delay(StepDelay {
                days: self.delay_days.unsigned_abs(),
                hours: self.delay_hours.unsigned_abs(),
            }),
            TimingKind::Offset => {
                Timing::Offset(clock.reaches(Duration::milliseconds(self.start_offset_ms.unwrap_or_default())))
            }
        }
    }
}

/// Appends a step to a draft.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`, `too_many_steps`), [`Error::Invalid`], for a
/// template with its code and line.
pub async fn create(tx: &Tx, campaign: CampaignId, new: &NewStep) -> Result<Step> {
    check(new)?;
    campaigns::hold(tx, campaign).await?.require_draft()?;
    let position = list(tx, campaign).await?.len() + 1;
    if position > STEPS_LIMIT {
        return Err(Error::conflict("too_many_steps", format!("a campaign has {STEPS_LIMIT} steps at most")));
    }
    let position = i32::try_from(position).map_err(Error::internal)?;
    let row = tx
        .query_one(
            include_str!("steps/insert.sql"),
            &[
                &tx.organization()?,
                &StepId::fresh(),
                &campaign,
                &position,
                &new.name,
                &new.subject_template,
                &new.body_template,
                &new.delay_days,
                &new.delay_hours,
                &new.timing.name(),
                &new.start_offset_ms,
            ],
        )
        .await?;
    Step::from_row(&row)
}

/// The steps of a campaign in order; none for a campaign that is not there.
pub async fn list(tx: &Tx, campaign: CampaignId) -> Result<Vec<Step>> {
    tx.query(include_str!("steps/list.sql"), &[&campaign]).await?.iter().map(Step::from_row).collect()
}

/// One step.
///
/// Errors: [`Error::NotFound`], also for a step of another campaign.
pub async fn find(tx: &Tx, campaign: CampaignId, id: StepId) -> Result<Step> {
    let row = tx.query_opt(include_str!("steps/find.sql"), &[&campaign, &id]).await?;
    Step::from_row(&row.ok_or(Error::not_found("step"))?)
}

/// Changes a step: its texts in a draft or a paused campaign, its timing in a draft only.
///
/// Mails that were planned before the change are rendered when they are sent, so they carry the new text too.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_editable`, `campaign_not_draft`), [`Error::Invalid`].
pub async fn update(tx: &Tx, campaign: CampaignId, id: StepId, patch: StepPatch) -> Result<Step> {
    let held = campaigns::hold(tx, campaign).await?;
    let step = find(tx, campaign, id).await?;
    held.require_editable()?;
    let changed = NewStep {
        name: patch.name.unwrap_or(step.name),
        subject_template: patch.subject_template.unwrap_or(step.subject_template),
        body_template: patch.body_template.unwrap_or(step.body_template),
        timing: patch.timing.unwrap_or(step.timing),
        delay_days: patch.delay_days.unwrap_or(step.delay_days),
        delay_hours: patch.delay_hours.unwrap_or(step.delay_hours),
        start_offset_ms: patch.start_offset_ms.unwrap_or(step.start_offset_ms),
    };
    check(&changed)?;
    if (changed.timing, changed.delay_days, changed.delay_hours, changed.start_offset_ms)
        != (step.timing, step.delay_days, step.delay_hours, step.start_offset_ms)
    {
        held.require_draft()?;
    }
    let row = tx
        .query_one(
            include_str!("steps/update.sql"),
            &[
                &id,
                &changed.name,
                &changed.subject_template,
                &changed.body_template,
                &changed.delay_days,
                &changed.delay_hours,
                &changed.timing.name(),
                &changed.start_offset_ms,
            ],
        )
        .await?;
    Step::from_row(&row)
}

/// Deletes a step of a draft; the ones behind it move up.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`).
pub async fn delete(tx: &Tx, campaign: CampaignId, id: StepId) -> Result<()> {
    let held = campaigns::hold(tx, campaign).await?;
    let step = find(tx, campaign, id).await?;
    held.require_draft()?;
    tx.execute(include_str!("steps/delete.sql"), &[&id]).await?;
    tx.execute(include_str!("steps/close_up.sql"), &[&campaign, &step.position]).await?;
    Ok(())
}

/// Puts the steps of a draft into this order.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`campaign_not_draft`), [`Error::Invalid`] unless `ids` names every
/// step of the campaign once.
pub async fn reorder(tx: &Tx, campaign: CampaignId, ids: &[StepId]) -> Result<Vec<Step>> {
    campaigns::hold(tx, campaign).await?.require_draft()?;
    let mut present: Vec<StepId> = list(tx, campaign).await?.iter().map(|step| step.id).collect();
    let mut wanted = ids.to_vec();
    present.sort_unstable();
    wanted.sort_unstable();
    if present != wanted {
        return Err(Error::invalid("step_ids", "incomplete", "this names every step of the campaign exactly once"));
    }
    tx.execute(include_str!("steps/reorder.sql"), &[&campaign, &ids]).await?;
    list(tx, campaign).await
}

fn check(step: &NewStep) -> Result<()> {
    let mut fields = Fields::default();
    fields.required_line("name", &step.name, NAME_LIMIT);
    fields.required_line("subject_template", &step.subject_template, SUBJECT_LIMIT);
    if step.body_template.is_empty() {
        fields.refuse("body_template", "required", "body_template is needed");
    }
    fields.text("body_template", Some(&step.body_template), MAX_SOURCE);
    fields.number("delay_days", step.delay_days, DELAY_DAYS);
    fields.number("delay_hours", step.delay_hours, DELAY_HOURS);
    check_offset(&mut fields, step);
    fields.finish()?;
    Template::compile(&step.subject_template, &step.body_template).map_err(|error| invalid_template(&error))?;
    Ok(())
}

fn check_offset(fields: &mut Fields, step: &NewStep) {
    let field = "start_offset_ms";
    match (step.timing, step.start_offset_ms) {
        (TimingKind::Offset, None) => fields.refuse(field, "required", "a step with the timing offset needs it"),
        (TimingKind::Offset, Some(offset)) if !START_OFFSET_MS.contains(&offset) => {
            let (least, most) = (START_OFFSET_MS.start(), START_OFFSET_MS.end());
            fields.refuse(field, "out_of_range", format!("{field} is between {least} and {most}"));
        }
        (TimingKind::Delay, Some(_)) => fields.refuse(field, "not_allowed", "it is null unless the timing is offset"),
        (TimingKind::Offset, Some(_)) | (TimingKind::Delay, None) => {}
    }
}

fn invalid_template(error: &TemplateError) -> Error {
    let field = match error.part() {
        Part::Subject => "subject_template",
        Part::Body => "body_template",
    };
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    Error::invalid(field, error.code(), format!("{line}{error}"))
}
