//! A store of objects in memory, and a queue of imports to go with it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::audience::imports::{ImportQueue, ObjectHead, ObjectStore, PART_MINIMUM, PresignedPut, StoredPart};
use shared::platform::organizations::logos::RemovingStore;
use shared::{Error, ImportId, OrganizationId, Result};

/// Objects by key.
#[derive(Default)]
pub struct FakeObjectStore {
    objects: Mutex<BTreeMap<String, Arc<Object>>>,
    reads: Mutex<usize>,
    reads_left: Mutex<Option<usize>>,
    uploads: Mutex<BTreeMap<String, Upload>>,
}

/// An upload in parts that nobody has completed yet.
struct Upload {
    key: String,
    parts: BTreeMap<i32, Vec<u8>>,
}

/// An object that is made up as it is read: what it begins with, then one thing over and over.
struct Object {
    head: Vec<u8>,
    unit: Vec<u8>,
    size: u64,
    etag: String,
}

impl Object {
    fn new(head: Vec<u8>, unit: Vec<u8>, size: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (&head, &unit, size).hash(&mut hasher);
        Self { head, unit, size, etag: format!("\"{:016x}\"", hasher.finish()) }
    }

    fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let (mut at, end) = (range.start, range.end.min(self.size));
        let mut bytes = Vec::new();
        while at < end {
            let part = match at.checked_sub(self.head.len() as u64) {
                None => &self.head[usize::try_from(at).unwrap()..],
                Some(beyond) => &self.unit[usize::try_from(beyond).unwrap() % self.unit.len()..],
            };
            let part = &part[..part.len().min(usize::try_from(end - at).unwrap())];
            bytes.extend_from_slice(part);
            at += part.len() as u64;
        }
        bytes
    }
}

impl FakeObjectStore {
    /// Puts an object, as a client does with a signed URL.
    pub fn upload(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = body.into();
        let size = body.len() as u64;
        self.insert(key, Object::new(body, Vec::new(), size));
    }

    /// Puts an object of `size` bytes that begins with `head` and repeats `unit`, without ever holding it.
    pub fn upload_repeated(&self, key: &str, head: impl Into<Vec<u8>>, unit: impl Into<Vec<u8>>, size: u64) {
        self.insert(key, Object::new(head.into(), unit.into(), size));
    }

    fn insert(&self, key: &str, object: Object) {
        self.objects.lock().unwrap().insert(key.to_owned(), Arc::new(object));
    }

    fn find(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.lock().unwrap().get(key).cloned()
    }

    /// Takes an object away.
    pub fn remove(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    /// What lies under `key`.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.find(key).map(|object| object.bytes(0..object.size))
    }

    /// Puts a part of an upload, as a client does with a signed URL. False when there is no such upload.
    pub fn put_part(&self, upload: &str, number: i32, bytes: impl Into<Vec<u8>>) -> bool {
        let mut uploads = self.uploads.lock().unwrap();
        let upload = uploads.get_mut(upload);
        upload.is_some_and(|upload| {
            upload.parts.insert(number, bytes.into());
            true
        })
    }

    /// The names of the uploads that are under way.
    pub fn uploads(&self) -> Vec<String> {
        self.uploads.lock().unwrap().keys().cloned().collect()
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// How many ranges were read.
    pub fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }

    /// Is not available after `reads` more ranges; `None` for always.
    pub fn fail_after(&self, reads: Option<usize>) {
        *self.reads_left.lock().unwrap() = reads;
    }
}

impl ObjectStore for FakeObjectStore {
    fn presign_put<'a>(&'a self, key: &'a str, size: u64, valid: Duration) -> BoxFuture<'a, Result<PresignedPut>> {
        let url = format!("https://uploads.example.test/{key}?size={size}&expires={}", valid.as_secs());
        Box::pin(async move { Ok(PresignedPut { url, headers: BTreeMap::new() }) })
    }

