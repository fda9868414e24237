//! `/t/o/{token}` and `/t/c/{token}`: the pixel of a mail, and its links.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::delivery::tracking;
use shared::error::describe;
use shared::{Error, LinkId};

use super::pages::PageError;
use super::{Calling, Token, Tracking, message, opened};

/// A transparent picture of one pixel (GIF89a).
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
    \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Shows the pixel, whether or not the open could be recorded: a broken picture in a mail helps nobody.
pub(super) async fn pixel(
    State(Tracking { db, keys }): State<Tracking>,
    Token(token): Token,
    Calling(visitor): Calling,
) -> Result<Response, PageError> {
    let (organization, id) = opened(keys.open_pixel_token(&token))?;
    if let Err(error) = tracking::open(&db, message(organization, id), &visitor).await {
        tracing::error!(error = describe(&error), "an open is not recorded");
    }
    let headers = [(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, PIXEL).into_response())
}

/// Leads to the URL that is stored for the link, and nowhere else. It asks for no cache, since each click is to be seen,
/// and for no referrer, since the address of this page is personal.
pub(super) async fn click(
    State(Tracking { db, keys }): State<Tracking>,
    Token(token): Token,
    Calling(visitor): Calling,
) -> Result<Response, PageError> {
    let (organization, id, link) = opened(keys.open_click_token(&token))?;
    let url = tracking::follow(&db, message(organization, id), LinkId(link), &visitor).await?;
    let location = HeaderValue::from_str(&url).map_err(Error::internal)?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}
