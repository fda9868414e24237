//! A database, and people who come to it.

use std::net::IpAddr;

use shared::delivery::system_mail::{Action, ActionPurpose};
use shared::delivery::tokens::KeyRing;
use shared::platform::credentials::{self, Credential, Principal};
use shared::platform::logins::{self, Entrance, LoggedIn};
use shared::platform::passwords::Hasher;
use shared::platform::sessions::Place;
use shared::platform::sign_ups::{self, NewAccount};
use shared::{Database, Error, OrganizationId, Result};
use testkit::Scene;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub(crate) const ADA: &str = "Ada@users.test";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Reception {
    pub(crate) scene: Scene,
    pub(crate) db: Database,
    pub(crate) keys: KeyRing,
    pub(crate) hasher: Hasher,
}

/// One of many addresses.
pub(crate) fn from(last: u8) -> Place {
    Place {
        user_agent: Some("A browser".to_owned()),
        address: Some(address(last)),
        request_id: Some(format!("request {last}")),
    }
}

pub(crate) fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

pub(crate) fn account(email: &str, password: &str) -> NewAccount {
    NewAccount {
        email: email.to_owned(),
        password: password.to_owned(),
        first_name: Some("Ada".to_owned()),
        last_name: None,
        organization_name: None,
    }
}

impl Reception {
    pub(crate) async fn new() -> Self {
        let scene = Scene::new().await;
        let db = scene.db.as_role("martlet_identity");
        Self { scene, db, keys: testkit::key_ring(), hasher: Hasher::default() }
    }

    /// With somebody who has signed up and has confirmed the address.
    pub(crate) async fn with_ada() -> Self {
        let reception = Self::new().await;
        reception.sign_up(ADA, PASSWORD).await.unwrap();
        let token = reception.token(ActionPurpose::ConfirmEmail).await;
        reception.confirm(&token, PASSWORD).await.unwrap();
        reception
    }

    pub(crate) fn entrance(&self) -> Entrance<'_> {
        Entrance { db: &self.db, keys: &self.keys, hasher: &self.hasher }
    }

    pub(crate) async fn sign_up(&self, email: &str, password: &str) -> Result<()> {
        sign_ups::sign_up(&self.entrance(), &account(email, password), address(1), None).await
    }

    /// Confirms an address by the link and the password.
    pub(crate) async fn confirm(&self, token: &str, password: &str) -> Result<()> {
        logins::confirm(&self.entrance(), token, password, &from(1)).await
    }

    /// Chooses another password by the link.
    pub(crate) async fn reset(&self, token: &str, password: &str) -> Result<()> {
        logins::reset(&self.entrance(), token, password, &from(1)).await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Result<LoggedIn> {
        self.log_in_from(email, password, 1).await
    }

    pub(crate) async fn log_in_from(&self, email: &str, password: &str, last: u8) -> Result<LoggedIn> {
        logins::log_in(&self.entrance(), email, password, &from(last)).await
    }

    /// The token in the last mail for this purpose.
    pub(crate) async fn token(&self, purpose: ActionPurpose) -> String {
        let sql = "select action_id from system_mails where action_purpose = $1 order by created_at desc, action_id desc limit 1";
        let id: Uuid = self.scene.rows(sql, &[&purpose.name()]).await[0].get(0);
        self.keys.action_token(Action { purpose, id })
    }

    /// What somebody has done to their account, as recorded in an organization: the acts in their order, each with its request.
    pub(crate) async fn acts(&self, organization: OrganizationId) -> Vec<String> {
        let sql = "select action || ' ' || coalesce(request_id, '-') from audit_log
                    where organization_id = $1 and actor_kind = 'user' order by created_at, id";
        self.scene.rows(sql, &[&organization]).await.iter().map(|row| row.get(0)).collect()
    }

    /// Begins, on another connection, what is not committed yet; `commit` ends it. Meanwhile somebody waits for it.
    pub(crate) async fn meanwhile<T>(&self, sql: &str, waits: impl Future<Output = T>) -> T {
        let owner = self.scene.db.owner().await;
        owner.batch_execute(&format!("begin; {sql}")).await.unwrap();
        let commit = async {
            let waiting = "select count(*) from pg_stat_activity
                            where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0";
            while self.count(waiting, &[]).await == 0 {}
            owner.batch_execute("commit").await.unwrap();
        };
        tokio::join!(waits, commit).0
    }

    /// The planned mails, as `template recipient`, in the order of the two.
    pub(crate) async fn mails(&self) -> Vec<String> {
        let sql = "select s.template || ' ' || m.recipient from system_mails s join messages m on m.id = s.message_id order by 1";
        self.scene.rows(sql, &[]).await.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn count(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> i64 {
        self.scene.number(sql, params).await
    }

    /// Who a session's token is, if it is any.
    pub(crate) async fn who(&self, token: &str) -> Option<Principal> {
        let credential = Credential::parse(token).unwrap();
        match credentials::authenticate(&self.db, &credential).await {
            Ok((tx, who)) => {
                tx.commit().await.unwrap();
                Some(who)
            }
            Err(Error::Unauthorized) => None,
            Err(error) => panic!("{error:?}"),
        }
    }
}
