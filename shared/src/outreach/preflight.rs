//! Preflight: what stands against activating a campaign, and what is worth knowing before.
//!
//! The codes are stable. Errors refuse the activation:
//!
//! | code | meaning |
//! |---|---|
//! | `no_steps` | the campaign has no step |
//! | `no_senders` | the pool of senders is empty |
//! | `empty_audience` | there is no list or segment, or nobody of it may be written to |
//! | `segment_broken` | the segment names a tag, list, campaign or custom field that is not there any more |
//! | `domain_not_verified` | a sender's domain is not verified (`sender_ids`) |
//! | `sender_paused` | no sender of the pool is active or warming up (`sender_ids`) |
//! | `no_sending_capacity` | the senders that could send have a daily limit of 0 (`sender_ids`) |
//! | `provider_paused` | the mail account may not send at this moment, so every mail would wait |
//! | `ses_sandbox` | the mail account is in the SES sandbox and would refuse people of the audience (`count`) |
//! | `missing_postal_address` | the organization has none, and every campaign mail must carry it |
//! | `invalid_template` | a template can't be read (`step_id`) |
//! | `undefined_variable` | a variable that nothing can fill: no contact field of this name, or a custom field that nobody in the audience has and that has no default (`step_id`, `variable`, `count`, up to five `contact_ids`) |
//! | `no_window` | no window opens within a year of when the first step is due: the holidays take every send day |
//! | `message_too_large` | a step's mail is longer than a mail may be, for everybody (`step_id`) |
//!
//! Warnings do not:
//!
//! | code | meaning |
//! |---|---|
//! | `sender_paused` | some senders of the pool do not send; the people dealt out to them wait (`sender_ids`) |
//! | `provider_quota_too_small` | the mail account may send fewer mails a day than the campaign would (`count` is what it may) |
//! | `provider_under_review` | the provider looks into the account's bounces and complaints, and may stop it |
//! | `provider_unreachable` | the provider did not tell whether its account may send |
//! | `ses_sandbox` | the mail account is in the SES sandbox; everybody in the audience is at a verified domain or the simulator |
//! | `suppressed_contacts` | people of the audience who will not be enrolled (`count`) |
//! | `invalid_addresses` | people of the audience whose address verification has found invalid; they are written to all the same (`count`) |
//! | `missing_values` | a variable without default is empty for some of the audience (`step_id`, `variable`, `count`, up to five `contact_ids`) |
//! | `missing_sender_name` | `sender.name` is used without default, and some senders have no display name (`step_id`, `sender_ids`) |
//! | `daily_limit_out_of_reach` | window, gaps and the senders' own limits allow fewer mails a day than the campaign's limit (`count` is what they allow) |
//! | `no_window` | the first step is due outside of the window, which opens later than a mail of the campaign may be late (`at`) |
//! | `projected_finish` | the last mail is projected for later than a year from now (`at`; null beyond three years) |
//! | `insecure_link` | links of a step's text are not https (`step_id`, `count`) |
//! | `message_too_large` | with the longest values of the audience a step's HTML part is longer than Gmail shows, or a mail may be (`step_id`, `count` bytes where it can be sent) |

mod projection;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_postgres::types::Type;

use self::projection::{Finish, Pace};
use self::sizes::{CLIPPED_FROM, Letterhead, Size};
use super::campaign_senders::{self, CampaignSender};
use super::campaigns::Campaign;
use super::settings::{self, CampaignSettings};
use super::steps::{self, Step};
use super::templates::{Template, TemplateError};
use crate::audience::segments::compiling::Question;
use crate::audience::segments::{self, selecting};
use crate::delivery::due_times::{OffsetClock, Timing};
use crate::delivery::provider_account::AccountState;
use crate::delivery::schedule::{SendWindow, due_after};
use crate::{ContactId, Error, Result, SenderId, StepId, Tx};

