//! Erasing a person, and keeping what is needed never to write to them again.
//!
//! The ledger keeps its rows: what was sent, when, and what came of it stay counted. Whom it was to and what it said go.

use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::ToSql;

use super::{Person, find_address, naming};
use crate::audience::{contacts, suppressions};
use crate::delivery::limits;
use crate::delivery::stopping::{self, Stop};
use crate::delivery::tokens::KeyRing;
use crate::{ContactId, Error, Result, SuppressionId, Tx, WebhookEventId};

/// What whoever asked for a job reads whose filter named somebody.
const FILTER_ERASED: &str = "its filter named somebody who was erased meanwhile";

/// What was erased, as numbers.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Erased {
    /// Who it was.
    pub contact_id: ContactId,
    /// What keeps mail from the address, which it has as a hash alone.
    pub suppression_id: SuppressionId,
    /// What was learned about the person, with the persona.
    pub persons: u64,
    /// What was found out about the person's addresses.
    pub email_verifications: u64,
    /// Ways through campaigns that ended.
    pub stopped: u64,
    /// Messages that keep their numbers and times alone.
    pub messages: u64,
    /// Their events, of which the same is kept.
    pub message_events: u64,
    /// Replies deleted.
    pub replies: u64,
    /// Suppressions whose address is a hash now.
    pub suppressions: u64,
    /// Links deleted that were the person's own.
    pub tracked_links: u64,
    /// Rows of imports deleted that could not be taken and named the address.
    pub import_errors: u64,
    /// Answers deleted that were kept for requests under an `Idempotency-Key`.
    pub kept_answers: u64,
    /// Webhook events emptied; what was not told yet is not told any more.
    pub webhook_events: u64,
    /// Runs of workflows that keep their states and times alone.
    pub workflow_runs: u64,
    /// What lay in the bin.
    pub deleted_contacts: u64,
    /// Segments whose conditions named the address, and say `erased` in its place.
    pub segments: u64,
    /// Acts on many contacts that had not ended and whose filter named the address: they have failed.
    pub jobs: u64,
}

/// Erases a person: stops them everywhere, takes back what is queued, suppresses the address by its hash, and takes what
/// is known of them out of everything that stays. A mail that is being claimed at this moment has either left before or
/// never leaves.
///
/// Errors: [`Error::NotFound`].
pub async fn erase(tx: &Tx, keys: &KeyRing, contact: ContactId) -> Result<Erased> {
    // Jobs come before everything else, as for whoever does a chunk of one.
    let named = naming(&[&find_address(tx, contact).await?]);
    let now = tx.now();
    let jobs = tx.execute(include_str!("erasing/fail_jobs.sql"), &[&named, &FILTER_ERASED, &now]).await?;
    tx.execute(include_str!("erasing/empty_enrichment_jobs.sql"), &[&named, &now]).await?;
    tx.execute(include_str!("erasing/empty_verification_jobs.sql"), &[&named, &now]).await?;
    // Contact, enrollments, messages; then what hangs on them, and the counters last.
    tx.query(include_str!("erasing/lock_contacts.sql"), &[&contact]).await?;
    hold(tx, contact).await?;
    tx.query(include_str!("erasing/lock_enrollments.sql"), &[&contact]).await?;
    let person = Person::find(tx, contact).await?;
    tx.query(include_str!("erasing/lock_messages.sql"), &[&person.messages]).await?;
    let on_the_way = stopping::find_by_contacts(tx, &[(tx.organization()?, contact)]).await?;
    let (stopped, slots) = stopping::stop_and_collect(tx, &on_the_way, Stop::Removed).await?;

    // Before the texts that they are found by are gone.
    let links = person.links(tx).await?;
    let (links, others): (Vec<_>, Vec<_>) = links.into_iter().unzip();
    let tracked_links =
        tx.execute(include_str!("erasing/delete_links.sql"), &[&links, &others, &person.naming]).await?;
    let Person { email_lower, naming, messages, .. } = &person;
    let of_messages: [&(dyn ToSql + Sync); 1] = [messages];
    // Before what is known of the address, which follows it.
    let mut forgotten = suppressions::erase(tx, keys, email_lower, messages).await?;
    for other in &person.others {
        forgotten.count += suppressions::erase(tx, keys, other, &[]).await?.count;
    }
    let (persons, email_verifications) = erase_what_was_learned(tx, keys, &person).await?;
    let message_events = tx.execute(include_str!("erasing/empty_events.sql"), &of_messages).await?;
    tx.execute(include_str!("erasing/drop_system_mails.sql"), &[messages, &Stop::Removed.code().name()]).await?;
    tx.execute(include_str!("erasing/empty_messages.sql"), &of_messages).await?;
    let replies = tx.execute(include_str!("erasing/delete_replies.sql"), &[messages, &contact, email_lower]).await?;
    let import_errors = tx.execute(include_str!("erasing/delete_import_errors.sql"), &[naming]).await?;
    let answers = tx.query(include_str!("erasing/drop_answers.sql"), &[&contact.to_string(), naming]).await?;
    let segments = tx.execute(include_str!("erasing/rename_in_segments.sql"), &[naming]).await?;
    let (webhook_events, workflow_runs) = erase_webhooks(tx, &person).await?;
    contacts::remove(tx, contact).await?;
    let deleted_contacts = tx.execute(include_str!("erasing/delete_deleted.sql"), &[&person.deleted]).await?;
    limits::release(tx, &slots).await?;
    Ok(Erased {
        contact_id: contact,
        suppression_id: forgotten.remains,
        persons,
        email_verifications,
        stopped,
        messages: messages.len() as u64,
        message_events,
        replies,
        suppressions: forgotten.count,
        tracked_links,
        import_errors,
        kept_answers: answers.len() as u64,
        webhook_events,
        workflow_runs,
        deleted_contacts,
        segments,
        jobs,
    })
}

