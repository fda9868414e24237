//! Typed ids, and the one place where new ids come from.

use std::sync::atomic::{AtomicU64, Ordering};

use postgres_types::{FromSql, ToSql};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
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
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSql, FromSql)]
        #[serde(transparent)]
        #[schemars(inline)]
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
    /// A segment of contacts.
    SegmentId;
    /// A tag of contacts.
    TagId;
    /// A custom field that an organization has defined.
    CustomFieldId;
    /// An imported file.
    ImportId;
    /// A form that people come through by themselves.
    LeadFormId;
    /// That somebody came through one.
    LeadId;
    /// What is known of the human being behind a contact.
    PersonId;
    /// A job that asks about people.
    EnrichmentJobId;
    /// A job that checks addresses.
    VerificationJobId;
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
    /// A place where somebody is logged in.
    SessionId;
    /// A person who uses Martlet.
    UserId;
    /// Somebody who may become a member.
    InviteId;
    /// Something told to whoever wants to know.
    WebhookEventId;
    /// A telling of it.
    WebhookDeliveryId;
    /// Where an organization is told.
    WebhookEndpointId;
    /// A program elsewhere that is started and reports back.
    WorkflowId;
    /// One time that it ran.
    WorkflowRunId;
}

impl MessageId {
    /// The id of the message to somebody on their way through a campaign for a step. It follows from the two, so that a message
    /// which a restored database has lost comes back under the id that stands in the mail: where a version 7 has the time, it
    /// has that of the enrollment; it is of version 8 (RFC 9562, 5.8).
    #[must_use]
    pub fn of_step(enrollment: EnrollmentId, step: StepId) -> Self {
        let mut hash = Sha256::new();
        hash.update(enrollment.0);
        hash.update(step.0);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&enrollment.0.as_bytes()[..6]);
        bytes[6..].copy_from_slice(&hash.finalize()[..10]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_s_id_follows_from_the_way_and_the_step_and_from_nothing_else() {
        let (ways, steps) = ([EnrollmentId::fresh(), EnrollmentId::fresh()], [StepId::fresh(), StepId::fresh()]);
        let mut ids: Vec<MessageId> =
            ways.iter().flat_map(|way| steps.iter().map(|step| MessageId::of_step(*way, *step))).collect();
        assert_eq!(ids[0], MessageId::of_step(ways[0], steps[0]));
        assert!(ids.iter().all(|id| id.0.get_version_num() == 8 && id.0.get_variant() == uuid::Variant::RFC4122));
        assert_eq!(ids[1].0.as_bytes()[..6], ways[0].0.as_bytes()[..6], "beside those of the same time in the index");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }
}
