//! Serves `ANY /v1/senders`, `ANY /v1/domains` and everything below them.

use std::sync::Arc;

use functions::adapters::identities::SesIdentities;
use functions::api::{domains, senders};

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let db = environment.database().await?;
        let identities = Arc::new(SesIdentities::new(&environment.aws));
        Ok(senders::router(db.clone()).merge(domains::router(db, identities)))
    })
}
