//! Serves `ANY /v1/suppressions` and everything below it.

use functions::api::suppressions::{self, Suppressions};

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(suppressions::router(Suppressions {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
        }))
    })
}
