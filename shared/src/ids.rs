//! Typed ids, and the one place where new ids come from.

use std::sync::atomic::{AtomicU64, Ordering};

use postgres_types::{FromSql, ToSql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The milliseconds of the next id that follows from a seed; 0 where ids follow from time and chance, as in every function.
static FOLLOWING: AtomicU64 = AtomicU64::new(0);

/// Makes a fresh UUIDv7. Everything that needs an id or a token of this kind takes it from here.
#[expect(clippy::disallowed_methods, reason = "this is the one home of new ids")]
#[must_use]
pub fn fresh() -> Uuid {
    let following =
        FOLLOWING.try_update(Ordering::Relaxed, Ordering::Relaxed, |millis| (millis > 0).then_some(millis + 1));
    following.map_or_else(|_| Uuid::now_v7(), following_id)
}

/// Makes all ids of this process follow from a seed, one after another, so that a simulation comes to the same each time.
/// Such ids can be guessed: nothing that serves anybody may call this.
pub fn follow_seed(seed: u64) {
    // UUIDv7 begins with 48 bits of milliseconds: those of a few hundred years, at a place that the seed decides.
    FOLLOWING.store(1 + (mixed(seed) >> 22), Ordering::Relaxed);
}

fn following_id(millis: u64) -> Uuid {
    let mut rest = [0; 10];
    rest[..8].copy_from_slice(&mixed(millis).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
