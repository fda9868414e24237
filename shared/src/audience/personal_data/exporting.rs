//! Everything that is stored about a person, table by table and in pages.
//!
//! A record is the whole row, whatever columns it has, so that a column that is added later is exported without anybody's
//! doing. A page ends after a number of records or bytes, whichever comes first: an answer of a Lambda has 6 MB at most.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::Person;
use crate::audience::suppressions;
use crate::delivery::tokens::KeyRing;
use crate::{ContactId, Error, LinkId, Result, SuppressionId, Tx, timestamps};

/// Bytes of JSON after which a page takes no more records. The largest record is an answer of 1 MiB kept under an
/// `Idempotency-Key`, which as a JSON string within JSON is hardly ever twice as long.
const BYTES: usize = 3 << 20;
/// Rows that are read at a time; with the longest texts they are some 25 MB.
const ROWS: i64 = 100;

/// A table that may know the person, in the order in which they are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The contact with custom fields and the imported row.
    Contacts,
    /// What was learned about the person.
    Persons,
    /// What a text model made of it.
    Personas,
    /// Jobs whose selection names the address.
    EnrichmentJobs,
    /// When it was asked about, and what came of it.
    EnrichmentTasks,
    /// What was found out about the addresses.
    EmailVerifications,
    /// Jobs whose selection names the address.
    VerificationJobs,
    /// What lies in the bin of the person.
    DeletedContacts,
    /// The lists that it is on.
    ListMembers,
    /// The tags that it has.
    ContactTags,
    /// Through which forms the person came, and what they agreed to.
    Leads,
    /// Rows of imports that could not be taken and name the address.
    ImportErrors,
    /// The ways through campaigns.
    Enrollments,
    /// The mails, with subject and text.
    Messages,
    /// What was reported of them; opens and clicks with address and program.
    MessageEvents,
    /// Links in them that are the person's own.
    TrackedLinks,
    /// What the person answered.
    Replies,
    /// What keeps mail from the address, forgotten ones as well.
    Suppressions,
    /// Acts on the contact and its suppressions.
    AuditLog,
    /// Answers kept for requests under an `Idempotency-Key` that name the person.
    IdempotencyKeys,
    /// What was told of the person elsewhere.
    WebhookEvents,
    /// What was answered to that, and other answers that name the address.
    WebhookDeliveries,
    /// Runs of workflows that were started by it or name the address.
    WorkflowRuns,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 23] = [
        Self::Contacts,
        Self::Persons,
        Self::Personas,
        Self::EnrichmentJobs,
        Self::EnrichmentTasks,
        Self::EmailVerifications,
        Self::VerificationJobs,
        Self::DeletedContacts,
        Self::ListMembers,
        Self::ContactTags,
        Self::Leads,
        Self::ImportErrors,
        Self::Enrollments,
        Self::Messages,
        Self::MessageEvents,
        Self::TrackedLinks,
        Self::Replies,
        Self::Suppressions,
        Self::AuditLog,
        Self::IdempotencyKeys,
        Self::WebhookEvents,
        Self::WebhookDeliveries,
        Self::WorkflowRuns,
    ];
}

/// Where a page ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    contact: ContactId,
    section: Section,
    id: Uuid,
    /// Tells rows of one id apart, where an id alone doesn't.
    line: i64,
}

/// A page of an export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    /// Whom it is about.
    pub contact_id: ContactId,
    /// When it was read.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub exported_at: DateTime<Utc>,
    /// The records by their table; each in the order of age.
    pub data: BTreeMap<Section, Vec<Value>>,
    /// The last record's place, where more follow.
    #[serde(skip)]
    pub more_after: Option<Place>,
}

