//! The deployed HTTP API as a client sees it.

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder};

/// The API of a running stack, with a key.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    host: String,
    key: String,
}

impl Api {
    /// The API that answers to the name in `api_url`.
    ///
    /// The name lies below `localhost`, which not every system resolves. So the request goes to the emulator's
    /// address and carries the name as its host.
    pub(crate) fn new(api_url: &str, emulator_url: &str, key: &str) -> Result<Self> {
        let host = api_url.split_once("://").context("the URL of the API has no scheme")?.1;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: emulator_url.into(), host: host.trim_end_matches('/').into(), key: key.into() })
    }

    /// A request with the key, for a path as `/v1/contacts`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("Host", &self.host).bearer_auth(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_goes_into_the_host_header() {
        let api = Api::new("http://ab12.execute-api.localhost:4580", "http://127.0.0.1:4580", "key").unwrap();
        let request = api.request(Method::GET, "/v1/contacts").build().unwrap();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:4580/v1/contacts");
        assert_eq!(request.headers()["Host"], "ab12.execute-api.localhost:4580");
        assert_eq!(request.headers()["Authorization"], "Bearer key");
    }
}
