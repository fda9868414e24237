//! Leads: people who come by themselves, through a [form](super::lead_forms) that everybody can reach.
//!
//! Whoever sends may type anybody's address. So all that is well-formed is answered alike, whether the address is new, known, suppressed,
//! deleted or forgotten, after as many statements; what is there of a contact wins, and what it lacks is filled; nobody who is stopped is
//! written to again by it; and of an address that is to be forgotten nothing is kept, by doing the same work and taking it back.

mod checking;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use self::checking::Lead;
use super::contacts::{self, CUSTOM_MAXIMUM, Contact, NewContact};
use super::lead_forms::{self, LeadKey, UnknownFields};
use super::{custom_fields, merging, suppressions};
use crate::delivery::tokens::KeyRing;
use crate::platform::plans;
use crate::{CampaignId, ContactId, Database, Error, LeadFormId, LeadId, ListId, Result, Tx, timestamps};

/// Where such a contact came from, as its `source` says.
const SOURCE: &str = "lead";
/// Somebody who is made or deleted at the same moment is looked for once more, and then again.
const ATTEMPTS: usize = 3;
/// Bytes of JSON up to which strangers fill a contact's custom fields: they leave the organization's own people half of what there is.
const CUSTOM_MAXIMUM_OF_LEADS: usize = CUSTOM_MAXIMUM / 2;

/// A form that takes submissions.
#[derive(Debug, Clone)]
pub struct OpenForm {
    id: LeadFormId,
    name: String,
    allowed_origins: Vec<String>,
    fields: Vec<String>,
    unknown_fields: UnknownFields,
    consent_text: Option<String>,
    honeypot_field: Option<String>,
    /// Where a browser goes on that has sent the form itself.
    pub thank_you_url: Option<String>,
}

impl OpenForm {
    /// Whether what a page of this origin sends is taken. A program sends none.
    #[must_use]
    pub fn admits(&self, origin: Option<&str>) -> bool {
        origin.is_none_or(|origin| self.allowed_origins.iter().any(|allowed| allowed == origin))
    }

    /// Whether the field is filled in that people do not see.
    fn is_trap_of(&self, given: &Map<String, Value>) -> bool {
        let value = self.honeypot_field.as_ref().and_then(|name| given.get(name));
        value.is_some_and(|value| !value.is_null() && value.as_str().is_none_or(|text| !text.is_empty()))
    }

    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            allowed_origins: row.try_get("allowed_origins")?,
            fields: row.try_get("fields")?,
            unknown_fields: UnknownFields::parse(row.try_get("unknown_fields")?)?,
            consent_text: row.try_get("consent_text")?,
            honeypot_field: row.try_get("honeypot_field")?,
            thank_you_url: row.try_get("thank_you_url")?,
        })
    }
}

/// What somebody has sent.
#[derive(Debug)]
pub struct Submission {
    /// Values by the names of their fields; those of custom fields are `custom.<key>`.
    pub fields: Map<String, Value>,
    /// The origin of the page, as the browser has told it.
    pub origin: Option<String>,
}

/// Finds the form of a key, for a browser that asks whether a page may use it. Nothing is counted by that.
///
/// Errors: [`Error::NotFound`], also for a form that is disabled and for an organization that does nothing.
pub async fn find_form(db: &Database, key: &LeadKey) -> Result<OpenForm> {
    let tx = db.begin(key.organization()).await?;
    let row = tx.query_opt(include_str!("leads/find_form.sql"), &[&key.text()]).await?;
    tx.commit().await?;
    OpenForm::from_row(&row.ok_or(Error::not_found("lead form"))?)
}

/// That somebody came through a form, as it was then.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FormLead {
    /// Its id.
    pub id: LeadId,
    /// Who came. It is the contact that they have become, also where that was merged into another.
    pub contact_id: ContactId,
    /// Their address, as it is now.
    pub email: String,
    /// When they came.
    #[serde(serialize_with = "timestamps::millis")]
    pub received_at: DateTime<Utc>,
    /// What they agreed to; null where the form asked for nothing.
    pub consent_text: Option<String>,
    /// The origin of the page; null for a program.
    pub origin: Option<String>,
    /// The page.
    pub page_url: Option<String>,
}

