//! What an organization's plan allows beside mails, which the scheduler counts.
//!
//! Only an organization that is bound by its plan is held to it (`has_plan_limits`). Whatever counts towards a limit is counted
//! behind a lock on that limit, so that of two who want the last place one gets it. What is there already stays, also when a
//! plan falls: it only can't become more.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Error, ListId, Result, Tx};

/// The stable code of every refusal.
pub const PLAN_LIMIT_REACHED: &str = "plan_limit_reached";

/// Something that plans bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Mails of a UTC day, over all senders. The scheduler holds to it.
    MailsADay,
    /// Senders, whatever their status.
    Senders,
    /// Campaigns that are active or being activated.
    ActiveCampaigns,
    /// Lists.
    Lists,
    /// Contacts on each list.
    ContactsAList,
    /// Requests of API keys within a UTC month. Whoever authenticates them holds to it.
    ApiRequestsAMonth,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 6] = [
        Self::MailsADay,
        Self::Senders,
        Self::ActiveCampaigns,
        Self::Lists,
        Self::ContactsAList,
        Self::ApiRequestsAMonth,
    ];

    /// The limit's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MailsADay => "mails_a_day",
            Self::Senders => "senders",
            Self::ActiveCampaigns => "active_campaigns",
            Self::Lists => "lists",
            Self::ContactsAList => "contacts_a_list",
            Self::ApiRequestsAMonth => "api_requests_a_month",
        }
    }

    pub(super) fn sentence(self, maximum: i64, plan: &str) -> String {
        let what = match self {
            Self::MailsADay => "mails a day",
            Self::Senders => "senders",
            Self::ActiveCampaigns => "active campaigns",
            Self::Lists => "lists",
            Self::ContactsAList => "contacts on a list",
            Self::ApiRequestsAMonth => "requests of API keys a month",
        };
        format!("the plan {plan} has {maximum} {what} at most (limit {})", self.name())
    }
}

/// Makes sure that one more fits, and keeps others from taking its place until the transaction ends.
///
/// Errors: [`Error::Conflict`] ([`PLAN_LIMIT_REACHED`]).
pub async fn check(tx: &Tx, limit: Limit) -> Result<()> {
    let Some(bound) = bound(tx, limit).await? else { return Ok(()) };
    let count = match limit {
        Limit::Senders => include_str!("plans/count_senders.sql"),
        Limit::ActiveCampaigns => include_str!("plans/count_active_campaigns.sql"),
        Limit::Lists => include_str!("plans/count_lists.sql"),
        Limit::MailsADay | Limit::ContactsAList | Limit::ApiRequestsAMonth => {
            return Err(Error::internal(format!("{} is not counted in the organization as a whole", limit.name())));
        }
    };
    tx.query(include_str!("plans/take_turn.sql"), &[&tx.organization()?, &limit.name()]).await?;
    let used: i64 = tx.query_one(count, &[]).await?.try_get("used")?;
    if used < bound.maximum { Ok(()) } else { Err(bound.reached()) }
}

/// How many contacts a list may still take.
#[derive(Debug)]
pub struct Room {
    /// So many.
    pub left: i64,
    bound: Bound,
}

impl Room {
    /// What a person reads when there is none left.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.bound.sentence()
    }

    /// The same as an error.
    #[must_use]
    pub fn reached(&self) -> Error {
        self.bound.reached()
    }
}

/// The room on a list, which nobody else takes before this transaction ends; `None` where the plan does not bound it.
///
/// The list's row is locked: before any contact, as everybody does it who puts contacts on a list.
pub async fn room(tx: &Tx, list: ListId) -> Result<Option<Room>> {
    let Some(bound) = bound(tx, Limit::ContactsAList).await? else { return Ok(None) };
    tx.query(include_str!("plans/lock_list.sql"), &[&list]).await?;
    let row = tx.query_one(include_str!("plans/count_members.sql"), &[&list, &bound.maximum]).await?;
    Ok(Some(Room { left: (bound.maximum - row.try_get::<_, i64>("used")?).max(0), bound }))
}

/// Whether the organization's plan bounds the members of a list.
pub async fn bounds_lists(tx: &Tx) -> Result<bool> {
    Ok(bound(tx, Limit::ContactsAList).await?.is_some())
}

/// A limit as it stands for the organization.
#[derive(Debug)]
struct Bound {
    limit: Limit,
    plan: String,
    maximum: i64,
}

impl Bound {
    fn sentence(&self) -> String {
        self.limit.sentence(self.maximum, &self.plan)
    }

    fn reached(&self) -> Error {
        Error::conflict(PLAN_LIMIT_REACHED, self.sentence())
    }
}

/// What binds the organization of the transaction: a trial that is over lends no plan, whether anybody has noted it or not.
async fn bound(tx: &Tx, limit: Limit) -> Result<Option<Bound>> {
    let row = tx.query_opt(include_str!("plans/bound.sql"), &[&limit.name(), &tx.now()]).await?;
    row.map(|row| Ok(Bound { limit, plan: row.try_get("plan")?, maximum: row.try_get("maximum")? })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_limit_its_maximum_and_the_plan() {
        for limit in Limit::ALL {
            let told = limit.sentence(7, "basic");
            assert!(told.contains(limit.name()) && told.contains(" 7 ") && told.contains("plan basic"), "{told}");
        }
    }
}
