//! An organization with contacts, and those whom it asks.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use shared::audience::enrichment::{self, Continuation, EnrichmentJob, NewEnrichmentJob};
use shared::audience::persons::{self, Person};
use shared::audience::providers::{Asker, NoReply, Question, Reply};
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
        self.enrichment_chunk_by(id, &self.asker).await
    }

    pub(crate) async fn enrichment_chunk_by(&self, id: EnrichmentJobId, asker: &dyn Asker) -> Result<Continuation> {
        let means = enrichment::Means { asker, store: &self.store, keys: &self.keys };
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

    /// Lets the time pass for which tasks and jobs of enrichment wait.
    pub(crate) async fn wake(&self) {
        self.scene.run("update enrichment_tasks set due_at = now() where due_at is not null", &[]).await;
        self.scene.run("update enrichment_jobs set waits_until = now() where waits_until is not null", &[]).await;
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
            "select coalesce(string_agg(format('%s%s', t.status, ' ' || t.error_code), ', ' order by c.email, t.job_id), '')
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

    pub(crate) async fn verification_chunk_by(&self, id: VerificationJobId, asker: &dyn Asker) -> Result<Continuation> {
        let means = checking::Means { asker, ..self.means() };
        jobs::run_chunk(&self.scene.db.app(), means, self.scene.organization, id).await
    }

    /// Status and reason of each address.
    pub(crate) async fn verified(&self) -> Vec<String> {
        let sql = "select format('%s %s %s', email_lower, status, coalesce(reason, '-')) from email_verifications order by email_lower";
        self.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
    }
}

/// A provider that answers as the desk's does, and while it is asked something happens in the database.
pub(crate) struct Meanwhile<'a>(pub(crate) &'a Desk, pub(crate) &'static str);

impl Asker for Meanwhile<'_> {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Reply, NoReply>> {
        Box::pin(async move {
            self.0.scene.run(self.1, &[]).await;
            self.0.asker.ask(question).await
        })
    }
}

/// Fails where a transaction is open that has read settings, a job or a budget: it holds their tables until it ends.
pub(crate) const NONE_IS_OPEN: &str = "
    select 1 / (count(*) = 0)::int
      from pg_locks
     where pid <> pg_backend_pid()
       and database = (select oid from pg_database where datname = current_database())
       and relation in ('system_config'::regclass, 'enrichment_jobs'::regclass, 'verification_jobs'::regclass, 'provider_usage'::regclass)
       and mode in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')";

/// The setting of a provider of persons.
pub(crate) fn provider() -> Value {
    serde_json::json!({"name": "acme", "url": "https://api.acme.test/v1/people?email={email}",
                       "fields": {"first_name": "/name/first", "city": "/city", "country": "/country"}})
}
