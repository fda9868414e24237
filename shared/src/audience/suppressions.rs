//! Addresses that must not be written to. A suppression is keyed by the address: it outlives the contact and its re-import.
//!
//! It can outlive the address itself: [`forget`] puts a keyed hash in its place, which the sender looks for as well.

mod exporting;
mod importing;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use self::exporting::to_csv;
pub use self::importing::{Given, Imported, LineError, Lines, import};
use super::personal_data;
use crate::delivery::gates::{self, Gate};
use crate::delivery::stopping::{self, Scope, Stop};
use crate::delivery::tokens::{AddressHash, KeyRing};
use crate::fields::Fields;
use crate::{CampaignId, ContactId, Error, MessageId, OrganizationId, Result, SuppressionId, Tx};

/// Characters of a note; the same bound as the column's.
const NOTE_MAXIMUM: usize = 200;

/// Why an address is suppressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SuppressionReason")]
pub enum Reason {
    /// It does not exist or refuses for good.
    HardBounce,
    /// Its owner reported a mail as spam.
    Complaint,
    /// Its owner asked for it.
    Unsubscribe,
    /// The organization wants it.
    #[default]
    Manual,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::HardBounce, Self::Complaint, Self::Unsubscribe, Self::Manual];

    /// The reason's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
        }
    }

    /// Reads a reason's name in the database.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|reason| reason.name() == name);
        known.ok_or_else(|| Error::internal(format!("unknown reason of a suppression: {name}")))
    }

    /// How it ends a person's way.
    fn stop(self) -> Stop {
        match self {
            Self::HardBounce => Stop::Bounced,
            Self::Complaint => Stop::Complaint,
            Self::Unsubscribe => Stop::Unsubscribed,
            Self::Manual => Stop::Suppressed,
        }
    }

    /// What the person is then. What the organization wants says nothing about the person.
    fn contact_status(self) -> Option<&'static str> {
        match self {
            Self::HardBounce => Some("bounced"),
            Self::Complaint | Self::Unsubscribe => Some("unsubscribed"),
            Self::Manual => None,
        }
    }

    /// Whether lifting it can harm the organization's reputation, so that it takes a second word.
    fn needs_confirmation(self) -> bool {
        matches!(self, Self::HardBounce | Self::Complaint)
    }
}

/// A suppression as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Suppression {
    /// Its id.
    pub id: SuppressionId,
    /// The address in lower case; null once it is forgotten.
    pub email: Option<String>,
    /// What stands in place of a forgotten address.
    pub email_hash: Option<String>,
    /// The campaign that it is about; null for all of them.
    pub campaign_id: Option<CampaignId>,
    /// Why.
    pub reason: Reason,
    /// What the organization noted.
    pub note: Option<String>,
    /// The message that bounced, was complained about or unsubscribed from.
    pub message_id: Option<MessageId>,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamps::millis")]
    pub created_at: DateTime<Utc>,
}

/// How far suppressions reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// All campaigns.
    Organization,
    /// One campaign each.
    Campaign,
}

/// Which suppressions a list shows.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// For one reason.
    pub reason: Option<Reason>,
    /// Of one address, whatever its case, forgotten or not.
    pub email: Option<String>,
    /// For one campaign alone.
    pub campaign_id: Option<CampaignId>,
    /// For all campaigns, or for one each.
    pub scope: Option<Reach>,
    /// Made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Made before this time.
    pub to: Option<DateTime<Utc>>,
}

/// A suppression as a caller gives it, not checked yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// The address.
    #[schemars(email)]
    pub email: String,
    /// The campaign that it is about; absent for all of them.
    pub campaign_id: Option<CampaignId>,
    /// Why.
    #[serde(default)]
    pub reason: Reason,
    /// What the organization notes.
    #[schemars(length(max = NOTE_MAXIMUM))]
    pub note: Option<String>,
}

/// What is to be suppressed, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    address: Address,
    campaign: Option<CampaignId>,
    reason: Reason,
    note: Option<String>,
}

/// An address, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Address {
    /// In lower case.
    Known(String),
    /// Only to be recognized.
    Forgotten(AddressHash),
}

impl Address {
    fn known(&self) -> Option<&str> {
        match self {
            Self::Known(email_lower) => Some(email_lower),
            Self::Forgotten(_) => None,
        }
    }

    fn hash(&self) -> Option<&AddressHash> {
        match self {
            Self::Known(_) => None,
            Self::Forgotten(hash) => Some(hash),
        }
    }
}

