//! Answers that several routes give in the same form.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

/// 201 with the thing made, and where it is found from now on.
pub fn created(path: String, body: impl Serialize) -> impl IntoResponse {
    (StatusCode::CREATED, [(header::LOCATION, path)], Json(body))
}
