//! Mail of the installation itself: about somebody's account, never about a campaign.
//!
//! It goes the way of every mail: a row in the ledger, one call of the provider, an outcome that is known or in doubt. It has
//! no campaign and no sender of an organization, so no window and no limit holds it; it comes from the address that whoever runs
//! the installation has set (`mail.system_sender`), and waits until one is. It is sent whatever the state of the organization
//! that its row is in, since it is not that organization's mail. An address that does not exist is not written to again.
//!
//! What a link in it does is signed when it is sent. The ledger has the text without the link's token. What people and organizations
//! call themselves is written so that no mail program makes a link of it (`names`).

mod names;

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use tokio_postgres::types::ToSql;

use super::messages::OutcomeCode;
pub use super::tokens::{Action, ActionPurpose};
use crate::outreach::templates::{self, Rendered, TemplateError};
use crate::{Error, MessageId, Result, Tx};

/// What stands for the link in what is kept of a mail.
pub(crate) const HIDDEN_LINK: &str = "[link]";

/// The variables of the texts that somebody has chosen for themselves, and that others read who never asked for it.
const NAMES: &[&str] = &["first_name", "inviter", "organization"];

macro_rules! system_texts {
    ($($(#[doc = $doc:literal])+ $template:ident = $name:literal, $valid_for:expr;)+) => {
        /// The built-in texts. All of them know `action_url`, where the mail has an [`Action`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Template {
            $($(#[doc = $doc])+ $template,)+
        }

        impl Template {
            /// Every text.
            pub const ALL: &[Self] = &[$(Self::$template,)+];

            /// The text's name in the database.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$template => $name,)+
                }
            }

            /// The text of this name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|text| text.name() == name)
            }

            /// How long after its time such a mail may still go: not longer than what it leads to.
            #[must_use]
            pub fn valid_for(self) -> Duration {
                match self {
                    $(Self::$template => $valid_for,)+
                }
            }

            /// The subject on the first line, the body after an empty one.
            fn source(self) -> &'static str {
                match self {
                    $(Self::$template => include_str!(concat!("system_mail/texts/", $name, ".txt")),)+
                }
            }
        }
    };
}

system_texts! {
    /// Somebody has signed up: their address is confirmed by the link. `first_name` if known.
    ConfirmEmail = "confirm_email", Duration::days(3);
    /// Somebody has signed up with an address that has an account. `first_name` if known.
    AccountExists = "account_exists", Duration::days(1);
    /// Somebody has asked for another password. `first_name` if known.
    ResetPassword = "reset_password", Duration::hours(1);
    /// A password was changed. `first_name` if known.
    PasswordChanged = "password_changed", Duration::days(3);
    /// Somebody is invited: `organization`, `role`, and `inviter` if known.
    Invite = "invite", Duration::days(7);
    /// Welcome. `first_name` if known.
    Welcome = "welcome", Duration::days(2);
    /// The first steps were not finished. `first_name` if known.
    OnboardingReminder = "onboarding_reminder", Duration::days(2);
    /// The second day of a trial: `organization`, `trial_ends_on`.
    TrialDay2 = "trial_day_2", Duration::days(1);
    /// The fifth day of a trial: `organization`, `trial_ends_on`.
    TrialDay5 = "trial_day_5", Duration::days(1);
    /// A trial is over: `organization`.
    TrialExpired = "trial_expired", Duration::days(3);
    /// An endpoint failed for so long that nothing is delivered to it any more: `organization`, `url`.
    WebhookDisabled = "webhook_disabled", Duration::days(7);
    /// Whoever runs the installation tries whether mail goes.
    TestMail = "test_mail", Duration::hours(1);
    /// An organization will be deleted: `organization`, `deleted_on`; the link brings it back.
    OrganizationDeleted = "organization_deleted", Duration::days(7);
}

impl Template {
    /// Writes it with its variables and the link.
    pub(crate) fn write(self, variables: &Value, action_url: Option<&str>) -> Result<Rendered, TemplateError> {
        let (subject, body) = self.source().split_once("\n\n").unwrap_or((self.source(), ""));
        let mut context = variables.as_object().cloned().unwrap_or_default();
        for name in NAMES {
            if let Some(Value::String(text)) = context.get_mut(*name) {
                *text = names::unlinked(text);
            }
        }
        if let Some(url) = action_url {
            context.insert("action_url".to_owned(), url.into());
        }
        templates::Template::compile(subject, body)?.render(&context)
    }
}

