//! SES identities: the addresses and domains that mail may be sent from.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusals::{Refusal, with_request_id};
use super::{Postbox, addresses, draws};

/// An identity whose name starts so stays unverified.
const UNVERIFIED: &str = "unverified.";

/// An identity whose name starts so is verified, but its own MAIL FROM domain is not. Unless it is told otherwise it has one
/// without which nothing is sent.
const UNVERIFIED_MAIL_FROM: &str = "unverified-mail-from.";

/// What becomes of mail while the MX record of the MAIL FROM domain is not found: it goes from SES's own domain, or not.
const USE_DEFAULT: &str = "USE_DEFAULT_VALUE";
const REJECT: &str = "REJECT_MESSAGE";

/// How many identities SES lets an account have in a region.
const MAX_IDENTITIES: usize = 10_000;

/// The identities of the account, by name in lower case.
#[derive(Debug, Default)]
pub(crate) struct Identities(BTreeMap<String, Identity>);

/// One identity.
#[derive(Debug, Clone)]
struct Identity {
    created: DateTime<Utc>,
    tags: Value,
    /// Its own MAIL FROM domain, and what becomes of mail without its MX record.
    mail_from: Option<(String, String)>,
}

impl Identities {
    /// The identity that allows an address to send: itself, its domain or the nearest parent
    /// domain.
    ///
    /// # Errors
    ///
    /// Refuses as SES does where there is none or it is not verified.
    pub(crate) fn of_sender(&self, address: &str) -> Result<String, Refusal> {
        let address = address.to_ascii_lowercase();
        let domain = addresses::domain(&address);
        let parents = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
        let mut candidates = [address.as_str(), domain.as_str()].into_iter().chain(parents);
        let identity = candidates.find(|name| self.0.contains_key(*name));
        match identity {
            Some(name) if self.rejects_without_mx(name) => Err(Refusal::mail_from_unverified()),
            Some(name) if is_verified(name) => Ok(name.to_owned()),
            _ => Err(Refusal::unverified(&address)),
        }
    }

    fn rejects_without_mx(&self, name: &str) -> bool {
        let attributes = self.0.get(name).map(|identity| mail_from_attributes(name, identity.mail_from.clone()));
        attributes.is_some_and(|attributes| {
            attributes["BehaviorOnMxFailure"] == REJECT && attributes["MailFromDomainStatus"] == "FAILED"
        })
    }

    /// The names of all identities.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn is_verified(name: &str) -> bool {
    !name.starts_with(UNVERIFIED)
}

