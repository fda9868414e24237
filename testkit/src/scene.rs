//! Organizations, people and campaigns to test with, written by the owner in few statements.

use chrono::{DateTime, TimeZone as _, Utc};
use shared::ids::{CampaignId, ContactId, DomainId, ListId, OrganizationId, SenderId, StepId, UserId};
use shared::platform::api_keys;
use shared::platform::memberships::Role;
use shared::platform::sessions::{self, Place};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::TestDb;

/// One organization in a database of its own: a verified domain, and what a test adds to it.
pub struct Scene {
    /// The database.
    pub db: TestDb,
    /// The organization.
    pub organization: OrganizationId,
    /// Its verified domain `example.test`.
    pub domain: DomainId,
    owner: Client,
}

/// A campaign and what belongs to it.
#[derive(Debug, Clone)]
pub struct CampaignScene {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its list.
    pub list: ListId,
    /// Its senders.
    pub senders: Vec<SenderId>,
    /// Its steps, in order.
    pub steps: Vec<StepId>,
    /// The members of the list.
    pub contacts: Vec<ContactId>,
}

/// A Wednesday morning inside the default window.
#[must_use]
pub fn wednesday_morning() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 4, 10, 0, 0).unwrap()
}

impl Scene {
    /// An organization with a verified domain; people's clock stands at [`wednesday_morning`].
    pub async fn new() -> Self {
        let db = TestDb::new().await;
        db.set_clock(wednesday_morning()).await;
        Self::on(db).await
    }

    /// The same in a database that is there, whatever its clock.
    pub async fn on(db: TestDb) -> Self {
        let owner = db.owner().await;
        let (organization, domain) = organization(&owner, "acme", "example.test").await;
        Self { db, organization, domain, owner }
    }

    /// A second organization in the same database, with a verified domain of its own.
    pub async fn another_organization(&self, slug: &str) -> (OrganizationId, DomainId) {
        organization(&self.owner, slug, &format!("{slug}.test")).await
    }

    /// A copy of the database as it is now.
    pub async fn backup(&mut self) -> TestDb {
        let backup = self.db.backup().await;
        self.owner = self.db.owner().await;
        backup
    }

    /// Puts a copy in the place of the database.
    pub async fn restore(&mut self, backup: &TestDb) {
        self.db.restore(backup).await;
        self.owner = self.db.owner().await;
    }

    /// An API key of this organization.
    pub async fn api_key(&self) -> String {
        self.api_key_of(self.organization).await
    }

    /// An API key of any organization.
    pub async fn api_key_of(&self, organization: OrganizationId) -> String {
        let tx = self.db.as_role("owner").begin(organization).await.unwrap();
        let key = api_keys::create(&tx, organization, "test").await.unwrap();
        tx.commit().await.unwrap();
        key.text
    }

    /// The token of a session of a new member of this organization.
    pub async fn session(&self, role: Role) -> String {
        self.session_of(self.organization, role).await
    }

    /// The token of a session of a new member of any organization.
    pub async fn session_of(&self, organization: OrganizationId, role: Role) -> String {
        session(&self.db, organization, role, false).await
    }

    /// A sender `sender<n>@example.test` with the given daily limit and gap in seconds.
    pub async fn sender(&self, n: usize, daily_limit: i32, gap_seconds: i32) -> SenderId {
        let id = SenderId::fresh();
        self.run(
            "insert into senders (organization_id, id, domain_id, email, daily_limit, gap_seconds) values ($1, $2, $3, $4, $5, $6)",
            &[&self.organization, &id, &self.domain, &format!("sender{n}@example.test"), &daily_limit, &gap_seconds],
        )
        .await;
        id
    }

    /// Contacts `person<n>@people.test`, numbered from 1 on through all calls.
    pub async fn contacts(&self, count: usize) -> Vec<ContactId> {
        let ids: Vec<ContactId> = (0..count).map(|_| ContactId::fresh()).collect();
        self.run(
            "insert into contacts (organization_id, id, email, first_name)
             select $1, id, format('person%s@people.test', n + present), format('Person %s', n + present)
               from unnest($2::uuid[]) with ordinality as t (id, n),
                    (select count(*) as present from contacts where organization_id = $1 and email like 'person%@people.test') as before",
            &[&self.organization, &ids],
        )
        .await;
        ids
    }

