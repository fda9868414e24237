//! An organization with contacts, and those whom it asks.

use std::time::Duration;

use serde_json::Value;
use shared::audience::enrichment::{self, Continuation, EnrichmentJob, NewEnrichmentJob};
use shared::audience::persons::{self, Person};
use shared::audience::selection::{Everybody, Selection};
use shared::audience::verifications::checking;
use shared::audience::verifications::jobs::{self, NewVerificationJob, VerificationJob};
use shared::delivery::tokens::KeyRing;
use shared::{ContactId, EnrichmentJobId, Result, Tx, VerificationJobId};
use testkit::{FakeAsker, FakeMailHosts, FakeObjectStore, Scene};

/// Chunks after which a job that goes on and on has failed the test.
const CHUNKS: usize = 50;

pub(crate) struct Desk {
    pub(crate) scene: Scene,
    pub(crate) contacts: Vec<ContactId>,
    pub(crate) asker: FakeAsker,
    pub(crate) hosts: FakeMailHosts,
    pub(crate) store: FakeObjectStore,
    pub(crate) keys: KeyRing,
}

impl Desk {
    /// With contacts `person1@people.test` and so on.
    pub(crate) async fn new(contacts: usize) -> Self {
        let scene = Scene::new().await;
        let contacts = scene.contacts(contacts).await;
        let keys = testkit::key_ring();
        Self {
            scene,
            contacts,
            asker: FakeAsker::default(),
            hosts: FakeMailHosts::default(),
            store: FakeObjectStore::default(),
            keys,
        }
    }

    pub(crate) async fn set(&self, category: &str, key: &str, value: impl ToString) {
        let sql = "update system_config set value = $3 where category = $1 and key = $2";
        self.scene.run(sql, &[&category, &key, &value.to_string()]).await;
    }

    pub(crate) async fn tx(&self) -> Tx {
        self.scene.db.app().begin(self.scene.organization).await.unwrap()
    }

    /// A job about everybody.
    pub(crate) async fn enrich(&self, with_persona: bool, again: bool) -> EnrichmentJobId {
        let tx = self.tx().await;
        let new = NewEnrichmentJob { selection: Selection::Everybody(Everybody), with_persona, again };
        let job = enrichment::create(&tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        job.id
    }

    pub(crate) async fn enrichment_chunk(&self, id: EnrichmentJobId) -> Result<Continuation> {
        let means = enrichment::Means { asker: &self.asker, store: &self.store, keys: &self.keys };
        enrichment::run_chunk(&self.scene.db.app(), means, self.scene.organization, id).await
    }

    /// Runs a job until it ends or waits; returns for how long it would.
    pub(crate) async fn run_enrichment(&self, id: EnrichmentJobId) -> Option<Duration> {
        for _ in 0..CHUNKS {
            match self.enrichment_chunk(id).await.unwrap() {
                Continuation::Ended => return None,
                Continuation::After(Duration::ZERO) => {}
                Continuation::After(wait) => return Some(wait),
            }
        }
        panic!("the job does not end");
    }

    pub(crate) async fn enrichment(&self, id: EnrichmentJobId) -> EnrichmentJob {
        let tx = self.tx().await;
        let job = enrichment::find(&tx, id).await.unwrap();
        tx.commit().await.unwrap();
        job
    }

    /// What is known of the person behind a contact, by its number.
    pub(crate) async fn person(&self, number: usize) -> Option<Person> {
        let tx = self.tx().await;
        let person = persons::of_contact(&tx, self.contacts[number - 1]).await.ok();
        tx.commit().await.unwrap();
        person
    }

    /// Tasks by their states and codes.
    pub(crate) async fn tasks(&self) -> String {
        let sql =
            "select coalesce(string_agg(format('%s%s', t.status, ' ' || t.error_code), ', ' order by c.email), '')
                     from enrichment_tasks t join contacts c on c.id = t.contact_id";
        self.scene.rows(sql, &[]).await[0].get(0)
    }

    pub(crate) async fn verify(&self, again: bool) -> VerificationJobId {
        let tx = self.tx().await;
        let new = NewVerificationJob { selection: Selection::Everybody(Everybody), again };
        let job = jobs::create(&tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        job.id
    }

    pub(crate) fn means(&self) -> checking::Means<'_> {
        checking::Means { hosts: &self.hosts, asker: &self.asker, keys: &self.keys }
    }

    pub(crate) async fn run_verification(&self, id: VerificationJobId) -> VerificationJob {
        for _ in 0..CHUNKS {
            let next = jobs::run_chunk(&self.scene.db.app(), self.means(), self.scene.organization, id).await;
            if next.unwrap() == Continuation::Ended {
                let tx = self.tx().await;
                let job = jobs::find(&tx, id).await.unwrap();
                tx.commit().await.unwrap();
                return job;
            }
        }
        panic!("the job does not end");
    }

    /// Status and reason of each address.
    pub(crate) async fn verified(&self) -> Vec<String> {
        let sql = "select format('%s %s %s', email_lower, status, coalesce(reason, '-')) from email_verifications order by email_lower";
        self.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
    }
}

/// The setting of a provider of persons.
pub(crate) fn provider() -> Value {
    serde_json::json!({"name": "acme", "url": "https://api.acme.test/v1/people?email={email}",
                       "fields": {"first_name": "/name/first", "city": "/city", "country": "/country"}})
}
