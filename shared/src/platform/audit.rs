//! The record of who changed what.

use serde_json::Value;
use uuid::Uuid;

use crate::{Result, Tx};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A program or a person with an API key.
    ApiKey(crate::ApiKeyId),
    /// Martlet itself.
    System,
    /// The person written to, for instance by an unsubscribe link.
    Contact,
}

impl Actor {
    fn parts(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::ApiKey(id) => ("api_key", Some(id.0)),
            Self::System => ("system", None),
            Self::Contact => ("contact", None),
        }
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
    let (kind, id) = actor.parts();
    tx.execute(
        include_str!("audit/insert.sql"),
        &[&tx.organization()?, &crate::ids::fresh(), &kind, &id, &action, &subject, details, &request_id],
    )
    .await?;
    Ok(())
}
