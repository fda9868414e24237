//! An organization with people in it.

use shared::platform::memberships::Role;
use shared::{Error, OrganizationId, SessionId, Tx, UserId};
use testkit::Scene;

/// An organization, and what adds people to it.
pub(crate) struct People {
    pub(crate) scene: Scene,
}

impl People {
    pub(crate) async fn new() -> Self {
        Self { scene: Scene::new().await }
    }

    /// Somebody with an account, whose address is confirmed, and who belongs nowhere.
    pub(crate) async fn user(&self, email: &str) -> UserId {
        let id = UserId::fresh();
        let sql = "insert into users (id, email, email_verified_at) values ($1, $2, now())";
        self.scene.run(sql, &[&id, &email]).await;
        id
    }

    /// A new member of the organization.
    pub(crate) async fn member(&self, email: &str, role: Role) -> UserId {
        let user = self.user(email).await;
        self.join(self.scene.organization, user, role).await;
        user
    }

    /// Somebody who acts with this role: the same one each time.
    pub(crate) async fn acting(&self, role: Role) -> UserId {
        let email = format!("{}@acting.test", role.name());
        match self.scene.rows("select id from users where email_lower = $1", &[&email]).await.first() {
            Some(row) => row.get(0),
            None => self.member(&email, role).await,
        }
    }

    /// Makes somebody a member of any organization.
    pub(crate) async fn join(&self, organization: OrganizationId, user: UserId, role: Role) {
        let sql = "insert into memberships (organization_id, user_id, role) values ($1, $2, $3)";
        self.scene.run(sql, &[&organization, &user, &role.name()]).await;
    }

    /// A session that is open.
    pub(crate) async fn session(&self, organization: OrganizationId, user: UserId) -> SessionId {
        let id = SessionId::fresh();
        let sql = "insert into sessions (organization_id, id, user_id, token_hash, expires_at)
                   values ($1, $2, $3, sha256($2::uuid::text::bytea), now() + interval '1 day')";
        self.scene.run(sql, &[&organization, &id, &user]).await;
        id
    }

    /// How many sessions of somebody are open, in all organizations.
    pub(crate) async fn open_sessions(&self, user: UserId) -> i64 {
        self.scene.number("select count(*) from sessions where user_id = $1 and ended_at is null", &[&user]).await
    }

    /// What somebody is in the organization.
    pub(crate) async fn role(&self, user: UserId) -> Option<String> {
        let sql = "select role from memberships where organization_id = $1 and user_id = $2";
        self.scene.rows(sql, &[&self.scene.organization, &user]).await.first().map(|row| row.get(0))
    }

    /// A transaction of the API in the organization.
    pub(crate) async fn tx(&self) -> Tx {
        self.scene.db.app().begin(self.scene.organization).await.unwrap()
    }
}

/// The code of a conflict.
#[track_caller]
pub(crate) fn conflict<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(Error::Conflict { code, .. }) => code,
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("there is no conflict"),
    }
}

/// The field and the code of what is not valid.
#[track_caller]
pub(crate) fn invalid<T>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Invalid(fields)) => fields.iter().map(|field| format!("{} {}", field.field, field.code)).collect(),
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("all of it is valid"),
    }
}
