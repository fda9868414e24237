//! Unsubscribing: by the link in a mail, or by the one click of a mail program (RFC 8058).
//!
//! A person stops one campaign or everything that the organization sends. Whoever does not say which means everything:
//! that is what one click means, and what nobody regrets having respected.

use std::fmt;

use serde_json::{Value, json};

use super::messages::MessageKey;
use super::stopping::{self, Stop};
use super::visitors::Visitor;
use crate::audience::suppressions::{self, Reason};
use crate::platform::audit::{self, Actor};
use crate::platform::webhooks::EventType;
use crate::platform::webhooks::outbox::{self, MessageEvent};
use crate::{CampaignId, ContactId, EnrollmentId, Error, MessageId, OrganizationId, Result, Tx};

/// Longest free text that is kept of a reason, in characters.
pub const MAX_COMMENT: usize = 500;

/// How much is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Scope {
    /// The campaign whose mail it was.
    Campaign,
    /// Everything that the organization sends.
    #[default]
    Everything,
}

impl Scope {
    /// The scope's name in forms and in the details of events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Everything => "everything",
        }
    }
}

/// Why somebody leaves, as far as they care to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// They have never asked for it.
    NeverAsked,
    /// It is nothing for them.
    NotRelevant,
    /// It is too much.
    TooOften,
    /// Something else.
    Other,
}

impl Why {
    /// Every reason, in the order in which a form offers them.
    pub const ALL: [Self; 4] = [Self::NeverAsked, Self::NotRelevant, Self::TooOften, Self::Other];

    /// The reason's name in forms and in the details of events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverAsked => "never_asked",
            Self::NotRelevant => "not_relevant",
            Self::TooOften => "too_often",
            Self::Other => "other",
        }
    }
}

/// What somebody wishes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Wish {
    scope: Scope,
    why: Option<Why>,
    comment: Option<String>,
}

/// It shows nothing of what a person wrote.
impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish").field("scope", &self.scope).field("why", &self.why).finish_non_exhaustive()
    }
}

impl Wish {
    /// The wish in a form's fields. Nothing in them keeps anybody from leaving: an unknown scope is everything, an
    /// unknown reason none, and a long text is cut.
    #[must_use]
    pub fn read(scope: Option<&str>, why: Option<&str>, comment: Option<&str>) -> Self {
        let comment: String =
            comment.unwrap_or_default().chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_COMMENT).collect();
        Self {
            scope: if scope == Some(Scope::Campaign.name()) { Scope::Campaign } else { Scope::Everything },
            why: Why::ALL.into_iter().find(|known| Some(known.name()) == why),
            comment: Some(comment.trim().to_owned()).filter(|comment| !comment.is_empty()),
        }
    }

    fn details(&self) -> Value {
        let mut details = json!({ "scope": self.scope.name() });
        if let Some(why) = self.why {
            details["reason"] = why.name().into();
        }
        details
    }
}

/// What the page shows: enough to know what one unsubscribes from, not the whole address, since links get forwarded, and
/// not the campaign's name, which is the sender's own affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who wrote.
    pub organization_name: String,
    /// The address with most of its local part hidden.
    pub masked_address: String,
    /// What is stopped already.
    pub stopped: Option<Scope>,
    /// Whether the mail belongs to a campaign that could be stopped alone.
    pub has_campaign: bool,
}

/// What the link of this message is about. Changes nothing.
///
/// Errors: [`Error::NotFound`] for a message that does not exist any more.
pub async fn look_up(tx: &Tx, message: MessageId) -> Result<Subscription> {
    let row = tx
        .query_opt(include_str!("unsubscribing/look_up.sql"), &[&message])
        .await?
        .ok_or(Error::not_found("subscription"))?;
    let stopped = match (row.try_get("everything_is_stopped")?, row.try_get("campaign_is_stopped")?) {
        (true, _) => Some(Scope::Everything),
        (false, true) => Some(Scope::Campaign),
        (false, false) => None,
    };
    Ok(Subscription {
        organization_name: row.try_get("organization_name")?,
        masked_address: mask(row.try_get("recipient")?),
        stopped,
        has_campaign: row.try_get("has_campaign")?,
    })
}

