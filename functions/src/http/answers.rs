//! Answers that several routes give in the same form.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::openapi::{Operation, Output, text};

/// 201 with the thing made, and where it is found from now on.
pub struct Created<T> {
    path: String,
    body: T,
    once: &'static [&'static str],
}

/// 201 with the thing made, and where it is found from now on.
pub fn created<T: Serialize>(path: String, body: T) -> Created<T> {
    Created { path, body, once: &[] }
}

impl<T> Created<T> {
    /// The places of the body that are shown only once, as JSON pointers: the answer kept under an `Idempotency-Key` has null
    /// there.
    #[must_use]
    pub fn showing_once(self, pointers: &'static [&'static str]) -> Self {
        Self { once: pointers, ..self }
    }
}

/// The places of an answer's body that are shown only once, as JSON pointers.
#[derive(Clone)]
pub(super) struct ShownOnce(pub(super) &'static [&'static str]);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, [(header::LOCATION, self.path)], Json(self.body)).into_response();
        if !self.once.is_empty() {
            response.extensions_mut().insert(ShownOnce(self.once));
        }
        response
    }
}

impl<T: JsonSchema> Output for Created<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(201, "It is made.");
        operation.answer_header(201, "Location", "Where it is found from now on.");
    }
}

/// 200 with what a link in a mail leads to, whose token may also lead to nothing.
pub struct Linked<T>(pub T);

impl<T: Serialize> IntoResponse for Linked<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<T: JsonSchema> Output for Linked<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200, "It is answered.");
        operation.problem(404, "The token leads to nothing: nobody gave it out, or what it was for is over.");
    }
}

/// 202: the work goes on after the answer.
pub struct Accepted<T> {
    /// Where its progress is told.
    pub path: String,
    /// How it stands.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, [(header::LOCATION, self.path)], Json(self.body)).into_response()
    }
}

impl<T: JsonSchema> Output for Accepted<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(202, "The work goes on; ask for its progress.");
        operation.answer_header(202, "Location", "Where its progress is told.");
    }
}

/// 204: it is done, and there is nothing to say.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation<'_>) {
        operation.empty_answer(204, "It is done.");
    }
}

/// One of two answers.
pub enum Either<A, B> {
    /// The first.
    One(A),
    /// The second.
    Other(B),
}

impl<A: IntoResponse, B: IntoResponse> IntoResponse for Either<A, B> {
    fn into_response(self) -> Response {
        match self {
            Self::One(answer) => answer.into_response(),
            Self::Other(answer) => answer.into_response(),
        }
    }
}

impl<A: Output, B: Output> Output for Either<A, B> {
    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
        B::describe(operation);
    }
}

/// A JSON document to be saved as a file, and kept nowhere on the way.
pub struct JsonFile<T> {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub body: T,
}

impl<T: Serialize> IntoResponse for JsonFile<T> {
    fn into_response(self) -> Response {
        (attachment(&self.name), Json(self.body)).into_response()
    }
}

impl<T: JsonSchema> Output for JsonFile<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200, "The file.");
    }
}

/// A CSV file that is one of several, and kept nowhere on the way.
pub struct CsvFile {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Asks for the next file.
    pub next_cursor: Option<String>,
}

/// Asks for the next of several files.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

impl IntoResponse for CsvFile {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        let mut response = (attachment(self.name), content_type, self.text).into_response();
        if let Some(cursor) = self.next_cursor.and_then(|cursor| HeaderValue::try_from(cursor).ok()) {
            response.headers_mut().insert(NEXT_CURSOR, cursor);
        }
        response
    }
}

impl Output for CsvFile {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_of(200, "The file.", "text/csv", text());
        operation.answer_header(200, NEXT_CURSOR.as_str(), "Asks for the next file; absent at the end.");
    }
}

fn attachment(name: &str) -> [(HeaderName, String); 2] {
    [
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}