    /// A draft campaign on a new list of `people` new contacts, with `steps` steps two days apart, a limit of
    /// `daily_limit` a day and a gap of 30 s, always open from Monday to Friday, 09:00 to 18:00 UTC.
    pub async fn draft_campaign(
        &self,
        people: usize,
        senders: &[SenderId],
        steps: usize,
        daily_limit: i32,
    ) -> CampaignScene {
        let (campaign, list) = (CampaignId::fresh(), ListId::fresh());
        let contacts = self.contacts(people).await;
        let step_ids: Vec<StepId> = (0..steps).map(|_| StepId::fresh()).collect();
        let organization = &self.organization;
        self.run(
            "insert into lists (organization_id, id, name) values ($1, $2, $3)",
            &[organization, &list, &list.to_string()],
        )
        .await;
        self.run(
            "insert into list_members (organization_id, list_id, contact_id) select $1, $2, unnest($3::uuid[])",
            &[organization, &list, &contacts],
        )
        .await;
        self.run(
            "insert into campaigns (organization_id, id, name, list_id) values ($1, $2, 'Spring', $3)",
            &[organization, &campaign, &list],
        )
        .await;
        self.run(
            "update campaign_settings set daily_limit = $2, gap_seconds = 30 where campaign_id = $1",
            &[&campaign, &daily_limit],
        )
        .await;
        self.run(
            "insert into campaign_senders (organization_id, campaign_id, sender_id) select $1, $2, unnest($3::uuid[])",
            &[organization, &campaign, &senders],
        )
        .await;
        self.run(
            "insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template, delay_days)
             select $1, id, $2, n::int, format('Step %s', n), format('Hello {{ first_name }} %s', n), 'A word, {{ first_name }}.',
                    case when n = 1 then 0 else 2 end
               from unnest($3::uuid[]) with ordinality as t (id, n)",
            &[organization, &campaign, &step_ids],
        )
        .await;
        CampaignScene { campaign, list, senders: senders.to_vec(), steps: step_ids, contacts }
    }

    /// The same, active since now, everybody enrolled and due, the senders taken in turn.
    pub async fn running_campaign(
        &self,
        people: usize,
        senders: &[SenderId],
        steps: usize,
        daily_limit: i32,
    ) -> CampaignScene {
        let scene = self.draft_campaign(people, senders, steps, daily_limit).await;
        self.run(
            "insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at)
             select $1, gen_random_uuid(), $2, contact, ($4::uuid[])[1 + (n - 1) % cardinality($4::uuid[])], clock_now()
               from unnest($3::uuid[]) with ordinality as t (contact, n)",
            &[&self.organization, &scene.campaign, &scene.contacts, &scene.senders],
        )
        .await;
        self.run("update campaigns set status = 'active', started_at = clock_now() where id = $1", &[&scene.campaign])
            .await;
        scene
    }

    /// Runs a statement as the owner.
    #[expect(clippy::disallowed_methods, reason = "the owner sees every tenant; there is none to set")]
    pub async fn run(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> u64 {
        self.owner.execute(sql, params).await.unwrap()
    }

    /// Reads rows as the owner.
    #[expect(clippy::disallowed_methods, reason = "the owner sees every tenant; there is none to set")]
    pub async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<tokio_postgres::Row> {
        self.owner.query(sql, params).await.unwrap()
    }

    /// Reads a whole number as the owner, such as a count.
    pub async fn number(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> i64 {
        self.rows(sql, params).await[0].get(0)
    }

    /// How many messages are in each state, as `state=count` in the order of the names.
    pub async fn states(&self) -> String {
        let rows = self.rows("select state, count(*) from messages group by state order by state", &[]).await;
        let parts: Vec<String> =
            rows.iter().map(|row| format!("{}={}", row.get::<_, &str>(0), row.get::<_, i64>(1))).collect();
        parts.join(" ")
    }
}

async fn organization(owner: &Client, slug: &str, domain_name: &str) -> (OrganizationId, DomainId) {
    let (organization, domain) = (OrganizationId::fresh(), DomainId::fresh());
    owner
        .batch_execute(&format!(
            "insert into organizations (id, slug, name, postal_address) values ('{organization}', '{slug}', '{slug}', '1 Test Street, Berlin');
             insert into domains (organization_id, id, name, status, verified_at)
             values ('{organization}', '{domain}', '{domain_name}', 'verified', now())"
        ))
        .await
        .unwrap();
    (organization, domain)
}

/// The token of a session of a new member of an organization, who may also run the installation.
pub async fn session(db: &TestDb, organization: OrganizationId, role: Role, is_admin: bool) -> String {
    let user = UserId::fresh();
    let tx = db.as_role("owner").begin(organization).await.unwrap();
    let email = format!("{user}@users.test");
    let person = "insert into users (id, email, email_verified_at, is_admin) values ($1, $2, now(), $3)";
    tx.execute(person, &[&user, &email, &is_admin]).await.unwrap();
    let membership = "insert into memberships (organization_id, user_id, role) values ($1, $2, $3)";
    tx.execute(membership, &[&organization, &user, &role.name()]).await.unwrap();
    let (_, token) = sessions::open(&tx, organization, user, &Place::default()).await.unwrap();
    tx.commit().await.unwrap();
    token
}
