//! Bulk acts: the same done to many contacts, by a job.
//!
//! A chunk is a transaction that also moves the job's cursor and adds to its outcomes: killed anywhere and begun again it comes to the
//! same end, and counts nobody twice. What can't be done to a contact is an outcome by name and stops nothing; a tag, a list or a
//! segment that is gone ends the job.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::selection::{Bounds, Selection};
use super::{deleted_contacts, lists, tags};
use crate::outreach::activation::Chunk;
use crate::platform::audit::{self, Actor};
use crate::platform::jobs::{self, Job, JobKind};
use crate::platform::plans;
use crate::{ContactId, Error, ListId, Result, TagId, Tx};

/// Contacts of a chunk: their locks are held for well under a second.
pub const CHUNK: i64 = 2_000;
/// Contacts of a chunk that deletes them, each with what hangs on it.
const DELETING_CHUNK: i64 = 500;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "ContactAct")]
pub enum Act {
    /// Gives them a tag: `tagged`, `already`.
    Tag {
        /// The tag.
        tag_id: TagId,
    },
    /// Takes a tag from them: `untagged`, `without`.
    Untag {
        /// The tag.
        tag_id: TagId,
    },
    /// Puts them on a list: `added`, `already`, `plan_limit_reached`.
    AddToList {
        /// The list.
        list_id: ListId,
    },
    /// Takes them off a list: `removed`, `without`.
    RemoveFromList {
        /// The list.
        list_id: ListId,
    },
    /// Deletes them, into the bin: `deleted`.
    Delete {},
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkAct {
    /// What is done. What became of how many stands in the job's `outcomes`; ids that no contact has are `unknown` there.
    pub act: Act,
    /// To whom.
    pub selection: Selection,
}

/// What the job keeps of it.
#[derive(Debug, Serialize, Deserialize)]
struct Input {
    asked: BulkAct,
    up_to: ContactId,
    by: Option<Uuid>,
}

/// How far it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    after: Option<ContactId>,
}

impl Act {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tag { .. } => "tag",
            Self::Untag { .. } => "untag",
            Self::AddToList { .. } => "add_to_list",
            Self::RemoveFromList { .. } => "remove_from_list",
            Self::Delete {} => "delete",
        }
    }

    /// Makes sure that there is what it needs.
    async fn check(self, tx: &Tx) -> Result<()> {
        match self {
            Self::Tag { tag_id } | Self::Untag { tag_id } => tags::find_name(tx, tag_id).await.map(|_| ()),
            Self::AddToList { list_id } | Self::RemoveFromList { list_id } => {
                lists::find_name(tx, list_id).await.map(|_| ())
            }
            Self::Delete {} => Ok(()),
        }
    }

    fn chunk(self) -> i64 {
        match self {
            Self::Delete {} => DELETING_CHUNK,
            _ => CHUNK,
        }
    }
}

/// Asks for an act on everybody whom the selection has now. The job is to be enqueued once this is committed. `by` is the user or the
/// key that asks.
///
/// Errors: [`Error::NotFound`] for a tag or a list, [`Error::Invalid`].
pub async fn create(tx: &Tx, asked: BulkAct, by: Option<Uuid>) -> Result<Job> {
    asked.act.check(tx).await?;
    asked.selection.check(tx).await?;
    let bounds = Bounds::until_now();
    let total = asked.selection.count(tx, bounds).await?;
    let input = serde_json::to_value(Input { asked, up_to: bounds.up_to, by }).map_err(Error::internal)?;
    jobs::create_for(tx, JobKind::ContactBulkAct, &input, Some(total)).await
}

/// Does one chunk of a job that this transaction has locked.
pub async fn run_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    jobs::or_end(tx, job, act_on_chunk(tx, job).await).await
}

async fn act_on_chunk(tx: &Tx, job: &Job) -> Result<Chunk> {
    let Input { asked: BulkAct { act, selection }, up_to, by } =
        Input::deserialize(&job.input).map_err(Error::internal)?;
    let Cursor { after } = Cursor::deserialize(&job.cursor).map_err(Error::internal)?;
    let contacts = selection.read(tx, Bounds { after, up_to }, act.chunk()).await?;
    let Some(last) = contacts.last() else {
        jobs::finish(tx, job.id, None).await?;
        let details = json!({"act": act.name(), "outcomes": job.outcomes});
        audit::record(tx, Actor::System, "contacts.bulk_act_done", job.id.0, &details, None).await?;
        return Ok(Chunk::Last);
    };
    let outcomes: Vec<(&str, i64)> = carry_out(tx, act, &contacts, by).await?.into_iter().collect();
    jobs::note(tx, job, &outcomes).await?;
    let cursor = serde_json::to_value(Cursor { after: Some(*last) }).map_err(Error::internal)?;
    jobs::advance(tx, job.id, i64::try_from(contacts.len()).map_err(Error::internal)?, &cursor).await?;
    Ok(Chunk::More)
}

