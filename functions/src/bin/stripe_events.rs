//! Serves `POST /hooks/stripe`, for Stripe.

use functions::adapters::secrets;
use functions::api::stripe_events::{StripeEvents, router};
use functions::environment::optional;
use shared::platform::stripe::Secret;

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| {
        let secret = match optional("STRIPE_SECRET_ARN") {
            Some(arn) => Some(Secret::new(&secrets::text(&environment.aws, &arn).await?)?.into()),
            None => None,
        };
        let keys = environment.token_keys().await?.into();
        Ok(router(StripeEvents { db: environment.database().await?, keys, secret }))
    })
}
