//! The environment that template.yaml gives a function, read once when it starts.

use std::time::Duration;

use shared::db::{Config, Stage, Tls};
use shared::delivery::tokens::KeyRing;
use shared::platform::webhooks::Reach;
use shared::{Database, Error, Result};

use crate::adapters::{aws, secrets};

/// What every function finds around it.
pub struct Environment {
    /// How to reach AWS.
    pub aws: aws::Aws,
    stage: Stage,
    /// How long somebody waits for a statement of this function, where somebody does.
    patience: Option<Duration>,
}

impl Environment {
    /// Reads the settings that all functions share.
    #[must_use]
    pub fn load() -> Self {
        let stage = if optional("LOCAL_STACK").is_some() { Stage::Local } else { Stage::Deployed };
        Self { aws: aws::Aws::load(), stage, patience: None }
    }

    /// The same for a function that somebody waits for no longer than this.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Whether this is the local stack.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How far webhooks may go: on the local stack to this machine as well.
    #[must_use]
    pub fn webhook_reach(&self) -> Reach {
        match self.stage {
            Stage::Local => Reach::Loopback,
            Stage::Deployed => Reach::Public,
        }
    }

    /// The database, as the role whose secret this function may read.
    pub async fn database(&self) -> Result<Database> {
        let database = Database::new(&self.database_config().await?)?;
        Ok(match self.patience {
            Some(patience) => database.with_patience(patience),
            None => database,
        })
    }

    /// The keys of the tokens in mails.
    pub async fn token_keys(&self) -> Result<KeyRing> {
        let text = secrets::text(&self.aws, &required("TOKEN_SECRET_ARN")?).await?;
        KeyRing::from_json(&text).map_err(Error::internal)
    }

    /// How to log in as the role whose secret this function may read.
    pub async fn database_config(&self) -> Result<Config> {
        let login = secrets::login(&self.aws, &required("DATABASE_SECRET_ARN")?).await?;
        Ok(Config {
            host: required("DATABASE_HOST")?,
            port: required("DATABASE_PORT")?.parse().map_err(Error::internal)?,
            dbname: required("DATABASE_NAME")?,
            user: login.username,
            password: login.password,
            tls: match required("DATABASE_TLS")?.as_str() {
                "verify-full" => Tls::VerifyFull,
                "disable" => Tls::Disable,
                other => return Err(Error::internal(format!("DATABASE_TLS is {other}, not verify-full or disable"))),
            },
            ca_bundle: match optional("DATABASE_CA_SECRET_ARN") {
                Some(secret) => Some(secrets::text(&self.aws, &secret).await?),
                None => None,
            },
            stage: self.stage,
        })
    }
}

/// A setting that must be there.
///
/// Errors: [`Error::Internal`], naming it.
#[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
pub fn required(name: &str) -> Result<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(Error::internal(format!("the environment has no {name}"))),
    }
}

/// A setting that may be absent; empty counts as absent.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    required(name).ok()
}
