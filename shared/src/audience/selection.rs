//! Which contacts an act is about: some by their ids, those of a list or a segment, those for whom conditions hold, or everybody.
//!
//! A selection is read in chunks by ascending id, each after the last one of the chunk before. It does not run away: only contacts
//! up to [`Bounds::up_to`] belong to it, so whoever is made meanwhile does not. Killed anywhere and read again it comes to the
//! same contacts, but for those that came to the list, or left it, behind the cursor.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::segments::compiling::Question;
use super::segments::text::TEXT_MAXIMUM;
use super::segments::{self, selecting};
use crate::fields::given;
use crate::{ContactId, Error, ListId, Result, SegmentId, Tx};

/// Contacts that a selection may name one by one.
pub const IDS_MAXIMUM: usize = 1_000;

/// Which contacts; exactly one of the ways to say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "ContactSelection")]
pub enum Selection {
    /// These, 1 to 1,000; ids that nobody has are reported as unknown by whoever acts.
    ContactIds(#[schemars(length(min = 1, max = IDS_MAXIMUM))] BTreeSet<ContactId>),
    /// Whoever is on this list.
    ListId(ListId),
    /// Whoever is in this segment when it is their turn.
    SegmentId(SegmentId),
    /// For whom this holds when it is their turn, in the text form of segments.
    Filter(#[schemars(length(min = 1, max = TEXT_MAXIMUM))] String),
    /// Everybody.
    Everybody(Everybody),
}

/// What a selection is read from: serde's own way to read an enum takes an empty object for broken JSON, and says no more.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    #[serde(deserialize_with = "given")]
    contact_ids: Option<BTreeSet<ContactId>>,
    #[serde(deserialize_with = "given")]
    list_id: Option<ListId>,
    #[serde(deserialize_with = "given")]
    segment_id: Option<SegmentId>,
    #[serde(deserialize_with = "given")]
    filter: Option<String>,
    #[serde(deserialize_with = "given")]
    everybody: Option<Everybody>,
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Said { contact_ids, list_id, segment_id, filter, everybody } = Said::deserialize(deserializer)?;
        let ways = [
            contact_ids.map(Self::ContactIds),
            list_id.map(Self::ListId),
            segment_id.map(Self::SegmentId),
            filter.map(Self::Filter),
            everybody.map(Self::Everybody),
        ];
        let mut said = ways.into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(selection), None) => Ok(selection),
            _ => Err(D::Error::custom(
                "a selection is exactly one of contact_ids, list_id, segment_id, filter and everybody",
            )),
        }
    }
}

/// What says that everybody is meant: `true`, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "bool", into = "bool")]
#[schemars(with = "bool")]
pub struct Everybody;

impl TryFrom<bool> for Everybody {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(Self) } else { Err("everybody is true or left out") }
    }
}

impl From<Everybody> for bool {
    fn from(_: Everybody) -> Self {
        true
    }
}

/// The part of a selection that a chunk is read from: after one id, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The last contact that is done; none at the beginning.
    pub after: Option<ContactId>,
    /// The last contact that belongs to the selection at all.
    pub up_to: ContactId,
}

impl Bounds {
    /// Everything that is there now: ids grow with time, so whoever is made later has a larger one.
    #[must_use]
    pub fn until_now() -> Self {
        Self { after: None, up_to: ContactId::fresh() }
    }
}

impl Selection {
    /// Makes sure that there is what the selection names.
    ///
    /// Errors: [`Error::Invalid`] for too many ids or none and a filter that can't be asked, [`Error::NotFound`] for a list or a segment that is not there,
    /// [`Error::Conflict`] (`segment_broken`).
    pub async fn check(&self, tx: &Tx) -> Result<()> {
        match self {
            Self::ContactIds(ids) if (1..=IDS_MAXIMUM).contains(&ids.len()) => Ok(()),
            Self::ContactIds(_) => Err(Error::invalid("selection", "out_of_range", "contact_ids has 1 to 1000 ids")),
            Self::ListId(list) => super::lists::find_name(tx, *list).await.map(|_| ()),
            Self::SegmentId(_) | Self::Filter(_) => self.question(tx).await.map(drop),
            Self::Everybody(_) => Ok(()),
        }
    }

