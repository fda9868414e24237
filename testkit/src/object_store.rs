//! A store of objects in memory, and a queue of imports to go with it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::audience::imports::{ImportQueue, ObjectHead, ObjectStore, PresignedPut};
use shared::{Error, ImportId, OrganizationId, Result};

/// Objects by key.
#[derive(Default)]
pub struct FakeObjectStore {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    reads: Mutex<usize>,
    reads_left: Mutex<Option<usize>>,
}

impl FakeObjectStore {
    /// Puts an object, as a client does with a signed URL.
    pub fn upload(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.objects.lock().unwrap().insert(key.to_owned(), body.into());
    }

    /// Takes an object away.
    pub fn remove(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    /// What lies under `key`.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.lock().unwrap().get(key).cloned()
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
    fn presign_put<'a>(&'a self, key: &'a str, valid: Duration) -> BoxFuture<'a, Result<PresignedPut>> {
        let url = format!("https://uploads.example.test/{key}?expires={}", valid.as_secs());
        Box::pin(async move { Ok(PresignedPut { url, headers: BTreeMap::new() }) })
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectHead>>> {
        Box::pin(async move {
            let body = self.object(key);
            Ok(body.map(|body| ObjectHead { size: body.len() as u64, etag: etag(&body) }))
        })
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
            let Some(body) = self.object(key).filter(|body| self::etag(body) == etag) else { return Ok(None) };
            let end = usize::try_from(range.end).unwrap().min(body.len());
            let start = usize::try_from(range.start).unwrap();
            Ok(body.get(start..end).map(<[u8]>::to_vec))
        })
    }

    fn put<'a>(&'a self, key: &'a str, body: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        self.upload(key, body);
        Box::pin(async { Ok(()) })
    }
}

fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
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