/// Who came through a form, the newest first, at most `limit`, older than `before`. Whoever was deleted or erased since is not among them.
///
/// Errors: [`Error::NotFound`] for the form.
pub async fn list(tx: &Tx, form: LeadFormId, before: Option<LeadId>, limit: i64) -> Result<Vec<FormLead>> {
    lead_forms::find(tx, form).await?;
    let rows = tx.query(include_str!("leads/list.sql"), &[&form, &before, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(FormLead {
                id: row.try_get("id")?,
                contact_id: row.try_get("contact_id")?,
                email: row.try_get("email")?,
                received_at: row.try_get("received_at")?,
                consent_text: row.try_get("consent_text")?,
                origin: row.try_get("origin")?,
                page_url: row.try_get("page_url")?,
            })
        })
        .collect()
}

/// A submission that has been counted and is to be received or refused.
pub struct Admitted {
    tx: Tx,
    form: OpenForm,
    /// The keyed hash of where it came from.
    network: [u8; 32],
    /// Seconds until there is room again, where there is none.
    retry_after: Option<i64>,
}

/// Counts a submission of a network, in a transaction of its own: many at once are no more than many in a row, and none waits for
/// another's work.
///
/// Errors: [`Error::NotFound`] as [`find_form`].
pub async fn admit(db: &Database, keys: &KeyRing, key: &LeadKey, address: IpAddr) -> Result<Admitted> {
    let network = keys.network_hash(address);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&key.text(), Type::TEXT), (&network.as_slice(), Type::BYTEA)];
    let (tx, rows) = db.begin_after(key.organization(), include_str!("leads/admit.sql"), &parameters).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Err(Error::not_found("lead form"));
    };
    Ok(Admitted { form: OpenForm::from_row(row)?, network, retry_after: row.try_get("retry_after")?, tx })
}

impl Admitted {
    /// The form.
    #[must_use]
    pub fn form(&self) -> &OpenForm {
        &self.form
    }

    /// Counts it as refused: nothing of it could be read.
    ///
    /// Errors: [`Error::TooManyAttempts`].
    pub async fn refuse(self) -> Result<()> {
        if let Some(retry_after) = self.retry_after {
            self.tx.rollback().await?;
            return Err(Error::TooManyAttempts { retry_after });
        }
        let refused = Outcome { refused: 1, ..Outcome::default() };
        refused.count(&self.tx, self.form.id, self.network).await?;
        self.tx.commit().await
    }

    /// Takes it.
    ///
    /// Errors: [`Error::TooManyAttempts`], [`Error::Forbidden`] for a page that may not use the form, [`Error::Invalid`]. None of them
    /// depends on what is known of the address.
    pub async fn receive(self, keys: &KeyRing, submission: Submission) -> Result<()> {
        let Self { tx, form, network, retry_after } = self;
        if let Some(retry_after) = retry_after {
            tx.rollback().await?;
            return Err(Error::TooManyAttempts { retry_after });
        }
        let (outcome, answer) = match decide(&tx, keys, &form, network, submission).await {
            Ok(outcome) => (outcome, Ok(())),
            Err(error @ (Error::Forbidden(_) | Error::Invalid(_))) => {
                (Outcome { refused: 1, ..Outcome::default() }, Err(error))
            }
            Err(error) => return Err(error),
        };
        outcome.count(&tx, form.id, network).await?;
        tx.commit().await?;
        answer
    }
}

/// What becomes of a submission, as numbers to be added.
#[derive(Debug, Default)]
struct Outcome {
    accepted: i64,
    refused: i64,
    trapped: i64,
    not_listed: i64,
}

impl Outcome {
    /// The last statement of its transaction: the row is everybody's who comes through the form.
    async fn count(&self, tx: &Tx, form: LeadFormId, network: [u8; 32]) -> Result<()> {
        let Self { accepted, refused, trapped, not_listed } = self;
        let counted: [&(dyn ToSql + Sync); 6] = [&form, accepted, refused, trapped, not_listed, &network.as_slice()];
        tx.execute(include_str!("leads/count.sql"), &counted).await?;
        Ok(())
    }
}

