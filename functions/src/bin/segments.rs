//! Serves `ANY /v1/segments` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::segments::router(environment.database().await?)))
}