    fn presign_csv<'a>(&'a self, key: &'a str, file_name: &'a str, valid: Duration) -> BoxFuture<'a, Result<String>> {
        let url = format!("https://uploads.example.test/{key}?as={file_name}&expires={}", valid.as_secs());
        Box::pin(async move { Ok(url) })
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectHead>>> {
        Box::pin(
            async move { Ok(self.find(key).map(|object| ObjectHead { size: object.size, etag: object.etag.clone() })) },
        )
    }

    fn read_range<'a>(
        &'a self,
        key: &'a str,
        etag: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            if let Some(left) = &mut *self.reads_left.lock().unwrap() {
                let Some(fewer) = left.checked_sub(1) else {
                    return Err(Error::Unavailable("the store is away".into()));
                };
                *left = fewer;
            }
            *self.reads.lock().unwrap() += 1;
            let object = self.find(key).filter(|object| object.etag == etag && range.start <= object.size);
            Ok(object.map(|object| object.bytes(range)))
        })
    }

    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        self.upload(key, body);
        Box::pin(async { Ok(()) })
    }

    fn begin_upload<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>> {
        let mut uploads = self.uploads.lock().unwrap();
        let name = format!("upload-{}-{key}", uploads.len());
        uploads.insert(name.clone(), Upload { key: key.to_owned(), parts: BTreeMap::new() });
        Box::pin(async { Ok(name) })
    }

    fn upload_part<'a>(
        &'a self,
        _: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        let put = self.put_part(upload, number, bytes);
        Box::pin(async move { Ok(put.then(|| format!("\"{number}\""))) })
    }

    fn presign_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a str,
        number: i32,
        size: u64,
        valid: Duration,
    ) -> BoxFuture<'a, Result<PresignedPut>> {
        let query = format!("upload={upload}&part={number}&size={size}&expires={}", valid.as_secs());
        let url = format!("https://uploads.example.test/{key}?{query}");
        Box::pin(async move { Ok(PresignedPut { url, headers: BTreeMap::new() }) })
    }

    fn list_parts<'a>(&'a self, _: &'a str, upload: &'a str) -> BoxFuture<'a, Result<Option<Vec<StoredPart>>>> {
        let uploads = self.uploads.lock().unwrap();
        let parts = uploads.get(upload).map(|upload| {
            let parts = upload.parts.iter();
            let stored = |(number, bytes): (&i32, &Vec<u8>)| StoredPart {
                number: *number,
                size: bytes.len() as u64,
                etag: format!("\"{number}\""),
            };
            parts.map(stored).collect()
        });
        Box::pin(async { Ok(parts) })
    }

    fn complete_upload<'a>(
        &'a self,
        _: &'a str,
        upload: &'a str,
        parts: &'a [StoredPart],
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let Some(upload) = self.uploads.lock().unwrap().remove(upload) else { return Ok(false) };
            let sizes = parts.iter().map(|part| part.size);
            let small = sizes.clone().take(parts.len().saturating_sub(1)).any(|size| size < PART_MINIMUM);
            if parts.is_empty() || small {
                return Err(Error::internal("EntityTooSmall"));
            }
            let bodies = parts.iter().map(|part| upload.parts.get(&part.number).map(Vec::as_slice));
            let body: Option<Vec<&[u8]>> = bodies.collect();
            self.upload(&upload.key, body.ok_or_else(|| Error::internal("InvalidPart"))?.concat());
            Ok(true)
        })
    }

    fn abort_upload<'a>(&'a self, _: &'a str, upload: &'a str) -> BoxFuture<'a, Result<()>> {
        self.uploads.lock().unwrap().remove(upload);
        Box::pin(async { Ok(()) })
    }
}

impl RemovingStore for FakeObjectStore {
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<()>> {
        FakeObjectStore::remove(self, key);
        Box::pin(async { Ok(()) })
    }

    fn remove_under<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize>> {
        let mut objects = self.objects.lock().unwrap();
        // Few at a time, so that nobody takes the first answer for all of them.
        let keys: Vec<String> = objects.keys().filter(|key| key.starts_with(prefix)).take(2).cloned().collect();
        objects.retain(|key, _| !keys.contains(key));
        Box::pin(async move { Ok(keys.len()) })
    }
}

/// Imports that wait for the importer.
#[derive(Default)]
pub struct FakeImportQueue {
    hints: Mutex<VecDeque<(OrganizationId, ImportId)>>,
    away: Mutex<bool>,
}

impl FakeImportQueue {
    /// Takes the oldest hint out.
    pub fn take(&self) -> Option<(OrganizationId, ImportId)> {
        self.hints.lock().unwrap().pop_front()
    }

    /// How many hints wait.
    pub fn len(&self) -> usize {
        self.hints.lock().unwrap().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From now on nothing can be enqueued.
    pub fn go_away(&self) {
        *self.away.lock().unwrap() = true;
    }

    /// From now on it takes hints again.
    pub fn come_back(&self) {
        *self.away.lock().unwrap() = false;
    }
}

impl ImportQueue for FakeImportQueue {
    fn enqueue(&self, organization: OrganizationId, import: ImportId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if *self.away.lock().unwrap() {
                return Err(Error::Unavailable("the queue is away".into()));
            }
            self.hints.lock().unwrap().push_back((organization, import));
            Ok(())
        })
    }
}
