//! Secrets Manager: read once an environment.

use serde::Deserialize;
use shared::{Error, Result};

use super::aws::Aws;

/// A login as RDS and this stack write it.
#[derive(Deserialize)]
pub struct Login {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// The login that a secret holds.
pub async fn login(aws: &Aws, arn: &str) -> Result<Login> {
    serde_json::from_str(&text(aws, arn).await?).map_err(|_| Error::internal("the secret is no login"))
}

/// The text of a secret.
pub async fn text(aws: &Aws, arn: &str) -> Result<String> {
    let answer = aws_sdk_secretsmanager::Client::new(&aws.config)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(Error::internal)?;
    answer.secret_string.ok_or_else(|| Error::internal("the secret has no text"))
}
