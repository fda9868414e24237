//! `/u/{token}`: unsubscribing.
//!
//! GET shows a page and changes nothing, since scanners and previews follow links; POST acts, with the one click of a mail
//! program (RFC 8058) or with the page's form. No cookie and no redirect.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use shared::delivery::unsubscribing::{self, MAX_COMMENT, Scope, Subscription, Wish};

use super::pages::{PageError, page};
use super::{Calling, Token, Tracking, message, opened};

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct Page {
    organization_name: String,
    masked_address: String,
    /// Nothing more is to be asked.
    everything_is_stopped: bool,
    campaign_is_stopped: bool,
    /// Whether there is a campaign that could be left alone.
    offers_campaign: bool,
    max_comment: usize,
}

/// Shows what the link is about.
pub(super) async fn show(
    State(Tracking { db, keys }): State<Tracking>,
    Token(token): Token,
) -> Result<Response, PageError> {
    let (organization, id) = opened(keys.open_unsubscribe_token(&token))?;
    let key = message(organization, id);
    let tx = db.begin(key.organization).await?;
    let subscription = unsubscribing::look_up(&tx, key.id).await?;
    tx.commit().await?;
    Ok(shown(subscription))
}

/// The page's form. A mail program sends `List-Unsubscribe=One-Click` instead, which has none of these fields.
#[derive(Deserialize)]
pub(super) struct Answers {
    #[serde(rename = "List-Unsubscribe")]
    one_click: Option<String>,
    scope: Option<String>,
    reason: Option<String>,
    comment: Option<String>,
}

/// Unsubscribes. Whatever the body is, whoever posts wants to leave: what is not the page's form means everything.
pub(super) async fn act(
    State(Tracking { db, keys }): State<Tracking>,
    Token(token): Token,
    Calling(visitor): Calling,
    form: Result<Form<Answers>, FormRejection>,
) -> Result<Response, PageError> {
    let (organization, id) = opened(keys.open_unsubscribe_token(&token))?;
    let wish = match form {
        Ok(Form(Answers { one_click: None, scope, reason, comment })) => {
            Wish::read(scope.as_deref(), reason.as_deref(), comment.as_deref())
        }
        _ => Wish::default(),
    };
    let key = message(organization, id);
    let tx = db.begin(key.organization).await?;
    unsubscribing::unsubscribe(&tx, key.id, &wish, &visitor).await?;
    let subscription = unsubscribing::look_up(&tx, key.id).await?;
    tx.commit().await?;
    Ok(shown(subscription))
}

fn shown(subscription: Subscription) -> Response {
    let Subscription { organization_name, masked_address, stopped, has_campaign } = subscription;
    let page_shown = Page {
        organization_name,
        masked_address,
        everything_is_stopped: stopped == Some(Scope::Everything),
        campaign_is_stopped: stopped == Some(Scope::Campaign),
        offers_campaign: has_campaign && stopped.is_none(),
        max_comment: MAX_COMMENT,
    };
    page(StatusCode::OK, &page_shown)
}
