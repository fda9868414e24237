//! Serves `ANY /v1/lists` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::lists::router(environment.database().await?)))
}
