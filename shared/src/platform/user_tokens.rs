//! What somebody may do once who was sent a token: confirm an address, choose another password.

use std::time::Duration;

use uuid::Uuid;

use crate::delivery::system_mail::{Action, ActionPurpose};
use crate::delivery::tokens::KeyRing;
use crate::{Error, Result, Tx, UserId};

/// How long an address can be confirmed.
const CONFIRM: Duration = Duration::from_secs(3 * 86_400);
/// How long another password can be chosen.
const RESET: Duration = Duration::from_secs(3_600);

/// Makes what a token is about; the tokens of the same purpose that somebody was sent before end.
pub async fn issue(tx: &Tx, user: UserId, purpose: ActionPurpose) -> Result<Action> {
    let valid_for = match purpose {
        ActionPurpose::ResetPassword => RESET,
        _ => CONFIRM,
    };
    let id = crate::ids::fresh();
    end(tx, user, purpose).await?;
    tx.execute(include_str!("user_tokens/insert.sql"), &[&id, &user, &purpose.name(), &valid_for.as_secs_f64()])
        .await?;
    Ok(Action { purpose, id })
}

/// Ends the tokens of a purpose that somebody was sent.
pub async fn end(tx: &Tx, user: UserId, purpose: ActionPurpose) -> Result<()> {
    tx.execute(include_str!("user_tokens/end.sql"), &[&user, &purpose.name()]).await?;
    Ok(())
}

/// A token that somebody was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// To whom.
    pub user: UserId,
    id: Uuid,
}

/// Whose a token is, which is not used by that. It is of the address that the person still has.
///
/// Errors: [`Error::Conflict`] (`token_not_valid`) for one that is not ours, was used, has ended, or is of another address.
pub async fn find(tx: &Tx, keys: &KeyRing, purpose: ActionPurpose, token: &str) -> Result<Sent> {
    let id: Uuid = keys.open_action_token(purpose, token.trim()).map_err(|_| not_valid())?;
    let row = tx.query_opt(include_str!("user_tokens/find.sql"), &[&id, &purpose.name()]).await?;
    Ok(Sent { user: row.ok_or_else(not_valid)?.try_get(0)?, id })
}

/// Uses a token. The person's row is locked already, as whoever changes their password locks it before their tokens.
///
/// Errors: as [`find`].
pub async fn redeem(tx: &Tx, sent: &Sent) -> Result<()> {
    match tx.execute(include_str!("user_tokens/redeem.sql"), &[&sent.id]).await? {
        0 => Err(not_valid()),
        _ => Ok(()),
    }
}

fn not_valid() -> Error {
    Error::conflict("token_not_valid", "this link was used, has ended, or never was one of ours: ask for another one")
}