/// Reads at most `limit` records of a person, those after `after`.
///
/// Errors: [`Error::NotFound`] where there is no such contact, [`Error::Invalid`] for another contact's `after`.
pub async fn export(tx: &Tx, keys: &KeyRing, contact: ContactId, after: Option<Place>, limit: usize) -> Result<Page> {
    if after.is_some_and(|after| after.contact != contact) {
        return Err(Error::invalid("cursor", "another_contact", "the cursor belongs to the export of another contact"));
    }
    let person = Person::find(tx, contact).await?;
    let suppressions = suppressions::of_person(tx, keys, &person.email_lower, &person.messages).await?;
    let mut page = Page { contact_id: contact, exported_at: tx.now(), data: BTreeMap::new(), more_after: None };
    let (mut records, mut bytes, mut last) = (0, 0, None);
    for section in Section::ALL {
        let kept = page.data.entry(section).or_default();
        let mut place = match after {
            Some(after) if section < after.section => continue,
            Some(after) if section == after.section => after,
            _ => Place { contact, section, id: Uuid::nil(), line: 0 },
        };
        let links = if section == Section::TrackedLinks {
            person.links(tx).await?.into_iter().map(|(id, _)| id).collect()
        } else {
            Vec::new()
        };
        loop {
            let rows = read(tx, &person, &suppressions, &links, place).await?;
            for row in &rows {
                let record = record(row)?;
                let length = serde_json::to_vec(&record).map_err(Error::internal)?.len();
                if records == limit || (records > 0 && bytes + length > BYTES) {
                    page.more_after = last;
                    return Ok(page);
                }
                kept.push(record);
                (records, bytes) = (records + 1, bytes + length);
                place = Place { id: row.try_get("place_id")?, line: row.try_get("place_line")?, ..place };
                last = Some(place);
            }
            if (rows.len() as u64) < ROWS.unsigned_abs() {
                break;
            }
        }
    }
    Ok(page)
}

/// The next rows of a section, in the order of their place.
async fn read(
    tx: &Tx,
    person: &Person,
    suppressions: &[SuppressionId],
    links: &[LinkId],
    after: Place,
) -> Result<Vec<Row>> {
    let Person { contact, email_lower, naming, messages, deleted, .. } = person;
    let Place { section, id, line, .. } = after;
    match section {
        Section::Contacts => tx.query(include_str!("exporting/contacts.sql"), &[&id, &ROWS, contact]).await,
        Section::Persons => tx.query(include_str!("exporting/persons.sql"), &[&id, &ROWS, contact, deleted]).await,
        Section::Personas => tx.query(include_str!("exporting/personas.sql"), &[&id, &ROWS, contact, deleted]).await,
        Section::EnrichmentJobs => tx.query(include_str!("exporting/enrichment_jobs.sql"), &[&id, &ROWS, naming]).await,
        Section::VerificationJobs => {
            tx.query(include_str!("exporting/verification_jobs.sql"), &[&id, &ROWS, naming]).await
        }
        Section::EnrichmentTasks => {
            tx.query(include_str!("exporting/enrichment_tasks.sql"), &[&id, &ROWS, contact]).await
        }
        Section::EmailVerifications => {
            tx.query(include_str!("exporting/email_verifications.sql"), &[&id, &ROWS, email_lower, messages]).await
        }
        Section::ListMembers => tx.query(include_str!("exporting/list_members.sql"), &[&id, &ROWS, contact]).await,
        Section::DeletedContacts => {
            tx.query(include_str!("exporting/deleted_contacts.sql"), &[&id, &ROWS, deleted]).await
        }
        Section::ContactTags => tx.query(include_str!("exporting/contact_tags.sql"), &[&id, &ROWS, contact]).await,
        Section::Leads => tx.query(include_str!("exporting/leads.sql"), &[&id, &ROWS, contact]).await,
        Section::ImportErrors => {
            tx.query(include_str!("exporting/import_errors.sql"), &[&id, &ROWS, &line, naming]).await
        }
        Section::Enrollments => tx.query(include_str!("exporting/enrollments.sql"), &[&id, &ROWS, contact]).await,
        Section::Messages => tx.query(include_str!("exporting/messages.sql"), &[&id, &ROWS, messages]).await,
        Section::MessageEvents => tx.query(include_str!("exporting/message_events.sql"), &[&id, &ROWS, messages]).await,
        Section::TrackedLinks => tx.query(include_str!("exporting/tracked_links.sql"), &[&id, &ROWS, &links]).await,
        Section::Replies => {
            tx.query(include_str!("exporting/replies.sql"), &[&id, &ROWS, messages, contact, email_lower]).await
        }
        Section::Suppressions => {
            tx.query(include_str!("exporting/suppressions.sql"), &[&id, &ROWS, &suppressions]).await
        }
        Section::AuditLog => {
            let mut subjects: Vec<Uuid> = suppressions.iter().map(|id| id.0).collect();
            subjects.push(contact.0);
            tx.query(include_str!("exporting/audit_log.sql"), &[&id, &ROWS, &subjects, &contact.to_string()]).await
        }
        Section::IdempotencyKeys => {
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&id, &ROWS, &contact.to_string(), naming];
            tx.query(include_str!("exporting/idempotency_keys.sql"), &params).await
        }
        Section::WebhookEvents | Section::WebhookDeliveries | Section::WorkflowRuns => {
            let sql = match section {
                Section::WebhookEvents => include_str!("exporting/webhook_events.sql"),
                Section::WebhookDeliveries => include_str!("exporting/webhook_deliveries.sql"),
                _ => include_str!("exporting/workflow_runs.sql"),
            };
            let messages: Vec<String> = messages.iter().map(ToString::to_string).collect();
            tx.query(sql, &[&id, &ROWS, &contact.to_string(), &messages, naming]).await
        }
    }
}

