//! Merging: several contacts that are one person become one.
//!
//! One stays and takes in the others, which go into the [bin](super::deleted_contacts) as merged. It keeps what it has, and what it
//! lacks it takes from the others in the order in which they are named, their person too. Lists, tags, mails and answers are its own from then on.
//! A person is in a campaign at most once: the others' ways end, and where one of them has come further than the one that stays,
//! that way ends as well, since its next mail is one that the person has had. What was said of an address (that it bounces, that it
//! must not be written to) stays with the address.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::contacts::{self, CUSTOM_MAXIMUM, ContactInFull, Status};
use super::deleted_contacts::{self, Reason};
use crate::delivery::stopping::{self, Stop};
use crate::{ContactId, Error, ListId, Result, Tx};

/// Contacts that one request may merge into another.
pub const MAXIMUM: usize = 20;

/// What has become of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MergedContact")]
pub struct Merged {
    /// The contact that has stayed.
    #[serde(flatten)]
    pub contact: ContactInFull,
    /// Those that it has taken in.
    pub merged: Vec<ContactId>,
    /// Lists of contacts from the bin that have no room left by the plan.
    pub full_lists: Vec<ListId>,
}

/// Merges contacts, also such as lie in the bin, into `winner`. `by` is the user or the key that asks.
///
/// Errors: [`Error::Invalid`] for none, too many or the winner itself; [`Error::NotFound`] where one of them is not there.
pub async fn merge(tx: &Tx, winner: ContactId, others: &[ContactId], by: Option<Uuid>) -> Result<Merged> {
    let asked: BTreeSet<ContactId> = others.iter().copied().collect();
    if !(1..=MAXIMUM).contains(&others.len()) || asked.len() < others.len() {
        return Err(Error::invalid("contact_ids", "out_of_range", "contact_ids has 1 to 20 ids, each once"));
    }
    if asked.contains(&winner) {
        return Err(Error::invalid("contact_ids", "itself", "a contact is not merged into itself"));
    }
    let ids: Vec<ContactId> = asked.into_iter().collect();
    // Lists before contacts. Of the lists that a contact is on the winner takes its place, so those have room.
    let open = deleted_contacts::hold_lists(tx, &ids).await?;
    let held = tx.query(include_str!("merging/hold_lists.sql"), &[&ids]).await?;
    let mut lists: BTreeSet<ListId> = open.lists.into_iter().collect();
    for row in &held {
        lists.insert(row.try_get("id")?);
    }
    let everybody: Vec<ContactId> = ids.iter().copied().chain([winner]).collect();
    let there = deleted_contacts::lock_contacts(tx, &everybody).await?;
    if !there.contains(&winner) {
        return Err(Error::not_found("contact"));
    }
    let live: Vec<ContactId> = ids.iter().copied().filter(|id| there.contains(id)).collect();
    let binned: Vec<ContactId> = ids.iter().copied().filter(|id| !there.contains(id)).collect();
    if tx.query(include_str!("merging/lock_deleted.sql"), &[&binned]).await?.len() < binned.len() {
        return Err(Error::not_found("contact"));
    }
    stopping::remove_contacts(tx, &live).await?;
    deleted_contacts::put(tx, &live, Reason::MergedInto(winner), by).await?;
    tx.execute(include_str!("merging/note_merged.sql"), &[&binned, &winner]).await?;
    stop_overtaken(tx, winner, &ids).await?;
    take_fields(tx, winner, others).await?;
    let lists: Vec<ListId> = lists.into_iter().collect();
    for id in &ids {
        deleted_contacts::hand_over(tx, *id, winner, &lists).await?;
    }
    let full_lists = open.full.into_iter().filter(|list| !lists.contains(list)).collect();
    Ok(Merged { contact: contacts::find(tx, winner).await?, merged: others.to_vec(), full_lists })
}

/// Ends the winner's ways in campaigns in which one of the others has come further.
async fn stop_overtaken(tx: &Tx, winner: ContactId, others: &[ContactId]) -> Result<()> {
    let organization = tx.organization()?;
    for row in tx.query(include_str!("merging/find_overtaken.sql"), &[&winner, &others]).await? {
        stopping::stop_enrollment(tx, organization, row.try_get("id")?, Stop::Removed).await?;
    }
    Ok(())
}

/// Fills what the winner lacks with what the others have, in their order.
async fn take_fields(tx: &Tx, winner: ContactId, others: &[ContactId]) -> Result<()> {
    let mut contact = contacts::lock(tx, winner).await?;
    let rows = tx.query(include_str!("merging/read_fields.sql"), &[&others]).await?;
    for row in &rows {
        let kept: Value = row.try_get("contact")?;
        for (field, name) in [
            (&mut contact.name, "name"),
            (&mut contact.first_name, "first_name"),
            (&mut contact.last_name, "last_name"),
            (&mut contact.company, "company"),
            (&mut contact.timezone, "timezone"),
        ] {
            if field.as_deref().is_none_or(str::is_empty) {
                *field = kept[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            }
        }
        contact.status = further(contact.status, kept["status"].as_str().unwrap_or_default());
        if let Value::Object(custom) = &kept["custom"] {
            take_custom(&mut contact.custom, custom, CUSTOM_MAXIMUM)?;
        }
    }
    contacts::write(tx, contact).await?;
    // What was learned stands in the person; a contact that has one of its own keeps to it.
    tx.execute(include_str!("merging/take_person.sql"), &[&winner, &others]).await?;
    Ok(())
}

/// Whoever has been written to, or has answered, has done so under any address; a bounce and a wish to hear no more are an address's.
fn further(own: Status, other: &str) -> Status {
    match (own, other) {
        (Status::Active | Status::Contacted, "replied") => Status::Replied,
        (Status::Active, "contacted") => Status::Contacted,
        _ => own,
    }
}

/// Takes the custom fields that are not there yet, as far as all of them have `maximum` bytes of JSON at most.
pub(super) fn take_custom(own: &mut Map<String, Value>, others: &Map<String, Value>, maximum: usize) -> Result<()> {
    for (key, value) in others {
        if own.contains_key(key) {
            continue;
        }
        own.insert(key.clone(), value.clone());
        if serde_json::to_vec(&*own).map_err(Error::internal)?.len() > maximum {
            own.remove(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_counts_for_the_person_and_a_bounce_for_the_address() {
        use Status::{Active, Bounced, Contacted, Replied, Unsubscribed};
        for (own, other, expected) in [
            (Active, "contacted", Contacted),
            (Active, "replied", Replied),
            (Contacted, "replied", Replied),
            (Replied, "contacted", Replied),
            (Active, "bounced", Active),
            (Contacted, "unsubscribed", Contacted),
            (Bounced, "replied", Bounced),
            (Unsubscribed, "active", Unsubscribed),
        ] {
            assert_eq!(further(own, other), expected, "{own:?} {other}");
        }
    }

    #[test]
    fn custom_fields_are_taken_where_they_are_missing_and_fit() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut own = object(json!({"a": 1}));
        let others = object(json!({"a": 2, "b": "x".repeat(CUSTOM_MAXIMUM), "c": 3}));
        take_custom(&mut own, &others, CUSTOM_MAXIMUM).unwrap();
        assert_eq!(own, object(json!({"a": 1, "c": 3})));
    }
}
