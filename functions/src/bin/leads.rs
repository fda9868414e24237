//! Serves `ANY /v1/lead-forms` and everything below it, and `ANY /v1/leads/{key}`, for everybody.

use functions::api::lead_forms;
use functions::api::leads::{self, Leads};

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let db = environment.database().await?;
        let leads = Leads { db: db.clone(), keys: environment.token_keys().await?.into() };
        Ok(lead_forms::router(db).merge(leads::router(leads)))
    })
}
