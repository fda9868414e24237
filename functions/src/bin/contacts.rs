//! Serves `ANY /v1/contacts` and everything below it.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::contacts::router(environment.database().await?)))
}