/// Suppresses an address, everywhere or in one campaign; true when it was not suppressed so before.
///
/// The caller has locked the matching contacts, so that no claim passes between the check and the suppression. A message
/// whose recipient is erased suppresses nobody: whose address it was is known by its hash, and suppressed.
pub async fn add(
    tx: &Tx,
    organization: OrganizationId,
    email_lower: &str,
    campaign: Option<CampaignId>,
    reason: Reason,
    message: Option<MessageId>,
) -> Result<bool> {
    if email_lower == personal_data::ERASED {
        return Ok(false);
    }
    let added = tx
        .execute(
            include_str!("suppressions/insert.sql"),
            &[&organization, &crate::ids::fresh(), &email_lower, &campaign, &reason.name(), &message],
        )
        .await?;
    Ok(added > 0)
}

/// Suppresses an address, stops its person and takes back what is queued. True beside it when it was not suppressed so
/// before; otherwise the suppression there is stays as it was.
///
/// Errors: [`Error::Invalid`] (`email`, `note`, `campaign_id` with `unknown_campaign`).
pub async fn create(tx: &Tx, given: NewSuppression) -> Result<(Suppression, bool)> {
    let mut fields = Fields::default();
    let email = fields.email("email", &given.email);
    let note = fields.line("note", given.note.as_deref(), NOTE_MAXIMUM);
    if known_campaigns(tx, given.campaign_id).await?.len() != usize::from(given.campaign_id.is_some()) {
        fields.refuse("campaign_id", "unknown_campaign", "there is no such campaign");
    }
    fields.finish()?;
    let Some(email) = email else { return Err(Error::internal("an address was neither read nor refused")) };
    let (address, campaign) = (email.lower(), given.campaign_id);
    let entry = Entry { address: Address::Known(address.clone()), campaign, reason: given.reason, note };
    let added = suppress(tx, &[entry]).await?;
    let row = tx.query_one(include_str!("suppressions/find_by_address.sql"), &[&address, &campaign]).await?;
    Ok((from_row(&row)?, added > 0))
}

/// One suppression.
///
/// Errors: [`Error::NotFound`].
pub async fn find(tx: &Tx, id: SuppressionId) -> Result<Suppression> {
    read(tx, include_str!("suppressions/find.sql"), id).await
}

/// The newest suppressions that the filter admits, at most `limit`, older than `before`.
pub async fn list(
    tx: &Tx,
    keys: &KeyRing,
    filter: &Filter,
    before: Option<SuppressionId>,
    limit: i64,
) -> Result<Vec<Suppression>> {
    let email = filter.email.as_deref().map(str::to_ascii_lowercase);
    // The database knows no NUL; nothing has an address with one.
    if email.as_deref().is_some_and(|email| email.contains('\0')) {
        return Ok(Vec::new());
    }
    let hashes = email.as_deref().map(|email| hashes(tx, keys, email)).transpose()?;
    let reason = filter.reason.map(Reason::name);
    let is_everywhere = filter.scope.map(|reach| reach == Reach::Organization);
    let params: [&(dyn ToSql + Sync); 9] =
        [&before, &limit, &reason, &email, &hashes, &filter.campaign_id, &is_everywhere, &filter.from, &filter.to];
    tx.query(include_str!("suppressions/list.sql"), &params).await?.iter().map(from_row).collect()
}

/// Whether the caller has said twice that a suppression is to be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Yes.
    Given,
    /// No.
    Missing,
}

/// Lifts a suppression. The contact becomes what it would be without it, unless another one for all campaigns is left.
/// Nobody is enrolled again: who was stopped stays stopped, and a campaign that enrolls them later may write to them.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`confirmation_needed`) for a bounce or a complaint.
pub async fn lift(tx: &Tx, keys: &KeyRing, id: SuppressionId, confirmation: Confirmation) -> Result<Suppression> {
    let lifted = find(tx, id).await?;
    if lifted.reason.needs_confirmation() && confirmation == Confirmation::Missing {
        let message = "the address bounced or its owner complained; to write to it nevertheless, add confirm=true";
        return Err(Error::conflict("confirmation_needed", message));
    }
    // The contact comes before everything else, as when it is suppressed.
    let address: Vec<&str> = lifted.email.as_deref().into_iter().collect();
    tx.query(include_str!("suppressions/lock_contacts.sql"), &[&address]).await?;
    if tx.execute(include_str!("suppressions/delete.sql"), &[&id]).await? == 0 {
        return Err(not_found());
    }
    if let (Some(email), None) = (&lifted.email, lifted.campaign_id) {
        tx.execute(include_str!("suppressions/reopen_contacts.sql"), &[email, &hashes(tx, keys, email)?]).await?;
    }
    Ok(lifted)
}

