//! Logging in by an identity provider: OpenID Connect, the authorization code flow with PKCE.
//!
//! What is trusted follows from the issuer that whoever runs the installation has set: its discovery document must call itself by
//! that name, its keys lie where that document says, and only a token that they have signed, for us, for this login and for now,
//! says who somebody is. Everything is asked over HTTPS at addresses of the public (on the local stack at its own too), no redirect is
//! followed.

pub mod id_tokens;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::platform::identities::Claimed;
use shared::platform::identity_providers::Provider;
use shared::platform::oidc_logins::{Begun, Pending};
use shared::platform::webhooks::{Reach, Target};
use shared::{Error, Result};

use self::id_tokens::{Expected, Jwk};

/// How long what a provider says of itself is kept. A new key of it is looked for at once.
const KEPT: Duration = Duration::from_secs(3_600);
/// How often keys are looked for that a token names and nobody knows.
const AGAIN: Duration = Duration::from_secs(60);

/// What a provider has answered.
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Asks providers over HTTP, following no redirect.
pub trait ProviderHost: Send + Sync {
    /// What is at a URL.
    ///
    /// Errors: [`Error::Unavailable`] where nothing came, or too much.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Answer>>;

    /// What is answered to a form; `authorization` is the field of that name.
    ///
    /// Errors: as [`ProviderHost::get`].
    fn post<'a>(&'a self, url: &'a str, form: String, authorization: Option<String>) -> BoxFuture<'a, Result<Answer>>;
}

/// Knows the secrets that we show to providers: each for its issuer, which no setting changes.
pub trait ClientSecrets: Send + Sync {
    /// The secret of a client with an issuer; none for a public client, which PKCE alone protects.
    fn find<'a>(&'a self, issuer: &'a str, client_id: &'a str) -> BoxFuture<'a, Result<Option<String>>>;
}

/// What a provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// The keys of a provider (RFC 7517). Kinds that we do not know are passed over.
#[derive(Debug, Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// What a code was exchanged for.
#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
}

struct Known {
    metadata: Metadata,
    keys: Vec<Jwk>,
    read_at: Instant,
}

/// The providers, and what they have said of themselves.
pub struct Providers {
    host: Arc<dyn ProviderHost>,
    secrets: Arc<dyn ClientSecrets>,
    reach: Reach,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

impl Providers {
    /// None is known yet.
    #[must_use]
    pub fn new(host: Arc<dyn ProviderHost>, secrets: Arc<dyn ClientSecrets>, reach: Reach) -> Self {
        Self { host, secrets, reach, known: Mutex::default() }
    }

    /// Where somebody goes to log in.
    pub async fn authorization_url(&self, provider: &Provider, begun: &Begun, redirect_uri: &str) -> Result<String> {
        let known = self.known(provider).await?;
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", "openid email profile"),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &begun.challenge),
            ("code_challenge_method", "S256"),
        ])?;
        let endpoint = &known.metadata.authorization_endpoint;
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{query}"))
    }

    /// Exchanges a code, and returns what the provider says of somebody in a token that counts.
    ///
    /// Errors: [`Error::Conflict`] (`login_refused`) where the code or the token does not count, [`Error::Unavailable`] where the
    /// provider does not answer.
    pub async fn claimed(&self, provider: &Provider, pending: &Pending, code: &str) -> Result<Claimed> {
        let known = self.known(provider).await?;
        let token = self.exchange(provider, &known.metadata, pending, code).await?;
        let kid = id_tokens::key_id(&token).map_err(refused)?;
        let known = if known.keys.iter().any(|key| key.is_called(kid.as_deref())) {
            known
        } else {
            self.known_again(provider, &known).await?
        };
        let expected = Expected {
            issuer: &provider.issuer,
            client_id: &provider.client_id,
            nonce: &pending.nonce,
            now: pending.now.timestamp(),
        };
        let claims = id_tokens::verify(&token, &known.keys, &expected).map_err(refused)?;
        Ok(Claimed {
            issuer: provider.issuer.clone(),
            email_is_verified: claims.email_is_verified(),
            subject: claims.sub,
            email: claims.email,
            first_name: claims.given_name,
            last_name: claims.family_name,
        })
    }

    async fn exchange(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        pending: &Pending,
        code: &str,
    ) -> Result<String> {
        let secret = self.secrets.find(&provider.issuer, &provider.client_id).await?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", pending.redirect_uri.as_str()),
            ("code_verifier", pending.verifier.as_str()),
        ];
        // What a provider takes unless it says otherwise (OpenID Connect Discovery 1.0, section 3).
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let by_header = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let authorization = match &secret {
            Some(secret) if by_header => {
                let (id, secret) = (encoded(&provider.client_id)?, encoded(secret)?);
                Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
            }
            Some(secret) => {
                fields.extend([("client_id", provider.client_id.as_str()), ("client_secret", secret)]);
                None
            }
            None => {
                fields.push(("client_id", provider.client_id.as_str()));
                None
            }
        };
        let answer = self.host.post(&metadata.token_endpoint, form(&fields)?, authorization).await?;
        match answer.status {
            200 => Ok(read::<Exchanged>(&answer.body)?.id_token),
            // The code was used, has ended, or is somebody else's.
            400 | 401 => Err(refused("the provider has refused the code")),
            other => Err(unavailable(format!("the provider has answered {other}"))),
        }
    }

    async fn known(&self, provider: &Provider) -> Result<Arc<Known>> {
        let kept = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&provider.issuer).cloned();
        match kept {
            Some(known) if known.read_at.elapsed() < KEPT => Ok(known),
            _ => self.read(provider).await,
        }
    }

    /// A provider may have a new key: it is asked again, but not for every token that somebody makes up.
    async fn known_again(&self, provider: &Provider, known: &Arc<Known>) -> Result<Arc<Known>> {
        if known.read_at.elapsed() < AGAIN { Ok(Arc::clone(known)) } else { self.read(provider).await }
    }

    async fn read(&self, provider: &Provider) -> Result<Arc<Known>> {
        let issuer = provider.issuer.trim_end_matches('/');
        let metadata: Metadata = self.fetch(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if metadata.issuer != provider.issuer {
            return Err(unavailable("the provider calls itself by another name than it is set up with"));
        }
        for url in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
            self.check(url)?;
        }
        let keys: KeySet = self.fetch(&metadata.jwks_uri).await?;
        let keys = keys.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let known = Arc::new(Known { metadata, keys, read_at: Instant::now() });
        let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(provider.issuer.clone(), Arc::clone(&known));
        Ok(known)
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        self.check(url)?;
        let answer = self.host.get(url).await?;
        if answer.status != 200 {
            // A redirect among them: where it leads nobody has set.
            return Err(unavailable(format!("the provider has answered {}", answer.status)));
        }
        read(&answer.body)
    }

    fn check(&self, url: &str) -> Result<()> {
        Target::parse(url, self.reach).map(drop).map_err(unavailable)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| unavailable("the provider has answered something else than was asked"))
}

/// Fields as a form and a query have them.
fn form(fields: &[(&str, &str)]) -> Result<String> {
    serde_urlencoded::to_string(fields).map_err(Error::internal)
}

/// One value as a form has it, as the credentials of a header are to be (RFC 6749 section 2.3.1).
fn encoded(text: &str) -> Result<String> {
    Ok(form(&[("", text)])?.trim_start_matches('=').to_owned())
}

fn refused(why: &'static str) -> Error {
    tracing::warn!(why, "a login by an identity provider is refused");
    Error::conflict("login_refused", "the identity provider has not confirmed this login: begin again")
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(cause.into())
}
