//! Addresses and domains that must not be written to, by everybody in the organization, by one campaign or by those that write to
//! one list. A suppression is keyed by the address: it outlives the contact and its re-import.
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
use super::email_address;
use super::personal_data;
use super::verifications;
use crate::delivery::gates::{self, Gate};
use crate::delivery::stopping::{self, Scope, Stop};
use crate::delivery::tokens::{AddressHash, KeyRing};
use crate::fields::Fields;
use crate::{CampaignId, ContactId, Error, ListId, MessageId, OrganizationId, Result, SuppressionId, Tx};

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

    /// Of two reasons the graver counts, as `suppression_gravity` has it.
    fn gravity(self) -> u8 {
        match self {
            Self::HardBounce | Self::Complaint => 2,
            Self::Unsubscribe => 1,
            Self::Manual => 0,
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
    /// The address in lower case; null once it is forgotten, and for a domain.
    pub email: Option<String>,
    /// What stands in place of a forgotten address.
    pub email_hash: Option<String>,
    /// The domain whose addresses are all meant.
    pub domain: Option<String>,
    /// The campaign that it is about; null for all of them.
    pub campaign_id: Option<CampaignId>,
    /// The list whose campaigns it is about; null for all of them.
    pub list_id: Option<ListId>,
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
    /// The campaigns of one list each.
    List,
}

impl Reach {
    fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Campaign => "campaign",
            Self::List => "list",
        }
    }
}

/// Which suppressions a list shows.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// For one reason.
    pub reason: Option<Reason>,
    /// Of one address, whatever its case, forgotten or not.
    pub email: Option<String>,
    /// Of one domain as a whole.
    pub domain: Option<String>,
    /// For one campaign alone.
    pub campaign_id: Option<CampaignId>,
    /// For the campaigns of one list.
    pub list_id: Option<ListId>,
    /// For all campaigns, for one each, or for those of one list each.
    pub scope: Option<Reach>,
    /// Made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Made before this time.
    pub to: Option<DateTime<Utc>>,
}

/// A suppression as a caller gives it, not checked yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// The address. This or the domain.
    #[schemars(email)]
    pub email: Option<String>,
    /// The domain whose addresses are all meant; those of the domains below it are not.
    pub domain: Option<String>,
    /// The campaign that it is about; absent for all of them.
    pub campaign_id: Option<CampaignId>,
    /// The list whose campaigns it is about; absent for all of them.
    pub list_id: Option<ListId>,
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
    whom: Whom,
    within: Within,
    reason: Reason,
    note: Option<String>,
}

/// Who is not written to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    /// An address in lower case.
    Address(String),
    /// An address that can only be recognized.
    Forgotten(AddressHash),
    /// Everybody at a domain.
    Domain(String),
}

impl Whom {
    fn address(&self) -> Option<&str> {
        if let Self::Address(email_lower) = self { Some(email_lower) } else { None }
    }

    fn hash(&self) -> Option<&AddressHash> {
        if let Self::Forgotten(hash) = self { Some(hash) } else { None }
    }

    fn domain(&self) -> Option<&str> {
        if let Self::Domain(domain) = self { Some(domain) } else { None }
    }

    /// Reads the name of a domain as addresses have it, also one with the `@` or `*@` that other systems put in front.
    fn parse_domain(text: &str) -> Result<Self, (&'static str, &'static str)> {
        let name = text.trim();
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.strip_prefix('@').unwrap_or(name);
        let domain = email_address::parse_domain(name);
        domain.map(Self::Domain).ok_or(("invalid_domain", "this is not the name of a domain that addresses can have"))
    }
}

/// Which campaigns do not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    /// None of them.
    Organization,
    /// This one.
    Campaign(CampaignId),
    /// Those that write to this list.
    List(ListId),
}

impl Within {
    fn campaign(self) -> Option<CampaignId> {
        if let Self::Campaign(id) = self { Some(id) } else { None }
    }

