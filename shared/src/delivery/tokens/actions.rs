//! Tokens of acts: whoever was sent one may do what it is for, once and within its time.

use uuid::Uuid;

use super::{BadToken, KeyRing, Purpose};

/// What somebody who was sent a token may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionPurpose {
    /// Show that the address is theirs.
    ConfirmEmail,
    /// Choose another password.
    ResetPassword,
    /// Join an organization.
    Invite,
    /// Bring an organization back that is about to be deleted.
    RestoreOrganization,
}

impl ActionPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::ConfirmEmail, Self::ResetPassword, Self::Invite, Self::RestoreOrganization];

    /// The purpose's name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::ResetPassword => "reset_password",
            Self::Invite => "invite",
            Self::RestoreOrganization => "restore_organization",
        }
    }

    /// The purpose of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// The path of the page on which it is done, with a slash before it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "/confirm-email",
            Self::ResetPassword => "/reset-password",
            Self::Invite => "/invite",
            Self::RestoreOrganization => "/restore-organization",
        }
    }
}

/// An act and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// What may be done.
    pub purpose: ActionPurpose,
    /// The row that it is about: it says until when, and whether it was done.
    pub id: Uuid,
}

impl KeyRing {
    /// The token of an act, safe in a URL. It stands in a mail and nowhere else.
    #[must_use]
    pub fn action_token(&self, action: Action) -> String {
        self.link_token(Purpose::Action(action.purpose), &[action.id])
    }

    /// What the token of an act is about.
    ///
    /// # Errors
    ///
    /// [`BadToken`] for everything that this ring did not sign for this purpose.
    pub fn open_action_token(&self, purpose: ActionPurpose, token: &str) -> Result<Uuid, BadToken> {
        self.open_link_token(Purpose::Action(purpose), token).map(|[id]| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_its_act_and_for_no_other() {
        let ring = KeyRing::from_json(r#"{"current": 1, "key_1": "0123456789 0123456789 0123456789"}"#).unwrap();
        let id = Uuid::from_u128(7);
        for purpose in ActionPurpose::ALL {
            let token = ring.action_token(Action { purpose, id });
            assert_eq!(token.len(), 46);
            for other in ActionPurpose::ALL {
                let expected = if other == purpose { Ok(id) } else { Err(BadToken::WrongSignature) };
                assert_eq!(ring.open_action_token(other, &token), expected);
            }
            assert!(ring.open_unsubscribe_token(&token).is_err());
            assert_eq!(ActionPurpose::parse(purpose.name()), Some(purpose));
        }
        assert_eq!(ring.open_action_token(ActionPurpose::Invite, "short"), Err(BadToken::Malformed));
    }
}