/// Suppresses the address of this message, for its campaign or for the whole organization, and stops the person there.
/// Doing it twice does it once.
///
/// Errors: [`Error::NotFound`] for a message that does not exist any more.
pub async fn unsubscribe(tx: &Tx, message: MessageId, wish: &Wish, visitor: &Visitor) -> Result<()> {
    let organization = tx.organization()?;
    let row = tx
        .query_opt(include_str!("unsubscribing/recipient.sql"), &[&message])
        .await?
        .ok_or(Error::not_found("subscription"))?;
    let email_lower: String = row.try_get("email_lower")?;
    // The contact first: while it is locked, no claim of a mail to it passes.
    let contacts = tx.query(include_str!("unsubscribing/lock_contact.sql"), &[&email_lower]).await?;
    let contacts: Vec<_> =
        contacts.iter().map(|row| Ok((organization, row.try_get::<_, ContactId>(0)?))).collect::<Result<_>>()?;
    // Then enrollments and the message, before the suppression and the event refer to it: a foreign key locks as well.
    tx.query(include_str!("unsubscribing/lock_enrollments.sql"), &[&email_lower, &message]).await?;
    let locked = tx.query_opt(include_str!("unsubscribing/lock_message.sql"), &[&message]).await?;
    let is_erased: bool = locked.ok_or(Error::not_found("subscription"))?.try_get("is_erased")?;
    // A mail of no campaign can only stop everything.
    let campaign: Option<CampaignId> = row.try_get("campaign_id")?;
    let campaign = campaign.filter(|_| wish.scope == Scope::Campaign);
    let wish = Wish { scope: campaign.map_or(Scope::Everything, |_| Scope::Campaign), ..wish.clone() };
    let is_new = record(tx, message, &wish, visitor).await?;
    // All that follows does nothing where it is done already; after a suppression was lifted it is done again.
    tx.execute(include_str!("unsubscribing/mark_message.sql"), &[&message, &tx.now()]).await?;
    if !is_erased {
        // Whoever was erased while we waited is suppressed, and their address is not to come back.
        suppressions::add(tx, organization, &email_lower, campaign, Reason::Unsubscribe, Some(message)).await?;
    }
    for (_, contact) in &contacts {
        if campaign.is_none() {
            tx.execute(include_str!("unsubscribing/mark_contact.sql"), &[contact]).await?;
        }
        if is_new {
            audit::record(tx, Actor::Contact, "contact.unsubscribed", contact.0, &wish.details(), None).await?;
        }
    }
    match campaign {
        Some(campaign) => stop_in_campaign(tx, organization, campaign, &email_lower).await?,
        None => stopping::stop_contacts(tx, &contacts, Stop::Unsubscribed).await.map(|_| ())?,
    }
    if is_new && !is_erased { tell(tx, message, &wish).await } else { Ok(()) }
}

/// Tells whoever wants to know, without what the person wrote.
async fn tell(tx: &Tx, message: MessageId, wish: &Wish) -> Result<()> {
    let told = MessageEvent {
        message: MessageKey { organization: tx.organization()?, id: message },
        event_type: EventType::ContactUnsubscribed,
        occurred_at: tx.now(),
        more: json!({ "scope": wish.scope.name(), "reason": wish.why.map(Why::name) }),
    };
    outbox::emit_of_messages(tx, &[told]).await
}

/// Writes the event, once a message and scope; true for the first. The text of a person stands here alone.
async fn record(tx: &Tx, message: MessageId, wish: &Wish, visitor: &Visitor) -> Result<bool> {
    let mut details = wish.details();
    if let Some(comment) = &wish.comment {
        details["comment"] = comment.as_str().into();
    }
    let dedupe_key = match wish.scope {
        Scope::Everything => "unsubscribed",
        Scope::Campaign => "unsubscribed/campaign",
    };
    let user_agent = Some(visitor.user_agent.as_str()).filter(|name| !name.is_empty());
    let organization = tx.organization()?;
    let added = tx
        .execute(
            include_str!("unsubscribing/insert_event.sql"),
            &[
                &organization,
                &crate::ids::fresh(),
                &message,
                &dedupe_key,
                &tx.now(),
                &details,
                &visitor.ip,
                &user_agent,
            ],
        )
        .await?;
    Ok(added > 0)
}

/// Stops whoever has this address in one campaign. The caller has locked the enrollment.
async fn stop_in_campaign(
    tx: &Tx,
    organization: OrganizationId,
    campaign: CampaignId,
    email_lower: &str,
) -> Result<()> {
    for row in tx.query(include_str!("unsubscribing/find_enrollments.sql"), &[&campaign, &email_lower]).await? {
        let enrollment: EnrollmentId = row.try_get(0)?;
        stopping::stop_enrollment(tx, organization, enrollment, Stop::Unsubscribed).await?;
    }
    Ok(())
}

fn mask(address: &str) -> String {
    // Of an erased message there is none.
    let Some((local, domain)) = address.rsplit_once('@') else { return "…".to_owned() };
    let shown: String = local.chars().take(1).collect();
    format!("{shown}…@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_form_says_it_is_a_wish_to_leave() {
        let wish = Wish::read(Some("campaign"), Some("too_often"), Some(" Every day!\r\nPlease.\0 "));
        assert_eq!((wish.scope, wish.why), (Scope::Campaign, Some(Why::TooOften)));
        assert_eq!(wish.comment.as_deref(), Some("Every day!\nPlease."));
        assert_eq!(Wish::read(None, None, Some(" \n")), Wish::default());
        assert_eq!(Wish::read(Some("nothing"), Some("money"), None), Wish::default());
        let long = Wish::read(None, None, Some(&"é".repeat(10_000)));
        assert_eq!(long.comment.unwrap().chars().count(), MAX_COMMENT);
        assert!(!format!("{:?}", Wish::read(None, None, Some("secret"))).contains("secret"));
    }

    #[test]
    fn a_masked_address_shows_the_domain_and_one_character() {
        assert_eq!(mask("jane.doe@example.org"), "j…@example.org");
        assert_eq!(mask("é@example.org"), "é…@example.org");
        assert_eq!(mask("erased"), "…");
    }
}