/// What a template may always use; what is under `custom.` depends on the audience.
const STANDARD_VARIABLES: [&str; 8] =
    ["email", "first_name", "last_name", "name", "company", "sender.name", "sender.email", "unsubscribe_url"];
/// What is there for every mail, whether or not there is anything in it.
const GROUPS: [&str; 2] = ["custom", "sender"];
/// Fields of a contact that may be empty.
const OPTIONAL_FIELDS: [&str; 4] = ["first_name", "last_name", "name", "company"];
/// Variables of a step that are tried, and variables that the audience is asked for; more than anybody writes by hand.
const VARIABLES_TRIED: usize = 100;
/// A window that does not open for so long does not open.
const LONGEST_WAIT: Duration = Duration::days(366);
/// A campaign that takes longer is worth a warning.
const LONGEST_CAMPAIGN: Duration = Duration::days(365);
/// The code of a mail that is too large.
const TOO_LARGE: &str = "message_too_large";
/// Where the fields are that an organization has added itself.
const CUSTOM: &str = "custom.";

/// What activation would find.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Preflight {
    /// What refuses the activation.
    pub errors: Vec<Finding>,
    /// What is worth knowing.
    pub warnings: Vec<Finding>,
    /// How many people would be enrolled.
    pub audience: i64,
    /// Whether there is no error.
    pub can_activate: bool,
    /// When its last mail would go if it were activated now and everybody took every step: a projection from window, gaps
    /// and daily limits. Null where nothing would go, or not within three years.
    #[serde(serialize_with = "crate::timestamps::millis_or_null")]
    pub projected_finish_at: Option<DateTime<Utc>>,
    /// Everybody who is meant, suppressed ones included.
    #[serde(skip)]
    pub(super) members: i64,
}

/// One thing found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    /// Its stable name.
    pub code: &'static str,
    /// What a person reads.
    pub message: String,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// The variable it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::timestamps::millis_or_null")]
    pub at: Option<DateTime<Utc>>,
    /// Which senders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sender_ids: Vec<SenderId>,
    /// Some of the contacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact_ids: Vec<ContactId>,
}

impl Finding {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            step_id: None,
            variable: None,
            count: None,
            at: None,
            sender_ids: Vec::new(),
            contact_ids: Vec::new(),
        }
    }
}

impl Preflight {
    /// The errors in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let errors: Vec<String> =
            self.errors.iter().map(|error| format!("{} ({})", error.code, error.message)).collect();
        errors.join("; ")
    }
}

/// Looks at everything that an activation at this moment would need. `account` is what the mail provider has said, if it
/// has said anything.
pub async fn check(tx: &Tx, campaign: &Campaign, account: Option<&AccountState>) -> Result<Preflight> {
    let mut found = Findings::default();
    let settings = settings::find(tx, campaign.id).await?;
    let steps = steps::list(tx, campaign.id).await?;
    let senders = campaign_senders::list(tx, campaign.id).await?;
    let audience = Audience::read(tx, campaign).await?;
    if steps.is_empty() {
        found.error(Finding::new("no_steps", "the campaign has no step"));
    }
    let mails_a_day = check_senders(&mut found, &senders, &settings);
    audience.check(&mut found);
    check_addresses(tx, &mut found, campaign, &audience).await?;
    check_account(tx, &mut found, campaign, account, &audience, mails_a_day).await?;
    let letterhead = check_organization(tx, &mut found, campaign).await?;
    let templates = templates(&mut found, &steps);
    let uses = uses(&templates);
    check_sender_name(&mut found, &uses, &senders);
    let lengths = check_variables(tx, &mut found, campaign, &uses, &audience).await?;
    let timings = timings(&steps, tx.now());
    check_window(&mut found, &timings, &settings, tx.now());
    check_links(&mut found, &steps);
    check_sizes(&mut found, &templates, &lengths, &letterhead);
    let quota = account.and_then(|account| account.daily_quota).and_then(|quota| i64::try_from(quota).ok());
    let pace = Pace {
        window: settings.window().clone(),
        mails_an_opening: quota.map_or(mails_a_day, |quota| quota.min(mails_a_day)),
        apart: apart(&senders, &settings),
    };
    let finish = projection::project(tx.now(), audience.people(), &timings, &pace);
    let projected_finish_at = check_finish(&mut found, finish, tx.now());
    Ok(Preflight {
        can_activate: found.errors.is_empty(),
        errors: found.errors,
        warnings: found.warnings,
        audience: audience.people(),
        projected_finish_at,
        members: audience.members,
    })
}

