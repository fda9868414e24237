//! An organization takes all of its data along: a zip file with a CSV or JSON file for each of its tables, and a manifest.
//!
//! A job writes it in chunks. A chunk reads pages until it has enough for a part of an S3 upload, puts that part, and remembers
//! where to go on in the transaction that has read it: killed anywhere, the chunk is done again and puts the same part anew. So
//! memory is that of one part and one page, whatever there is: a page ends by its bytes. Each page is what stands there when it is
//! read: the tables are not of one moment.
//!
//! Every tenant table is in [`TABLES`] or in [`LEFT_OUT`]; a test holds this list to the catalog. Secrets and hashes are in no file.

mod archives;
mod cells;
pub(crate) mod uploads;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::archives::{Piece, Progress};
use self::cells::Cells;
use self::uploads::{PART, Upload};
use super::jobs::{self, Job, JobKind};
use crate::outreach::activation::Chunk;
use crate::{Error, JobId, OrganizationId, Result, Tx};

/// How long the link to a finished archive is good.
pub const DOWNLOAD_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Rows that the first page of a chunk asks for: a row may have a mebibyte, and the database sends all that it is asked for.
const FIRST_PAGE: i64 = 64;
/// Rows that a page asks for at least.
const LEAST_PAGE: i64 = 8;
/// Rows that a page asks for at most.
const PAGE: i64 = 1_000;
/// Bytes of a page: it ends with the row that passes them.
const PAGE_BYTES: usize = 4 << 20;

/// Where archives are put together.
pub trait ArchiveStore: Send + Sync {
    /// Begins an upload in parts and returns its name.
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>>;

    /// Puts a part, numbered from 1, in place of one with the same number, and returns its etag; `None` when there is no such upload
    /// any more.
    fn put_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// Makes an object of the parts, given by their etags in order; false when there is neither such an upload any more nor the
    /// object that it was made into before.
    fn complete<'a>(&'a self, key: &'a str, upload: &'a str, etags: &'a [String]) -> BoxFuture<'a, Result<bool>>;

    /// Signs a URL from which a browser downloads the object under `key` as `file_name`, good for `valid` from now on; `None` when
    /// there is none any more.
    fn presign_zip<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>>;

    /// The same for a CSV file.
    fn presign_csv<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>>;
}

/// How a table's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Rows of cells, with a header.
    Csv,
    /// An array of objects: for texts of many lines and values that have parts.
    Json,
}

/// A table in the archive.
#[derive(Debug)]
pub struct Table {
    /// Its name, and that of its file.
    pub name: &'static str,
    format: Format,
    page: &'static str,
}

impl Table {
    fn file(&self) -> String {
        match self.format {
            Format::Csv => format!("{}.csv", self.name),
            Format::Json => format!("{}.json", self.name),
        }
    }
}

const fn table(name: &'static str, format: Format, page: &'static str) -> Table {
    Table { name, format, page }
}

