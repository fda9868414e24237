//! Letters: everything that a mail says, read and rendered before any lock is taken.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use super::{Letterhead, system_letters};
use crate::delivery::breaker::{self, Breaker};
use crate::delivery::mail::{self, Outgoing, compose};
use crate::delivery::messages::{Kind, MessageKey, OutcomeCode, columns, organizations};
use crate::delivery::tracked_links::{self, MAX_LINKS, TrackedLink};
use crate::outreach::templates::Template;
use crate::{CampaignId, Database, Result, StepId, Tx};

/// Compiled templates that a warm function keeps; a campaign's steps are few and their mails many.
const KEPT_TEMPLATES: usize = 200;

/// What the letters of a batch are made of.
pub(super) struct Materials {
    campaigns: Vec<Material>,
    system: Vec<system_letters::Material>,
}

impl Materials {
    pub(super) fn len(&self) -> usize {
        self.campaigns.len() + self.system.len()
    }
}

/// What a letter of a campaign is made of.
struct Material {
    key: MessageKey,
    step: StepId,
    step_version: DateTime<Utc>,
    campaign: CampaignId,
    track_opens: bool,
    track_clicks: bool,
    subject_template: String,
    body_template: String,
    recipient: String,
    person: Person,
    sender: Sender,
    postal_address: Option<String>,
    /// Ids that the provider gave to the earlier mails of this thread, oldest first.
    thread: Vec<String>,
    now: DateTime<Utc>,
}

/// A person as templates see them.
#[derive(Serialize)]
struct Person {
    email: String,
    name: String,
    first_name: String,
    last_name: String,
    company: String,
    custom: Value,
}

/// A sender as templates see it.
#[derive(Serialize)]
struct Sender {
    name: String,
    email: String,
    #[serde(skip)]
    display_name: Option<String>,
    #[serde(skip)]
    signature: Option<String>,
}

/// A letter that is ready, or why there can be none.
pub(super) struct Letter {
    pub(super) key: MessageKey,
    pub(super) kind: Kind,
    pub(super) content: Result<Content, Unwritable>,
}

/// A ready mail.
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) raw: Vec<u8>,
    /// What of it leads through us, to be stored before it goes.
    pub(super) links: Vec<TrackedLink>,
}

/// Why a letter can't be written: a defect of the step or of what is known of the person.
pub(super) struct Unwritable {
    pub(super) code: OutcomeCode,
    pub(super) detail: String,
}

/// Begins, reads the material of the messages that are still planned, and asks in the same round trip how the breaker
/// stands.
pub(super) async fn begin_and_read(db: &Database, keys: &[MessageKey]) -> Result<(Tx, Materials, Breaker)> {
    let (of, ids) = columns(keys.iter().copied());
    let (tx, [rows, system, breaker]) = db
        .begin_for_with(
            &organizations(keys.iter().copied()),
            [
                (include_str!("read_letters.sql"), &[&of, &ids]),
                (system_letters::READ, &[&of, &ids]),
                (breaker::READ, &[&breaker::ACCOUNT]),
            ],
        )
        .await?;
    let campaigns = rows.iter().map(|row| material(row, tx.now())).collect::<Result<_>>()?;
    let system = system.iter().map(|row| system_letters::material(row, tx.now())).collect::<Result<_>>()?;
    Ok((tx, Materials { campaigns, system }, Breaker::from_rows(&breaker)?))
}

fn material(row: &Row, now: DateTime<Utc>) -> Result<Material> {
    let text = |column| -> Result<String> { Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default()) };
    let display_name: Option<String> = row.try_get("display_name")?;
    Ok(Material {
        key: MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("message_id")? },
        step: row.try_get("step_id")?,
        step_version: row.try_get("step_updated_at")?,
        campaign: row.try_get("campaign_id")?,
        track_opens: row.try_get("track_opens")?,
        track_clicks: row.try_get("track_clicks")?,
        subject_template: row.try_get("subject_template")?,
        body_template: row.try_get("body_template")?,
        recipient: row.try_get("recipient")?,
        person: Person {
            email: row.try_get("recipient")?,
            name: text("name")?,
            first_name: text("first_name")?,
            last_name: text("last_name")?,
            company: text("company")?,
            custom: row.try_get("custom")?,
        },
        sender: Sender {
            name: display_name.clone().unwrap_or_default(),
            email: row.try_get("sender_email")?,
            display_name,
            signature: row.try_get("signature")?,
        },
        postal_address: row.try_get("postal_address")?,
        thread: row.try_get("thread")?,
        now,
    })
}

/// Writes the letters. Templates are compiled once a step and version, not once a mail.
pub(super) fn render(materials: &Materials, letterhead: &Letterhead) -> Vec<Letter> {
    let of_campaigns = materials.campaigns.iter().map(|material| Letter {
        key: material.key,
        kind: Kind::Campaign,
        content: write(material, letterhead),
    });
    let of_system = materials.system.iter().map(|material| material.letter(letterhead));
    of_campaigns.chain(of_system).collect()
}