/// Puts a keyed hash in place of the address, so that mail to it stays stopped and nobody can read whom it is about. Where
/// the address was forgotten before, that suppression stays and this one goes, unless this one alone takes a second word to
/// be lifted. Doing it twice does it once.
///
/// Errors: [`Error::NotFound`].
pub async fn forget(tx: &Tx, keys: &KeyRing, id: SuppressionId) -> Result<Suppression> {
    let suppression = read(tx, include_str!("suppressions/lock.sql"), id).await?;
    let Some(email) = &suppression.email else { return Ok(suppression) };
    let known: [&(dyn ToSql + Sync); 2] = [&hashes(tx, keys, email)?, &suppression.campaign_id];
    if let Some(row) = tx.query_opt(include_str!("suppressions/find_forgotten.sql"), &known).await? {
        let forgotten = from_row(&row)?;
        let is_graver = suppression.reason.needs_confirmation() && !forgotten.reason.needs_confirmation();
        let gone = if is_graver { forgotten.id } else { id };
        tx.execute(include_str!("suppressions/delete.sql"), &[&gone]).await?;
        if !is_graver {
            return Ok(forgotten);
        }
    }
    let hash = keys.address_hash(tx.organization()?.0, email);
    let AddressHash { key, hash } = hash.ok_or_else(|| Error::internal("the key ring has no current key"))?;
    let params: [&(dyn ToSql + Sync); 3] = [&id, &hash.as_slice(), &i16::from(key)];
    from_row(&tx.query_one(include_str!("suppressions/forget.sql"), &params).await?)
}

