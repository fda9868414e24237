//! Serves `GET /v1/openapi.json` and `GET /v1/docs`, for everybody.

fn main() -> Result<(), lambda_http::Error> {
    functions::serve::api(async |_| Ok(functions::api::docs::router()))
}
