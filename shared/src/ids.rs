//! Typed ids, and the one place where new ids come from.

use postgres_types::{FromSql, ToSql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Makes a fresh UUIDv7. Everything that needs an id or a token of this kind takes it from here.
#[expect(clippy::disallowed_methods, reason = "this is the one home of new ids")]
#[must_use]
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

macro_rules! typed_ids {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSql, FromSql)]
        #[serde(transparent)]
        #[postgres(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, larger than the ones before it.
            #[must_use]
            pub fn fresh() -> Self {
                Self(fresh())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

typed_ids! {
    /// An organization: the tenant.
    OrganizationId;
    /// An API key.
    ApiKeyId;
    /// A person an organization may write to.
    ContactId;
    /// A list of contacts.
    ListId;
    /// An imported file.
    ImportId;
    /// A sending domain.
    DomainId;
    /// An address that mail is sent from.
    SenderId;
    /// A campaign.
    CampaignId;
    /// A step of a campaign's sequence.
    StepId;
    /// A contact's way through a campaign.
    EnrollmentId;
    /// A row of the ledger.
    MessageId;
    /// A link that mails lead through us.
    LinkId;
    /// A job that runs in chunks.
    JobId;
    /// An address that must not be written to.
    SuppressionId;
    /// A reply received.
    ReplyId;
}
