//! Deployment: brings the database to this release and makes what has no other maker yet.
//!
//! Invoked by whoever deploys, never by the internet: organizations and their first key come from here.

use serde::{Deserialize, Serialize};
use shared::db::Config;
use shared::db::migrations;
use shared::platform::administration::users;
use shared::platform::{api_keys, organizations};
use shared::{Database, OrganizationId, Result, UserId};

use crate::adapters::aws::Aws;
use crate::adapters::secrets;

/// What the function holds while it is warm.
pub struct Migrate {
    /// How to reach the secrets of the run-time roles.
    pub aws: Aws,
    /// The owner's login.
    pub owner: Config,
    /// The secrets of the run-time roles.
    pub role_secrets: Vec<String>,
}

/// What to do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Bring the database to this release and set the passwords of the run-time roles. Run before new code takes traffic.
    Migrate,
    /// Make an organization with a first API key.
    CreateOrganization {
        /// Its name.
        name: String,
        /// Its short name, unique.
        slug: String,
    },
    /// Make an API key.
    CreateApiKey {
        /// Whose.
        organization_id: OrganizationId,
        /// What it is for.
        name: String,
    },
    /// Let somebody run the installation who has signed up and confirmed their address: the first one has no other maker.
    MakeAdministrator {
        /// Their address.
        email: String,
    },
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The names of the migrations applied.
    Migrated {
        /// In order; empty when the database was up to date.
        migrations_applied: Vec<String>,
        /// How many roles got their password.
        roles: usize,
        /// The run-time roles for which this function knows no secret: no function can log in as one of them. A role that
        /// is new in a release is among them until the release's template is deployed.
        roles_without_password: Vec<&'static str>,
    },
    /// An organization and its key.
    Organization {
        /// Its id.
        organization_id: OrganizationId,
        /// Shown here and never again.
        api_key: String,
    },
    /// A key.
    Key {
        /// Shown here and never again.
        api_key: String,
    },
    /// An administrator.
    Administrator {
        /// The person.
        user_id: UserId,
    },
}

/// Does one thing.
pub async fn handle(migrate: &Migrate, request: Request) -> Result<Answer> {
    match request {
        Request::Migrate => bring_up(migrate).await,
        Request::CreateOrganization { name, slug } => {
            let id = OrganizationId::fresh();
            let tx = Database::new(&migrate.owner)?.begin(id).await?;
            organizations::create(&tx, id, &slug, &name).await?;
            let key = api_keys::create(&tx, id, "first key").await?;
            tx.commit().await?;
            Ok(Answer::Organization { organization_id: id, api_key: key.text })
        }
        Request::CreateApiKey { organization_id, name } => {
            let tx = Database::new(&migrate.owner)?.begin(organization_id).await?;
            let key = api_keys::create(&tx, organization_id, &name).await?;
            tx.commit().await?;
            Ok(Answer::Key { api_key: key.text })
        }
        Request::MakeAdministrator { email } => {
            let tx = Database::new(&migrate.owner)?.begin(organizations::DEFAULT).await?;
            let user = users::make_administrator(&tx, &email).await?;
            tx.commit().await?;
            Ok(Answer::Administrator { user_id: user.id })
        }
    }
}

async fn bring_up(migrate: &Migrate) -> Result<Answer> {
    let mut client = shared::db::connect_as_owner(&migrate.owner).await?;
    let migrations_applied = migrations::migrate(&mut client).await?;
    let mut without = migrations::RUN_TIME_ROLES.to_vec();
    for secret in &migrate.role_secrets {
        let login = secrets::login(&migrate.aws, secret).await?;
        migrations::set_password(&client, &login.username, &login.password).await?;
        without.retain(|role| *role != login.username);
    }
    let roles = migrations::RUN_TIME_ROLES.len() - without.len();
    Ok(Answer::Migrated { migrations_applied, roles, roles_without_password: without })
}
