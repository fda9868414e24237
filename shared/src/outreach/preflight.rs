//! Preflight: what stands against activating a campaign, and what is worth knowing before.
//!
//! The codes are stable. Errors refuse the activation:
//!
//! | code | meaning |
//! |---|---|
//! | `no_steps` | the campaign has no step |
//! | `no_senders` | the pool of senders is empty |
//! | `empty_audience` | there is no list, or nobody on it may be written to |
//! | `domain_not_verified` | a sender's domain is not verified (`sender_ids`) |
//! | `sender_paused` | no sender of the pool is active or warming up (`sender_ids`) |
//! | `no_sending_capacity` | the senders that could send have a daily limit of 0 (`sender_ids`) |
//! | `provider_paused` | the mail account may not send at this moment, so every mail would wait |
//! | `ses_sandbox` | the mail account is in the SES sandbox and would refuse people of the audience (`count`) |
//! | `missing_postal_address` | the organization has none, and every campaign mail must carry it |
//! | `invalid_template` | a template can't be read (`step_id`) |
//! | `undefined_variable` | a variable that nothing can fill: no contact field of this name, or a custom field that nobody in the audience has and that has no default (`step_id`, `variable`) |
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
//! | `suppressed_contacts` | members of the list who will not be enrolled (`count`) |
//! | `missing_values` | a variable without default is empty for some of the audience (`step_id`, `variable`, `count`, up to five `contact_ids`) |
//! | `missing_sender_name` | `sender.name` is used without default, and some senders have no display name (`step_id`, `sender_ids`) |
//! | `daily_limit_out_of_reach` | window, gaps and the senders' own limits allow fewer mails a day than the campaign's limit (`count` is what they allow) |

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use serde::Serialize;
use serde_json::{Map, Value};

use super::campaign_senders::{self, CampaignSender};
use super::campaigns::Campaign;
use super::settings::{self, CampaignSettings};
use super::steps::{self, Step};
use super::templates::{Template, TemplateError};
use crate::delivery::provider_account::AccountState;
use crate::delivery::schedule::SendWindow;
use crate::{ContactId, Result, SenderId, StepId, Tx};

/// What a template may always use; what is under `custom.` depends on the audience.
const STANDARD_VARIABLES: [&str; 8] =
    ["email", "first_name", "last_name", "name", "company", "sender.name", "sender.email", "unsubscribe_url"];
/// What is there for every mail, whether or not there is anything in it.
const GROUPS: [&str; 2] = ["custom", "sender"];
/// Fields of a contact that may be empty.
const OPTIONAL_FIELDS: [&str; 4] = ["first_name", "last_name", "name", "company"];
/// Variables of a step that are tried, and variables that the audience is asked for; more than anybody writes by hand.
const VARIABLES_TRIED: usize = 100;
/// Where the fields are that an organization has added itself.
const CUSTOM: &str = "custom.";

/// What activation would find.
#[derive(Debug, Clone, Serialize)]
pub struct Preflight {
    /// What refuses the activation.
    pub errors: Vec<Finding>,
    /// What is worth knowing.
    pub warnings: Vec<Finding>,
    /// How many people would be enrolled.
    pub audience: i64,
    /// Whether there is no error.
    pub can_activate: bool,
    /// Members of the list, suppressed ones included.
    #[serde(skip)]
    pub(super) members: i64,
}

