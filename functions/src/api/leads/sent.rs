//! What a page or a program has sent: JSON, or a form as browsers send it. What can't be read of it is told once it is known whose form it
//! is, since only pages of the form's origins may read that.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use schemars::JsonSchema;
use serde_json::{Map, Value};
use shared::Error;

use crate::http::openapi::{Input, Operation};
use crate::http::{ApiError, ApiResult};

/// The fields of a browser's own form.
const FORM: &str = "application/x-www-form-urlencoded";
/// What a script or a program sends.
const JSON: &str = "application/json";
/// The object of custom fields in JSON, and what their names have in front of them.
const CUSTOM: &str = "custom";

/// How it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// From a browser that shows the answer.
    Form,
    /// From a script or a program that reads it.
    Json,
}

/// What was sent.
pub(super) struct Sent {
    pub(super) origin: Option<String>,
    pub(super) manner: Manner,
    pub(super) fields: ApiResult<Map<String, Value>>,
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let origin = origin(request.headers());
        let media_type = media_type(request.headers());
        let manner = if media_type == FORM { Manner::Form } else { Manner::Json };
        let fields = match Bytes::from_request(request, state).await {
            Ok(body) => read(&media_type, &body),
            Err(rejection) => Err(rejection.into()),
        };
        Ok(Self { origin, manner, fields })
    }
}

/// The origin of the page that sends; what is no text is none that a form allows.
pub(super) fn origin(headers: &HeaderMap) -> Option<String> {
    headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned())
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn read(media_type: &str, body: &[u8]) -> ApiResult<Map<String, Value>> {
    match media_type {
        JSON => read_json(body),
        FORM => read_form(body),
        _ => Err(ApiError::unsupported_media_type(
            "send the fields as application/json or application/x-www-form-urlencoded",
        )),
    }
}

/// An object; that of custom fields within it is read as if each stood beside it under its whole name.
fn read_json(body: &[u8]) -> ApiResult<Map<String, Value>> {
    let value: Value = serde_json::from_slice(body).map_err(|_| ApiError::malformed("the body is not valid JSON"))?;
    let Value::Object(mut fields) = value else {
        return Err(Error::invalid("", "invalid", "a submission is an object of fields").into());
    };
    match fields.remove(CUSTOM) {
        None | Some(Value::Null) => {}
        Some(Value::Object(custom)) => {
            for (key, value) in custom {
                add(&mut fields, format!("{CUSTOM}.{key}"), value)?;
            }
        }
        Some(_) => return Err(Error::invalid(CUSTOM, "invalid", "custom is an object of fields").into()),
    }
    Ok(fields)
}

fn read_form(body: &[u8]) -> ApiResult<Map<String, Value>> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_bytes(body).map_err(|_| ApiError::malformed("the body is no form"))?;
    let mut fields = Map::new();
    for (name, text) in pairs {
        add(&mut fields, name, text.into())?;
    }
    Ok(fields)
}

/// Of a field that comes twice nobody knows which one is meant.
fn add(fields: &mut Map<String, Value>, name: String, value: Value) -> ApiResult<()> {
    if fields.contains_key(&name) {
        return Err(Error::invalid(name, "repeated", "a field comes once").into());
    }
    fields.insert(name, value);
    Ok(())
}

/// Somebody who comes by themselves. Which other fields there are says the form.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is read field by field, and described by this")]
struct LeadFields {
    #[schemars(email, length(max = 254))]
    email: String,
    #[schemars(length(max = 200))]
    name: Option<String>,
    #[schemars(length(max = 200))]
    first_name: Option<String>,
    #[schemars(length(max = 200))]
    last_name: Option<String>,
    #[schemars(length(max = 200))]
    company: Option<String>,
    /// IANA time zone.
    timezone: Option<String>,
    /// Custom fields by their keys. In a form each is `custom.<key>`.
    custom: Option<Map<String, Value>>,
    /// Whether the person agrees to the form's text; needed where it has one: true, or what a box of a page sends (`on`, `yes`, `true`
    /// or `1`).
    consent: Option<Value>,
    /// The page that the form stands in. What is no URL of 2,000 characters at most is left out: nobody typed it, so it keeps nobody out.
    page_url: Option<String>,
}

impl Input for Sent {
    fn describe(operation: &mut Operation<'_>) {
        operation.body(JSON, Operation::read_schema::<LeadFields>());
        operation.body(FORM, serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}}));
        operation.problem(413, "The body has more than 16 KiB.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(media_type: &str, body: &str) -> Value {
        read(media_type, body.as_bytes()).unwrap().into()
    }

    #[test]
    fn a_form_and_an_object_say_the_same() {
        let read = json!({"email": "ada@people.test", "custom.plan": "pro", "name": "Ada Lovelace"});
        let form = "email=ada%40people.test&custom.plan=pro&name=Ada+Lovelace";
        assert_eq!(fields(FORM, form), read);
        let object = json!({"email": "ada@people.test", "name": "Ada Lovelace", "custom": {"plan": "pro"}});
        assert_eq!(fields(JSON, &object.to_string()), read);
        assert_eq!(fields(JSON, r#"{"email": "a@b.test", "custom": null}"#), json!({"email": "a@b.test"}));
    }

    #[test]
    fn what_is_neither_or_says_something_twice_is_refused() {
        for (media_type, body) in [
            (JSON, ""),
            (JSON, "[]"),
            (JSON, "\"email\""),
            (JSON, "{\"email\": "),
            (JSON, "{\"custom\": [1]}"),
            (JSON, "{\"custom\": {\"a\": 1}, \"custom.a\": 2}"),
            (FORM, "email=a%40b.test&email=c%40d.test"),
            ("text/plain", "email=a%40b.test"),
            ("multipart/form-data", ""),
            ("", "{}"),
        ] {
            assert!(read(media_type, body.as_bytes()).is_err(), "{media_type} {body}");
        }
    }
}
