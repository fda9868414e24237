//! Sessions: where people are logged in, each in one of their organizations.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Row;

use super::credentials::{Kind, mint};
use crate::error::violated_constraint;
use crate::{Error, OrganizationId, Result, SessionId, Tx, UserId};

/// The cookie that holds a session's token in a browser. The prefix makes browsers refuse it unless it is Secure, for this
/// host alone and for all paths (RFC 6265bis, 4.1.3.2).
pub const COOKIE: &str = "__Host-martlet_session";

/// Characters of a browser's name for itself that are kept.
const USER_AGENT_MAXIMUM: usize = 500;

/// Where a login comes from, as the person sees it in the list of their sessions.
#[derive(Debug, Default, Clone)]
pub struct Place {
    /// What the browser or program calls itself.
    pub user_agent: Option<String>,
    /// The address of the network.
    pub address: Option<IpAddr>,
    /// The request, for the record.
    pub request_id: Option<String>,
}

impl Place {
    /// The address that attempts are counted by. Those of which nobody knows it share one.
    pub(crate) fn network(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// A session as its owner sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The organization in which it works.
    pub organization_id: OrganizationId,
    /// What the browser or program calls itself.
    pub user_agent: Option<String>,
    /// The address of the network from which it was opened.
    pub address: Option<IpAddr>,
    /// When it ends at the latest.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to the minute or so.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub last_used_at: DateTime<Utc>,
    /// When it was opened.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// Opens a session of a member in the given organization, and returns it with its token, which exists nowhere else.
/// `tx` sees the organization.
///
/// Errors: [`Error::Unauthorized`] for somebody whom an administrator has disabled, or who belongs to it no more.
pub async fn open(tx: &Tx, organization: OrganizationId, user: UserId, place: &Place) -> Result<(Session, String)> {
    let minted = mint(Kind::Session, organization)?;
    let user_agent: Option<String> =
        place.user_agent.as_deref().map(|text| text.replace('\0', "").chars().take(USER_AGENT_MAXIMUM).collect());
    let inserted = tx
        .query_one(
            include_str!("sessions/insert.sql"),
            &[&organization, &SessionId::fresh(), &user, &minted.hash.as_slice(), &user_agent, &place.address],
        )
        .await;
    match inserted {
        Ok(row) => Ok((from_row(&row)?, minted.text)),
        Err(error)
            if matches!(violated_constraint(&error), Some("sessions_user_check" | "sessions_membership_fkey")) =>
        {
            Err(Error::Unauthorized)
        }
        Err(error) => Err(error),
    }
}

/// The open sessions of a person in the organizations that `tx` sees, the latest first.
pub async fn list(tx: &Tx, user: UserId) -> Result<Vec<Session>> {
    tx.query(include_str!("sessions/list.sql"), &[&user]).await?.iter().map(from_row).collect()
}

/// Ends one session of a person; to end it again changes nothing. Returns whether there is one.
pub async fn end(tx: &Tx, user: UserId, session: SessionId) -> Result<bool> {
    Ok(tx.execute(include_str!("sessions/end.sql"), &[&user, &session]).await? > 0)
}

/// Ends all open sessions of a person in the organizations that `tx` sees, but for one that is to go on. Returns how many.
pub async fn end_all(tx: &Tx, user: UserId, but: Option<SessionId>) -> Result<u64> {
    tx.execute(include_str!("sessions/end_all.sql"), &[&user, &but]).await
}

pub(super) fn from_row(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        user_agent: row.try_get("user_agent")?,
        address: row.try_get("address")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        created_at: row.try_get("created_at")?,
    })
}