    fn list(self) -> Option<ListId> {
        if let Self::List(id) = self { Some(id) } else { None }
    }
}

/// The campaigns and lists that an organization has, of those that are named.
struct Known {
    campaigns: BTreeSet<CampaignId>,
    lists: BTreeSet<ListId>,
}

impl Known {
    async fn read(
        tx: &Tx,
        campaigns: impl IntoIterator<Item = CampaignId>,
        lists: impl IntoIterator<Item = ListId>,
    ) -> Result<Self> {
        let (campaigns, lists): (Vec<_>, Vec<_>) = (Vec::from_iter(campaigns), Vec::from_iter(lists));
        let campaigns = tx.query(include_str!("suppressions/known_campaigns.sql"), &[&campaigns]).await?;
        let lists = tx.query(include_str!("suppressions/known_lists.sql"), &[&lists]).await?;
        Ok(Self {
            campaigns: campaigns.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?,
            lists: lists.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?,
        })
    }

    /// Which campaigns a suppression is for; or the field that is wrong, the code and what a person reads.
    fn within(
        &self,
        campaign: Option<CampaignId>,
        list: Option<ListId>,
    ) -> Result<Within, (&'static str, &'static str, &'static str)> {
        match (campaign, list) {
            (None, None) => Ok(Within::Organization),
            (Some(id), None) if self.campaigns.contains(&id) => Ok(Within::Campaign(id)),
            (None, Some(id)) if self.lists.contains(&id) => Ok(Within::List(id)),
            (Some(_), None) => Err(("campaign_id", "unknown_campaign", "there is no such campaign")),
            (None, Some(_)) => Err(("list_id", "unknown_list", "there is no such list")),
            (Some(_), Some(_)) => {
                Err(("list_id", "two_scopes", "a suppression is about a campaign or about a list, not about both"))
            }
        }
    }
}

/// Suppresses an address, everywhere or in one campaign; true when it was not suppressed so before. A graver reason takes the place of
/// the one there is.
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
    let written = tx
        .query_opt(
            include_str!("suppressions/insert.sql"),
            &[&organization, &crate::ids::fresh(), &email_lower, &campaign, &reason.name(), &message],
        )
        .await?;
    written.map_or(Ok(false), |row| Ok(row.try_get("is_new")?))
}

/// Marks a contact that was not there when its address was suppressed everywhere.
pub(super) async fn mark_contact(tx: &Tx, contact: ContactId, email_lower: &str) -> Result<()> {
    let same: [&(dyn ToSql + Sync); 4] = [&email_lower, &None::<&str>, &None::<CampaignId>, &None::<ListId>];
    let Some(row) = tx.query_opt(include_str!("suppressions/find_same.sql"), &same).await? else { return Ok(()) };
    if let Some(status) = from_row(&row)?.reason.contact_status() {
        tx.execute(include_str!("suppressions/mark_contacts.sql"), &[&[contact].as_slice(), &[status].as_slice()])
            .await?;
    }
    Ok(())
}