/// The tables of the archive, in its order.
pub const TABLES: &[Table] = &[
    table("organizations", Format::Json, include_str!("exports/organizations.sql")),
    table("onboarding", Format::Json, include_str!("exports/onboarding.sql")),
    table("lifecycle_mails", Format::Csv, include_str!("exports/lifecycle_mails.sql")),
    table("subscriptions", Format::Json, include_str!("exports/subscriptions.sql")),
    table("stripe_subscriptions", Format::Csv, include_str!("exports/stripe_subscriptions.sql")),
    table("stripe_customers", Format::Csv, include_str!("exports/stripe_customers.sql")),
    table("memberships", Format::Csv, include_str!("exports/memberships.sql")),
    table("invites", Format::Csv, include_str!("exports/invites.sql")),
    table("api_keys", Format::Csv, include_str!("exports/api_keys.sql")),
    table("contacts", Format::Csv, include_str!("exports/contacts.sql")),
    table("deleted_contacts", Format::Json, include_str!("exports/deleted_contacts.sql")),
    table("tags", Format::Csv, include_str!("exports/tags.sql")),
    table("contact_tags", Format::Csv, include_str!("exports/contact_tags.sql")),
    table("custom_fields", Format::Csv, include_str!("exports/custom_fields.sql")),
    table("persons", Format::Csv, include_str!("exports/persons.sql")),
    table("personas", Format::Json, include_str!("exports/personas.sql")),
    table("enrichment_jobs", Format::Json, include_str!("exports/enrichment_jobs.sql")),
    table("enrichment_tasks", Format::Csv, include_str!("exports/enrichment_tasks.sql")),
    table("email_verifications", Format::Csv, include_str!("exports/email_verifications.sql")),
    table("verification_jobs", Format::Json, include_str!("exports/verification_jobs.sql")),
    table("suppressions", Format::Csv, include_str!("exports/suppressions.sql")),
    table("lists", Format::Csv, include_str!("exports/lists.sql")),
    table("segments", Format::Json, include_str!("exports/segments.sql")),
    table("lead_forms", Format::Json, include_str!("exports/lead_forms.sql")),
    table("lead_form_lists", Format::Csv, include_str!("exports/lead_form_lists.sql")),
    table("lead_form_tags", Format::Csv, include_str!("exports/lead_form_tags.sql")),
    table("lead_form_usage", Format::Csv, include_str!("exports/lead_form_usage.sql")),
    table("leads", Format::Json, include_str!("exports/leads.sql")),
    table("list_members", Format::Csv, include_str!("exports/list_members.sql")),
    table("import_batches", Format::Json, include_str!("exports/import_batches.sql")),
    table("import_tags", Format::Csv, include_str!("exports/import_tags.sql")),
    table("import_errors", Format::Csv, include_str!("exports/import_errors.sql")),
    table("domains", Format::Json, include_str!("exports/domains.sql")),
    table("senders", Format::Csv, include_str!("exports/senders.sql")),
    table("sender_health", Format::Csv, include_str!("exports/sender_health.sql")),
    table("campaigns", Format::Json, include_str!("exports/campaigns.sql")),
    table("campaign_settings", Format::Json, include_str!("exports/campaign_settings.sql")),
    table("campaign_senders", Format::Csv, include_str!("exports/campaign_senders.sql")),
    table("steps", Format::Json, include_str!("exports/steps.sql")),
    table("enrollments", Format::Csv, include_str!("exports/enrollments.sql")),
    table("messages", Format::Json, include_str!("exports/messages.sql")),
    table("message_events", Format::Json, include_str!("exports/message_events.sql")),
    table("tracked_links", Format::Csv, include_str!("exports/tracked_links.sql")),
    table("replies", Format::Json, include_str!("exports/replies.sql")),
    table("campaign_reports", Format::Json, include_str!("exports/campaign_reports.sql")),
    table("daily_stats", Format::Csv, include_str!("exports/daily_stats.sql")),
    table("webhook_endpoints", Format::Json, include_str!("exports/webhook_endpoints.sql")),
    table("webhook_events", Format::Json, include_str!("exports/webhook_events.sql")),
    table("webhook_deliveries", Format::Json, include_str!("exports/webhook_deliveries.sql")),
    table("workflows", Format::Csv, include_str!("exports/workflows.sql")),
    table("workflow_runs", Format::Json, include_str!("exports/workflow_runs.sql")),
    table("jobs", Format::Csv, include_str!("exports/jobs.sql")),
    table("audit_log", Format::Json, include_str!("exports/audit_log.sql")),
];

/// Tenant tables that are in no archive, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("audience_snapshots", "who is about to be enrolled, and stands in enrollments then"),
    ("custom_values", "what contacts has in its column custom, by field"),
    ("daily_stats_deltas", "on its way into daily_stats, within the hour"),
    ("engagements", "what message_events has of people, by contact"),
    ("idempotency_keys", "answers kept for a day, in case a request is repeated"),
    ("import_matches", "what an import that is under way remembers"),
    ("limit_usage", "counters of the present limits; what was sent stands in messages and daily_stats"),
    (
        "provider_usage",
        "counters of the present day; what was asked stands in enrichment_tasks and email_verifications",
    ),
    ("rate_limit_windows", "requests of the present minute"),
    ("request_counts", "requests of the present minute and month"),
    ("sessions", "where people are logged in, which is theirs and a secret"),
    ("stripe_events", "ids of what Stripe has told, so that nothing is taken twice"),
    (
        "system_mails",
        "the installation's own mails, which are in the ledger of one organization and are no organization's",
    ),
    ("webhook_secrets", "what deliveries are signed with: secrets"),
];

/// How far an archive has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(flatten)]
    upload: Upload,
    archive: Progress,
    /// The table that is being read, and the place in it after which to go on.
    table: usize,
    place: Option<Vec<String>>,
    /// Rows of each table so far.
    rows: Vec<i64>,
    /// The columns of the table's CSV file.
    columns: Vec<String>,
}

/// An export as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OrganizationExport")]
pub struct Export {
    /// The job that writes it; its progress counts rows.
    #[serde(flatten)]
    pub job: Job,
    /// Where the archive is downloaded, for an hour; null while it is not finished, and when it has expired.
    pub download_url: Option<String>,
}

/// Asks for an archive, or returns the job that is at one. It is to be enqueued once this is committed.
pub async fn create(tx: &Tx) -> Result<Job> {
    jobs::create(tx, JobKind::OrganizationExport, tx.organization()?.0, None).await
}

/// An export, with a link to its archive once that is finished.
///
/// Errors: [`Error::NotFound`], [`Error::Unavailable`] when the store is.
pub async fn find(tx: &Tx, store: &dyn ArchiveStore, id: JobId) -> Result<Export> {
    let job = jobs::find(tx, id).await?;
    if job.kind != JobKind::OrganizationExport {
        return Err(Error::not_found("export"));
    }
    let download_url = match job.state.as_str() {
        "completed" => {
            let file_name = format!("martlet-{}.zip", job.created_at.format("%Y-%m-%d"));
            store.presign_zip(&key(tx.organization()?, id), &file_name, DOWNLOAD_WINDOW).await?
        }
        _ => None,
    };
    Ok(Export { job, download_url })
}

