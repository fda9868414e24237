//! What the demonstration sets up through the API: an organization that writes to the people of a CRM export.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounting::{Day, Statistics};
use super::calendar;
use super::crm_export::{self, Export, Person, Truth};
use super::ledger::Ledger;
use super::stand_in::{StandIn, answer};
use crate::local::api::Api;
use crate::local::aws::Aws;
use crate::local::stack;
use crate::local::state::State;
use crate::say;

/// What the slugs of all demonstrations begin with.
pub(super) const SLUG_PREFIX: &str = "demo-";
/// Mails a day of the campaign.
pub(super) const CAMPAIGN_DAILY_LIMIT: u64 = 1_200;
/// Mails a day of each sender.
pub(super) const SENDER_DAILY_LIMIT: u64 = 600;
/// Between two mails of a sender.
const GAP_SECONDS: u32 = 30;
/// One mail of each sender leaves at each step of simulated time, so that more senders need fewer steps.
pub(super) const SENDERS: usize = 20;
/// Days between two steps of the campaign.
const DELAY_DAYS: u32 = 2;
/// The sending domain; nobody can own it.
const DOMAIN_SUFFIX: &str = "martlet.example";
const POLL: Duration = Duration::from_millis(50);
/// The longest that the import and the activation may take; each needs about a second.
const WORK_WITHIN: Duration = Duration::from_secs(120);

/// The steps as name, subject and body. A text that depends on a field has another where it is empty.
const STEPS: [(&str, &str, &str); 3] = [
    (
        "First mail",
        "{{ first_name | default(\"there\") }}, a question about {{ company }}",
        "Hello {{ first_name | default(\"there\") }},\n\nhow does {{ company }} plan its purchasing for next year? We help \
         teams in {{ custom.city | default(\"your city\") }} with that: \
         https://www.martlet.example/purchasing\n\nWould a short call be of use?\n",
    ),
    (
        "Reminder",
        "Re: {{ company }}",
        "Hello {{ first_name | default(\"there\") }},\n\ndid my mail reach you? As {{ custom.job_title | \
         default(\"somebody who decides\") }} you may know best whom to ask. What we do, in a minute: \
         https://www.martlet.example/tour?for=reminder&in=1\n",
    ),
    (
        "Last mail",
        "One last try, {{ first_name | default(\"there\") }}",
        "Hello {{ first_name | default(\"there\") }},\n\nthis is the last mail from me. {{ company }} can always reach us \
         by answering it, or at https://www.martlet.example/contact.\n",
    ),
];

/// How often recipients do what.
pub(super) fn rates() -> Value {
    json!({"bounce": 0.02, "soft_bounce": 0.01, "complaint": 0.003, "reply": 0.06, "auto_reply": 0.03, "unsubscribe": 0.02})
}

/// How often delivered mails are looked at. Each visit is a request through the stack, which is why there are not more.
pub(super) fn visits() -> Value {
    json!({"open": 0.12, "click": 0.4, "machine_open": 0.04})
}

/// What has been set up.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// The organization.
    pub(super) organization: Uuid,
    /// Its campaign.
    pub(super) campaign: Uuid,
    /// The least time between two mails of a sender.
    pub(super) gap: TimeDelta,
    /// The names of the campaign's steps, in order.
    pub(super) steps: Vec<&'static str>,
    /// What the import had to find.
    pub(super) truth: Truth,
    /// What it found.
    pub(super) imported: Imported,
    /// Who is in the file, by address.
    pub(super) people: BTreeMap<String, Person>,
}

/// What the import says about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Imported {
    /// Rows that are not blank.
    pub(super) rows: u64,
    /// Rows that made a contact.
    pub(super) created: u64,
    /// Rows of somebody who was there already.
    pub(super) repeats: u64,
    /// Rows that could not be taken.
    pub(super) failed: u64,
    /// Contacts that the database holds.
    pub(super) contacts: u64,
}

/// Sets everything up, short of activating the campaign.
pub(super) struct Stage<'a> {
    /// The running stack.
    pub(super) state: &'a State,
    /// Its functions.
    pub(super) aws: &'a Aws,
    /// The mail provider.
    pub(super) stand_in: &'a StandIn,
    /// The database.
    pub(super) ledger: &'a Ledger,
    /// What everything is drawn from.
    pub(super) seed: u64,
    /// What makes this run another than those before it.
    pub(super) suffix: String,
}