    /// How many contacts there are to do; ids that nobody has count too.
    pub async fn count(&self, tx: &Tx, bounds: Bounds) -> Result<i64> {
        let row = match self {
            Self::ContactIds(ids) => return i64::try_from(ids.len()).map_err(Error::internal),
            Self::ListId(list) => {
                tx.query_one(include_str!("selection/count_of_list.sql"), &[list, &bounds.up_to]).await?
            }
            Self::SegmentId(_) | Self::Filter(_) => {
                return selecting::count_up_to(tx, &self.question(tx).await?, bounds.up_to).await;
            }
            Self::Everybody(_) => tx.query_one(include_str!("selection/count.sql"), &[&bounds.up_to]).await?,
        };
        Ok(row.try_get("contacts")?)
    }

    /// The next contacts within the bounds, at most `limit`, by ascending id; none when the selection is done. Nothing is locked.
    /// Ids that are named one by one may be nobody's.
    pub async fn read(&self, tx: &Tx, bounds: Bounds, limit: i64) -> Result<Vec<ContactId>> {
        let Bounds { after, up_to } = bounds;
        let rows = match self {
            Self::ContactIds(ids) => {
                let next = ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after));
                return Ok(next.take(usize::try_from(limit).unwrap_or_default()).collect());
            }
            Self::ListId(list) => {
                let rows =
                    tx.query(include_str!("selection/read_of_list.sql"), &[&after, &up_to, &limit, list]).await?;
                // A list that is gone has no end that could be told from its last member.
                if i64::try_from(rows.len()).map_err(Error::internal)? < limit {
                    super::lists::find_name(tx, *list).await?;
                }
                rows
            }
            Self::SegmentId(_) | Self::Filter(_) => {
                return selecting::read_ids(tx, &self.question(tx).await?, after, up_to, limit).await;
            }
            Self::Everybody(_) => tx.query(include_str!("selection/read.sql"), &[&after, &up_to, &limit]).await?,
        };
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// What is asked of contacts one by one; everybody where nothing is.
    async fn question(&self, tx: &Tx) -> Result<Question> {
        match self {
            Self::SegmentId(segment) => segments::question(tx, *segment).await,
            Self::Filter(text) => {
                let tree = segments::read_text("selection", text)?;
                segments::resolve(tx, "selection", &tree).await
            }
            Self::ContactIds(_) | Self::ListId(_) | Self::Everybody(_) => Ok(Question::everybody()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(value: Value) -> Option<Selection> {
        serde_json::from_value(value).ok()
    }

    #[test]
    fn a_selection_is_said_in_exactly_one_way() {
        let id = ContactId::fresh();
        for said in [
            json!({"contact_ids": [id]}),
            json!({"list_id": id}),
            json!({"segment_id": id}),
            json!({"filter": "score > 60"}),
            json!({"everybody": true}),
        ] {
            let selection = parsed(said.clone()).unwrap_or_else(|| panic!("{said}"));
            assert_eq!(serde_json::to_value(selection).unwrap(), said, "it is kept as it was said");
        }
        for wrong in [
            json!({}),
            json!(null),
            json!({"everybody": false}),
            json!([]),
            json!({"everybody": null}),
            json!({"everybody": true, "list_id": id}),
            json!({"contact_ids": [id], "list_id": id}),
            json!({"contact_ids": ["x"]}),
            json!({"list_id": null}),
            json!({"all": true}),
        ] {
            assert_eq!(parsed(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn ids_named_twice_count_once() {
        let id = ContactId::fresh();
        assert_eq!(parsed(json!({"contact_ids": [id, id]})), parsed(json!({"contact_ids": [id]})));
    }
}
