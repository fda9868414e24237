//! A store in memory in which archives are put together, as S3 does it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use shared::platform::exports::ArchiveStore;
use shared::{Error, Result};

/// Bytes of a part at least, but for the last.
const PART_MINIMUM: usize = 5 << 20;

/// Archives by key.
#[derive(Default)]
pub struct FakeArchiveStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    begun: usize,
    uploads: HashMap<String, BTreeMap<i32, Vec<u8>>>,
    archives: HashMap<String, Vec<u8>>,
    largest_part: usize,
    parts: usize,
    puts_left: Option<usize>,
}

impl FakeArchiveStore {
    /// The archive under `key`.
    pub fn archive(&self, key: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().archives.get(key).cloned()
    }

    /// How many parts were put, those put anew included.
    pub fn parts(&self) -> usize {
        self.state.lock().unwrap().parts
    }

    /// Bytes of the largest part.
    pub fn largest_part(&self) -> usize {
        self.state.lock().unwrap().largest_part
    }

    /// Is not available after `puts` more parts; `None` for always.
    pub fn fail_after(&self, puts: Option<usize>) {
        self.state.lock().unwrap().puts_left = puts;
    }

    /// Forgets every upload that is not completed.
    pub fn give_uploads_up(&self) {
        self.state.lock().unwrap().uploads.clear();
    }

    /// Takes an archive away, as its age does.
    pub fn expire(&self, key: &str) {
        self.state.lock().unwrap().archives.remove(key);
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.len())
}

impl ArchiveStore for FakeArchiveStore {
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            state.begun += 1;
            let upload = format!("{key}#{}", state.begun);
            state.uploads.insert(upload.clone(), BTreeMap::new());
            Ok(upload)
        })
    }

    fn put_part<'a>(
        &'a self,
        _key: &'a str,
        upload: &'a str,
        number: i32,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            if let Some(left) = &mut state.puts_left {
                let Some(fewer) = left.checked_sub(1) else {
                    return Err(Error::Unavailable("the store is away".into()));
                };
                *left = fewer;
            }
            state.parts += 1;
            state.largest_part = state.largest_part.max(bytes.len());
            let Some(upload) = state.uploads.get_mut(upload) else { return Ok(None) };
            let etag = etag(&bytes);
            upload.insert(number, bytes);
            Ok(Some(etag))
        })
    }

    fn complete<'a>(&'a self, key: &'a str, upload: &'a str, etags: &'a [String]) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            let Some(parts) = state.uploads.remove(upload) else { return Ok(state.archives.contains_key(key)) };
            assert_eq!(parts.values().map(|part| etag(part)).collect::<Vec<_>>(), etags);
            assert!(parts.keys().copied().eq(1..=i32::try_from(etags.len()).unwrap()));
            let last = parts.len() - 1;
            assert!(parts.values().take(last).all(|part| part.len() >= PART_MINIMUM), "S3 takes no smaller part");
            state.archives.insert(key.to_owned(), parts.into_values().flatten().collect());
            Ok(true)
        })
    }

    fn presign_csv<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        self.presign_zip(key, file_name, valid)
    }

    fn presign_zip<'a>(
        &'a self,
        key: &'a str,
        file_name: &'a str,
        valid: Duration,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let is_there = self.state.lock().unwrap().archives.contains_key(key);
            Ok(is_there
                .then(|| format!("https://uploads.example.test/{key}?as={file_name}&expires={}", valid.as_secs())))
        })
    }
}
