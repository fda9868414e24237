//! Requests that may be sent twice: an `Idempotency-Key` names one, and its work is done once at most.
//!
//! An attempt first takes the key ([`claim`], a transaction of its own), marks it in the very transaction of its work
//! ([`commit`]), and keeps the answer afterwards ([`keep`]). So a repeated request finds one of four things:
//!
//! - `answered`: the answer, to be given again for 24 hours;
//! - `in_flight`: another attempt that works, or died; after its lease the request may be tried again, since nothing of it
//!   is committed, and should the first attempt still live it can't commit any more;
//! - `committed` without an answer after that lease: the function died, or failed, between its commit and its answer. The
//!   work is done and its answer lost, and that is said; it is never done again;
//! - another request under the same key, which is refused.
//!
//! By machine time.

pub mod sweeping;

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{Database, Error, OrganizationId, Result, Tx};

/// Characters of a key at most.
pub const KEY_MAXIMUM: usize = 255;
/// Bytes of an answer that is kept; a longer one counts as lost.
pub const ANSWER_MAXIMUM: usize = 1 << 20;

/// A request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the caller named it.
    pub key: String,
    /// SHA-256 of method, path, query and body.
    pub hash: [u8; 32],
}

/// An attempt that holds its key.
#[derive(Debug, Clone)]
pub struct Attempt {
    organization: OrganizationId,
    key: String,
    id: Uuid,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's number of the outcome.
    pub code: u16,
    /// What the body is.
    pub content_type: Option<String>,
    /// Where what was made is found.
    pub location: Option<String>,
    /// The body, with nothing in it that is shown only once.
    pub body: Vec<u8>,
}

/// What becomes of a request under a key.
pub enum Claim {
    /// It is new: the transaction for its work, and the attempt to [`commit`] with.
    Ours(Box<Tx>, Attempt),
    /// It was answered before.
    Answered(Answer),
}

/// Takes the key of a request and opens the transaction for its work, in one round trip.
///
/// Errors: [`Error::Conflict`]: `idempotency_mismatch` where the key belongs to another request, `idempotency_in_flight`
/// while another attempt works on this one, `idempotency_answer_lost` where the work is done and its answer is not known.
pub async fn claim(db: &Database, organization: OrganizationId, request: &Request) -> Result<Claim> {
    let attempt = Attempt { organization, key: request.key.clone(), id: crate::ids::fresh() };
    let hash = request.hash.as_slice();
    let (tx, claimed) = db
        .begin_after(
            organization,
            include_str!("idempotency/claim.sql"),
            &[(&organization, Type::UUID), (&attempt.key, Type::TEXT), (&hash, Type::BYTEA), (&attempt.id, Type::UUID)],
        )
        .await?;
    if !claimed.is_empty() {
        return Ok(Claim::Ours(Box::new(tx), attempt));
    }
    let found = tx.query_opt(include_str!("idempotency/find.sql"), &[&request.key, &hash]).await?;
    tx.rollback().await?;
    // Given back or swept since: whoever sends it once more may have it.
    let Some(row) = found else { return Err(in_flight()) };
    if !row.try_get::<_, bool>("is_same_request")? {
        let message = "this Idempotency-Key belongs to another request";
        return Err(Error::conflict("idempotency_mismatch", message));
    }
    match row.try_get("state")? {
        "answered" => Ok(Claim::Answered(Answer {
            code: row.try_get::<_, i16>("answer_code")?.try_into().map_err(Error::internal)?,
            content_type: row.try_get("content_type")?,
            location: row.try_get("location")?,
            body: row.try_get::<_, Option<Vec<u8>>>("body")?.unwrap_or_default(),
        })),
        "lost" => {
            let message = "this request was carried out, and its answer is lost: look at what it was about";
            Err(Error::conflict("idempotency_answer_lost", message))
        }
        _ => Err(in_flight()),
    }
}

/// Marks the request as carried out, in the transaction that does so; call it last.
///
/// Errors: [`Error::Conflict`] (`idempotency_in_flight`) when another attempt has taken over: this one must not commit.
pub async fn commit(tx: &Tx, attempt: &Attempt) -> Result<()> {
    match tx.execute(include_str!("idempotency/commit.sql"), &[&attempt.key, &attempt.id]).await? {
        0 => Err(in_flight()),
        _ => Ok(()),
    }
}

/// Keeps the answer for whoever sends the request again.
pub async fn keep(db: &Database, attempt: &Attempt, answer: &Answer) -> Result<()> {
    let code = i16::try_from(answer.code).map_err(Error::internal)?;
    let tx = db.begin(attempt.organization).await?;
    tx.execute(
        include_str!("idempotency/keep.sql"),
        &[&attempt.key, &attempt.id, &code, &answer.content_type, &answer.location, &answer.body],
    )
    .await?;
    tx.commit().await
}

/// Gives the key back after an answer that is not final, so that the request can be sent again at once. Where the work is
/// done nevertheless, its answer is lost from now on.
pub async fn give_back(db: &Database, attempt: &Attempt) -> Result<()> {
    let tx = db.begin(attempt.organization).await?;
    tx.execute(include_str!("idempotency/give_back.sql"), &[&attempt.key, &attempt.id]).await?;
    tx.commit().await
}

fn in_flight() -> Error {
    Error::conflict(
        "idempotency_in_flight",
        "another attempt of this request is being worked on; ask again in a moment",
    )
}