/// One thing found.
#[derive(Debug, Clone, Serialize)]
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
    check_account(tx, &mut found, campaign, account, &audience, mails_a_day).await?;
    check_organization(tx, &mut found).await?;
    let uses = uses(&mut found, &steps);
    check_sender_name(&mut found, &uses, &senders);
    check_variables(tx, &mut found, campaign, &uses, &audience).await?;
    Ok(Preflight {
        can_activate: found.errors.is_empty(),
        errors: found.errors,
        warnings: found.warnings,
        audience: audience.people(),
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
    let row =
        tx.query_one(include_str!("preflight/refused_in_sandbox.sql"), &[&campaign.list_id, &campaign.id]).await?;
    let refused: i64 = row.try_get("refused")?;
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

/// What one sender can send on a day within the campaign's window.
fn mails_a_day(sender: &CampaignSender, settings: &CampaignSettings) -> i64 {
    let gap = settings.gap().num_seconds().max(sender.gap_seconds.into());
    let by_gap = if gap == 0 { i64::MAX } else { 1 + (seconds_open(settings.window()) - 1) / gap };
    by_gap.min(sender.daily_limit.into())
}

/// How long the window is open on one of its days; one that ends where it begins is open around the clock.
fn seconds_open(window: &SendWindow) -> i64 {
    let seconds = (window.closes - window.opens).num_seconds();
    if seconds > 0 { seconds } else { seconds + Duration::days(1).num_seconds() }
}

/// The members of the campaign's list.
struct Audience {
    members: i64,
    suppressed: i64,
}

impl Audience {
    async fn read(tx: &Tx, campaign: &Campaign) -> Result<Self> {
        let row = tx.query_one(include_str!("preflight/audience.sql"), &[&campaign.list_id, &campaign.id]).await?;
        Ok(Self { members: row.try_get("members")?, suppressed: row.try_get("suppressed")? })
    }

    fn people(&self) -> i64 {
        self.members - self.suppressed
    }

    fn check(&self, found: &mut Findings) {
        if self.people() == 0 {
            let message = "the campaign has no list, or nobody on it may be written to";
            found.error(Finding::new("empty_audience", message));
        }
        if self.suppressed > 0 {
            let message = format!("{} members of the list are suppressed and will not be enrolled", self.suppressed);
            found.warning(Finding { count: Some(self.suppressed), ..Finding::new("suppressed_contacts", message) });
        }
    }
}

async fn check_organization(tx: &Tx, found: &mut Findings) -> Result<()> {
    let row = tx.query_one(include_str!("preflight/organization.sql"), &[&tx.organization()?]).await?;
    if row.try_get("lacks_postal_address")? {
        let message = "every campaign mail carries the organization's postal address, and there is none";
        found.error(Finding::new("missing_postal_address", message));
    }
    Ok(())
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

async fn check_variables(
    tx: &Tx,
    found: &mut Findings,
    campaign: &Campaign,
    uses: &BTreeMap<String, Use>,
    audience: &Audience,
) -> Result<()> {
    let is_custom = |name: &str| name.starts_with(CUSTOM) && name.len() > CUSTOM.len();
    for (name, used) in uses {
        if !is_custom(name) && !STANDARD_VARIABLES.contains(&name.as_str()) && !GROUPS.contains(&name.as_str()) {
            found.error(undefined(name, used));
        }
    }
    if audience.people() == 0 {
        return Ok(());
    }
    let asked: Vec<&str> = uses
        .iter()
        .filter(|(name, used)| used.needs_value && (is_custom(name) || OPTIONAL_FIELDS.contains(&name.as_str())))
        .map(|(name, _)| name.as_str())
        .take(VARIABLES_TRIED)
        .collect();
    let mut examples = missing_examples(tx, campaign, &asked).await?;
    for row in
        tx.query(include_str!("preflight/missing_values.sql"), &[&campaign.list_id, &campaign.id, &asked]).await?
    {
        let (name, missing): (String, i64) = (row.try_get("variable")?, row.try_get("missing")?);
        let Some(used) = uses.get(&name) else { continue };
        if missing == audience.people() && is_custom(&name) {
            found.error(undefined(&name, used));
        } else if missing > 0 {
            let message = format!(
                "{name} is empty for {missing} of {} people: without a default their mail can't be written",
                audience.people()
            );
            found.warning(Finding {
                step_id: Some(used.step),
                count: Some(missing),
                contact_ids: examples.remove(&name).unwrap_or_default(),
                variable: Some(name),
                ..Finding::new("missing_values", message)
            });
        }
    }
    Ok(())
}

fn undefined(name: &str, used: &Use) -> Finding {
    Finding {
        step_id: Some(used.step),
        variable: Some(name.to_owned()),
        ..Finding::new("undefined_variable", format!("nothing can fill the variable {name}"))
    }
}

/// Every variable of the steps' templates, by name.
fn uses(found: &mut Findings, steps: &[Step]) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for step in steps {
        let template = match Template::compile(&step.subject_template, &step.body_template) {
            Ok(template) => template,
            Err(error) => {
                let message = format!("step {}: {error}", step.position);
                found.error(Finding { step_id: Some(step.id), ..Finding::new("invalid_template", message) });
                continue;
            }
        };
        let variables = template.variables();
        for (index, name) in variables.iter().enumerate() {
            let needs_value = index >= VARIABLES_TRIED || needs_value(&template, &variables, name);
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
        fill(&mut sample, other);
    }
    matches!(template.render(&sample), Err(TemplateError::UndefinedVariable { .. }))
}

/// Puts some value at a path such as `custom.city`.
fn fill(sample: &mut Map<String, Value>, path: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        sample.entry(path).or_insert_with(|| Value::from("1"));
        return;
    };
    let inner = sample.entry(first).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        fill(inner, rest);
    }
}

/// Up to five people for whom each variable is empty.
async fn missing_examples(
    tx: &Tx,
    campaign: &Campaign,
    variables: &[&str],
) -> Result<BTreeMap<String, Vec<ContactId>>> {
    let mut examples: BTreeMap<String, Vec<ContactId>> = BTreeMap::new();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&campaign.list_id, &campaign.id, &variables];
    for row in tx.query(include_str!("preflight/missing_examples.sql"), &params).await? {
        examples.entry(row.try_get("variable")?).or_default().push(row.try_get("contact_id")?);
    }
    Ok(examples)
}
