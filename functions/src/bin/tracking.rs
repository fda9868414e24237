//! Serves `ANY /u/{token}` and `ANY /t/…/{token}`, for everybody.

use functions::api::tracking::{self, Tracking};

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        Ok(tracking::router(Tracking {
            db: environment.database().await?,
            keys: environment.token_keys().await?.into(),
        }))
    })
}