#[derive(Default)]
struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Findings {
    fn error(&mut self, finding: Finding) {
        self.errors.push(finding);
    }

    fn warning(&mut self, finding: Finding) {
        self.warnings.push(finding);
    }
}

fn ids<'a>(senders: impl IntoIterator<Item = &'a CampaignSender>) -> Vec<SenderId> {
    senders.into_iter().map(|sender| sender.id).collect()
}

/// Returns how many mails the campaign may come to on one day.
fn check_senders(found: &mut Findings, senders: &[CampaignSender], settings: &CampaignSettings) -> i64 {
    if senders.is_empty() {
        found.error(Finding::new("no_senders", "the campaign has no sender"));
        return 0;
    }
    let unverified = ids(senders.iter().filter(|sender| !sender.domain_verified));
    if !unverified.is_empty() {
        let message = "the domain of a sender is not verified";
        found.error(Finding { sender_ids: unverified, ..Finding::new("domain_not_verified", message) });
    }
    let (sending, resting): (Vec<_>, Vec<_>) = senders.iter().partition(|sender| sender.is_sending());
    let resting = ids(resting);
    if sending.is_empty() {
        let message = "no sender of the campaign is active";
        found.error(Finding { sender_ids: resting, ..Finding::new("sender_paused", message) });
        return 0;
    }
    if !resting.is_empty() {
        let message = "some senders are not active: the people dealt out to them wait until they are";
        found.warning(Finding { sender_ids: resting, ..Finding::new("sender_paused", message) });
    }
    let capacity: i64 = sending.iter().map(|sender| mails_a_day(sender, settings)).sum();
    if capacity == 0 {
        let message = "the senders have a daily limit of 0";
        found.error(Finding { sender_ids: ids(sending), ..Finding::new("no_sending_capacity", message) });
    } else if capacity < settings.daily_limit.into() {
        let message = format!(
            "window, gaps and the senders' limits allow {capacity} mails a day, the campaign's limit is {}",
            settings.daily_limit
        );
        found.warning(Finding { count: Some(capacity), ..Finding::new("daily_limit_out_of_reach", message) });
    }
    capacity.min(settings.daily_limit.into())
}

/// Whose address was found to take no mail, or none that is worth sending.
async fn check_addresses(tx: &Tx, found: &mut Findings, campaign: &Campaign, audience: &Audience) -> Result<()> {
    let sql = include_str!("preflight/invalid_addresses.sql");
    let rows = selecting::rows(tx, sql, &audience.question, vec![(&campaign.id, Type::UUID)]).await?;
    let invalid: i64 = rows.first().map(|row| row.try_get("invalid")).transpose()?.unwrap_or_default();
    if invalid > 0 {
        let message = format!("the addresses of {invalid} of {} people were found invalid", audience.people());
        found.warning(Finding { count: Some(invalid), ..Finding::new("invalid_addresses", message) });
    }
    Ok(())
}

