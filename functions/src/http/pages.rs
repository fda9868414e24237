//! Lists in pages: newest first, continued by an opaque cursor that belongs to one tenant and one filter.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::{Error, OrganizationId};
use uuid::Uuid;

use super::openapi::{Input, Operation};
use super::{ApiError, ApiResult};

/// Rows on a page unless the caller says otherwise.
const DEFAULT_LIMIT: i64 = 20;
/// Rows on a page at most.
const MAXIMUM_LIMIT: i64 = 100;
/// Bytes of a filter that a cursor has in it as they are.
const FILTER_KEPT: usize = 200;

/// What every list accepts.
#[derive(Debug, Default, Deserialize)]
struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The query of a list: its filter, and the page asked for, whose cursor belongs to this filter alone.
///
/// `limit` and `cursor` are taken out before the filter is read, so that the filter can refuse what it does not know:
/// flattening both into one structure would lose the numbers' types.
///
/// A page has up to `MAXIMUM` rows. Who names no limit gets 20, or as many as there may be where that is another number: a
/// file is fetched in as few parts as can be.
pub struct Listing<F = NoFilter, const MAXIMUM: i64 = MAXIMUM_LIMIT> {
    /// Everything but the page.
    pub filter: F,
    page: PageQuery,
    filter_text: String,
}

/// For lists that have no filter: every parameter but the page's is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

impl<F, const MAXIMUM: i64> Listing<F, MAXIMUM> {
    /// Rows of a page whose caller names no limit.
    const USUAL: i64 = if MAXIMUM == MAXIMUM_LIMIT { DEFAULT_LIMIT } else { MAXIMUM };

    /// Checks limit and cursor.
    ///
    /// Errors: 400 or 422 for a limit outside 1 to the maximum or a cursor of another tenant, another filter or nobody.
    pub fn read<K: DeserializeOwned>(self, organization: OrganizationId) -> ApiResult<(F, Request<K>)> {
        let page = self.page.read(organization, &self.filter_text, Self::USUAL, MAXIMUM)?;
        Ok((self.filter, page))
    }
}

impl<S, F, const MAXIMUM: i64> FromRequestParts<S> for Listing<F, MAXIMUM>
where
    S: Send + Sync,
    F: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let (page, mut filter): (Vec<&str>, Vec<&str>) = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .partition(|pair| matches!(pair.split('=').next(), Some("limit" | "cursor")));
        // The order in which a caller names the filter's parts does not matter to a cursor.
        filter.sort_unstable();
        let filter_text = filter.join("&");
        Ok(Self { filter: read(&filter_text)?, page: read(&page.join("&"))?, filter_text })
    }
}

impl<F: JsonSchema, const MAXIMUM: i64> Input for Listing<F, MAXIMUM> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<F>();
        let limit = json!({"type": "integer", "minimum": 1, "maximum": MAXIMUM, "default": Self::USUAL});
        operation.query_parameter("limit", "Rows on a page.", limit);
        operation.query_parameter(
            "cursor",
            "Asks for the next page: `next_cursor` of the one before.",
            json!({"type": "string"}),
        );
        operation.usual_problems(&[422]);
    }
}

fn read<T: DeserializeOwned>(query: &str) -> ApiResult<T> {
    let uri = Uri::builder().path_and_query(format!("/?{query}")).build();
    let uri = uri.map_err(|_| ApiError::malformed("the query can't be read"))?;
    Ok(Query::try_from_uri(&uri)?.0)
}

/// A page as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Asks for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// A page that has been asked for. Rows are continued by the key `K` that the list is ordered by, which is their id unless
/// the list says otherwise.
#[derive(Debug)]
pub struct Request<K = Uuid> {
    /// The key of the last row of the page before: rows older than this id, or beyond this key.
    pub before: Option<K>,
    /// How many rows to read: one more than the page shows, which tells whether there is a next page.
    pub fetch: i64,
    organization: OrganizationId,
    filter: String,
}

#[derive(Serialize, Deserialize)]
struct Cursor<K> {
    o: OrganizationId,
    /// The filter as [`mark`] has it.
    f: String,
    b: K,
}

/// What a cursor knows its filter by: a long one by its hash, since both stand in the URL of the next page.
fn mark(filter: &str) -> String {
    if filter.len() <= FILTER_KEPT { filter.to_owned() } else { URL_SAFE_NO_PAD.encode(Sha256::digest(filter)) }
}

impl PageQuery {
    /// Checks limit and cursor. `filter` is the text of everything else that the list was asked for.
    ///
    /// Errors: 422 for a limit outside 1 to `maximum`, 400 for a cursor of another tenant, another filter or nobody.
    fn read<K: DeserializeOwned>(
        &self,
        organization: OrganizationId,
        filter: &str,
        usual: i64,
        maximum: i64,
    ) -> ApiResult<Request<K>> {
        let limit = self.limit.unwrap_or(usual);
        if !(1..=maximum).contains(&limit) {
            let message = format!("limit is between 1 and {maximum}");
            return Err(Error::invalid("limit", "out_of_range", message).into());
        }
        let before = self.cursor.as_deref().map(|text| {
            let cursor: Cursor<K> =
                URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok())?;
            (cursor.o == organization && cursor.f == mark(filter)).then_some(cursor.b)
        });
        let before = match before {
            Some(None) => return Err(ApiError::malformed("the cursor does not belong to this list")),
            Some(Some(id)) => Some(id),
            None => None,
        };
        Ok(Request { before, fetch: limit + 1, organization, filter: filter.to_owned() })
    }
}

impl<K: Serialize> Request<K> {
    /// Makes the page from the rows read; `key` names the row's key.
    pub fn page<T>(self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Page<T> {
        let limit = usize::try_from(self.fetch - 1).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).and_then(|row| self.cursor(key(row)));
        Page { data: rows, next_cursor }
    }

    /// Asks for what comes after this key, for pages that are not made of rows alone.
    pub fn cursor(self, after: K) -> Option<String> {
        let cursor = Cursor { o: self.organization, f: mark(&self.filter), b: after };
        serde_json::to_vec(&cursor).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
    }
}
