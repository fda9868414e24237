//! Consumes the queue of planned messages and delivers them through SES.

use functions::adapters::ses::Ses;
use functions::environment::required;
use functions::events::sender::{self, Sender};
use shared::delivery::sending::Letterhead;

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(
        async |environment| {
            let letterhead = Letterhead {
                keys: environment.token_keys().await?,
                reply_domain: required("REPLY_DOMAIN")?,
                public_url: required("PUBLIC_URL")?,
            };
            let mailer = Ses::new(&environment.aws, required("SES_CONFIGURATION_SET")?);
            Ok(Sender { db: environment.database().await?, mailer: Box::new(mailer), letterhead })
        },
        sender::handle,
    )
}
