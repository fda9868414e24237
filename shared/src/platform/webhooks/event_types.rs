//! What there is to tell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! event_types {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What has happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum EventType {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl EventType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in payloads, in the API and in the database.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

event_types! {
    /// A campaign sends from now on.
    CampaignActivated = "campaign.activated";
    /// Everybody in a campaign has come to an end.
    CampaignCompleted = "campaign.completed";
    /// A campaign stands still: a person paused it, or it paused itself.
    CampaignPaused = "campaign.paused";
    /// A paused campaign goes on.
    CampaignResumed = "campaign.resumed";
    /// Somebody has made a contact, one by one: of those that a file brings, `import.completed` tells.
    ContactCreated = "contact.created";
    /// A person wants no more mail, of one campaign or of all.
    ContactUnsubscribed = "contact.unsubscribed";
    /// A file is imported.
    ImportCompleted = "import.completed";
    /// A file can't be imported.
    ImportFailed = "import.failed";
    /// A mail can never be delivered.
    MessageBounced = "message.bounced";
    /// A person has followed a link in a mail.
    MessageClicked = "message.clicked";
    /// A recipient has reported a mail as spam.
    MessageComplained = "message.complained";
    /// The recipient's server has taken a mail.
    MessageDelivered = "message.delivered";
    /// A mail was refused for good.
    MessageFailed = "message.failed";
    /// A person has opened a mail.
    MessageOpened = "message.opened";
    /// The provider has accepted a mail.
    MessageSent = "message.sent";
    /// A person has answered.
    ReplyReceived = "reply.received";
    /// A sender stands still: a person paused it, or it paused itself.
    SenderPaused = "sender.paused";
    /// Somebody has pressed the button of a test; goes to that endpoint alone.
    WebhookTest = "webhook.test";
    /// A workflow is to run; goes to that workflow alone.
    WorkflowRun = "workflow.run";
}

impl EventType {
    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }

    /// Whether an endpoint can ask for it; others are told to whom they are meant for.
    #[must_use]
    pub fn can_be_wanted(self) -> bool {
        !matches!(self, Self::WebhookTest | Self::WorkflowRun)
    }
}
