//! The record of who changed what.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::spreadsheets::guarded;
use crate::{Error, OrganizationId, Result, Tx, UserId, timestamps};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A program or a person with an API key.
    ApiKey(crate::ApiKeyId),
    /// A person who is logged in.
    User(UserId),
    /// Martlet itself.
    System,
    /// The person written to, for instance by an unsubscribe link.
    Contact,
}

impl Actor {
    /// Who it was, for what is not read by columns: `{"api_key_id": …}` or `{"user_id": …}`, and `{}` for nobody of ours.
    #[must_use]
    pub fn details(self) -> Value {
        match self {
            Self::ApiKey(id) => json!({"api_key_id": id}),
            Self::User(id) => json!({"user_id": id}),
            Self::System | Self::Contact => json!({}),
        }
    }

    fn parts(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::ApiKey(id) => ("api_key", Some(id.0)),
            Self::User(id) => ("user", Some(id.0)),
            Self::System => ("system", None),
            Self::Contact => ("contact", None),
        }
    }
}

/// Characters of a text that the record keeps: enough to tell what it was.
const TEXT_MAXIMUM: usize = 200;

/// What a change was: `{"before": {…}, "after": {…}}` with the fields that differ, of a thing as the API shows it. Longer texts
/// are cut. Nothing that is about a person written to is told so: contacts' changes are recorded by the names of the fields.
///
/// Errors: [`Error::Internal`] for what is no JSON object.
pub fn change<T: Serialize>(before: &T, after: &T) -> Result<Value> {
    let fields = |of: &T| match serde_json::to_value(of).map_err(Error::internal)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::internal("what is recorded has no fields")),
    };
    let (mut before, mut after) = (fields(before)?, fields(after)?);
    before.remove("updated_at");
    after.remove("updated_at");
    let same: Vec<String> =
        before.iter().filter(|(name, value)| after.get(*name) == Some(value)).map(|(name, _)| name.clone()).collect();
    for fields in [&mut before, &mut after] {
        fields.retain(|name, _| !same.contains(name));
        fields.values_mut().for_each(shorten);
    }
    Ok(json!({"before": before, "after": after}))
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(TEXT_MAXIMUM) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Records an act in the transaction that does it. `details` holds no secret and no mail body.
pub async fn record(
    tx: &Tx,
    actor: Actor,
    action: &str,
    subject: Uuid,
    details: &Value,
    request_id: Option<&str>,
) -> Result<()> {
    record_for(tx, tx.organization()?, actor, action, subject, details, request_id).await
}

/// The same in a transaction on a batch of organizations, one of which it is.
pub async fn record_for(
    tx: &Tx,
    organization: OrganizationId,
    actor: Actor,
    action: &str,
    subject: Uuid,
    details: &Value,
    request_id: Option<&str>,
) -> Result<()> {
    let (kind, id) = actor.parts();
    tx.execute(
        include_str!("audit/insert.sql"),
        &[&organization, &crate::ids::fresh(), &kind, &id, &action, &subject, details, &request_id],
    )
    .await?;
    Ok(())
}

/// Records an act of somebody on their own account, in each of their organizations. `tx` is one on these.
pub async fn record_of_account(
    tx: &Tx,
    organizations: &[OrganizationId],
    user: UserId,
    action: &str,
    details: &Value,
    request_id: Option<&str>,
) -> Result<()> {
    let ids: Vec<Uuid> = organizations.iter().map(|_| crate::ids::fresh()).collect();
    tx.execute(
        include_str!("audit/insert_of_account.sql"),
        &[&organizations, &ids, &user, &action, details, &request_id],
    )
    .await?;
    Ok(())
}

/// A recorded act as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Act {
    /// Its id.
    pub id: Uuid,
    /// `api_key`, `user`, `system` or `contact`.
    pub actor_kind: String,
    /// Which key or user.
    pub actor_id: Option<Uuid>,
    /// What was done, for instance `campaign.paused`.
    pub action: String,
    /// What it was done to.
    pub subject_id: Option<Uuid>,
    /// What else is known of it: names of fields, ids, states.
    pub details: Value,
    /// The request that did it.
    pub request_id: Option<String>,
    /// When it was done.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Which acts to list; what is absent does not narrow.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Done by this key or user.
    pub actor: Option<Uuid>,
    /// Done under this name.
    pub action: Option<String>,
    /// Done to this.
    pub subject_id: Option<Uuid>,
    /// Done at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Done before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Where a page of acts ends.
pub type Place = (DateTime<Utc>, Uuid);

/// The newest acts, at most `limit`, older than `before`.
pub async fn list(tx: &Tx, filter: &Filter, before: Option<Place>, limit: i64) -> Result<Vec<Act>> {
    let (time, id) = before.unzip();
    let Filter { actor, action, subject_id, from, to } = filter;
    tx.query(include_str!("audit/list.sql"), &[&time, &id, actor, action, subject_id, from, to, &limit])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// The acts as a CSV file of its own, header included, safe to open in a spreadsheet.
///
/// Errors: [`Error::Internal`], which writing to memory does not give.
pub fn to_csv(acts: &[Act]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["created_at", "actor_kind", "actor_id", "action", "subject_id", "details", "request_id"])
        .map_err(Error::internal)?;
    for act in acts {
        writer
            .write_record([
                timestamps::text(act.created_at),
                act.actor_kind.clone(),
                act.actor_id.map(|id| id.to_string()).unwrap_or_default(),
                guarded(&act.action),
                act.subject_id.map(|id| id.to_string()).unwrap_or_default(),
                guarded(&act.details.to_string()),
                guarded(act.request_id.as_deref().unwrap_or_default()),
            ])
            .map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(Error::internal)
}

fn from_row(row: &Row) -> Result<Act> {
    Ok(Act {
        id: row.try_get("id")?,
        actor_kind: row.try_get("actor_kind")?,
        actor_id: row.try_get("actor_id")?,
        action: row.try_get("action")?,
        subject_id: row.try_get("subject_id")?,
        details: row.try_get("details")?,
        request_id: row.try_get("request_id")?,
        created_at: row.try_get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_tells_what_differs_and_cuts_what_is_long() {
        let before = json!({"id": 1, "name": "Old", "note": null, "sizes": [1, 2], "updated_at": "then"});
        let long = "é".repeat(TEXT_MAXIMUM + 1);
        let after = json!({"id": 1, "name": "New", "note": long, "sizes": [1, 2], "updated_at": "now"});
        let cut = format!("{}…", "é".repeat(TEXT_MAXIMUM));
        let expected = json!({"before": {"name": "Old", "note": null}, "after": {"name": "New", "note": cut}});
        assert_eq!(change(&before, &after).unwrap(), expected);
        assert_eq!(change(&before, &before).unwrap(), json!({"before": {}, "after": {}}));
        change(&json!([1]), &json!([2])).unwrap_err();
    }
}
