//! Hands over what is due of the mails of the first days, and ends the trials that are over. The scheduler does it each minute.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::Kind;
use crate::delivery::system_mail::{self, NewSystemMail, Template};
use crate::platform::onboarding::Step;
use crate::platform::subscriptions::{self, TrialStatus};
use crate::{Database, OrganizationId, Result, Tx};

/// Later than this a mail would speak of what is over.
const LATEST: Duration = Duration::days(1);
/// Organizations of one run. Those that remain are the next minute's.
const BATCH: i32 = 500;

/// What a run has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Organizations that were looked at.
    pub organizations: usize,
    /// Mails handed over.
    pub sent: usize,
    /// Organizations that could not be looked at, and will be in a minute.
    pub failed: usize,
}

/// Runs once, logged in as martlet_scheduler.
pub async fn keep(db: &Database, deadline: Instant) -> Result<Kept> {
    let tx = db.begin_for(&[]).await?;
    let rows = tx.query(include_str!("sending/organizations.sql"), &[&tx.now(), &BATCH]).await?;
    tx.commit().await?;
    let mut kept = Kept::default();
    for row in &rows {
        if Instant::now() >= deadline {
            break;
        }
        let organization: OrganizationId = row.try_get("id")?;
        kept.organizations += 1;
        match keep_one(db, organization).await {
            Ok(sent) => kept.sent += sent,
            Err(error) => {
                let error = crate::error::describe(&error);
                tracing::error!(%organization, error, "the mails of an organization's first days can't be sent");
                kept.failed += 1;
            }
        }
    }
    Ok(kept)
}

async fn keep_one(db: &Database, organization: OrganizationId) -> Result<usize> {
    let tx = db.begin(organization).await?;
    // Before the mails: the last of them tells of the end.
    subscriptions::expire_trial(&tx).await?;
    let due = tx.query(include_str!("sending/lock_due.sql"), &[&tx.now()]).await?;
    let mut sent = 0;
    if !due.is_empty() {
        // Read after the locks: whoever takes a mail back either has done so or waits for us.
        let facts = Facts::read(&tx, organization).await?;
        for row in &due {
            let kind = Kind::parse(row.try_get("kind")?)?;
            let fate = facts.fate(kind, row.try_get("send_at")?, tx.now());
            if let (Fate::Sent, Some(person)) = (fate, &facts.person) {
                system_mail::plan(&tx, &facts.mail(&tx, kind, person)?).await?;
                sent += 1;
            }
            tx.execute(include_str!("sending/end.sql"), &[&kind.name(), &fate.name(), &tx.now()]).await?;
        }
    }
    tx.commit().await?;
    Ok(sent)
}

/// What becomes of a mail whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sent,
    Cancelled,
    Missed,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}

/// What decides.
struct Facts {
    name: String,
    is_active: bool,
    step: Step,
    trial: TrialStatus,
    trial_ends_at: Option<DateTime<Utc>>,
    has_subscribed: bool,
    person: Option<Person>,
}

struct Person {
    email: String,
    first_name: Option<String>,
}

impl Facts {
    async fn read(tx: &Tx, organization: OrganizationId) -> Result<Self> {
        let row = tx.query_one(include_str!("sending/facts.sql"), &[]).await?;
        let person = tx.query_opt(include_str!("sending/person.sql"), &[&organization]).await?;
        let person = person.map(|row| {
            Ok::<_, crate::Error>(Person { email: row.try_get("email")?, first_name: row.try_get("first_name")? })
        });
        Ok(Self {
            name: row.try_get("name")?,
            is_active: row.try_get::<_, &str>("status")? == "active",
            step: Step::parse(row.try_get("step")?)?,
            trial: TrialStatus::parse(row.try_get("trial_status")?)?,
            trial_ends_at: row.try_get("trial_ends_at")?,
            has_subscribed: row.try_get("has_subscribed")?,
            person: person.transpose()?,
        })
    }

