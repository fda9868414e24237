//! Serves `ANY /v1/analytics` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::analytics::router(environment.database().await?)))
}