/// What the mail account would do with this campaign.
async fn check_account(
    tx: &Tx,
    found: &mut Findings,
    campaign: &Campaign,
    account: Option<&AccountState>,
    audience: &Audience,
    mails_a_day: i64,
) -> Result<()> {
    let Some(account) = account else {
        let message = "the mail provider did not tell whether its account may send";
        found.warning(Finding::new("provider_unreachable", message));
        return Ok(());
    };
    if !account.sending {
        let message = "the mail account may not send at this moment; its provider says why";
        found.error(Finding::new("provider_paused", message));
    }
    if account.under_review {
        let message = "the mail account is under review for its bounces or complaints, and may be stopped";
        found.warning(Finding::new("provider_under_review", message));
    }
    if let Some(quota) = account.daily_quota.and_then(|quota| i64::try_from(quota).ok())
        && quota < mails_a_day.min(audience.people())
    {
        let message =
            format!("the mail account may send {quota} mails a day for everybody, fewer than this campaign would");
        found.warning(Finding { count: Some(quota), ..Finding::new("provider_quota_too_small", message) });
    }
    if account.production {
        return Ok(());
    }
    let sql = include_str!("preflight/refused_in_sandbox.sql");
    let rows = selecting::rows(tx, sql, &audience.question, vec![(&campaign.id, Type::UUID)]).await?;
    let refused: i64 = rows.first().map(|row| row.try_get("refused")).transpose()?.unwrap_or_default();
    if refused > 0 {
        let message = format!(
            "the mail account is in the SES sandbox and would refuse {refused} of {} people: ask AWS for production access",
            audience.people()
        );
        found.error(Finding { count: Some(refused), ..Finding::new("ses_sandbox", message) });
    } else {
        let message = "the mail account is in the SES sandbox: it writes to verified addresses only";
        found.warning(Finding::new("ses_sandbox", message));
    }
    Ok(())
}

/// Who is meant by a campaign at this moment; nobody without a list or a segment.
///
/// Errors: [`Error::Conflict`] (`segment_broken`).
pub(super) async fn audience(tx: &Tx, campaign: &Campaign) -> Result<Question> {
    match (campaign.list_id, campaign.segment_id) {
        (Some(list), _) => Ok(Question::on_list(list)),
        (None, Some(segment)) => segments::question(tx, segment).await,
        (None, None) => Ok(Question::nobody()),
    }
}

/// What one sender can send on a day within the campaign's window.
fn mails_a_day(sender: &CampaignSender, settings: &CampaignSettings) -> i64 {
    let gap = settings.gap().num_seconds().max(sender.gap_seconds.into());
    let by_gap = if gap == 0 { i64::MAX } else { 1 + (seconds_open(settings.window()) - 1) / gap };
    by_gap.min(sender.daily_limit.into())
}

/// Between two mails of the campaign where all of its senders write.
fn apart(senders: &[CampaignSender], settings: &CampaignSettings) -> Duration {
    /// Their rates add up as mails in so many milliseconds.
    const PERIOD: i64 = 1_000_000_000_000;
    let gaps = senders.iter().filter(|sender| sender.is_sending() && sender.daily_limit > 0);
    let gaps = gaps.map(|sender| settings.gap().num_milliseconds().max(i64::from(sender.gap_seconds) * 1_000));
    let rate = gaps.map(|gap| PERIOD.checked_div(gap)).try_fold(0_i64, |rate, mails| Some(rate + mails?));
    match rate {
        None => Duration::zero(),
        Some(rate) => Duration::milliseconds(PERIOD.checked_div(rate).unwrap_or(0)),
    }
}

/// How long the window is open on one of its days; one that ends where it begins is open around the clock.
fn seconds_open(window: &SendWindow) -> i64 {
    let seconds = (window.closes - window.opens).num_seconds();
    if seconds > 0 { seconds } else { seconds + Duration::days(1).num_seconds() }
}

/// The members of the campaign's list, or those whom its segment means.
struct Audience {
    question: Question,
    /// Why the segment can't be asked.
    broken: Option<String>,
    members: i64,
    suppressed: i64,
}

impl Audience {
    async fn read(tx: &Tx, campaign: &Campaign) -> Result<Self> {
        let (question, broken) = match audience(tx, campaign).await {
            Ok(question) => (question, None),
            Err(Error::Conflict { message, .. }) => (Question::nobody(), Some(message)),
            Err(error) => return Err(error),
        };
        let sql = include_str!("preflight/audience.sql");
        let rows = selecting::rows(tx, sql, &question, vec![(&campaign.id, Type::UUID)]).await?;
        let row = rows.first().ok_or_else(|| Error::internal("a count has no row"))?;
        let (members, suppressed) = (row.try_get("members")?, row.try_get("suppressed")?);
        Ok(Self { question, broken, members, suppressed })
    }

