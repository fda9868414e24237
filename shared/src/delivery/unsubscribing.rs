//! Unsubscribing: by the link in a mail, or by the one click of a mail program (RFC 8058).

use super::stopping::{self, Stop};
use crate::audience::suppressions::{self, Reason};
use crate::platform::audit::{self, Actor};
use crate::{ContactId, Error, MessageId, Result, Tx};

/// What the page shows: enough to know what one unsubscribes from, not the whole address, since links get forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who wrote.
    pub organization_name: String,
    /// The address with most of its local part hidden.
    pub masked_address: String,
    /// Whether mail to the address is stopped already.
    pub is_unsubscribed: bool,
}

/// What the link of this message is about. Changes nothing.
///
/// Errors: [`Error::NotFound`] for a message that does not exist any more.
pub async fn look_up(tx: &Tx, message: MessageId) -> Result<Subscription> {
    let row = tx
        .query_opt(include_str!("unsubscribing/look_up.sql"), &[&message])
        .await?
        .ok_or(Error::not_found("subscription"))?;
    Ok(Subscription {
        organization_name: row.try_get("organization_name")?,
        masked_address: mask(row.try_get("recipient")?),
        is_unsubscribed: row.try_get("is_unsubscribed")?,
    })
}

/// Suppresses the address of this message for the whole organization and stops the person in every campaign.
/// Doing it twice does it once.
///
/// Errors: [`Error::NotFound`] for a message that does not exist any more.
pub async fn unsubscribe(tx: &Tx, message: MessageId) -> Result<()> {
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
    tx.query(include_str!("unsubscribing/lock_message.sql"), &[&message]).await?;
    let is_new = tx
        .execute(
            include_str!("unsubscribing/insert_event.sql"),
            &[&organization, &crate::ids::fresh(), &message, &tx.now()],
        )
        .await?;
    // All that follows does nothing where it is done already; after a suppression was lifted it is done again.
    tx.execute(include_str!("unsubscribing/mark_message.sql"), &[&message, &tx.now()]).await?;
    suppressions::add(tx, organization, &email_lower, None, Reason::Unsubscribe, Some(message)).await?;
    for (_, contact) in &contacts {
        tx.execute(include_str!("unsubscribing/mark_contact.sql"), &[contact]).await?;
        if is_new > 0 {
            audit::record(tx, Actor::Contact, "contact.unsubscribed", contact.0, &serde_json::json!({}), None).await?;
        }
    }
    stopping::stop_contacts(tx, &contacts, Stop::Unsubscribed).await?;
    Ok(())
}

fn mask(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let shown: String = local.chars().take(1).collect();
    format!("{shown}…@{domain}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_masked_address_shows_the_domain_and_one_character() {
        assert_eq!(super::mask("jane.doe@example.org"), "j…@example.org");
        assert_eq!(super::mask("é@example.org"), "é…@example.org");
    }
}
