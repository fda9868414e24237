//! `postbox`, the stand-in for Amazon SES on the local stack.
//!
//! It speaks the SES v2 calls that Martlet makes, keeps every accepted mail whole, shows the mails
//! on a page, and answers as the world would: deliveries, bounces, complaints, replies, automatic
//! answers and unsubscribes, all drawn from a seed so that a run can be repeated. Events go to the
//! feedback queue in SES's JSON inside SNS's envelope, replies to the bucket and the inbound queue.
//!
//! Two clocks meet here. Mails, events and the agenda carry *simulated* time, which is the real
//! time plus a shift that the driver of the local stack sets. Only the record of when a request
//! really arrived uses the real clock.
//!
//! | module | subject |
//! |---|---|
//! | [`ses`], [`identities`], [`account`] | the SES v2 API |
//! | [`mime`], [`addresses`] | reading a mail, building one from its parts |
//! | [`store`] | what is kept, and its bounds |
//! | [`outcomes`], [`faults`], [`draws`] | what happens to a mail or a request, by seed |
//! | [`publishing`], [`agenda`] | what is published at once, and what happens later |
//! | [`events`], [`replies`], [`unsubscribes`], [`visits`] | what a provider and a recipient do |
//! | [`emulator`] | SQS and S3 calls |
//! | [`control`], [`page`] | the driver's API and the mailbox page |

mod account;
mod addresses;
mod agenda;
mod clock;
mod control;
pub(crate) mod draws;
mod emulator;
mod events;
mod faults;
mod identities;
mod mime;
mod outcomes;
mod page;
mod publishing;
mod refusals;
mod replies;
mod ses;
mod store;
#[cfg(test)]
mod testing;
mod unsubscribes;
mod visits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use self::emulator::Emulator;
use self::publishing::Publisher;
use self::store::Store;
use self::unsubscribes::Unsubscriber;
use self::visits::Visitor;

/// Where the stand-in finds the rest of the local stack.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Base URL of the AWS emulator, for example `http://127.0.0.1:4566`.
    pub(crate) emulator_url: String,
    /// URL of the queue that SES's events go to.
    pub(crate) feedback_queue_url: String,
    /// URL of the queue that receipt notifications go to.
    pub(crate) inbound_queue_url: String,
    /// Bucket that received mails are stored in, under `inbound/`.
    pub(crate) bucket: String,
}

/// Serves the stand-in on `listener` until the future is dropped.
///
/// Dropping the future also ends the tasks that publish events, so nothing outlives it.
///
/// # Errors
///
/// Fails where the HTTP clients cannot be built or the listener breaks.
pub(crate) async fn serve(listener: TcpListener, config: Config) -> anyhow::Result<()> {
    let (publisher, jobs) = Publisher::new();
    let postbox = Arc::new(Postbox::new(config, publisher)?);
    let _workers = publishing::spawn_workers(&postbox, jobs);
    axum::serve(listener, router(postbox)).await?;
    Ok(())
}

/// Everything that the handlers share.
#[derive(Debug)]
pub(crate) struct Postbox {
    config: Config,
    store: Mutex<Store>,
    emulator: Emulator,
    publisher: Publisher,
    unsubscriber: Unsubscriber,
    visitor: Visitor,
    /// Held while the agenda is worked off, so that two advances never interleave.
    advancing: tokio::sync::Mutex<()>,
}

impl Postbox {
    fn new(config: Config, publisher: Publisher) -> anyhow::Result<Self> {
        Ok(Self {
            emulator: Emulator::new(&config.emulator_url)?,
            unsubscriber: Unsubscriber::new()?,
            visitor: Visitor::new()?,
            store: Mutex::new(Store::default()),
            advancing: tokio::sync::Mutex::default(),
            publisher,
            config,
        })
    }

    /// The store, locked. Never hold it across an await.
    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere must not take the stand-in down: every change of the store is small.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(postbox: Arc<Postbox>) -> Router {
    Router::new()
        .merge(ses::routes())
        .merge(identities::routes())
        .merge(account::routes())
        .merge(control::routes())
        .merge(page::routes())
        .with_state(postbox)
        .layer(middleware::from_fn(refuse_other_sites))
}

/// Refuses requests that a page of another site made in the developer's browser.
///
/// The stand-in asks for no credentials, so without this any web page could reset it.
async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let changes = request.method() != Method::GET && request.method() != Method::HEAD;
    if changes && comes_from_another_site(&request) {
        return (StatusCode::FORBIDDEN, "Requests from other sites are refused.").into_response();
    }
    next.run(request).await
}

fn comes_from_another_site(request: &Request) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        // Programs send no Origin; browsers always do on requests that change something.
        return false;
    };
    let origin: Option<Uri> = origin.to_str().ok().and_then(|text| text.parse().ok());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    match (origin.as_ref().and_then(Uri::authority), host) {
        (Some(origin), Some(host)) => !origin.as_str().eq_ignore_ascii_case(host),
        _ => true,
    }
}