    fn people(&self) -> i64 {
        self.members - self.suppressed
    }

    fn check(&self, found: &mut Findings) {
        if let Some(message) = &self.broken {
            found.error(Finding::new("segment_broken", message));
        } else if self.people() == 0 {
            let message = "the campaign has no list or segment, or nobody of it may be written to";
            found.error(Finding::new("empty_audience", message));
        }
        if self.suppressed > 0 {
            let message = format!("{} people of the audience are suppressed and will not be enrolled", self.suppressed);
            found.warning(Finding { count: Some(self.suppressed), ..Finding::new("suppressed_contacts", message) });
        }
    }
}

async fn check_organization(tx: &Tx, found: &mut Findings, campaign: &Campaign) -> Result<Letterhead> {
    let row = tx.query_one(include_str!("preflight/organization.sql"), &[&tx.organization()?, &campaign.id]).await?;
    if row.try_get("lacks_postal_address")? {
        let message = "every campaign mail carries the organization's postal address, and there is none";
        found.error(Finding::new("missing_postal_address", message));
    }
    Ok(Letterhead { postal_address: row.try_get("postal_address")?, signature: row.try_get("signature")? })
}

/// When each step is due, were the campaign activated now.
fn timings(steps: &[Step], now: DateTime<Utc>) -> Vec<Timing> {
    let clock = OffsetClock { started_at: now, paused: Duration::zero() };
    steps.iter().map(|step| step.timing(clock)).collect()
}

/// Whether the window opens at all, and soon after the first step is due; by the campaign's own clock.
fn check_window(found: &mut Findings, timings: &[Timing], settings: &CampaignSettings, now: DateTime<Utc>) {
    let window = settings.window();
    let (due, opens) = match timings.first() {
        Some(Timing::Delay(delay)) => {
            let elapsed = Duration::days(delay.days.into()) + Duration::hours(delay.hours.into());
            (now + elapsed, due_after(now, *delay, window))
        }
        Some(Timing::Offset(reached)) => (*reached, window.snap(*reached)),
        None => (now, window.snap(now)),
    };
    if !window.is_open(opens) || opens - due > LONGEST_WAIT {
        let message = "no window opens within a year: there is a holiday on every send day";
        found.error(Finding::new("no_window", message));
    } else if opens - due > settings.maximum_lateness() {
        let message = "the first step is due outside of the window: nothing goes before it opens";
        found.warning(Finding { at: Some(opens), ..Finding::new("no_window", message) });
    }
}

/// Returns when the last mail would go, as far as that can be told.
fn check_finish(found: &mut Findings, finish: Option<Finish>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = match finish? {
        Finish::At(at) if at - now <= LONGEST_CAMPAIGN => return Some(at),
        Finish::At(at) => Some(at),
        Finish::Later => None,
    };
    let message = match at {
        Some(_) => "at this pace the last mail goes more than a year from now",
        None => "at this pace the last mail goes more than three years from now",
    };
    found.warning(Finding { at, ..Finding::new("projected_finish", message) });
    at
}

/// Links that a program on the way could read or change. What comes out of a variable is not looked at.
fn check_links(found: &mut Findings, steps: &[Step]) {
    for step in steps {
        let links = step.body_template.to_ascii_lowercase().matches("http://").count();
        if links > 0 {
            let message = format!("step {}: {links} links are not https", step.position);
            let count = i64::try_from(links).ok();
            found.warning(Finding { step_id: Some(step.id), count, ..Finding::new("insecure_link", message) });
        }
    }
}