pub(super) fn routes() -> Router<Arc<Postbox>> {
    Router::new()
        .route("/v2/email/identities", post(create))
        .route("/v2/email/identities/{identity}", get(show).delete(delete))
        .route("/v2/email/identities/{identity}/mail-from", put(set_mail_from))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateEmailIdentity {
    email_identity: String,
    #[serde(default)]
    tags: Vec<Value>,
}

async fn create(State(postbox): State<Arc<Postbox>>, body: Bytes) -> Result<Response, Refusal> {
    let request: CreateEmailIdentity =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let name = request.email_identity.to_ascii_lowercase();
    refuse_name(&name)?;
    let mut store = postbox.store();
    let now = store.now();
    let identities = &mut store.identities.0;
    if identities.contains_key(&name) {
        return Err(Refusal::already_exists(format!("Email identity {name} already exist.")));
    }
    if identities.len() >= MAX_IDENTITIES {
        return Err(Refusal::bad_request("The account has as many identities as it may have."));
    }
    identities.insert(name.clone(), Identity { created: now, tags: json!(request.tags), mail_from: None });
    Ok(answer(json!({
        "IdentityType": kind(&name),
        "VerifiedForSendingStatus": is_verified(&name),
        "DkimAttributes": dkim(&name, now),
    })))
}

async fn show(State(postbox): State<Arc<Postbox>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let name = name.to_ascii_lowercase();
    let identity = postbox.store().identities.0.get(&name).cloned().ok_or_else(|| missing(&name))?;
    let Identity { created, tags, mail_from } = identity;
    let checked = epoch(created);
    let verification = if is_verified(&name) {
        json!({ "LastCheckedTimestamp": checked, "LastSuccessTimestamp": checked })
    } else {
        json!({ "LastCheckedTimestamp": checked, "ErrorType": "HOST_NOT_FOUND" })
    };
    Ok(answer(json!({
        "IdentityType": kind(&name),
        "FeedbackForwardingStatus": true,
        "VerifiedForSendingStatus": is_verified(&name),
        "VerificationStatus": if is_verified(&name) { "SUCCESS" } else { "PENDING" },
        "VerificationInfo": verification,
        "DkimAttributes": dkim(&name, created),
        "MailFromAttributes": mail_from_attributes(&name, mail_from),
        "Policies": {},
        "Tags": tags,
    })))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MailFrom {
    mail_from_domain: Option<String>,
    behavior_on_mx_failure: Option<String>,
}

/// Sets the MAIL FROM domain of an identity, or takes it away where none is named.
async fn set_mail_from(
    State(postbox): State<Arc<Postbox>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let request: MailFrom = serde_json::from_slice(&body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let name = name.to_ascii_lowercase();
    let behavior = request.behavior_on_mx_failure.unwrap_or_else(|| USE_DEFAULT.to_owned());
    if ![USE_DEFAULT, REJECT].contains(&behavior.as_str()) {
        return Err(Refusal::bad_request(format!("Invalid BehaviorOnMxFailure [{behavior}].")));
    }
    let domain = request.mail_from_domain.map(|domain| domain.to_ascii_lowercase()).filter(|domain| !domain.is_empty());
    if let Some(domain) = &domain {
        refuse_name(domain)?;
        if !domain.ends_with(&format!(".{}", addresses::domain(&format!("x@{name}")))) {
            let message = format!("Provided MAIL-FROM domain <{domain}> is not subdomain of the identity <{name}>.");
            return Err(Refusal::bad_request(message));
        }
    }
    let mut store = postbox.store();
    let identity = store.identities.0.get_mut(&name).ok_or_else(|| missing(&name))?;
    identity.mail_from = domain.map(|domain| (domain, behavior));
    Ok(answer(json!({})))
}

async fn delete(State(postbox): State<Arc<Postbox>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let name = name.to_ascii_lowercase();
    postbox.store().identities.0.remove(&name).ok_or_else(|| missing(&name))?;
    Ok(answer(json!({})))
}

fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!("Email identity {name} does not exist."))
}

fn refuse_name(name: &str) -> Result<(), Refusal> {
    let address = if name.contains('@') { name.to_owned() } else { format!("postmaster@{name}") };
    let refused = addresses::refuse(&address).is_some() || !addresses::domain(&address).contains('.');
    if refused { Err(Refusal::bad_request(format!("Invalid Email Identity [{name}]."))) } else { Ok(()) }
}

fn kind(name: &str) -> &'static str {
    if name.contains('@') { "EMAIL_ADDRESS" } else { "DOMAIN" }
}

fn dkim(name: &str, created: DateTime<Utc>) -> Value {
    if name.contains('@') {
        return json!({ "SigningEnabled": false, "Status": "NOT_STARTED", "SigningAttributesOrigin": "AWS_SES" });
    }
    json!({
        "SigningEnabled": true,
        "Status": if is_verified(name) { "SUCCESS" } else { "PENDING" },
        "Tokens": (0..3).map(|number| token(name, number)).collect::<Vec<_>>(),
        "SigningHostedZone": "dkim.amazonses.com",
        "SigningAttributesOrigin": "AWS_SES",
        "NextSigningKeyLength": "RSA_2048_BIT",
        "CurrentSigningKeyLength": "RSA_2048_BIT",
        "LastKeyGenerationTimestamp": epoch(created),
    })
}

/// A DKIM token: 32 letters and digits that follow from the name.
fn token(name: &str, number: u64) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..32)
        .map(|place| draws::below(32, number, "dkim", &[name, &format!("{place}")]))
        .map(|drawn| char::from(LETTERS[usize::try_from(drawn).unwrap_or(0)]))
        .collect()
}

/// The MX record is found where the identity is verified: the postbox asks no DNS.
fn mail_from_attributes(name: &str, chosen: Option<(String, String)>) -> Value {
    let is_unverified = name.starts_with(UNVERIFIED_MAIL_FROM);
    let refused = is_unverified.then(|| (format!("bounce.{name}"), REJECT.to_owned()));
    match chosen.or(refused) {
        None => json!({ "BehaviorOnMxFailure": USE_DEFAULT }),
        Some((domain, behavior)) => json!({
            "MailFromDomain": domain,
            "MailFromDomainStatus": if is_unverified { "FAILED" } else if is_verified(name) { "SUCCESS" } else { "PENDING" },
            "BehaviorOnMxFailure": behavior,
        }),
    }
}

