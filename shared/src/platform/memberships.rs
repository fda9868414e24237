//! Memberships: who belongs to an organization, and as what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What somebody is in an organization. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but what is about credentials.
    Viewer,
    /// Does the daily work: people, campaigns, mail.
    Member,
    /// Also decides on addresses that mail is sent from, on people and on programs.
    Admin,
    /// Also on the organization itself.
    Owner,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// How the database and the API call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the column `role`.
    ///
    /// Errors: [`Error::Internal`] for a role that this release does not know.
    pub fn stored(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|role| role.name() == name);
        known.ok_or_else(|| Error::internal(format!("a membership has the role {name}")))
    }
}
