//! Serves `GET /v1/audit`.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |environment| Ok(functions::api::audit::router(environment.database().await?)))
}
