//! S3: the files that clients upload, and the mails that SES keeps.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::BoxFuture;
use shared::audience::imports::{ObjectHead, ObjectStore, PresignedPut, StoredPart};
use shared::platform::exports::ArchiveStore;
use shared::platform::organizations::logos::RemovingStore;
use shared::{Error, Result};

use super::aws::Aws;

const ZIP: &str = "application/zip";
/// What files of contacts are.
const CSV: &str = "text/csv; charset=utf-8";

/// One bucket.
pub struct S3Store {
    client: aws_sdk_s3::Client,
    bucket: String,
}

impl S3Store {
    /// The bucket named `bucket`.
    #[must_use]
    pub fn new(aws: &Aws, bucket: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&aws.config)
            // An endpoint of our own is the local stack's, where buckets have no host names.
            .force_path_style(aws.config.endpoint_url().is_some())
            // The SDK would else sign a checksum of the body into an upload whose body it never sees.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            // There is none for a range.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: aws_sdk_s3::Client::from_conf(config), bucket }
    }

    /// The first `limit` bytes of an object, or all of a smaller one; `None` when there is none.
    pub async fn read_start(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let range = format!("bytes=0-{}", limit.saturating_sub(1));
        let request = self.client.get_object().bucket(&self.bucket).key(key).range(range);
        match found(request.send().await)? {
            Some(answer) => Ok(Some(body(answer).await?)),
            None => Ok(None),
        }
    }
}

impl ObjectStore for S3Store {
    fn presign_put<'a>(&'a self, key: &'a str, size: u64, valid: Duration) -> BoxFuture<'a, Result<PresignedPut>> {
        Box::pin(async move {
            let config = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
            let request = self.client.put_object().bucket(&self.bucket).key(key).content_length(length(size)?);
            Ok(presigned(&request.presigned(config).await.map_err(Error::internal)?))
        })
    }

    fn presign_csv<'a>(&'a self, key: &'a str, file_name: &'a str, valid: Duration) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let config = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
            let request = self.client.get_object().bucket(&self.bucket).key(key);
            let request = request
                .response_content_type("text/csv; charset=utf-8")
                .response_content_disposition(format!("attachment; filename=\"{file_name}\""));
            Ok(request.presigned(config).await.map_err(Error::internal)?.uri().to_owned())
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectHead>>> {
        Box::pin(async move {
            let answer = found(self.client.head_object().bucket(&self.bucket).key(key).send().await)?;
            answer
                .map(|answer| {
                    let size = answer.content_length().and_then(|size| u64::try_from(size).ok());
                    let etag = answer.e_tag().map(str::to_owned);
                    match (size, etag) {
                        (Some(size), Some(etag)) => Ok(ObjectHead { size, etag }),
                        _ => Err(Error::internal("the store tells neither size nor etag of an object")),
                    }
                })
                .transpose()
        })
    }

    fn read_range<'a>(
        &'a self,
        key: &'a str,
        etag: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            // A range of HTTP names its last byte.
            let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            let request = self.client.get_object().bucket(&self.bucket).key(key).if_match(etag).range(bytes);
            match found(request.send().await)? {
                Some(answer) => Ok(Some(body(answer).await?)),
                None => Ok(None),
            }
        })
    }

    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let request = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(body));
            request.send().await.map_err(failed)?;
            Ok(())
        })
    }

    fn begin_upload<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let begun = self.client.create_multipart_upload().bucket(&self.bucket).key(key).send().await;
            begun.map_err(failed)?.upload_id.ok_or_else(|| Error::internal("the store gives an upload no name"))
        })
    }

    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        ArchiveStore::put_part(self, key, upload, number, bytes)
    }

    fn presign_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        size: u64,
        valid: Duration,
    ) -> BoxFuture<'a, Result<PresignedPut>> {
        Box::pin(async move {
            let config = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
            let request = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload);
            let request = request.part_number(number).content_length(length(size)?);
            Ok(presigned(&request.presigned(config).await.map_err(Error::internal)?))
        })
    }

    fn list_parts<'a>(&'a self, key: &'a str, upload: &'a str) -> BoxFuture<'a, Result<Option<Vec<StoredPart>>>> {
        Box::pin(async move {
            // A page has a thousand of them, which is more than any upload of ours.
            let request = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(upload);
            let Some(listed) = found(request.send().await)? else { return Ok(None) };
            let parts = listed.parts.unwrap_or_default().into_iter().map(|part| {
                let size = part.size.and_then(|size| u64::try_from(size).ok());
                match (part.part_number, size, part.e_tag) {
                    (Some(number), Some(size), Some(etag)) => Ok(StoredPart { number, size, etag }),
                    _ => Err(Error::internal("the store does not say what it has of an upload")),
                }
            });
            parts.collect::<Result<Vec<_>>>().map(Some)
        })
    }

    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        parts: &'a [StoredPart],
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parts = parts
                .iter()
                .map(|part| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build())
                .collect();
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
            Ok(found(request.multipart_upload(parts).send().await)?.is_some())
        })
    }

    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
            found(request.send().await)?;
            Ok(())
        })
    }
}

