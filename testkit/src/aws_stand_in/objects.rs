//! S3's HeadObject, GetObject with a range and a condition, and PutObject, with the bucket in the path.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode};

use super::text;

#[derive(Default)]
pub(super) struct Objects(HashMap<String, Object>);

/// Cloned for each answer, and its bytes are shared.
#[derive(Clone)]
struct Object {
    body: Bytes,
    etag: String,
}

impl Objects {
    pub(super) fn put(&mut self, path: &str, body: Bytes) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        self.0.insert(path.to_owned(), Object { body, etag });
    }

    pub(super) fn body(&self, path: &str) -> Option<Bytes> {
        self.0.get(path).map(|object| object.body.clone())
    }
}

pub(super) fn answer(
    objects: &Mutex<Objects>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut objects = objects.lock().unwrap();
    if method == Method::PUT {
        objects.put(path, body);
        return Response::new(Body::empty());
    }
    let Some(object) = objects.0.get(path).cloned() else { return status(StatusCode::NOT_FOUND) };
    if text(headers, "if-match").is_some_and(|wanted| wanted != object.etag) {
        return status(StatusCode::PRECONDITION_FAILED);
    }
    let all = object.body.len();
    let part = match text(headers, "range").map(|range| slice(range, all)) {
        None => None,
        Some(None) => return status(StatusCode::RANGE_NOT_SATISFIABLE),
        Some(Some(part)) => Some(part),
    };
    let mut response = Response::builder().header("etag", &object.etag).header("accept-ranges", "bytes");
    if method == Method::HEAD {
        return response.header("content-length", all).body(Body::empty()).unwrap();
    }
    let body = match part {
        None => object.body,
        Some((first, last)) => {
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", format!("bytes {first}-{last}/{all}"));
            object.body.slice(first..=last)
        }
    };
    response.body(Body::from(body)).unwrap()
}

/// The first and the last byte of `bytes=0-99`, the last cut at the object's end; `None` where nothing is left.
fn slice(range: &str, all: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last: usize = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    (first < all && first <= last).then(|| (first, last.min(all - 1)))
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn a_range_is_cut_at_the_end() {
        assert_eq!(slice("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(slice("bytes=8-99", 10), Some((8, 9)));
        assert_eq!(slice("bytes=8-", 10), Some((8, 9)));
        assert_eq!(slice("bytes=10-12", 10), None);
        assert_eq!(slice("rows=1-2", 10), None);
    }
}
