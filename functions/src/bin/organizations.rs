//! Serves `ANY /v1/organizations` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::organizations::router(environment.database().await?)))
}