/// Suppresses an address, stops its person and takes back what is queued; or a domain, whose people are stopped when their turn
/// comes. True beside it when it was not suppressed so before; otherwise the suppression there is stays as it was, unless the reason is
/// graver now.
///
/// Errors: [`Error::Invalid`] (`email`, `domain`, `note`, `campaign_id` with `unknown_campaign`, `list_id` with `unknown_list` or
/// `two_scopes`).
pub async fn create(tx: &Tx, given: NewSuppression) -> Result<(Suppression, bool)> {
    let mut fields = Fields::default();
    let whom = match (&given.email, &given.domain) {
        (Some(email), None) => fields.email("email", email).map(|email| Whom::Address(email.lower())),
        (None, Some(domain)) => match Whom::parse_domain(domain) {
            Ok(whom) => Some(whom),
            Err((code, message)) => {
                fields.refuse("domain", code, message);
                None
            }
        },
        _ => {
            fields.refuse("email", "required", "a suppression is of an email or of a domain");
            None
        }
    };
    let note = fields.line("note", given.note.as_deref(), NOTE_MAXIMUM);
    let known = Known::read(tx, given.campaign_id, given.list_id).await?;
    let within = known.within(given.campaign_id, given.list_id);
    if let Err((field, code, message)) = within {
        fields.refuse(field, code, message);
    }
    fields.finish()?;
    let (Some(whom), Ok(within)) = (whom, within) else {
        return Err(Error::internal("a suppression was neither read nor refused"));
    };
    let entry = Entry { whom, within, reason: given.reason, note };
    let added = suppress(tx, std::slice::from_ref(&entry)).await?;
    let same: [&(dyn ToSql + Sync); 4] =
        [&entry.whom.address(), &entry.whom.domain(), &within.campaign(), &within.list()];
    let row = tx.query_one(include_str!("suppressions/find_same.sql"), &same).await?;
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
    let email = filter.email.as_deref().map(email_address::folded);
    // The database knows no NUL; nothing has an address with one.
    if email.as_deref().is_some_and(|email| email.contains('\0')) {
        return Ok(Vec::new());
    }
    let hashes = email.as_deref().map(|email| hashes(tx, keys, email)).transpose()?;
    let reason = filter.reason.map(Reason::name);
    let domain = match filter.domain.as_deref().map(Whom::parse_domain) {
        Some(Err(_)) => return Ok(Vec::new()),
        domain => domain.and_then(Result::ok),
    };
    let params: [&(dyn ToSql + Sync); 11] = [
        &before,
        &limit,
        &reason,
        &email,
        &hashes,
        &domain.as_ref().and_then(Whom::domain),
        &filter.campaign_id,
        &filter.list_id,
        &filter.scope.map(Reach::name),
        &filter.from,
        &filter.to,
    ];
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
    if let (Some(email), None, None) = (&lifted.email, lifted.campaign_id, lifted.list_id) {
        tx.execute(include_str!("suppressions/reopen_contacts.sql"), &[email, &hashes(tx, keys, email)?]).await?;
    }
    if let Some(email) = &lifted.email {
        verifications::reopen(tx, keys, email).await?;
    }
    Ok(lifted)
}

/// Puts a keyed hash in place of the address, so that mail to it stays stopped and nobody can read whom it is about. Where
/// the address was forgotten before, that suppression stays and this one goes, unless this one alone takes a second word to
/// be lifted. Doing it twice does it once.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`not_an_address`) for a domain, which is nobody's own.
pub async fn forget(tx: &Tx, keys: &KeyRing, id: SuppressionId) -> Result<Suppression> {
    let suppression = read(tx, include_str!("suppressions/lock.sql"), id).await?;
    if suppression.domain.is_some() {
        return Err(Error::conflict("not_an_address", "a domain is nobody's address; lift the suppression instead"));
    }
    let Some(email) = &suppression.email else { return Ok(suppression) };
    let known: [&(dyn ToSql + Sync); 3] = [&hashes(tx, keys, email)?, &suppression.campaign_id, &suppression.list_id];
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
    let everywhere: [&(dyn ToSql + Sync); 3] = [&hashes, &None::<CampaignId>, &None::<ListId>];
    let remains = tx.query_one(include_str!("suppressions/find_forgotten.sql"), &everywhere).await?;
    Ok(Forgotten { remains: remains.try_get("id")?, count: found.len() as u64 })
}

