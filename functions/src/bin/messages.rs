//! Serves `ANY /v1/messages` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::messages::router(environment.database().await?)))
}