/// Nothing is written where it is refused.
async fn decide(
    tx: &Tx,
    keys: &KeyRing,
    form: &OpenForm,
    network: [u8; 32],
    submission: Submission,
) -> Result<Outcome> {
    if !form.admits(submission.origin.as_deref()) {
        return Err(Error::Forbidden("a page of an origin that the form allows".to_owned()));
    }
    if form.is_trap_of(&submission.fields) {
        return Ok(Outcome { trapped: 1, ..Outcome::default() });
    }
    let lead = checking::check(form, &custom_fields::all(tx).await?, submission.fields)?;
    tx.mark().await?;
    let not_listed = keep(tx, form, &lead, submission.origin.as_deref(), network).await?;
    // Asked behind the contact's lock, so that an erasure that has just ended is seen.
    if is_forgotten(tx, keys, &lead).await? {
        tx.take_back().await?;
        return Ok(Outcome { accepted: 1, ..Outcome::default() });
    }
    tx.keep().await?;
    Ok(Outcome { accepted: 1, not_listed, ..Outcome::default() })
}

/// Keeps a lead: the contact, its lists and tags, and what was agreed to. Returns how many lists had no room for it.
async fn keep(tx: &Tx, form: &OpenForm, lead: &Lead, origin: Option<&str>, network_hash: [u8; 32]) -> Result<i64> {
    let lists = hold_lists(tx, form.id).await?;
    let contact = put_contact(tx, lead).await?;
    let organization = tx.organization()?;
    let put: [&(dyn ToSql + Sync); 4] = [&organization, &contact, &lists.open, &lists.full];
    let not_listed = tx.query_one(include_str!("leads/put_on_lists.sql"), &put).await?.try_get("missing")?;
    tx.execute(include_str!("leads/give_tags.sql"), &[&organization, &contact, &form.id]).await?;
    tx.execute(
        include_str!("leads/insert.sql"),
        &[
            &organization,
            &LeadId::fresh(),
            &form.id,
            &form.name,
            &contact,
            &tx.now(),
            &form.consent_text,
            &origin,
            &lead.page_url,
            &network_hash.as_slice(),
        ],
    )
    .await?;
    Ok(not_listed)
}

/// The lists of a form.
struct Lists {
    /// Those that have room for one more.
    open: Vec<ListId>,
    /// Those that have none by the plan.
    full: Vec<ListId>,
}

/// Keeps the lists of a form from being deleted, in ascending order and before any contact, and tells which have room.
async fn hold_lists(tx: &Tx, form: LeadFormId) -> Result<Lists> {
    let mut lists = Lists { open: Vec::new(), full: Vec::new() };
    for row in tx.query(include_str!("leads/hold_lists.sql"), &[&form]).await? {
        let list = row.try_get("id")?;
        match plans::room(tx, list).await? {
            Some(room) if room.left < 1 => lists.full.push(list),
            _ => lists.open.push(list),
        }
    }
    Ok(lists)
}

/// The contact of the address, made or filled. Three statements in either case.
async fn put_contact(tx: &Tx, lead: &Lead) -> Result<ContactId> {
    for _ in 0..ATTEMPTS {
        match contacts::find_id_by_lower(tx, &lead.email.lower()).await? {
            Some(id) => match contacts::lock(tx, id).await {
                Ok(contact) => return fill(tx, contact, lead).await,
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            },
            None => {
                let mut custom = Map::new();
                merging::take_custom(&mut custom, &lead.custom, CUSTOM_MAXIMUM_OF_LEADS)?;
                if let Some(contact) = contacts::insert(tx, new_contact(lead, &custom)).await? {
                    return Ok(contact.id);
                }
            }
        }
    }
    Err(Error::Unavailable("a contact is made and deleted again and again".into()))
}

fn new_contact<'a>(lead: &'a Lead, custom: &'a Map<String, Value>) -> NewContact<'a> {
    NewContact {
        email: &lead.email,
        name: lead.name.as_deref(),
        first_name: lead.first_name.as_deref(),
        last_name: lead.last_name.as_deref(),
        company: lead.company.as_deref(),
        timezone: lead.timezone.as_deref(),
        custom,
        source: SOURCE,
    }
}

/// Fills what a contact lacks. Its status stays.
async fn fill(tx: &Tx, mut contact: Contact, lead: &Lead) -> Result<ContactId> {
    fill_fields(&mut contact, lead)?;
    tx.execute(
        include_str!("leads/fill_contact.sql"),
        &[
            &contact.id,
            &contact.name,
            &contact.first_name,
            &contact.last_name,
            &contact.company,
            &contact.timezone,
            &Value::Object(contact.custom),
        ],
    )
    .await?;
    Ok(contact.id)
}