/// A mail to be planned.
#[derive(Debug, Clone)]
pub struct NewSystemMail {
    /// What it says.
    pub template: Template,
    /// Whom it goes to: an address.
    pub recipient: String,
    /// What the text needs to know, as an object without secrets: it is kept.
    pub variables: Value,
    /// What its link does.
    pub action: Option<Action>,
    /// What makes a second mail for the same reason impossible, for ever.
    pub dedupe_key: String,
    /// When it goes (people's time); at once if that is over.
    pub send_at: DateTime<Utc>,
}

/// Plans a mail in the transaction of what it tells of; the scheduler's next run after the commit has it sent. Planned again
/// under the same key it is the same mail, as it was planned first.
///
/// Errors: [`Error::Internal`] where the text can't be written with these variables.
pub async fn plan(tx: &Tx, mail: &NewSystemMail) -> Result<MessageId> {
    let NewSystemMail { template, recipient, variables, action, dedupe_key, send_at } = mail;
    // Found out here, by whoever plans it, and not when it is due.
    template.write(variables, action.map(|_| HIDDEN_LINK)).map_err(Error::internal)?;
    let (purpose, about) = action.map(|action| (action.purpose.name(), action.id)).unzip();
    let expires_at = (*send_at).max(tx.now()) + template.valid_for();
    let params: [&(dyn ToSql + Sync); 9] = [
        &MessageId::fresh(),
        &template.name(),
        recipient,
        variables,
        &purpose,
        &about,
        dedupe_key,
        send_at,
        &expires_at,
    ];
    Ok(tx.query_one(include_str!("system_mail/plan.sql"), &params).await?.try_get(0)?)
}

/// Takes back what has not left of the mails whose keys begin with `dedupe_key`; returns how many.
pub async fn cancel(tx: &Tx, dedupe_key: &str) -> Result<i64> {
    let code = OutcomeCode::Withdrawn.name();
    Ok(tx.query_one(include_str!("system_mail/cancel.sql"), &[&dedupe_key, &code]).await?.try_get(0)?)
}

/// Gives the mails whose time has come by `until` their slots, so that they are brought to a sender; returns how many. `tx` sees
/// the default organization.
pub(crate) async fn give_slots(tx: &Tx, until: DateTime<Utc>) -> Result<u64> {
    tx.execute(include_str!("system_mail/give_slots.sql"), &[&until]).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables() -> Value {
        json!({
            "organization": "Acme", "role": "member", "inviter": "Ada", "trial_ends_on": "8 March 2026",
            "url": "https://example.com/hook", "deleted_on": "8 March 2026",
        })
    }

    #[test]
    fn every_text_can_be_written_and_leads_where_its_link_leads() {
        let with_link =
            [Template::ConfirmEmail, Template::ResetPassword, Template::Invite, Template::OrganizationDeleted];
        for template in Template::ALL {
            assert_eq!(Template::parse(template.name()), Some(*template));
            let url = "https://example.com/#token=abc";
            let written = template.write(&variables(), Some(url)).unwrap();
            assert_eq!(written.body.contains(url), with_link.contains(template), "{template:?}");
            assert!(!written.body.contains("{{") && written.subject.len() < 100, "{template:?}");
            let needs_link = template.write(&variables(), None).is_err();
            assert_eq!(needs_link, with_link.contains(template), "{template:?}");
        }
    }

    #[test]
    fn no_name_makes_a_link_in_a_mail_of_ours() {
        let lure = "Win at https://evil.example, www.evil.example or mail me@evil.example, call +1 800 555 0100";
        let variables = json!({"organization": lure, "inviter": lure, "first_name": lure, "role": "member",
                               "trial_ends_on": "8 March 2026", "deleted_on": "8 March 2026", "url": "-"});
        for template in Template::ALL {
            let written = template.write(&variables, Some("LINK")).unwrap();
            let text = format!("{}\n{}", written.subject, written.body);
            for link in ["evil.example", "://", "me@e", "800 555"] {
                assert!(!text.contains(link), "{template:?}: {text}");
            }
        }
    }

    #[test]
    fn a_name_is_used_where_it_is_known() {
        let named = json!({"first_name": "Ada"});
        assert!(Template::Welcome.write(&named, None).unwrap().body.starts_with("Hello Ada,"));
        assert!(Template::Welcome.write(&json!({}), None).unwrap().body.starts_with("Hello,"));
        assert!(Template::Welcome.write(&json!({"first_name": null}), None).unwrap().body.starts_with("Hello,"));
    }
}
