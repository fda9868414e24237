//! Serves `ANY /v1/jobs` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::jobs::router(environment.database().await?)))
}