/// Whether the mails are of a size that can be sent and is shown.
fn check_sizes(
    found: &mut Findings,
    templates: &[(&Step, Template)],
    lengths: &BTreeMap<String, usize>,
    letterhead: &Letterhead,
) {
    for (step, template) in templates {
        let least = sizes::size(template, &BTreeMap::new(), letterhead);
        let most = sizes::size(template, lengths, letterhead);
        let finding = |message: String| Finding { step_id: Some(step.id), ..Finding::new(TOO_LARGE, message) };
        match (least, most) {
            (Some(Size::TooLarge), _) => {
                found.error(finding(format!("step {}: its mail is longer than a mail may be", step.position)));
            }
            (_, Some(Size::TooLarge)) => {
                let message = format!(
                    "step {}: with the longest values of the audience its mail is longer than a mail may be",
                    step.position
                );
                found.warning(finding(message));
            }
            (_, Some(Size::Fits(bytes))) if bytes > CLIPPED_FROM => {
                let message = format!(
                    "step {}: its mail has up to {bytes} bytes of HTML; Gmail hides what is behind {CLIPPED_FROM}",
                    step.position
                );
                found.warning(Finding { count: i64::try_from(bytes).ok(), ..finding(message) });
            }
            _ => {}
        }
    }
}

/// A variable and where it was first used without a default, or else first used at all.
struct Use {
    step: StepId,
    needs_value: bool,
}

fn check_sender_name(found: &mut Findings, uses: &BTreeMap<String, Use>, senders: &[CampaignSender]) {
    let nameless =
        ids(senders.iter().filter(|sender| sender.display_name.as_deref().unwrap_or_default().trim().is_empty()));
    if let Some(used) = uses.get("sender.name").filter(|used| used.needs_value)
        && !nameless.is_empty()
    {
        found.warning(Finding {
            step_id: Some(used.step),
            sender_ids: nameless,
            ..Finding::new("missing_sender_name", "some senders have no display name to sign with")
        });
    }
}

/// Returns the length in bytes of the longest value of each variable.
async fn check_variables(
    tx: &Tx,
    found: &mut Findings,
    campaign: &Campaign,
    uses: &BTreeMap<String, Use>,
    audience: &Audience,
) -> Result<BTreeMap<String, usize>> {
    let is_custom = |name: &str| name.starts_with(CUSTOM) && name.len() > CUSTOM.len();
    let is_known = |name: &str| is_custom(name) || STANDARD_VARIABLES.contains(&name) || GROUPS.contains(&name);
    let unknown: Vec<(&String, &Use)> = uses.iter().filter(|(name, _)| !is_known(name)).collect();
    let mut lengths = BTreeMap::new();
    if audience.people() == 0 {
        unknown.into_iter().for_each(|(name, used)| found.error(undefined(name, used, 0, Vec::new())));
        return Ok(lengths);
    }
    if !unknown.is_empty() {
        let people = first_people(tx, campaign, audience).await?;
        for (name, used) in unknown {
            found.error(undefined(name, used, audience.people(), people.clone()));
        }
    }
    let asked: Vec<&str> = uses
        .keys()
        .map(String::as_str)
        .filter(|name| is_custom(name) || OPTIONAL_FIELDS.contains(name))
        .take(VARIABLES_TRIED)
        .collect();
    let needed: Vec<&str> =
        asked.iter().copied().filter(|name| uses.get(*name).is_some_and(|used| used.needs_value)).collect();
    let mut examples = missing_examples(tx, campaign, audience, &needed).await?;
    let sql = include_str!("preflight/missing_values.sql");
    let parameters: Vec<selecting::Parameter<'_>> = vec![(&campaign.id, Type::UUID), (&asked, Type::TEXT_ARRAY)];
    for row in selecting::rows(tx, sql, &audience.question, parameters).await? {
        let (name, missing): (String, i64) = (row.try_get("variable")?, row.try_get("missing")?);
        lengths.insert(name.clone(), usize::try_from(row.try_get::<_, i32>("longest")?).unwrap_or(0));
        let Some(used) = uses.get(&name).filter(|used| used.needs_value) else { continue };
        let people = examples.remove(&name).unwrap_or_default();
        if missing == audience.people() && is_custom(&name) {
            found.error(undefined(&name, used, missing, people));
        } else if missing > 0 {
            let message = format!(
                "{name} is empty for {missing} of {} people: without a default their mail can't be written",
                audience.people()
            );
            found.warning(Finding {
                step_id: Some(used.step),
                count: Some(missing),
                contact_ids: people,
                variable: Some(name),
                ..Finding::new("missing_values", message)
            });
        }
    }
    Ok(lengths)
}