/// A row as JSON, without whose it is and its place.
fn record(row: &Row) -> Result<Value> {
    let mut record = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        if !matches!(column.name(), "organization_id" | "place_id" | "place_line") {
            record.insert(column.name().to_owned(), value(row, index, column.type_())?);
        }
    }
    Ok(Value::Object(record))
}

fn value(row: &Row, index: usize, kind: &Type) -> Result<Value> {
    fn of<'a, T: FromSql<'a>>(row: &'a Row, index: usize, value: impl Fn(T) -> Value) -> Result<Value> {
        Ok(row.try_get::<_, Option<T>>(index)?.map_or(Value::Null, value))
    }
    match *kind {
        Type::TEXT => of(row, index, |text: String| text.into()),
        Type::TEXT_ARRAY => of(row, index, |texts: Vec<String>| texts.into()),
        Type::UUID => of(row, index, |id: Uuid| id.to_string().into()),
        Type::TIMESTAMPTZ => of(row, index, |at| timestamps::text(at).into()),
        Type::DATE => of(row, index, |day: NaiveDate| day.to_string().into()),
        Type::JSONB => of(row, index, |json: Value| json),
        Type::BOOL => of(row, index, |yes: bool| yes.into()),
        Type::INT2 => of(row, index, |number: i16| number.into()),
        Type::INT4 => of(row, index, |number: i32| number.into()),
        Type::INT8 => of(row, index, |number: i64| number.into()),
        Type::INTERVAL => of(row, index, |Seconds(seconds)| seconds.into()),
        Type::INET => of(row, index, |ip: std::net::IpAddr| ip.to_string().into()),
        Type::BYTEA => of(row, index, |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => data_encoding::HEXLOWER.encode(bytes).into(),
        }),
        ref other => Err(Error::internal(format!("a column of type {other} can't be exported"))),
    }
}

/// An interval without months, as those of machine time are.
struct Seconds(i64);

impl<'a> FromSql<'a> for Seconds {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        // Microseconds, days and months, in network order.
        let (micros, rest) = raw.split_first_chunk().ok_or("an interval is shorter than its time")?;
        let (days, _) = rest.split_first_chunk().ok_or("an interval is shorter than its days")?;
        Ok(Self(i64::from_be_bytes(*micros) / 1_000_000 + i64::from(i32::from_be_bytes(*days)) * 86_400))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INTERVAL
    }
}
