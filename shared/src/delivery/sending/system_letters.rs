//! The letters of the installation itself: what they are made of, and what decides whether one goes now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;

use super::Letterhead;
use super::letters::{Content, Letter, Unwritable};
use crate::delivery::mail::{Outgoing, compose};
use crate::delivery::messages::{Kind, MessageKey, OutcomeCode};
use crate::delivery::system_mail::{Action, ActionPurpose, HIDDEN_LINK, Template};
use crate::outreach::templates::TemplateError;
use crate::{Error, Result};

/// Reads the material of the mails that are still planned, and from whom they come.
pub(super) const READ: &str = include_str!("read_system_letters.sql");

/// How long a mail waits while nobody has said from which address it comes, in seconds.
pub(super) const SENDER_WAIT: f64 = 300.0;

/// What a letter is made of.
pub(super) struct Material {
    key: MessageKey,
    recipient: String,
    template: String,
    variables: Value,
    action: Option<Action>,
    sender: String,
    sender_name: Option<String>,
    console_url: Option<String>,
    now: DateTime<Utc>,
}

/// Reads what [`READ`] returns.
pub(super) fn material(row: &Row, now: DateTime<Utc>) -> Result<Material> {
    let purpose = row.try_get::<_, Option<&str>>("action_purpose")?.and_then(ActionPurpose::parse);
    let action = purpose.zip(row.try_get("action_id")?).map(|(purpose, id)| Action { purpose, id });
    let setting = |column| -> Result<String> { Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default()) };
    Ok(Material {
        key: MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("message_id")? },
        recipient: row.try_get("recipient")?,
        template: row.try_get("template")?,
        variables: row.try_get("variables")?,
        action,
        sender: setting("sender")?.trim().to_owned(),
        sender_name: Some(setting("sender_name")?).filter(|name| !name.trim().is_empty()),
        console_url: Some(setting("console_url")?).filter(|url| !url.trim().is_empty()),
        now,
    })
}

impl Material {
    /// Writes the letter, or says why there is none.
    pub(super) fn letter(&self, letterhead: &Letterhead) -> Letter {
        Letter { key: self.key, kind: Kind::System, content: self.write(letterhead) }
    }

    fn write(&self, letterhead: &Letterhead) -> Result<Content, Unwritable> {
        if self.sender.is_empty() {
            return Err(Unwritable { code: OutcomeCode::NoSystemSender, detail: String::new() });
        }
        let template = Template::parse(&self.template).ok_or_else(|| Unwritable {
            code: OutcomeCode::NotComposable,
            detail: "this release has no such text".to_owned(),
        })?;
        let unwritable = |error: TemplateError| Unwritable { code: (&error).into(), detail: error.to_string() };
        let url = self.action.map(|action| self.action_url(action, letterhead));
        let said = template.write(&self.variables, url.as_deref()).map_err(unwritable)?;
        // Whoever reads the ledger shall not do what only the recipient may.
        let kept = template.write(&self.variables, url.as_ref().map(|_| HIDDEN_LINK)).map_err(unwritable)?;
        if [&said.subject, &said.body].into_iter().any(|text| text.contains('\0')) {
            let detail = "the text contains a NUL character".to_owned();
            return Err(Unwritable { code: OutcomeCode::NotComposable, detail });
        }
        let raw = compose(&Outgoing {
            from_name: self.sender_name.as_deref(),
            from: &self.sender,
            to: &self.recipient,
            reply_to: None,
            subject: &said.subject,
            body_text: &said.body,
            postal_address: None,
            signature: None,
            unsubscribe_url: None,
            link_urls: &BTreeMap::new(),
            pixel_url: None,
            in_reply_to: None,
            references: &[],
            date: self.now,
            message_ref: self.key.id.0,
        })
        .map_err(|error| Unwritable { code: OutcomeCode::NotComposable, detail: error.to_string() })?;
        Ok(Content {
            subject: kept.subject,
            body: kept.body,
            from: self.sender.clone(),
            to: self.recipient.clone(),
            raw,
            links: Vec::new(),
        })
    }

    /// Behind the `#`: what a browser does not send to any server stands in no log on the way, nor in a `Referer`.
    fn action_url(&self, action: Action, letterhead: &Letterhead) -> String {
        let base = self.console_url.as_deref().unwrap_or(&letterhead.public_url).trim().trim_end_matches('/');
        format!("{base}{}#token={}", action.purpose.path(), letterhead.keys.action_token(action))
    }
}

/// What is true of a planned mail now, as far as it matters for sending.
pub(super) struct Facts {
    pub(super) key: MessageKey,
    pub(super) recipient: String,
    pub(super) send_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) is_suppressed: bool,
}

impl Facts {
    /// Reads what `check_system.sql` returns.
    pub(super) fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            key: MessageKey { organization: row.try_get("organization_id")?, id: row.try_get("message_id")? },
            recipient: row.try_get("recipient")?,
            send_at: row.try_get("send_at")?,
            expires_at: row.try_get("expires_at")?,
            is_suppressed: row.try_get("is_suppressed")?,
        })
    }
}
