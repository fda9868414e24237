//! Answers that several routes give in the same form.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// 201 with the thing made, and where it is found from now on.
pub fn created(path: String, body: impl Serialize) -> impl IntoResponse {
    (StatusCode::CREATED, [(header::LOCATION, path)], Json(body))
}

/// The places of an answer's body that are shown only once, as JSON pointers.
#[derive(Clone)]
pub(super) struct ShownOnce(pub(super) &'static [&'static str]);

/// An answer that holds a secret at the given JSON pointers: it is not kept with the answer under an `Idempotency-Key`,
/// which has null in its place.
pub fn shown_once(pointers: &'static [&'static str], answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(ShownOnce(pointers));
    response
}