/// The suppressions that are about a person: by the address, forgotten or not, and what these messages have suppressed.
pub(super) async fn of_person(
    tx: &Tx,
    keys: &KeyRing,
    email_lower: &str,
    messages: &[MessageId],
) -> Result<Vec<SuppressionId>> {
    let about: [&(dyn ToSql + Sync); 3] = [&email_lower, &hashes(tx, keys, email_lower)?, &messages];
    let rows = tx.query(include_str!("suppressions/find_of_person.sql"), &about).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// What is left of an erased person.
pub(super) struct Forgotten {
    /// What keeps mail from the address everywhere.
    pub(super) remains: SuppressionId,
    /// How many suppressions were about the person.
    pub(super) count: u64,
}

/// Suppresses an address in the whole organization and forgets it, here and in every suppression of a campaign, together
/// with the addresses that these messages have suppressed. The first reason stays, and a bounce or a complaint in any case.
/// The caller has locked the contact and the messages.
pub(super) async fn erase(tx: &Tx, keys: &KeyRing, email_lower: &str, messages: &[MessageId]) -> Result<Forgotten> {
    add(tx, tx.organization()?, email_lower, None, Reason::Unsubscribe, None).await?;
    let hashes = hashes(tx, keys, email_lower)?;
    tx.execute(include_str!("suppressions/drop_weaker_of_person.sql"), &[&email_lower, &hashes]).await?;
    let about: [&(dyn ToSql + Sync); 3] = [&email_lower, &hashes, &messages];
    let found = tx.query(include_str!("suppressions/lock_of_person.sql"), &about).await?;
    for row in &found {
        forget(tx, keys, row.try_get("id")?).await?;
    }
    tx.execute(include_str!("suppressions/clear_of_person.sql"), &[&hashes]).await?;
    let everywhere: [&(dyn ToSql + Sync); 2] = [&hashes, &None::<CampaignId>];
    let remains = tx.query_one(include_str!("suppressions/find_forgotten.sql"), &everywhere).await?;
    Ok(Forgotten { remains: remains.try_get("id")?, count: found.len() as u64 })
}

/// Suppresses these addresses; returns how many of them were not suppressed so before. The people are stopped and what is
/// queued for them is taken back, also where the suppression was there already.
async fn suppress(tx: &Tx, entries: &[Entry]) -> Result<u64> {
    // The same order for everybody, see the statement.
    let entries: BTreeSet<&Entry> = entries.iter().collect();
    if entries.iter().any(|entry| entry.address.known().is_none()) {
        // Whose it is, nobody can tell, so there is no contact to lock: claims wait at the gate of the organization.
        gates::close(tx, &[Gate::Organization(tx.organization()?)]).await?;
    }
    let mut by_address: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        if let Some(address) = entry.address.known() {
            by_address.entry(address).or_default().push(entry);
        }
    }
    let addresses: Vec<&str> = by_address.keys().copied().collect();
    let contacts = tx.query(include_str!("suppressions/lock_contacts.sql"), &[&addresses]).await?;
    let (mut scopes, mut marked, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
    for row in &contacts {
        let (contact, email): (ContactId, &str) = (row.try_get("id")?, row.try_get("email_lower")?);
        for entry in by_address.get(email).into_iter().flatten() {
            scopes.push(Scope { contact, campaign: entry.campaign, stop: entry.reason.stop() });
            if let (None, Some(status)) = (entry.campaign, entry.reason.contact_status()) {
                marked.push(contact);
                statuses.push(status);
            }
        }
    }
    tx.execute(include_str!("suppressions/mark_contacts.sql"), &[&marked, &statuses]).await?;
    stopping::stop_in_scopes(tx, &scopes).await?;
    // Last, as by whoever unsubscribes or bounces: nobody who waits for a row of this table holds what we need.
    insert(tx, &entries).await
}

async fn insert(tx: &Tx, entries: &BTreeSet<&Entry>) -> Result<u64> {
    let ids: Vec<SuppressionId> = entries.iter().map(|_| SuppressionId::fresh()).collect();
    let emails: Vec<Option<&str>> = entries.iter().map(|entry| entry.address.known()).collect();
    let hashes: Vec<Option<&[u8]>> =
        entries.iter().map(|entry| entry.address.hash().map(|hash| hash.hash.as_slice())).collect();
    let keys: Vec<Option<i16>> = entries.iter().map(|entry| entry.address.hash().map(|hash| hash.key.into())).collect();
    let campaigns: Vec<Option<CampaignId>> = entries.iter().map(|entry| entry.campaign).collect();
    let reasons: Vec<&str> = entries.iter().map(|entry| entry.reason.name()).collect();
    let notes: Vec<Option<&str>> = entries.iter().map(|entry| entry.note.as_deref()).collect();
    let organization = tx.organization()?;
    let params: [&(dyn ToSql + Sync); 8] = [&organization, &ids, &emails, &hashes, &keys, &campaigns, &reasons, &notes];
    tx.execute(include_str!("suppressions/insert_all.sql"), &params).await
}

/// Those of the campaigns that the organization has.
async fn known_campaigns(tx: &Tx, campaigns: impl IntoIterator<Item = CampaignId>) -> Result<BTreeSet<CampaignId>> {
    let campaigns: Vec<CampaignId> = campaigns.into_iter().collect();
    let rows = tx.query(include_str!("suppressions/known_campaigns.sql"), &[&campaigns]).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// What a forgotten address may be kept as.
pub(crate) fn hashes(tx: &Tx, keys: &KeyRing, email_lower: &str) -> Result<Vec<Vec<u8>>> {
    let hashes = keys.address_hashes(tx.organization()?.0, email_lower);
    Ok(hashes.into_iter().map(|hash| hash.hash.to_vec()).collect())
}

async fn read(tx: &Tx, sql: &str, id: SuppressionId) -> Result<Suppression> {
    tx.query_opt(sql, &[&id]).await?.ok_or_else(not_found).and_then(|row| from_row(&row))
}

fn not_found() -> Error {
    Error::not_found("suppression")
}

fn from_row(row: &Row) -> Result<Suppression> {
    let hash: Option<&[u8]> = row.try_get("email_hash")?;
    let key: Option<i16> = row.try_get("hash_key")?;
    let email_hash = hash.zip(key).map(|(hash, key)| {
        let (hash, key) = (hash.try_into().map_err(Error::internal)?, u8::try_from(key).map_err(Error::internal)?);
        Ok::<_, Error>(AddressHash { key, hash }.to_string())
    });
    Ok(Suppression {
        id: row.try_get("id")?,
        email: row.try_get("email_lower")?,
        email_hash: email_hash.transpose()?,
        campaign_id: row.try_get("campaign_id")?,
        reason: Reason::parse(row.try_get("reason")?)?,
        note: row.try_get("note")?,
        message_id: row.try_get("message_id")?,
        created_at: row.try_get("created_at")?,
    })
}
