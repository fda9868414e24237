//! `Idempotency-Key`: a POST, PUT, PATCH or DELETE that may be sent twice and is carried out once.
//!
//! No handler knows of it. The request's key and hash travel beside it to the [`Caller`](super::Caller), who knows the
//! organization and takes the key, or answers as before; committing the caller marks it, and [`settle`] keeps the answer.
//! Routes without a caller are public and have no keys. What happens when something breaks: `shared::platform::idempotency`.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::error::describe;
use shared::platform::credentials::{Principal, Rights};
use shared::platform::idempotency::{self, ANSWER_MAXIMUM, Answer, Attempt, Claim, KEY_MAXIMUM};
use shared::{Database, Tx};

use super::answers::ShownOnce;
use super::{ApiError, ApiResult, BODY_LIMIT};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A request under a key, and the attempt at it as soon as there is one.
#[derive(Clone)]
pub(super) struct Keyed {
    header: Vec<HeaderValue>,
    hash: [u8; 32],
    is_about_the_session: bool,
    attempt: Arc<OnceLock<(Database, Attempt)>>,
}

/// Reads the key of a request that has one, and hashes what is under it.
///
/// Errors: 413 for a body over the limit.
pub(super) async fn prepare(request: Request) -> ApiResult<(Request, Option<Keyed>)> {
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
    let header: Vec<HeaderValue> = request.headers().get_all(KEY).iter().cloned().collect();
    if !changes || header.is_empty() {
        return Ok((request, None));
    }
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| ApiError::body_too_large())?;
    let is_about_the_session = parts.uri.path().starts_with("/v1/auth/");
    let keyed = Keyed { header, hash: hash(&parts, &body), is_about_the_session, attempt: Arc::default() };
    parts.extensions.insert(keyed.clone());
    Ok((Request::from_parts(parts, Body::from(body)), Some(keyed)))
}

fn hash(parts: &Parts, body: &Bytes) -> [u8; 32] {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    // Neither a method nor a path holds a line's end, so no two requests have the same text.
    let text = [parts.method.as_str().as_bytes(), target.as_bytes(), body].join(&b'\n');
    Sha256::digest(text).into()
}

impl Keyed {
    /// Takes the key for the caller's organization and opens the transaction for the work.
    ///
    /// Errors: the answer to give instead: the one given before, or why there is none.
    pub(super) async fn claim(&self, db: &Database, who: &Principal) -> Result<(Tx, Attempt), Response> {
        let key = self.key().map_err(IntoResponse::into_response)?;
        let request = idempotency::Request { key, hash: self.hash_of(&who.rights) };
        match idempotency::claim(db, who.organization, &request).await {
            Ok(Claim::Ours(tx, attempt)) => {
                // A request has one caller, so nobody has set it before.
                let _ = self.attempt.set((db.clone(), attempt.clone()));
                Ok((*tx, attempt))
            }
            Ok(Claim::Answered(answer)) => Err(replay(answer)),
            Err(error) => Err(ApiError::from(error).into_response()),
        }
    }

    /// The hash of the request of somebody: what one was answered is no answer to another, who may see less. What is asked of one's own
    /// account is about the session as well.
    fn hash_of(&self, rights: &Rights) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        match rights {
            Rights::Key { id, .. } => hash.update(id.0.as_bytes()),
            Rights::Person { user, session, .. } => {
                hash.update(user.0.as_bytes());
                if self.is_about_the_session {
                    hash.update(session.0.as_bytes());
                }
            }
        }
        hash.finalize().into()
    }

    fn key(&self) -> ApiResult<String> {
        let key = match self.header.as_slice() {
            [one] => one.to_str().unwrap_or_default(),
            _ => "",
        };
        let is_key = (1..=KEY_MAXIMUM).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_graphic());
        is_key.then(|| key.to_owned()).ok_or_else(ApiError::invalid_idempotency_key)
    }
}

fn replay(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, text) in [(header::CONTENT_TYPE, answer.content_type), (header::LOCATION, answer.location)] {
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Keeps the answer of an attempt, or gives its key back when the answer is not final.
///
/// What fails here changes nothing for this caller, whose work is done: it is logged, and the key tells the rest.
pub(super) async fn settle(keyed: Option<Keyed>, response: Response) -> Response {
    let attempt = keyed.and_then(|keyed| keyed.attempt.get().cloned());
    let Some((db, attempt)) = attempt else { return response };
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_final = !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS;
    let outcome = match kept(&body, parts.extensions.get()) {
        _ if !is_final => idempotency::give_back(&db, &attempt).await,
        Some(body) if body.len() <= ANSWER_MAXIMUM => {
            let (content_type, location) = (text(header::CONTENT_TYPE), text(header::LOCATION));
            let answer = Answer { code: parts.status.as_u16(), content_type, location, body };
            idempotency::keep(&db, &attempt, &answer).await
        }
        _ => Err(shared::Error::internal("the answer is too long, or what it shows once can't be taken out")),
    };
    if let Err(error) = outcome {
        tracing::error!(error = describe(&error), "the answer under an Idempotency-Key is not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

/// The body without what it shows only once.
fn kept(body: &Bytes, once: Option<&ShownOnce>) -> Option<Vec<u8>> {
    let Some(ShownOnce(pointers)) = once else { return Some(body.to_vec()) };
    let mut json: Value = serde_json::from_slice(body).ok()?;
    for pointer in *pointers {
        *json.pointer_mut(pointer)? = Value::Null;
    }
    serde_json::to_vec(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_once_is_not_kept_and_nothing_is_when_it_is_not_found() {
        let body = Bytes::from_static(br#"{"id":1,"key":"secret","upload":{"url":"secret"}}"#);
        assert_eq!(kept(&body, None).unwrap(), body);
        let kept_with = |pointers| kept(&body, Some(&ShownOnce(pointers))).map(|kept| String::from_utf8(kept).unwrap());
        assert_eq!(kept_with(&["/key", "/upload"]).unwrap(), r#"{"id":1,"key":null,"upload":null}"#);
        assert_eq!(kept_with(&["/secret"]), None, "an answer that may hold a secret elsewhere is not kept");
        assert_eq!(kept(&Bytes::from_static(b"secret"), Some(&ShownOnce(&["/key"]))), None);
    }

    #[test]
    fn a_key_is_a_word_of_visible_characters() {
        let key = |headers: &[&str]| {
            let header = headers.iter().map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap()).collect();
            Keyed { header, hash: [0; 32], is_about_the_session: false, attempt: Arc::default() }.key().ok()
        };
        let longest = "k".repeat(KEY_MAXIMUM);
        for good in ["1", "\"quoted\"", "018f4f7e-7b1c-7c3e-9c39-1c4d0a3b2e11", longest.as_str()] {
            assert_eq!(key(&[good]).as_deref(), Some(good));
        }
        for bad in ["", "two words", "\t", "ключ", format!("{longest}k").as_str()] {
            assert_eq!(key(&[bad]), None, "{bad}");
        }
        assert_eq!(key(&["one", "two"]), None);
    }
}
