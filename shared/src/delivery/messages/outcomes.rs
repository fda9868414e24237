//! What the ledger notes beside a message's state: every code of ours, in one place.
//!
//! Whoever writes `outcome_code` takes it from here, and [`super::why`] has a sentence for each. Beside these stand
//! only the names by which the provider itself refuses a mail.

use crate::outreach::templates::TemplateError;

macro_rules! outcome_codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal;)+) => {
        /// Why a message stands where it stands, as the ledger keeps it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OutcomeCode {
            $($(#[doc = $doc])+ $code,)+
        }

        impl OutcomeCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code's name in the database and in the API.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }

            /// The code of this name; none where it is the provider's own.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }
        }
    };
}

outcome_codes! {
    /// Sent back for another slot: the contact has another address now.
    AddressChanged = "address_changed";
    /// Sent back: the organization may not send.
    OrganizationSuspended = "organization_suspended";
    /// Sent back: the campaign was paused, for instance.
    CampaignNotActive = "campaign_not_active";
    /// Sent back: the sender was paused, for instance.
    SenderNotActive = "sender_not_active";
    /// Sent back: the sender's domain was not verified any more.
    DomainNotVerified = "domain_not_verified";
    /// Sent back: the day of the slot was over, or had not begun, where the sender is.
    AnotherDay = "another_day";
    /// Sent back: the campaign's window was closed.
    WindowClosed = "window_closed";
    /// Put back with its slot: the provider had no room for it.
    ProviderBusy = "provider_busy";
    /// Put back with its slot: the provider account may not send.
    AccountClosed = "account_closed";
    /// Put back: nobody has said which address the installation's own mails come from.
    NoSystemSender = "no_system_sender";
    /// Put back: a person has it sent again.
    Resent = "resent";
    /// In doubt: the provider's answer leaves it open.
    UnclearAnswer = "unclear_answer";
    /// In doubt: whoever handed it over has not told what came of it.
    NoOutcomeRecorded = "no_outcome_recorded";
    /// In doubt: the database was restored to a time before it may have been handed over.
    DatabaseRestored = "database_restored";
    /// Left in doubt: a person has decided that the way goes on without it.
    Skipped = "skipped";
    /// Expired: later than the campaign allows.
    TooLate = "too_late";
    /// Not written: the template can't be read.
    Syntax = "syntax";
    /// Not written: a variable has no value.
    UndefinedVariable = "undefined_variable";
    /// Not written: a value is of the wrong type.
    WrongType = "wrong_type";
    /// Not written: the template takes too many steps.
    TooExpensive = "too_expensive";
    /// Not written: the text is too long.
    TooLong = "too_long";
    /// Not written: the subject has a line break.
    SubjectLineBreak = "subject_line_break";
    /// Not written: the subject is empty.
    EmptySubject = "empty_subject";
    /// Not written: no mail can be made of the text and the addresses.
    NotComposable = "not_composable";
    /// Not handed over: no request to the provider could be made of it.
    NotSendable = "not_sendable";
    /// Refused by the provider after it had been accepted.
    Rejected = "rejected";
    /// Given up by the provider, which could not build it.
    RenderingFailed = "rendering_failed";
    /// Taken back: the person does not wait for it any more.
    NotWaitedFor = "not_waited_for";
    /// Taken back: the person has answered.
    Replied = "replied";
    /// Taken back: the address bounced.
    Bounced = "bounced";
    /// Taken back: the person has unsubscribed.
    Unsubscribed = "unsubscribed";
    /// Taken back: the person has complained.
    Complaint = "complaint";
    /// Taken back, or not sent: the address is suppressed.
    Suppressed = "suppressed";
    /// Taken back: the provider refused the address.
    AddressFailed = "address_failed";
    /// Taken back: the campaign was archived.
    Archived = "archived";
    /// Taken back: the person was taken out of the campaign, or deleted.
    Removed = "removed";
    /// Taken back: what it was to tell is no longer so.
    Withdrawn = "withdrawn";
}

impl From<&TemplateError> for OutcomeCode {
    fn from(error: &TemplateError) -> Self {
        match error {
            TemplateError::Syntax { .. } => Self::Syntax,
            TemplateError::UndefinedVariable { .. } => Self::UndefinedVariable,
            TemplateError::WrongType { .. } => Self::WrongType,
            TemplateError::TooExpensive { .. } => Self::TooExpensive,
            TemplateError::TooLong { .. } => Self::TooLong,
            TemplateError::SubjectLineBreak => Self::SubjectLineBreak,
            TemplateError::EmptySubject => Self::EmptySubject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outreach::templates::Part;

    #[test]
    fn each_code_is_read_by_its_name() {
        for code in OutcomeCode::ALL {
            assert_eq!(OutcomeCode::parse(code.name()), Some(*code));
        }
        assert_eq!(OutcomeCode::parse("MessageRejected"), None);
    }

    #[test]
    fn a_template_is_at_fault_by_the_same_name_in_the_ledger_and_in_preflight() {
        let (part, line) = (Part::Body, None);
        for error in [
            TemplateError::Syntax { part, line, message: String::new() },
            TemplateError::UndefinedVariable { part, line, name: String::new() },
            TemplateError::WrongType { part, line, message: String::new() },
            TemplateError::TooExpensive { part },
            TemplateError::TooLong { part },
            TemplateError::SubjectLineBreak,
            TemplateError::EmptySubject,
        ] {
            assert_eq!(OutcomeCode::from(&error).name(), error.code());
        }
    }
}
