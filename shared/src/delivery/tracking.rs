//! Tracking: an open, when the pixel of a mail is fetched, and a click, when one of its links is followed.
//!
//! Each is an event of the message, with whoever did it; the first by a person is the message's `opened_at` or
//! `clicked_at`. A click says nothing of an open: that a mail was read without its images is a thing of its own. Both
//! show that the mail was accepted, so an open outcome is resolved as by a report of the provider, and the event is written
//! as a report of it would be: what the provider itself sees of opens and clicks follows the same rules.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::feedback::{self, Entry, EventKind, Proof};
use super::messages::{MessageKey, State};
use super::visitors::{Visit, Visitor};
use crate::{Database, Error, LinkId, Result, Tx};

/// Records that the pixel of a message was fetched. A message that does not exist, or was never handed to the provider,
/// is passed over.
pub async fn open(db: &Database, message: MessageKey, visitor: &Visitor) -> Result<()> {
    let (tx, facts) = look_up(db, message, None).await?;
    if let Some(facts) = facts.message {
        let visit = Visit { visitor: visitor.clone(), link: None };
        record(&tx, message, &visit, json!({}), &facts).await?;
    }
    tx.commit().await
}

/// Where a click on this link is led to, and records it as [`open`] does. What can't be recorded leads there nevertheless.
///
/// Errors: [`Error::NotFound`] for a link that is not stored; [`Error::Unavailable`] when it can't be read.
pub async fn follow(db: &Database, message: MessageKey, link: LinkId, visitor: &Visitor) -> Result<String> {
    let (tx, facts) = look_up(db, message, Some(link)).await?;
    let url = facts.url.ok_or(Error::not_found("link"))?;
    if let Some(facts) = facts.message {
        let visit = Visit { visitor: visitor.clone(), link: Some(link.to_string()) };
        let recorded = async {
            record(&tx, message, &visit, json!({ "link_id": link, "url": url }), &facts).await?;
            tx.commit().await
        };
        if let Err(error) = recorded.await {
            tracing::error!(error = crate::error::describe(&error), message = %message.id, "a click is not recorded");
        }
    } else {
        tx.commit().await?;
    }
    Ok(url)
}

/// What is known when somebody calls.
struct Found {
    url: Option<String>,
    message: Option<Facts>,
}

/// What matters of a message that was handed to the provider.
struct Facts {
    state: State,
    send_at: DateTime<Utc>,
    /// When it was sent or, where that is known, delivered.
    arrived_at: Option<DateTime<Utc>>,
}

impl Facts {
    fn from_row(row: &Row) -> Result<Option<Self>> {
        let Some(state) = row.try_get::<_, Option<&str>>("state")? else { return Ok(None) };
        Ok(Some(Self {
            state: State::parse(state)?,
            send_at: row.try_get("send_at")?,
            arrived_at: row.try_get("arrived_at")?,
        }))
    }

    fn is_in_doubt(&self) -> bool {
        matches!(self.state, State::Scheduled | State::Sending | State::Unknown | State::Review)
    }
}

async fn look_up(db: &Database, message: MessageKey, link: Option<LinkId>) -> Result<(Tx, Found)> {
    let sql = include_str!("tracking/look_up.sql");
    let (tx, rows) =
        db.begin_with(message.organization, sql, &[(&message.id, Type::UUID), (&link, Type::UUID)]).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a statement that returns one row has returned none"))?;
    Ok((tx, Found { url: row.try_get("url")?, message: Facts::from_row(row)? }))
}

async fn record(tx: &Tx, message: MessageKey, visit: &Visit, details: Value, facts: &Facts) -> Result<()> {
    let now = tx.now();
    let proof = Proof {
        message,
        kind: if visit.link.is_some() { EventKind::Clicked } else { EventKind::Opened },
        provider_message_id: None,
        // Nobody has told when it was sent: its slot is the closest that is known.
        sent_at: facts.send_at.min(now),
    };
    if facts.is_in_doubt() {
        feedback::lock(tx, &[proof]).await?;
    }
    let entry = [Entry::of_visit(proof, visit, now, facts.arrived_at, details)];
    let new = feedback::insert(tx, &entry).await?;
    if new.is_empty() {
        return Ok(());
    }
    let resolved = if facts.is_in_doubt() { feedback::accept(tx, &[proof]).await? } else { Vec::new() };
    feedback::summarize(tx, &new).await?;
    feedback::tell(tx, resolved, &new).await
}