/// What is there wins. A name is one thing, whole or in parts: whoever has any of it gets no other part from a stranger.
fn fill_fields(contact: &mut Contact, lead: &Lead) -> Result<()> {
    let is_empty = |field: &Option<String>| field.as_deref().is_none_or(str::is_empty);
    if [&contact.name, &contact.first_name, &contact.last_name].into_iter().all(is_empty) {
        contact.name.clone_from(&lead.name);
        contact.first_name.clone_from(&lead.first_name);
        contact.last_name.clone_from(&lead.last_name);
    }
    for (field, given) in [(&mut contact.company, &lead.company), (&mut contact.timezone, &lead.timezone)] {
        if is_empty(field) {
            field.clone_from(given);
        }
    }
    merging::take_custom(&mut contact.custom, &lead.custom, CUSTOM_MAXIMUM_OF_LEADS)
}

/// Whether the address is suppressed everywhere by its hash alone: it is to be recognized, and not to be known.
async fn is_forgotten(tx: &Tx, keys: &KeyRing, lead: &Lead) -> Result<bool> {
    let hashes = suppressions::hashes(tx, keys, &lead.email.lower())?;
    let everywhere: [&(dyn ToSql + Sync); 3] = [&hashes, &None::<CampaignId>, &None::<ListId>];
    Ok(tx.query_opt(include_str!("suppressions/find_forgotten.sql"), &everywhere).await?.is_some())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::super::contacts::Status;
    use super::super::email_address::EmailAddress;
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn lead() -> Lead {
        Lead {
            email: EmailAddress::parse("ada@people.test").unwrap(),
            name: Some("Whole".to_owned()),
            first_name: Some("Given".to_owned()),
            last_name: None,
            company: Some("Theirs".to_owned()),
            timezone: Some("Europe/Berlin".to_owned()),
            custom: object(json!({"plan": "pro", "seats": 3})),
            page_url: None,
        }
    }

    fn contact() -> Contact {
        Contact {
            id: ContactId::fresh(),
            email: "Ada@people.test".to_owned(),
            name: None,
            first_name: None,
            last_name: None,
            company: None,
            status: Status::Unsubscribed,
            timezone: None,
            custom: Map::new(),
            source: "import".to_owned(),
            import_batch_id: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_there_wins_and_what_is_lacking_is_filled() {
        let mut bare = contact();
        fill_fields(&mut bare, &lead()).unwrap();
        assert_eq!((bare.name.as_deref(), bare.first_name.as_deref()), (Some("Whole"), Some("Given")));
        assert_eq!((bare.company.as_deref(), bare.timezone.as_deref()), (Some("Theirs"), Some("Europe/Berlin")));
        assert_eq!(bare.custom, lead().custom);
        assert_eq!((bare.status, bare.email.as_str()), (Status::Unsubscribed, "Ada@people.test"));

        let known = Contact {
            last_name: Some("Lovelace".to_owned()),
            company: Some("Ours".to_owned()),
            custom: object(json!({"plan": null, "seats": 1})),
            ..contact()
        };
        let mut filled = known.clone();
        fill_fields(&mut filled, &lead()).unwrap();
        assert_eq!((&filled.name, &filled.first_name, &filled.last_name), (&None, &None, &known.last_name));
        assert_eq!((&filled.company, &filled.custom), (&known.company, &known.custom));
        assert_eq!(filled.timezone.as_deref(), Some("Europe/Berlin"));
    }

    #[test]
    fn strangers_leave_room_in_the_custom_fields_and_take_nothing_that_is_there() {
        let mut contact = contact();
        for n in 0..20 {
            let mut field = Map::new();
            field.insert(format!("field_{n}"), "x".repeat(1_000).into());
            fill_fields(&mut contact, &Lead { custom: field, ..lead() }).unwrap();
        }
        let length = serde_json::to_vec(&contact.custom).unwrap().len();
        assert!((CUSTOM_MAXIMUM_OF_LEADS - 1_100..=CUSTOM_MAXIMUM_OF_LEADS).contains(&length), "{length}");
        contact.custom.insert("own".to_owned(), "x".repeat(2_000).into());
        let own = contact.custom.clone();
        fill_fields(&mut contact, &lead()).unwrap();
        assert_eq!(contact.custom, own);
    }
}