/// An instant as SES's JSON holds it: seconds since 1970.
fn epoch(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

fn answer(body: Value) -> Response {
    with_request_id(Json(body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postbox::testing::Bench;

    fn made() -> Identity {
        Identity { created: DateTime::UNIX_EPOCH, tags: json!([]), mail_from: None }
    }

    #[tokio::test]
    async fn an_identity_is_created_shown_and_deleted() {
        let bench = Bench::start().await;
        let (status, made) = bench.post("/v2/email/identities", &json!({ "EmailIdentity": "CRM.Example.org" })).await;
        assert_eq!(status, 200);
        assert_eq!(made["IdentityType"], "DOMAIN");
        assert_eq!(made["DkimAttributes"]["Tokens"].as_array().unwrap().len(), 3);

        let (status, shown) = bench.get("/v2/email/identities/crm.example.org").await;
        assert_eq!((status, &shown["VerificationStatus"]), (200, &json!("SUCCESS")));
        assert_eq!(shown["VerifiedForSendingStatus"], true);
        assert_eq!(shown["DkimAttributes"]["Tokens"], made["DkimAttributes"]["Tokens"]);

        let again = bench.post("/v2/email/identities", &json!({ "EmailIdentity": "crm.example.org" })).await;
        assert_eq!(again.0, 400);
        assert_eq!(bench.delete("/v2/email/identities/crm.example.org").await.0, 200);
        assert_eq!(bench.get("/v2/email/identities/crm.example.org").await.0, 404);
    }

    #[tokio::test]
    async fn names_decide_what_stays_unverified() {
        let bench = Bench::start().await;
        bench.identity("unverified.example.com").await;
        let (_, shown) = bench.get("/v2/email/identities/unverified.example.com").await;
        assert_eq!(shown["VerificationStatus"], "PENDING");
        assert_eq!(shown["VerifiedForSendingStatus"], false);
        assert_eq!(shown["DkimAttributes"]["Status"], "PENDING");
        for bad in ["", "example", "a b.example.com", "@example.com"] {
            assert_eq!(bench.post("/v2/email/identities", &json!({ "EmailIdentity": bad })).await.0, 400, "{bad}");
        }
    }

    #[tokio::test]
    async fn an_identity_gets_a_mail_from_domain_below_it() {
        let bench = Bench::start().await;
        for (name, status) in [("crm.example.org", "SUCCESS"), ("unverified.example.com", "PENDING")] {
            bench.identity(name).await;
            let shown = format!("/v2/email/identities/{name}");
            assert_eq!(bench.get(&shown).await.1["MailFromAttributes"]["MailFromDomain"], Value::Null);
            let path = format!("{shown}/mail-from");
            let mail_from =
                json!({ "MailFromDomain": format!("mail.{name}"), "BehaviorOnMxFailure": "USE_DEFAULT_VALUE" });
            assert_eq!(bench.put(&path, &mail_from).await.0, 200);
            let attributes = bench.get(&shown).await.1["MailFromAttributes"].clone();
            assert_eq!(
                (&attributes["MailFromDomain"], &attributes["MailFromDomainStatus"]),
                (&json!(format!("mail.{name}")), &json!(status))
            );
            for bad in ["example.net", name, "a b.crm.example.org"] {
                assert_eq!(bench.put(&path, &json!({ "MailFromDomain": bad })).await.0, 400, "{bad}");
            }
        }
        assert_eq!(bench.put("/v2/email/identities/nobody.example.org/mail-from", &json!({})).await.0, 404);
    }

    #[test]
    fn a_domain_covers_its_subdomains_until_they_have_an_identity() {
        let mut identities = Identities::default();
        identities.0.insert("example.com".into(), made());
        assert_eq!(identities.of_sender("Jane@Mail.Example.com").unwrap(), "example.com");
        assert_eq!(identities.of_sender("jane@example.org").unwrap_err().kind(), "MessageRejected");
        identities.0.insert("unverified.example.com".into(), made());
        assert!(identities.of_sender("jane@unverified.example.com").is_err());
        identities.0.insert("unverified-mail-from.example.com".into(), made());
        let refusal = identities.of_sender("jane@unverified-mail-from.example.com").unwrap_err();
        assert_eq!(refusal.kind(), "MailFromDomainNotVerifiedException");
        let name = "unverified-mail-from.example.com";
        let mail_from = Some((format!("mail.{name}"), USE_DEFAULT.to_owned()));
        identities.0.insert(name.into(), Identity { mail_from, ..made() });
        assert_eq!(identities.of_sender(&format!("jane@{name}")).unwrap(), name);
    }
}