    /// A mail goes when what it speaks of is still so: it depends on nothing but how things stand, in whatever order they came.
    fn fate(&self, kind: Kind, send_at: DateTime<Utc>, now: DateTime<Utc>) -> Fate {
        let is_true = match kind {
            Kind::Welcome => true,
            Kind::OnboardingReminder => self.step != Step::Completed && !self.has_subscribed,
            Kind::TrialDay2 | Kind::TrialDay5 => self.trial == TrialStatus::Active && !self.has_subscribed,
            Kind::TrialExpired => self.trial == TrialStatus::Expired && !self.has_subscribed,
        };
        if !self.is_active || self.person.is_none() || !is_true {
            Fate::Cancelled
        } else if now - send_at > LATEST {
            Fate::Missed
        } else {
            Fate::Sent
        }
    }

    fn mail(&self, tx: &Tx, kind: Kind, person: &Person) -> Result<NewSystemMail> {
        let ends_on = self.trial_ends_at.map(|at| at.format("%-d %B %Y").to_string());
        Ok(NewSystemMail {
            template: match kind {
                Kind::Welcome => Template::Welcome,
                Kind::OnboardingReminder => Template::OnboardingReminder,
                Kind::TrialDay2 => Template::TrialDay2,
                Kind::TrialDay5 => Template::TrialDay5,
                Kind::TrialExpired => Template::TrialExpired,
            },
            recipient: person.email.clone(),
            variables: json!({
                "first_name": person.first_name, "organization": self.name, "trial_ends_on": ends_on,
            }),
            action: None,
            dedupe_key: format!("lifecycle:{}:{}", tx.organization()?, kind.name()),
            send_at: tx.now(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            name: "Acme".to_owned(),
            is_active: true,
            step: Step::Completed,
            trial: TrialStatus::Active,
            trial_ends_at: None,
            has_subscribed: false,
            person: Some(Person { email: "ada@example.test".to_owned(), first_name: None }),
        }
    }

    fn sent(facts: &Facts) -> Vec<Kind> {
        let now = DateTime::UNIX_EPOCH + Duration::days(9);
        Kind::ALL.into_iter().filter(|kind| facts.fate(*kind, now, now) == Fate::Sent).collect()
    }

    #[test]
    fn a_mail_goes_while_what_it_speaks_of_is_so() {
        assert_eq!(sent(&facts()), [Kind::Welcome, Kind::TrialDay2, Kind::TrialDay5]);
        let begun = Facts { step: Step::IntentCaptured, trial: TrialStatus::Pending, ..facts() };
        assert_eq!(sent(&begun), [Kind::Welcome, Kind::OnboardingReminder]);
        assert_eq!(sent(&Facts { trial: TrialStatus::Expired, ..facts() }), [Kind::Welcome, Kind::TrialExpired]);
        assert_eq!(sent(&Facts { trial: TrialStatus::Converted, ..facts() }), [Kind::Welcome]);
        assert_eq!(sent(&Facts { trial: TrialStatus::Cancelled, ..facts() }), [Kind::Welcome]);
        for status in [TrialStatus::Active, TrialStatus::Expired] {
            assert_eq!(sent(&Facts { has_subscribed: true, trial: status, ..facts() }), [Kind::Welcome]);
        }
        assert_eq!(sent(&Facts { is_active: false, ..facts() }), []);
        assert_eq!(sent(&Facts { person: None, ..facts() }), []);
    }

    #[test]
    fn a_mail_that_nobody_could_send_for_a_day_is_missed() {
        let (at, day) = (DateTime::UNIX_EPOCH, Duration::days(1));
        assert_eq!(facts().fate(Kind::TrialDay2, at, at + day), Fate::Sent);
        assert_eq!(facts().fate(Kind::TrialDay2, at, at + day + Duration::seconds(1)), Fate::Missed);
        assert_eq!(
            facts().fate(Kind::TrialExpired, at, at + day * 2),
            Fate::Cancelled,
            "what is not so was not missed"
        );
    }
}
