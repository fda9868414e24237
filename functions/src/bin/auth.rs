//! Serves `/v1/auth`.

use std::sync::Arc;

use functions::adapters::provider_host::{HttpProviders, ManagedSecrets};
use functions::api::auth::{self, Auth};
use functions::environment::{optional, required};
use functions::oidc::Providers;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let (reach, arn) = (environment.webhook_reach(), optional("OIDC_SECRET_ARN"));
        let secrets = ManagedSecrets { aws: environment.aws.clone(), arn };
        let providers = Providers::new(Arc::new(HttpProviders::new(reach)), Arc::new(secrets), reach);
        Ok(auth::router(Auth {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
            hasher: Arc::default(),
            providers: providers.into(),
            public_url: required("PUBLIC_URL")?.into(),
        }))
    })
}
