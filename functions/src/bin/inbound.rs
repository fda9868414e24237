//! Consumes the announcements of mails that SES has received.

use functions::adapters::object_store::S3Store;
use functions::environment::required;
use functions::events::inbound::{self, Inbound};

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let store = S3Store::new(&environment.aws, required("UPLOADS_BUCKET")?);
            Ok(Inbound {
                db: environment.database().await?,
                store: store.into(),
                keys: environment.token_keys().await?,
            })
        },
        inbound::handle,
    )
}
