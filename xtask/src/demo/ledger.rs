//! What the database holds, read as its owner and past all of the product's own code.

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use crate::local::database::{self, Login};

/// A connection of the owner.
pub(super) struct Ledger {
    client: Client,
}

/// How far a campaign has come.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Progress {
    /// Its status.
    pub(super) status: String,
    /// When the next person will be due; those who are due already wait for a slot.
    pub(super) next_due_at: Option<DateTime<Utc>>,
}

/// A mail as the ledger has it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Message {
    /// Its id, also the tag of the mail.
    pub(super) id: Uuid,
    /// The position of its step.
    pub(super) step: u32,
    /// Whose step it is.
    pub(super) enrollment_id: Option<Uuid>,
    /// The address in lower case.
    pub(super) recipient: String,
    /// The sender.
    pub(super) sender_id: Uuid,
    /// Its state.
    pub(super) state: String,
    /// The day on which it is counted, if it is.
    pub(super) slot_day: Option<NaiveDate>,
    /// The slot it was given.
    pub(super) send_at: DateTime<Utc>,
    /// Whether it bounced.
    pub(super) bounced: bool,
    /// Whether it was reported as spam.
    pub(super) complained: bool,
    /// Whether a person answered.
    pub(super) replied: bool,
    /// Whether it led to an unsubscribe.
    pub(super) unsubscribed: bool,
}

/// Somebody in the campaign.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Person {
    /// The enrollment.
    pub(super) id: Uuid,
    /// The address in lower case.
    pub(super) email: String,
    /// Its status.
    pub(super) status: String,
    /// Why it was stopped, where the status does not say so.
    pub(super) stop_reason: Option<String>,
}

/// A counter of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    /// `campaign` or `sender`.
    pub(super) scope: String,
    /// Which.
    pub(super) scope_id: Uuid,
    /// The day.
    pub(super) day: NaiveDate,
    /// What was promised on it.
    pub(super) used: u64,
}

/// All of a campaign.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    /// The mails.
    pub(super) messages: Vec<Message>,
    /// The people.
    pub(super) people: Vec<Person>,
    /// The counters of the organization.
    pub(super) usage: Vec<Usage>,
}

impl Ledger {
    /// Connects as the owner, who sees every organization.
    pub(super) async fn open(owner: &Login) -> Result<Self> {
        Ok(Self { client: owner.connect().await? })
    }

    /// Suspends what earlier demonstrations left unfinished: they would go on sending in the days that are simulated now.
    pub(super) async fn suspend_unfinished(&self, slug_prefix: &str) -> Result<()> {
        let statement = format!(
            "update organizations o set status = 'suspended' where o.slug like '{slug_prefix}%' and exists (
                 select from campaigns c where c.organization_id = o.id and c.status in ('activating', 'active', 'paused'))"
        );
        database::run(&self.client, &statement).await
    }

    /// How far a campaign has come.
    pub(super) async fn progress(&self, organization: Uuid, campaign: Uuid) -> Result<Progress> {
        self.read(&format!(
            "select json_build_object(
                        'status', c.status,
                        'next_due_at', (select min(e.next_due_at) from enrollments e
                                         where e.organization_id = c.organization_id and e.campaign_id = c.id
                                           and e.next_due_at > clock_now()))
               from campaigns c where c.organization_id = '{organization}' and c.id = '{campaign}'"
        ))
        .await
    }

    /// Counts the tables anew for the planner of queries. Autovacuum does that once a minute, in which days go by here.
    pub(super) async fn analyze(&self) -> Result<()> {
        database::run(&self.client, "analyze contacts, list_members, enrollments, messages").await
    }

    /// How many contacts an organization has.
    pub(super) async fn contacts(&self, organization: Uuid) -> Result<u64> {
        self.read(&format!("select count(*) from contacts where organization_id = '{organization}'")).await
    }

    /// Everything about a campaign.
    pub(super) async fn records(&self, organization: Uuid, campaign: Uuid) -> Result<Records> {
        let messages = rows(&format!(
            "select m.id, s.position as step, m.enrollment_id, lower(m.recipient) as recipient, m.sender_id, m.state,
                    m.slot_day, m.send_at, m.bounced_at is not null as bounced,
                    m.complained_at is not null as complained, m.replied_at is not null as replied,
                    m.unsubscribed_at is not null as unsubscribed
               from messages m join steps s on s.organization_id = m.organization_id and s.id = m.step_id
              where m.organization_id = '{organization}' and m.campaign_id = '{campaign}'"
        ));
        let people = rows(&format!(
            "select e.id, c.email_lower as email, e.status, e.stop_reason
               from enrollments e join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
              where e.organization_id = '{organization}' and e.campaign_id = '{campaign}'"
        ));
        let usage = rows(&format!(
            "select scope, scope_id, day, used
               from limit_usage where organization_id = '{organization}' and scope in ('campaign', 'sender')"
        ));
        Ok(Records {
            messages: self.read(&messages).await?,
            people: self.read(&people).await?,
            usage: self.read(&usage).await?,
        })
    }

    /// The one JSON value of a query. What stands in the queries is ids of ours and text of this program.
    async fn read<T: DeserializeOwned>(&self, query: &str) -> Result<T> {
        let answer =
            self.client.simple_query(query).await.context("the database refused a query of the demonstration")?;
        let text = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        serde_json::from_str(text.context("a query of the demonstration found nothing")?)
            .context("the database's answer is not as expected")
    }
}

/// All rows of a query as one JSON array.
fn rows(query: &str) -> String {
    format!("select coalesce(json_agg(row_to_json(r)), '[]'::json) from ({query}) r")
}