type Outcomes = BTreeMap<&'static str, i64>;

/// Does it to these contacts. What it refers to is held before them, so that nothing has been done where that is gone.
///
/// Errors: [`Error::NotFound`] for a tag or a list that is gone.
async fn carry_out(tx: &Tx, act: Act, contacts: &[ContactId], by: Option<Uuid>) -> Result<Outcomes> {
    let asked = i64::try_from(contacts.len()).map_err(Error::internal)?;
    let organization = tx.organization()?;
    Ok(match act {
        Act::Tag { tag_id } => {
            tags::keep(tx, tag_id).await?;
            let row = tx.query_one(include_str!("bulk_acts/tag.sql"), &[&organization, &tag_id, &contacts]).await?;
            let (found, done): (i64, i64) = (row.try_get("found")?, row.try_get("done")?);
            Outcomes::from([("tagged", done), ("already", found - done), ("unknown", asked - found)])
        }
        Act::Untag { tag_id } => {
            tags::keep(tx, tag_id).await?;
            let row = tx.query_one(include_str!("bulk_acts/untag.sql"), &[&tag_id, &contacts]).await?;
            let (found, done): (i64, i64) = (row.try_get("found")?, row.try_get("done")?);
            Outcomes::from([("untagged", done), ("without", found - done), ("unknown", asked - found)])
        }
        Act::AddToList { list_id } => {
            lists::ensure(tx, list_id).await?;
            let left = plans::room(tx, list_id).await?.map(|room| room.left);
            let row = tx
                .query_one(include_str!("bulk_acts/add_to_list.sql"), &[&organization, &list_id, &contacts, &left])
                .await?;
            let (found, fresh, done): (i64, i64, i64) =
                (row.try_get("found")?, row.try_get("fresh")?, row.try_get("done")?);
            // What is fresh and was not put there found no room.
            Outcomes::from([
                ("added", done),
                ("already", found - fresh),
                ("plan_limit_reached", fresh - done),
                ("unknown", asked - found),
            ])
        }
        Act::RemoveFromList { list_id } => {
            lists::ensure(tx, list_id).await?;
            let row = tx.query_one(include_str!("bulk_acts/remove_from_list.sql"), &[&list_id, &contacts]).await?;
            let (found, done): (i64, i64) = (row.try_get("found")?, row.try_get("done")?);
            Outcomes::from([("removed", done), ("without", found - done), ("unknown", asked - found)])
        }
        Act::Delete {} => {
            let deleted = deleted_contacts::delete(tx, contacts, by).await?;
            let deleted = i64::try_from(deleted).map_err(Error::internal)?;
            Outcomes::from([("deleted", deleted), ("unknown", asked - deleted)])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_kept_as_it_was_said() {
        let id = ContactId::fresh();
        for said in [
            json!({"act": {"kind": "tag", "tag_id": id}, "selection": {"everybody": true}}),
            json!({"act": {"kind": "delete"}, "selection": {"contact_ids": [id]}}),
        ] {
            let asked: BulkAct = serde_json::from_value(said.clone()).unwrap();
            let kept = serde_json::to_value(Input { asked: asked.clone(), up_to: id, by: None }).unwrap();
            let read: Input = serde_json::from_value(kept).unwrap();
            assert_eq!(read.asked, asked);
            assert_eq!(serde_json::to_value(read.asked).unwrap(), said);
        }
        for wrong in [
            json!({"act": {"kind": "tag"}, "selection": {"everybody": true}}),
            json!({"act": {"kind": "delete", "tag_id": id}, "selection": {"everybody": true}}),
            json!({"act": {"kind": "send"}, "selection": {"everybody": true}}),
            json!({"act": {"kind": "delete"}}),
        ] {
            assert!(serde_json::from_value::<BulkAct>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