impl Stage<'_> {
    /// Sets up the scenario; the campaign is still a draft.
    pub(super) async fn set_up(&self) -> Result<(Scenario, Campaign)> {
        let (organization, api) = say::step("Making an organization", self.make_organization()).await?;
        let name = format!("Verifying a domain and making {SENDERS} senders");
        let senders = say::step(&name, self.make_senders(&api)).await?;
        let export = crm_export::generate(self.seed);
        let Truth { rows, contacts, .. } = export.truth;
        let name = format!("Importing {rows} rows of a CRM export with {contacts} people in them");
        let (list, imported) = say::step(&name, self.import(&api, organization, &export)).await?;
        let campaign = say::step("Building a campaign of three steps", self.build(&api, &list, &senders)).await?;
        let scenario = Scenario {
            organization,
            campaign: campaign.id,
            gap: TimeDelta::seconds(GAP_SECONDS.into()),
            steps: STEPS.map(|(name, _, _)| name).into(),
            truth: export.truth,
            imported,
            people: export.people,
        };
        Ok((scenario, campaign))
    }

    async fn make_organization(&self) -> Result<(Uuid, Api)> {
        self.ledger.suspend_unfinished(SLUG_PREFIX).await?;
        let slug = format!("{SLUG_PREFIX}{}-{}", self.seed, self.suffix);
        let event =
            json!({"action": "create_organization", "name": format!("Demonstration {}", self.seed), "slug": slug});
        let made = stack::invoke(self.aws, &self.state.outputs, "migrate", &event).await?;
        let organization = id(&made["organization_id"])?;
        let key = made["api_key"].as_str().context("migrate returned no API key")?;
        self.stand_in.plan(self.seed, &rates(), &visits()).await?;
        let api = Api::new(&self.state.api_url, &self.state.emulator_url, key)?;
        // Every campaign mail carries the address.
        let about = json!({
            "postal_address": "Martlet Demo, Hafenstr. 1, 20457 Hamburg",
            "timezone": calendar::ZONE.name(),
        });
        patch(&api, &format!("/v1/organizations/{organization}"), &about).await?;
        Ok((organization, api))
    }

    async fn make_senders(&self, api: &Api) -> Result<Vec<Uuid>> {
        let name = format!("{}.{DOMAIN_SUFFIX}", self.suffix);
        let domain = post(api, "/v1/domains", &json!({"name": name})).await?;
        let verified = post(api, &format!("/v1/domains/{}/verify", id(&domain["id"])?), &json!({})).await?;
        if verified["status"] != "verified" {
            bail!("the stand-in verifies every domain, and {name} is {}", verified["status"]);
        }
        let mut senders = Vec::with_capacity(SENDERS);
        for number in 1..=SENDERS {
            let sender = json!({
                "email": format!("sales{number}@{name}"),
                "display_name": format!("Sales {number}"),
                "status": "active",
                "daily_limit": SENDER_DAILY_LIMIT,
                "gap_seconds": GAP_SECONDS,
                "timezone": calendar::ZONE.name(),
            });
            senders.push(id(&post(api, "/v1/senders", &sender).await?["id"])?);
        }
        Ok(senders)
    }

    async fn import(&self, api: &Api, organization: Uuid, export: &Export) -> Result<(Uuid, Imported)> {
        let list = id(&post(api, "/v1/lists", &json!({"name": "CRM export"})).await?["id"])?;
        // Every other column is found by its header.
        let mapping = json!({crm_export::COMPANY_HEADER: "company"});
        let size = export.bytes.len();
        let request = json!({"file_name": "crm-export.csv", "size": size, "list_id": list, "column_mapping": mapping});
        let import = post(api, "/v1/imports", &request).await?;
        upload(&import["upload"], &export.bytes).await?;
        let path = format!("/v1/imports/{}", id(&import["id"])?);
        post(api, &format!("{path}/start"), &json!({})).await?;
        let import = wait_for(api, &path, "status", &["completed", "failed"]).await?;
        if import["status"] != "completed" {
            bail!("the import failed: {import}");
        }
        let rows = |name: &str| import[name].as_u64().with_context(|| format!("the import has no {name}: {import}"));
        let imported = Imported {
            rows: rows("rows_total")?,
            created: rows("rows_created")?,
            repeats: rows("rows_updated")? + rows("rows_unchanged")?,
            failed: rows("rows_failed")?,
            contacts: self.ledger.contacts(organization).await?,
        };
        Ok((list, imported))
    }

    async fn build(&self, api: &Api, list: &Uuid, senders: &[Uuid]) -> Result<Campaign> {
        let request = json!({"name": "Demonstration", "list_id": list, "sender_ids": senders});
        let campaign = id(&post(api, "/v1/campaigns", &request).await?["id"])?;
        let path = format!("/v1/campaigns/{campaign}");
        for (number, (name, subject, body)) in STEPS.into_iter().enumerate() {
            let delay = if number == 0 { 0 } else { DELAY_DAYS };
            let step = json!({"name": name, "subject_template": subject, "body_template": body, "delay_days": delay});
            post(api, &format!("{path}/steps"), &step).await?;
        }
        let settings = json!({
            "window_start": format!("{:02}:00", calendar::OPENS),
            "window_end": format!("{:02}:00", calendar::CLOSES),
            "send_days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "timezone": calendar::ZONE.name(),
            "daily_limit": CAMPAIGN_DAILY_LIMIT,
            "gap_seconds": GAP_SECONDS,
        });
        patch(api, &format!("{path}/settings"), &settings).await?;
        Ok(Campaign { api: api.clone(), id: campaign, path })
    }
}

