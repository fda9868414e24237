//! Invoked by whoever deploys: migrates the database, makes organizations and their first keys.

use functions::environment::required;
use functions::events::migrate::{self, Migrate};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let role_secrets = required("ROLE_SECRET_ARNS")?.split(',').map(str::to_owned).collect();
            Ok(Migrate { aws: environment.aws.clone(), owner: environment.database_config().await?, role_secrets })
        },
        migrate::handle,
    )
}
