//! An organization with the person who signed up for it, and what happens to them.

use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use shared::platform::administration::organizations::{self as installation, Administrator, Plan};
use shared::platform::lifecycle_mails::sending::{self, Kept};
use shared::platform::onboarding::{self, Onboarding};
use shared::platform::organizations::founding;
use shared::platform::plans::PLAN_LIMIT_REACHED;
use shared::platform::stripe::Event;
use shared::platform::subscriptions::receiving::{self, Received};
use shared::platform::subscriptions::{self, Subscription};
use shared::platform::usage::{self, Usage};
use shared::{Database, Error, OrganizationId, Result, Tx, UserId};
use testkit::Scene;
use testkit::scene::wednesday_morning;
use tokio::time::Instant;

/// The prices that the installation knows.
const PRICES: &str = r#"{"price_basic": "basic", "price_pro": "pro"}"#;

pub(crate) struct Office {
    pub(crate) scene: Scene,
    pub(crate) person: UserId,
    pub(crate) app: Database,
    scheduler: Database,
    billing: Database,
}

impl Office {
    /// Somebody has signed up on a Wednesday morning.
    pub(crate) async fn new() -> Self {
        let office = Self::without_sign_up().await;
        office.sign_up(office.scene.organization, office.person).await;
        office
    }

    /// An organization with an owner, which is bound by its plan.
    pub(crate) async fn without_sign_up() -> Self {
        let scene = Scene::new().await;
        scene
            .run("update organizations set has_plan_limits = true, plan_type = 'free', plan_source = 'default'", &[])
            .await;
        scene.run("update system_config set value = $1 where category = 'stripe' and key = 'prices'", &[&PRICES]).await;
        let person = UserId::fresh();
        scene.run("insert into users (id, email, first_name, email_verified_at) values ($1, 'ada@users.test', 'Ada', now())", &[&person]).await;
        let office = Self {
            app: scene.db.app(),
            scheduler: scene.db.as_role("martlet_scheduler"),
            billing: scene.db.as_role("martlet_billing"),
            scene,
            person,
        };
        office.join(office.scene.organization).await;
        office
    }

    /// The person becomes an owner of an organization.
    pub(crate) async fn join(&self, organization: OrganizationId) {
        let sql = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')";
        self.scene.run(sql, &[&organization, &self.person]).await;
    }

