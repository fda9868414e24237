//! Serves `ANY /v1/contacts` and everything below it.

use functions::api::contacts::{self, Contacts};

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(contacts::router(Contacts {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
        }))
    })
}
