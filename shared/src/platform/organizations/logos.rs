//! Logos: a file of the organization's own, uploaded to the store, checked by what it is and served to everybody.
//!
//! An image that is drawn from text (SVG) may carry a program and is refused, whatever it is called: what counts is how the
//! file begins.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Organization, check, from_row};
use crate::audience::imports::{ObjectHead, ObjectStore, PresignedPut};
use crate::{Database, Error, OrganizationId, Result, Tx};

/// Bytes of a logo.
pub const BYTES_MAXIMUM: u64 = 512 * 1024;
/// How long an upload may take to begin.
pub const UPLOAD_WINDOW: Duration = Duration::from_mins(15);
/// Bytes of the hash of its content that a logo is named by.
const NAME_BYTES: usize = 16;

/// A store that also takes objects away.
pub trait RemovingStore: ObjectStore {
    /// Takes an object away, if it is there.
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Takes away objects whose keys begin with `prefix`, as many as one call takes; returns how many, 0 when there are none.
    fn remove_under<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize>>;
}

/// What kind of image a logo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PNG (ISO/IEC 15948).
    Png,
    /// JPEG (ISO/IEC 10918).
    Jpeg,
    /// WebP (RFC 9649).
    Webp,
}

impl Format {
    const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    /// The format of a file that begins like this.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// The media type that it is served as.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

/// A place to upload a logo to.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Names the upload when it is taken.
    pub id: Uuid,
    /// The request by which the file is put there.
    pub put: PresignedPut,
}

/// Signs the request that uploads a logo of `size` bytes within [`UPLOAD_WINDOW`]. Nothing changes before [`take`].
///
/// Errors: [`Error::NotFound`], [`Error::Invalid`] (`file_empty`, `too_large`).
pub async fn begin(tx: &Tx, store: &dyn RemovingStore, organization: OrganizationId, size: u64) -> Result<Upload> {
    check(tx, organization)?;
    match size {
        0 => return Err(Error::invalid("size", "file_empty", "an empty file is no logo")),
        size if size > BYTES_MAXIMUM => return Err(too_large("size")),
        _ => (),
    }
    let id = crate::ids::fresh();
    Ok(Upload { id, put: store.presign_put(&upload_key(organization, id), size, UPLOAD_WINDOW).await? })
}

fn too_large(field: &'static str) -> Error {
    Error::invalid(field, "too_large", format!("a logo has {BYTES_MAXIMUM} bytes at most"))
}

/// Makes what was uploaded the organization's logo, and returns with it the name of the one before, which [`forget`] takes away
/// once this is committed.
///
/// Errors: [`Error::NotFound`], [`Error::Conflict`] (`file_missing`), [`Error::Invalid`] (`too_large`, `unknown_format`),
/// [`Error::Unavailable`] when the store is.
pub async fn take(
    tx: &Tx,
    store: &dyn RemovingStore,
    organization: OrganizationId,
    upload: Uuid,
) -> Result<(Organization, Option<String>)> {
    check(tx, organization)?;
    let key = upload_key(organization, upload);
    let missing = || Error::conflict("file_missing", "nothing has been uploaded there, or it has expired");
    let ObjectHead { size, etag } = store.head(&key).await?.ok_or_else(missing)?;
    if size > BYTES_MAXIMUM {
        return Err(too_large("upload_id"));
    }
    let bytes =
        if size == 0 { Vec::new() } else { store.read_range(&key, &etag, 0..size).await?.ok_or_else(missing)? };
    let Some(format) = Format::of(&bytes) else {
        return Err(Error::invalid("upload_id", "unknown_format", "a logo is a PNG, JPEG or WebP image"));
    };
    let hash = Sha256::digest(&bytes);
    let name = format!("{}.{}", data_encoding::HEXLOWER.encode(&hash[..NAME_BYTES]), format.extension());
    store.put(&logo_key(organization, &name), bytes).await?;
    set(tx, Some(&name)).await
}

/// Takes the logo away, and returns its name for [`forget`]. To do it again changes nothing.
///
/// Errors: [`Error::NotFound`].
pub async fn remove(tx: &Tx, organization: OrganizationId) -> Result<(Organization, Option<String>)> {
    check(tx, organization)?;
    set(tx, None).await
}

/// Takes the file of a former logo out of the store.
pub async fn forget(store: &dyn RemovingStore, organization: OrganizationId, name: &str) -> Result<()> {
    store.remove(&logo_key(organization, name)).await
}

/// The logo of an organization for anybody who knows its path.
///
/// Errors: [`Error::NotFound`] for any but the present logo of an active organization.
pub async fn read(
    db: &Database,
    store: &dyn RemovingStore,
    organization: OrganizationId,
    name: &str,
) -> Result<(Format, Vec<u8>)> {
    let missing = || Error::not_found("logo");
    let tx = db.begin(organization).await?;
    let found = tx.query_opt(include_str!("logos/is_present.sql"), &[&name]).await?;
    tx.commit().await?;
    found.ok_or_else(missing)?;
    let format = Format::ALL.into_iter().find(|format| name.ends_with(format.extension())).ok_or_else(missing)?;
    let key = logo_key(organization, name);
    let ObjectHead { size, etag } = store.head(&key).await?.ok_or_else(missing)?;
    let bytes = store.read_range(&key, &etag, 0..size.min(BYTES_MAXIMUM)).await?.ok_or_else(missing)?;
    Ok((format, bytes))
}

/// The path of the logo in a row of `organizations`.
pub(super) fn path_from_row(row: &Row) -> Result<Option<String>> {
    let (id, name): (OrganizationId, Option<String>) = (row.try_get("id")?, row.try_get("logo_name")?);
    Ok(name.map(|name| format!("/logos/{id}/{name}")))
}

async fn set(tx: &Tx, name: Option<&str>) -> Result<(Organization, Option<String>)> {
    let before: Option<String> = tx.query_one(include_str!("lock.sql"), &[]).await?.try_get("logo_name")?;
    let row = tx.query_one(include_str!("logos/set.sql"), &[&name]).await?;
    Ok((from_row(&row)?, before.filter(|before| Some(before.as_str()) != name)))
}

/// Beside the files of imports: what nobody takes expires with them.
fn upload_key(organization: OrganizationId, upload: Uuid) -> String {
    format!("uploads/{organization}/logo-{upload}")
}

fn logo_key(organization: OrganizationId, name: &str) -> String {
    format!("logos/{organization}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_begins_with_and_a_drawing_in_text_is_no_logo() {
        assert_eq!(Format::of(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some(Format::Png));
        assert_eq!(Format::of(&[0xff, 0xd8, 0xff, 0xe0, 0, 16]), Some(Format::Jpeg));
        assert_eq!(Format::of(b"RIFF\x24\0\0\0WEBPVP8 "), Some(Format::Webp));
        for other in [
            &b""[..],
            b"RIFF",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"GIF89a",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"<!doctype html>",
            b" \x89PNG\r\n\x1a\n",
            b"\x89PNG\n\x1a\n",
        ] {
            assert_eq!(Format::of(other), None, "{other:?}");
        }
    }
}