    pub(crate) async fn sign_up(&self, organization: OrganizationId, person: UserId) {
        let identity = self.scene.db.as_role("martlet_identity");
        let tx = identity.begin(organization).await.unwrap();
        onboarding::begin(&tx, organization, person).await.unwrap();
        onboarding::begin(&tx, organization, person).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Does something as the API does.
    pub(crate) async fn act<T>(&self, act: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.app.begin(self.scene.organization).await?;
        match act(&tx).await {
            Ok(done) => {
                tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                // One that is dropped holds its locks until the server notices, which may be after the test has gone on.
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    pub(crate) async fn tell(&self, fields: serde_json::Value) -> Result<Onboarding> {
        let fields = serde_json::from_value(fields).unwrap();
        self.act(async |tx| onboarding::update(tx, Some(self.person), fields).await).await
    }

    /// Tells all that the onboarding asks for.
    pub(crate) async fn complete(&self) {
        self.complete_of(self.scene.organization, Some(self.person)).await;
    }

    /// The same of any organization, asked for by a person or by an API key, which is nobody.
    pub(crate) async fn complete_of(&self, organization: OrganizationId, person: Option<UserId>) {
        let tx = self.app.begin(organization).await.unwrap();
        for fields in [
            json!({"step": "info_captured", "full_name": "Ada Lovelace", "business_name": "Engines"}),
            json!({"step": "intent_captured", "brand_description": "We compute."}),
            json!({"step": "completed"}),
        ] {
            let fields = serde_json::from_value(fields).unwrap();
            onboarding::update(&tx, person, fields).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Another organization that somebody founds who belongs to the first.
    pub(crate) async fn found(&self, founder: UserId, slug: &str) -> OrganizationId {
        let new = serde_json::from_value(json!({"name": slug, "slug": slug})).unwrap();
        self.act(async |tx| founding::found(tx, founder, new, None).await).await.unwrap().id
    }

    /// Somebody else with an account, who belongs to an organization as an owner.
    pub(crate) async fn owner(&self, organization: OrganizationId, name: &str) -> UserId {
        let person = UserId::fresh();
        let sql = "insert into users (id, email, email_verified_at) values ($1, $2 || '@users.test', now())";
        self.scene.run(sql, &[&person, &name]).await;
        let sql = "insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')";
        self.scene.run(sql, &[&organization, &person]).await;
        person
    }

    /// Whoever runs the installation gives a plan.
    pub(crate) async fn give(&self, plan: Plan) {
        let tx = self.scene.db.as_role("martlet_admin").begin(self.scene.organization).await.unwrap();
        let by = Administrator { user: self.person, request_id: None };
        installation::set_plan(&tx, self.scene.organization, plan, by).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn subscription(&self) -> Subscription {
        self.subscription_of(self.scene.organization).await
    }

    pub(crate) async fn subscription_of(&self, organization: OrganizationId) -> Subscription {
        let tx = self.app.begin(organization).await.unwrap();
        let found = subscriptions::find(&tx).await.unwrap();
        tx.commit().await.unwrap();
        found
    }

    pub(crate) async fn usage(&self) -> Usage {
        self.act(async |tx| usage::find(tx).await).await.unwrap()
    }

    /// The plan that everybody who plans mail reads.
    pub(crate) async fn plan(&self) -> String {
        let sql = "select plan_type from organizations where id = $1";
        self.scene.rows(sql, &[&self.scene.organization]).await[0].get(0)
    }

    /// People's clock stands so long after the sign-up.
    pub(crate) async fn after(&self, time: Duration) {
        self.scene.db.set_clock(at(time)).await;
    }

    /// One run of the scheduler's.
    pub(crate) async fn tick(&self) -> Kept {
        let kept = sending::keep(&self.scheduler, Instant::now() + Wait::from_secs(600)).await.unwrap();
        assert_eq!(kept.failed, 0);
        kept
    }

    pub(crate) async fn receive(&self, event: &Event) -> Received {
        receiving::receive(&self.billing, event).await.unwrap()
    }

    /// The mails handed over, by their template.
    pub(crate) async fn handed(&self) -> Vec<String> {
        let sql = "select s.template from system_mails s join messages m on m.id = s.message_id
                    where m.recipient = 'ada@users.test' order by m.id";
        self.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
    }

    /// Kind and status of each mail of the first days.
    pub(crate) async fn mails(&self) -> Vec<(String, String)> {
        let sql = "select kind, status from lifecycle_mails where organization_id = $1 order by send_at, kind";
        let rows = self.scene.rows(sql, &[&self.scene.organization]).await;
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// Waits until so many connections of a database wait for a lock.
pub(crate) async fn until_waiting(scene: &Scene, count: i64) {
    let sql = "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                where not l.granted and a.datname = current_database()";
    for _ in 0..6_000 {
        if scene.number(sql, &[]).await >= count {
            return;
        }
        tokio::time::sleep(Wait::from_millis(5)).await;
    }
    panic!("nobody waits for a lock");
}

/// So long after the sign-up.
pub(crate) fn at(time: Duration) -> DateTime<Utc> {
    wednesday_morning() + time
}

pub(crate) fn assert_limit_reached<T: std::fmt::Debug>(outcome: Result<T>, limit: &str) {
    match outcome {
        Err(Error::Conflict { code, message }) => {
            assert_eq!(code, PLAN_LIMIT_REACHED);
            assert!(message.contains(&format!("(limit {limit})")), "{message}");
        }
        other => panic!("expected a refusal: {other:?}"),
    }
}