fn undefined(name: &str, used: &Use, people: i64, contact_ids: Vec<ContactId>) -> Finding {
    Finding {
        step_id: Some(used.step),
        variable: Some(name.to_owned()),
        count: Some(people),
        contact_ids,
        ..Finding::new("undefined_variable", format!("nothing can fill the variable {name}"))
    }
}

/// The steps' templates, of those that can be read.
fn templates<'a>(found: &mut Findings, steps: &'a [Step]) -> Vec<(&'a Step, Template)> {
    let mut templates = Vec::with_capacity(steps.len());
    for step in steps {
        match Template::compile(&step.subject_template, &step.body_template) {
            Ok(template) => templates.push((step, template)),
            Err(error) => {
                let code = if let TemplateError::TooLong { .. } = error { TOO_LARGE } else { "invalid_template" };
                let message = format!("step {}: {error}", step.position);
                found.error(Finding { step_id: Some(step.id), ..Finding::new(code, message) });
            }
        }
    }
    templates
}

/// Every variable of the steps' templates, by name.
fn uses(templates: &[(&Step, Template)]) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for (step, template) in templates {
        let variables = template.variables();
        for (index, name) in variables.iter().enumerate() {
            let needs_value = index >= VARIABLES_TRIED || needs_value(template, &variables, name);
            let used = uses.entry(name.clone()).or_insert(Use { step: step.id, needs_value });
            if needs_value && !used.needs_value {
                *used = Use { step: step.id, needs_value };
            }
        }
    }
    uses
}

/// Whether a mail fails where this variable alone has no value: a default, or a question before it, makes it optional.
fn needs_value(template: &Template, variables: &BTreeSet<String>, name: &str) -> bool {
    let mut sample = Map::new();
    for group in GROUPS {
        sample.insert(group.to_owned(), Value::Object(Map::new()));
    }
    for other in variables.iter().filter(|other| *other != name) {
        fill(&mut sample, other, "1");
    }
    matches!(template.render(&sample), Err(TemplateError::UndefinedVariable { .. }))
}

/// Puts a value at a path such as `custom.city`.
fn fill(sample: &mut Map<String, Value>, path: &str, value: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        sample.entry(path).or_insert_with(|| Value::from(value));
        return;
    };
    let inner = sample.entry(first).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        fill(inner, rest, value);
    }
}

/// Up to five people of the audience.
async fn first_people(tx: &Tx, campaign: &Campaign, audience: &Audience) -> Result<Vec<ContactId>> {
    let sql = include_str!("preflight/first_people.sql");
    let rows = selecting::rows(tx, sql, &audience.question, vec![(&campaign.id, Type::UUID)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Up to five people for whom each variable is empty.
async fn missing_examples(
    tx: &Tx,
    campaign: &Campaign,
    audience: &Audience,
    variables: &[&str],
) -> Result<BTreeMap<String, Vec<ContactId>>> {
    let mut examples: BTreeMap<String, Vec<ContactId>> = BTreeMap::new();
    let sql = include_str!("preflight/missing_examples.sql");
    let parameters: Vec<selecting::Parameter<'_>> = vec![(&campaign.id, Type::UUID), (&variables, Type::TEXT_ARRAY)];
    for row in selecting::rows(tx, sql, &audience.question, parameters).await? {
        examples.entry(row.try_get("variable")?).or_default().push(row.try_get("contact_id")?);
    }
    Ok(examples)
}