/// Deletes what was learned about a person and found out about their addresses; returns how many persons and addresses that are.
async fn erase_what_was_learned(tx: &Tx, keys: &KeyRing, person: &Person) -> Result<(u64, u64)> {
    let Person { contact, messages, deleted, .. } = person;
    let addresses = person.addresses();
    let persons = tx.execute(include_str!("erasing/delete_person.sql"), &[contact, deleted]).await?;
    let of_addresses = include_str!("erasing/delete_verifications.sql");
    let email_verifications = tx.execute(of_addresses, &[&addresses, messages]).await?;
    let hashes: Vec<_> = addresses.iter().flat_map(|address| keys.answer_hashes(address)).collect();
    tx.query(include_str!("erasing/forget_answers.sql"), &[&hashes]).await?;
    Ok((persons, email_verifications))
}

/// Locks a contact, or what lies in the bin of it. Whoever restores it at this moment is waited for, and then it is a contact.
///
/// Errors: [`Error::NotFound`].
async fn hold(tx: &Tx, contact: ContactId) -> Result<()> {
    match contacts::lock(tx, contact).await {
        Err(Error::NotFound(_)) => {}
        held => return held.map(|_| ()),
    }
    match tx.query_opt(include_str!("erasing/lock_deleted.sql"), &[&contact]).await? {
        Some(_) => Ok(()),
        None => contacts::lock(tx, contact).await.map(|_| ()),
    }
}

/// Empties what was told or is to be told of a person, what was answered, and the runs that it has started; returns how many
/// events and runs that are.
async fn erase_webhooks(tx: &Tx, person: &Person) -> Result<(u64, u64)> {
    let Person { contact, naming, messages, deleted, .. } = person;
    let messages = messages.iter().map(ToString::to_string);
    let ids: Vec<String> = messages.chain([contact].into_iter().chain(deleted).map(ToString::to_string)).collect();
    let rows = tx.query(include_str!("erasing/empty_webhook_events.sql"), &[&ids, naming]).await?;
    let events: Vec<WebhookEventId> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    tx.execute(include_str!("erasing/empty_webhook_deliveries.sql"), &[&events, naming]).await?;
    let runs = tx.execute(include_str!("erasing/empty_runs.sql"), &[&events, naming, &ids]).await?;
    Ok((events.len() as u64, runs))
}