/// The campaign, through the API.
#[derive(Debug, Clone)]
pub(super) struct Campaign {
    api: Api,
    id: Uuid,
    path: String,
}

impl Campaign {
    /// Shows what preflight finds, and activates the campaign.
    ///
    /// # Errors
    ///
    /// Fails where preflight refuses it, or the job that enrolls everybody does not end well.
    pub(super) async fn activate(&self) -> Result<()> {
        let preflight = get(&self.api, &format!("{}/preflight", self.path)).await?;
        for (kind, mark) in [("errors", '✗'), ("warnings", '!')] {
            for finding in preflight[kind].as_array().into_iter().flatten() {
                let text = |name: &str| finding[name].as_str().unwrap_or_default();
                say::note(format_args!("  {mark} preflight: {} ({})", text("message"), text("code")));
            }
        }
        if preflight["can_activate"] != true {
            bail!("preflight refuses the campaign");
        }
        say::note(format_args!("  preflight: {} people to write to, no error", preflight["audience"]));
        let activation = post(&self.api, &format!("{}/activate", self.path), &json!({})).await?;
        // A small audience is enrolled at once; one of this size by a job.
        if activation["kind"] == "campaign_activation" {
            let job = format!("/v1/jobs/{}", id(&activation["id"])?);
            let job = wait_for(&self.api, &job, "state", &["completed", "failed"]).await?;
            if job["state"] != "completed" {
                bail!("the activation failed: {job}");
            }
        }
        Ok(())
    }

    /// What the API says became of everybody.
    pub(super) async fn statistics(&self) -> Result<Statistics> {
        Ok(serde_json::from_value(get(&self.api, &format!("{}/statistics", self.path)).await?)?)
    }

    /// What the API says of each day, the days before the campaign among them.
    pub(super) async fn days(&self) -> Result<Vec<Day>> {
        let series = get(&self.api, &format!("{}/statistics/daily", self.path)).await?;
        Ok(serde_json::from_value(series["days"].clone())?)
    }
}

async fn get(api: &Api, path: &str) -> Result<Value> {
    answer(api.request(Method::GET, path)).await
}

async fn post(api: &Api, path: &str, body: &Value) -> Result<Value> {
    answer(api.request(Method::POST, path).json(body)).await
}

async fn patch(api: &Api, path: &str, body: &Value) -> Result<Value> {
    answer(api.request(Method::PATCH, path).json(body)).await
}

/// Uploads the file with the request that the API has signed, exactly as it says.
async fn upload(upload: &Value, bytes: &[u8]) -> Result<()> {
    let text = |name: &str| upload[name].as_str().with_context(|| format!("the upload has no {name}: {upload}"));
    let method = Method::from_bytes(text("method")?.as_bytes())?;
    let client = Client::builder().no_proxy().build()?;
    let mut request = client.request(method, text("url")?).body(bytes.to_vec());
    for (name, value) in upload["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().context("a header of the upload is no text")?);
    }
    let answer = request.send().await.context("the upload got no answer")?;
    let status = answer.status();
    if !status.is_success() {
        bail!("the upload was answered with {status}: {}", answer.text().await.unwrap_or_default());
    }
    Ok(())
}

/// Asks until a field has one of the values at which work ends.
async fn wait_for(api: &Api, path: &str, field: &str, ends: &[&str]) -> Result<Value> {
    let began = Instant::now();
    loop {
        let resource = get(api, path).await?;
        if resource[field].as_str().is_some_and(|value| ends.contains(&value)) {
            return Ok(resource);
        }
        if began.elapsed() > WORK_WITHIN {
            bail!("{path} has not ended after {} s: {resource}", WORK_WITHIN.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

fn id(value: &Value) -> Result<Uuid> {
    value.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("{value} is no id"))
}