fn length(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(Error::internal)
}

/// The request for a client, without the length of its body: that is signed, and told by every client of HTTP itself. A browser
/// lets nobody else tell it.
fn presigned(request: &PresignedRequest) -> PresignedPut {
    let headers = request.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    PresignedPut { url: request.uri().to_owned(), headers }
}

impl ArchiveStore for S3Store {
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let request = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
            let begun = request.content_type(ZIP).send().await.map_err(failed)?;
            begun.upload_id.ok_or_else(|| Error::internal("the store gives an upload no name"))
        })
    }

    fn put_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let request = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload);
            let put = found(request.part_number(number).body(ByteStream::from(bytes)).send().await)?;
            put.map(|put| put.e_tag.ok_or_else(|| Error::internal("the store gives a part no etag"))).transpose()
        })
    }

    fn complete<'a>(&'a self, key: &'a str, upload: &'a str, etags: &'a [String]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parts =
                (1..).zip(etags).map(|(number, etag)| CompletedPart::builder().part_number(number).e_tag(etag).build());
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
            let completed = found(request.multipart_upload(parts).send().await)?;
            Ok(completed.is_some() || self.head(key).await?.is_some())
        })
    }

    fn presign_zip<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.presign_download(key, file_name, ZIP, valid))
    }

    fn presign_csv<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.presign_download(key, file_name, CSV, valid))
    }
}

impl S3Store {
    async fn presign_download(
        &self,
        key: &str,
        file_name: &str,
        kind: &str,
        valid: Duration,
    ) -> Result<Option<String>> {
        if self.head(key).await?.is_none() {
            return Ok(None);
        }
        let config = PresigningConfig::expires_in(valid).map_err(Error::internal)?;
        let request = self.client.get_object().bucket(&self.bucket).key(key).response_content_type(kind);
        let request = request.response_content_disposition(format!("attachment; filename=\"{file_name}\""));
        Ok(Some(request.presigned(config).await.map_err(Error::internal)?.uri().to_owned()))
    }
}

impl RemovingStore for S3Store {
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let request = self.client.delete_object().bucket(&self.bucket).key(key);
            request.send().await.map_err(failed)?;
            Ok(())
        })
    }

    fn remove_under<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            let listed = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).send().await;
            let listed = listed.map_err(failed)?;
            let mut objects = Vec::new();
            for object in listed.contents() {
                let named = ObjectIdentifier::builder().set_key(object.key().map(str::to_owned)).build();
                objects.push(named.map_err(Error::internal)?);
            }
            let count = objects.len();
            if count > 0 {
                let objects =
                    Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(Error::internal)?;
                let answer = self.client.delete_objects().bucket(&self.bucket).delete(objects).send().await;
                // Quietly only what could not be taken away is told.
                if let Some(error) = answer.map_err(failed)?.errors().first() {
                    let code = error.code().unwrap_or("an object").to_owned();
                    return Err(Error::Unavailable(format!("the store keeps an object: {code}").into()));
                }
            }
            Ok(count)
        })
    }
}

async fn body(answer: GetObjectOutput) -> Result<Vec<u8>> {
    let bytes = answer.body.collect().await.map_err(|error| Error::Unavailable(Box::new(error)))?;
    Ok(bytes.into_bytes().into())
}

/// The answer, unless the object is not there (404) or not the one that was asked for (412, and 416 for a shorter one).
fn found<T, E>(answer: Result<T, SdkError<E, HttpResponse>>) -> Result<Option<T>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(status(&error), Some(404 | 412 | 416)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    match status(&error) {
        Some(400..=428 | 430..=499) => Error::internal(error),
        _ => Error::Unavailable(Box::new(error)),
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

    use super::*;

    #[tokio::test]
    async fn uploads_are_signed_with_their_length_which_clients_tell_by_themselves() {
        let credentials = Credentials::new("key", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let store = S3Store::new(&Aws { config }, "uploads".to_owned());
        let valid = Duration::from_secs(60);
        let whole = store.presign_put("a.csv", 1_000, valid).await.unwrap();
        let longer = store.presign_put("a.csv", 1_001, valid).await.unwrap();
        let part = store.presign_part("a.csv", "upload", 2, 1_000, valid).await.unwrap();
        for put in [&whole, &longer, &part] {
            assert!(put.url.contains("X-Amz-SignedHeaders=content-length%3Bhost"), "{}", put.url);
            assert!(put.headers.is_empty(), "{:?}", put.headers);
        }
        let signature = |put: &PresignedPut| put.url.split_once("X-Amz-Signature=").unwrap().1.to_owned();
        assert_ne!(signature(&whole), signature(&longer), "another length has another signature");
    }
}