/// Stores the links of the letters, of the whole batch at once. The caller holds no locks of the ledger.
pub(super) async fn store_links(tx: &Tx, letters: &mut [Letter]) -> Result<()> {
    let links = letters.iter_mut().flat_map(|letter| {
        let links = letter.content.as_mut().map(|content| std::mem::take(&mut content.links)).unwrap_or_default();
        links.into_iter().map(|link| (link, letter.key.id))
    });
    tracked_links::insert(tx, links).await
}

/// The links of a letter that are to lead through us, by their URL in the text.
fn tracked(material: &Material, body: &str, letterhead: &Letterhead) -> BTreeMap<String, TrackedLink> {
    if !material.track_clicks {
        return BTreeMap::new();
    }
    let (signature, postal_address) = (material.sender.signature.as_deref(), material.postal_address.as_deref());
    let urls = mail::links([Some(body), signature, postal_address].into_iter().flatten());
    let organization = material.key.organization;
    let links = urls.into_iter().filter_map(|url| {
        let link = TrackedLink::to(&url, organization, material.campaign, material.step, &letterhead.public_url)?;
        Some((url, link))
    });
    links.take(MAX_LINKS).collect()
}

fn write(material: &Material, letterhead: &Letterhead) -> Result<Content, Unwritable> {
    let MessageKey { organization, id } = material.key;
    let token = letterhead.keys.unsubscribe_token(organization.0, id.0);
    let unsubscribe_url = format!("{}/u/{token}", letterhead.public_url);
    let mut context = BTreeMap::new();
    if let Ok(Value::Object(person)) = serde_json::to_value(&material.person) {
        // A field that is not known is not defined, so that `default` fills it and a bare use of it is an error.
        context.extend(person.into_iter().filter(|(_, value)| value.as_str() != Some("")));
    }
    context.insert("sender".to_owned(), serde_json::to_value(&material.sender).unwrap_or_default());
    context.insert("unsubscribe_url".to_owned(), Value::String(unsubscribe_url.clone()));
    let template =
        compiled(material).map_err(|error| Unwritable { code: (&error).into(), detail: error.to_string() })?;
    let rendered =
        template.render(&context).map_err(|error| Unwritable { code: (&error).into(), detail: error.to_string() })?;
    if [&rendered.subject, &rendered.body].into_iter().any(|text| text.contains('\0')) {
        // The ledger couldn't keep it.
        let detail = "the text contains a NUL character".to_owned();
        return Err(Unwritable { code: OutcomeCode::NotComposable, detail });
    }
    let reply_to = format!("{}@{}", letterhead.keys.reply_token(organization.0, id.0), letterhead.reply_domain);
    let links = tracked(material, &rendered.body, letterhead);
    let below_public_url = |path: String| format!("{}{path}", letterhead.public_url);
    let link_urls = links
        .iter()
        .map(|(url, link)| {
            let path = tracked_links::click_path(&letterhead.keys, material.key, link.id);
            (url.clone(), below_public_url(path))
        })
        .collect();
    let pixel_url =
        material.track_opens.then(|| below_public_url(tracked_links::pixel_path(&letterhead.keys, material.key)));
    let references: Vec<&str> = material.thread.iter().map(String::as_str).collect();
    let raw = compose(&Outgoing {
        from_name: material.sender.display_name.as_deref(),
        from: &material.sender.email,
        to: &material.recipient,
        reply_to: Some(&reply_to),
        subject: &rendered.subject,
        body_text: &rendered.body,
        postal_address: material.postal_address.as_deref(),
        signature: material.sender.signature.as_deref(),
        unsubscribe_url: Some(&unsubscribe_url),
        link_urls: &link_urls,
        pixel_url: pixel_url.as_deref(),
        in_reply_to: references.last().copied(),
        references: &references,
        date: material.now,
        message_ref: id.0,
    })
    .map_err(|error| Unwritable { code: OutcomeCode::NotComposable, detail: error.to_string() })?;
    Ok(Content {
        subject: rendered.subject,
        body: rendered.body,
        from: material.sender.email.clone(),
        to: material.recipient.clone(),
        raw,
        links: links.into_values().collect(),
    })
}

/// Compiled templates by step and version.
type Templates = HashMap<(StepId, DateTime<Utc>), Rc<Template>>;

thread_local! {
    /// A function has one thread, and it lives as long as its environment.
    static TEMPLATES: RefCell<Templates> = RefCell::default();
}

fn compiled(material: &Material) -> Result<Rc<Template>, crate::outreach::templates::TemplateError> {
    let version = (material.step, material.step_version);
    if let Some(template) = TEMPLATES.with_borrow(|templates| templates.get(&version).cloned()) {
        return Ok(template);
    }
    let template = Rc::new(Template::compile(&material.subject_template, &material.body_template)?);
    TEMPLATES.with_borrow_mut(|templates| {
        if templates.len() >= KEPT_TEMPLATES {
            templates.clear();
        }
        templates.insert(version, Rc::clone(&template));
    });
    Ok(template)
}
