//! The deployed stack as a client sees it.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Longer than the slowest way through the stack; passed only when something is broken.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the stack is.
pub(crate) struct Stack {
    http: Client,
    api: String,
    api_key: String,
    pub(crate) emulator: String,
    postbox: String,
    functions: Value,
}

impl Stack {
    pub(crate) fn from_environment() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the stack says where it is in no other way")]
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by `cargo xtask test`"))
        };
        Self {
            http: Client::builder().no_proxy().build().unwrap(),
            api: variable("STACK_API_URL"),
            api_key: variable("STACK_API_KEY"),
            emulator: variable("STACK_EMULATOR_URL"),
            postbox: variable("STACK_POSTBOX_URL"),
            functions: serde_json::from_str(&variable("STACK_OUTPUTS")).unwrap(),
        }
    }

    /// A name that no run before has used.
    pub(crate) fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", shared::ids::fresh().simple())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        expect(self.request(Method::GET, path), 200).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        expect(self.request(Method::POST, path).json(&body), status).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value, status: u16) -> Value {
        expect(self.request(Method::PATCH, path).json(&body), status).await
    }

    /// Uploads a file as the API says how.
    pub(crate) async fn put(&self, upload: &Value, file: Vec<u8>) {
        let url = upload["url"].as_str().unwrap();
        let headers = upload["headers"].as_object().unwrap();
        let request = self.http.put(url).body(file);
        let request = headers.iter().fold(request, |put, (name, value)| put.header(name, value.as_str().unwrap()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }

    /// Looks at `path` until it is as it should be.
    pub(crate) async fn until(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(path).await;
            if is_so(&seen) {
                return;
            }
            assert!(Instant::now() < deadline, "never so: {what}; last seen: {seen:#}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Invokes a function as EventBridge does.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Value {
        let name = self.functions[format!("{function}FunctionName")].as_str().unwrap();
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.emulator);
        let answer = self.http.post(url).body(event.to_string()).send().await.unwrap();
        assert!(answer.headers().get("x-amz-function-error").is_none(), "{:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    /// What the stand-in has accepted for these addresses.
    pub(crate) async fn mails_to(&self, addresses: &[&str]) -> Vec<Value> {
        let mut mails = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("{}/_postbox/mails?after={after}&limit=1000", self.postbox);
            let page = expect(self.http.get(path), 200).await;
            mails.extend(page["mails"].as_array().into_iter().flatten().cloned());
            if page["more"] != true {
                break;
            }
            after = page["last_sequence"].as_u64().unwrap();
        }
        mails.retain(|mail| addresses.iter().any(|address| mail["to"][0] == *address));
        mails
    }

    /// A mail as it was handed over.
    pub(crate) async fn raw(&self, mail: &Value) -> String {
        let id = mail["provider_message_id"].as_str().unwrap();
        let url = format!("{}/_postbox/mails/{id}/raw", self.postbox);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Tells the stand-in to do something.
    pub(crate) async fn postbox(&self, what: &str, body: Value) {
        let done = expect(self.http.post(format!("{}/_postbox/{what}", self.postbox)).json(&body), 200).await;
        assert_ne!(done, json!(null));
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // The API's host name need not resolve: it stands in the Host header, the emulator is where it is.
        let host = self.api.trim_start_matches("http://");
        self.http.request(method, format!("{}{path}", self.emulator)).header("host", host).bearer_auth(&self.api_key)
    }
}

async fn expect(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let (seen, path) = (answer.status(), answer.url().path().to_owned());
    let text = answer.text().await.unwrap();
    assert_eq!(seen.as_u16(), status, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