/// Where an archive lies.
fn key(organization: OrganizationId, job: JobId) -> String {
    format!("exports/{organization}/{job}.zip")
}

/// Does one chunk of a job that this transaction has locked: writes and puts the next part, and ends the archive with the last.
///
/// Errors: the database or the store is not available. The chunk is to be done again then.
pub async fn run_chunk(tx: &Tx, store: &dyn ArchiveStore, job: &Job) -> Result<Chunk> {
    let key = key(tx.organization()?, job.id);
    let mut cursor = match job.cursor.as_object().is_some_and(serde_json::Map::is_empty) {
        true => Cursor { upload: Upload::begin(store, &key).await?, ..Cursor::default() },
        false => Cursor::deserialize(&job.cursor).map_err(Error::internal)?,
    };
    let before: i64 = cursor.rows.iter().sum();
    let mut piece = Piece::after(std::mem::take(&mut cursor.archive));
    let mut rows = FIRST_PAGE;
    while piece.len() < PART
        && let Some(table) = TABLES.get(cursor.table)
    {
        rows = cursor.write_page(tx, table, rows, &mut piece).await?;
    }
    let is_last = cursor.table >= TABLES.len();
    let part = match is_last {
        true => {
            piece.begin_file("manifest.json")?;
            piece.write(manifest(tx, job, &cursor)?.as_bytes())?;
            piece.finish()?
        }
        false => {
            let (bytes, progress) = piece.pause()?;
            cursor.archive = progress;
            bytes
        }
    };
    let put = cursor.upload.put(store, &key, part, is_last).await?;
    uploads::end_chunk(tx, job, put, (before, cursor.rows.iter().sum()), &cursor).await
}

impl Cursor {
    /// Writes the next rows of a table, `asked` of them at most, or ends its file when there are none. Returns how many the next page
    /// is to ask for: twice as many as came, so that large rows are not read in vain and small ones not one by one.
    async fn write_page(&mut self, tx: &Tx, table: &Table, asked: i64, piece: &mut Piece) -> Result<i64> {
        let rows = tx.query_within(PAGE_BYTES, table.page, &[&self.place, &asked]).await?;
        let next = (2 * i64::try_from(rows.len()).map_err(Error::internal)?).clamp(LEAST_PAGE, PAGE);
        if self.place.is_none() {
            self.rows.push(0);
            // A table without rows has no columns to tell either.
            if rows.is_empty() {
                self.table += 1;
                return Ok(next);
            }
            piece.begin_file(&table.file())?;
        }
        let mut text = Vec::new();
        for row in &rows {
            let cells: Cells = serde_json::from_str(row.try_get("row")?).map_err(Error::internal)?;
            let is_first = self.place.is_none();
            match table.format {
                Format::Csv if is_first => {
                    self.columns = cells.names();
                    cells::write_header(&mut text, &self.columns)?;
                    cells.write(&mut text, &self.columns)?;
                }
                Format::Csv => cells.write(&mut text, &self.columns)?,
                Format::Json => {
                    text.extend_from_slice(if is_first { b"[\n" } else { b",\n" });
                    text.extend_from_slice(row.try_get::<_, &str>("row")?.as_bytes());
                }
            }
            self.place = Some(row.try_get("place")?);
        }
        if let Some(count) = self.rows.last_mut() {
            *count += i64::try_from(rows.len()).map_err(Error::internal)?;
        }
        if rows.is_empty() {
            if table.format == Format::Json {
                text.extend_from_slice(b"\n]\n");
            }
            piece.write(&text)?;
            piece.end_file()?;
            self.table += 1;
            self.place = None;
            return Ok(next);
        }
        piece.write(&text)?;
        Ok(next)
    }
}

/// What is in the archive, and what is not.
fn manifest(tx: &Tx, job: &Job, cursor: &Cursor) -> Result<String> {
    let files: Vec<Value> = TABLES
        .iter()
        .zip(&cursor.rows)
        .map(|(table, rows)| json!({"table": table.name, "file": (*rows > 0).then(|| table.file()), "rows": rows}))
        .collect();
    let left_out: Vec<Value> =
        LEFT_OUT.iter().map(|(table, reason)| json!({"table": table, "reason": reason})).collect();
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let manifest = json!({
        "organization_id": tx.organization()?,
        "export_id": job.id,
        "asked_for_at": at(job.created_at),
        "finished_at": at(tx.now()),
        "tables": files,
        "left_out": left_out,
        "notes": [
            "Each table is as it stood while it was read; the tables are not of one moment.",
            "A cell of a CSV file that a spreadsheet would run as a formula has an apostrophe before it.",
            "Secrets, and the hashes by which they and forgotten addresses are recognized, are in no file.",
        ],
    });
    serde_json::to_string_pretty(&manifest).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_in_the_archive_once_or_left_out_once() {
        let mut names: Vec<&str> =
            TABLES.iter().map(|t| t.name).chain(LEFT_OUT.iter().map(|(name, _)| *name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