/// Suppresses these; returns how many were not suppressed so before. The people of addresses are stopped and what is queued for
/// them is taken back, also where the suppression was there already. Those of a domain may be any number: each is stopped when
/// their turn comes, as the owner of a forgotten address is.
async fn suppress(tx: &Tx, entries: &[Entry]) -> Result<u64> {
    // The same order for everybody, see the statement.
    let entries: BTreeSet<&Entry> = entries.iter().collect();
    if entries.iter().any(|entry| entry.whom.address().is_none()) {
        // There is no contact to lock, or there are too many: claims wait at the gate of the organization.
        gates::close(tx, &[Gate::Organization(tx.organization()?)]).await?;
    }
    let mut by_address: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        if let Some(address) = entry.whom.address() {
            by_address.entry(address).or_default().push(entry);
        }
    }
    let addresses: Vec<&str> = by_address.keys().copied().collect();
    let contacts = tx.query(include_str!("suppressions/lock_contacts.sql"), &[&addresses]).await?;
    let of_lists = campaigns_of_lists(tx, entries.iter().filter_map(|entry| entry.within.list())).await?;
    let (mut scopes, mut marked, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
    for row in &contacts {
        let (contact, email): (ContactId, &str) = (row.try_get("id")?, row.try_get("email_lower")?);
        for entry in by_address.get(email).into_iter().flatten() {
            let stop = entry.reason.stop();
            match entry.within {
                Within::Campaign(id) => scopes.push(Scope { contact, campaign: Some(id), stop }),
                Within::List(id) => {
                    let campaigns = of_lists.get(&id).into_iter().flatten();
                    scopes.extend(campaigns.map(|id| Scope { contact, campaign: Some(*id), stop }));
                }
                Within::Organization => {
                    scopes.push(Scope { contact, campaign: None, stop });
                    if let Some(status) = entry.reason.contact_status() {
                        marked.push(contact);
                        statuses.push(status);
                    }
                }
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
    let emails: Vec<Option<&str>> = entries.iter().map(|entry| entry.whom.address()).collect();
    let hashes: Vec<Option<&[u8]>> =
        entries.iter().map(|entry| entry.whom.hash().map(|hash| hash.hash.as_slice())).collect();
    let keys: Vec<Option<i16>> = entries.iter().map(|entry| entry.whom.hash().map(|hash| hash.key.into())).collect();
    let domains: Vec<Option<&str>> = entries.iter().map(|entry| entry.whom.domain()).collect();
    let campaigns: Vec<Option<CampaignId>> = entries.iter().map(|entry| entry.within.campaign()).collect();
    let lists: Vec<Option<ListId>> = entries.iter().map(|entry| entry.within.list()).collect();
    let reasons: Vec<&str> = entries.iter().map(|entry| entry.reason.name()).collect();
    let notes: Vec<Option<&str>> = entries.iter().map(|entry| entry.note.as_deref()).collect();
    let organization = tx.organization()?;
    let params: [&(dyn ToSql + Sync); 10] =
        [&organization, &ids, &emails, &hashes, &keys, &domains, &campaigns, &lists, &reasons, &notes];
    let written = tx.query(include_str!("suppressions/insert_all.sql"), &params).await?;
    let are_new = written.iter().map(|row| Ok(row.try_get("is_new")?)).collect::<Result<Vec<bool>>>()?;
    Ok(are_new.into_iter().filter(|is_new| *is_new).count() as u64)
}

/// Those campaigns that write to these lists, by list.
async fn campaigns_of_lists(tx: &Tx, lists: impl Iterator<Item = ListId>) -> Result<BTreeMap<ListId, Vec<CampaignId>>> {
    let lists: Vec<ListId> = lists.collect();
    let mut found: BTreeMap<ListId, Vec<CampaignId>> = BTreeMap::new();
    if !lists.is_empty() {
        for row in tx.query(include_str!("suppressions/campaigns_of_lists.sql"), &[&lists]).await? {
            found.entry(row.try_get("list_id")?).or_default().push(row.try_get("id")?);
        }
    }
    Ok(found)
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
        domain: row.try_get("domain")?,
        campaign_id: row.try_get("campaign_id")?,
        list_id: row.try_get("list_id")?,
        reason: Reason::parse(row.try_get("reason")?)?,
        note: row.try_get("note")?,
        message_id: row.try_get("message_id")?,
        created_at: row.try_get("created_at")?,
    })
}
