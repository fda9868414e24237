//! Records: what the owner of a domain publishes in its DNS, and how far the provider has found it.
//!
//! SES says of the three keys of Easy DKIM together whether it has found them (`DkimAttributes.Status`), and of a MAIL FROM
//! domain whether it has found the MX record (`MailFromDomainStatus`); it looks for 72 hours. The SPF record beside that MX
//! record it does not report, nor DMARC: nobody is asked about those here. It goes on looking at what it has found, and says
//! `TEMPORARY_FAILURE` when that is gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DomainName, Identity, Status};
use crate::{Error, Result};

/// How it stands with a record, by what the provider has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RecordState")]
pub enum State {
    /// The provider has found it.
    Found,
    /// It has not found it yet, and goes on looking.
    Missing,
    /// It had found it, and could not read it when it last looked.
    Lost,
    /// It has not found it in time, or not any more, and has given up.
    Failed,
    /// Nobody can tell: the provider does not look at it, or was never asked.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The signature of the mail, and the proof that the domain is the organization's own.
    Dkim,
    /// Bounces come to, and SPF is asked about, a name of the organization's own.
    MailFrom,
    /// What receivers do with mail that is neither signed nor sent as the domain says.
    Dmarc,
}

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The type of the DNS record.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its full name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether no mail is sent without it.
    pub required: bool,
    /// How it stands with it. A row of an older release does not say.
    #[serde(default)]
    pub state: State,
    /// What to know or do about it.
    #[serde(skip_deserializing)]
    pub note: Option<&'static str>,
}

/// The records of an identity as they are kept: the keys, without which nothing is sent, and what receivers like to see.
pub(super) fn of(name: &DomainName, identity: &Identity) -> Result<Value> {
    let name = name.as_str();
    let record = |kind: &str, name: String, value: String, purpose, state| Record {
        kind: kind.to_owned(),
        name,
        value,
        purpose,
        required: purpose == Purpose::Dkim,
        state,
        note: None,
    };
    let dkim = &identity.dkim;
    let keys = dkim.tokens.iter().map(|token| {
        let (key, value) = (format!("{token}._domainkey.{name}"), format!("{token}.{}", dkim.zone));
        record("CNAME", key, value, Purpose::Dkim, dkim.state)
    });
    let mail_from = identity.mail_from.iter().flat_map(|mail_from| {
        let exchange = format!("10 {}", mail_from.exchange);
        let spf = "v=spf1 include:amazonses.com ~all".to_owned();
        [
            record("MX", mail_from.domain.clone(), exchange, Purpose::MailFrom, mail_from.state),
            record("TXT", mail_from.domain.clone(), spf, Purpose::MailFrom, State::Unknown),
        ]
    });
    let policy =
        record("TXT", format!("_dmarc.{name}"), "v=DMARC1; p=none;".to_owned(), Purpose::Dmarc, State::Unknown);
    serde_json::to_value(keys.chain(mail_from).chain([policy]).collect::<Vec<_>>()).map_err(Error::internal)
}

/// The records as they were kept, by this release or an older one.
pub(super) fn read(kept: Value) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = serde_json::from_value(kept).map_err(Error::internal)?;
    for record in &mut records {
        record.note = note(record);
    }
    Ok(records)
}

fn note(record: &Record) -> Option<&'static str> {
    match (record.purpose, record.kind.as_str(), record.state) {
        (_, _, State::Found) => None,
        (Purpose::Dmarc, ..) => Some("The mail provider does not look at this record: look it up yourself."),
        (Purpose::MailFrom, "TXT", _) => {
            Some("The mail provider reports on the MX record beside it only: look this one up yourself.")
        }
        (Purpose::MailFrom, _, State::Failed) => Some(
            "The mail provider has not found this record and sends with its own return path. Publish it, where no other mail \
             is received at this name, and verify again: each time it is asked to look again.",
        ),
        (Purpose::Dkim, _, State::Failed) => Some("The mail provider has not found this record and looks no longer."),
        (_, _, State::Lost) => {
            Some("Found before, and not when the mail provider last looked. Publish it as it stands here.")
        }
        (_, _, State::Missing) => Some("Not found yet. Publish it as it stands here, and verify again later."),
        (_, _, State::Unknown) => Some("Not known. Verify the domain to have the mail provider asked."),
    }
}

/// What is wrong with a domain and what to do, by what was said of its keys when it was last looked at.
pub(super) fn advice(status: Status, records: &[Record]) -> Option<&'static str> {
    let keys = records.iter().find(|record| record.purpose == Purpose::Dkim).map(|record| record.state);
    match (status, keys) {
        (_, Some(State::Lost)) => Some(
            "When the mail provider last looked it could not read the DKIM records that it had found before; the domain stays \
             verified only if they come back. Check that they are published as they are listed and that the domain's name \
             servers answer, then verify again.",
        ),
        (Status::Failed, _) | (_, Some(State::Failed)) => Some(
            "The mail provider has looked for the DKIM records in vain and has given up. Publish the required records as \
             they are listed, then ask whoever runs the installation to have the domain looked at anew, and verify again.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Dkim, MailFrom};
    use super::*;

    fn identity(dkim: State, mail_from: Option<State>) -> Identity {
        let dkim = Dkim { tokens: vec!["one".into(), "two".into()], zone: "dkim.amazonses.com".into(), state: dkim };
        let mail_from = mail_from.map(|state| MailFrom {
            domain: "mail.example.com".into(),
            exchange: "feedback-smtp.eu-central-1.amazonses.com".into(),
            state,
        });
        Identity { owner: None, status: Status::Pending, dkim, mail_from }
    }

    fn records(identity: &Identity) -> Vec<Record> {
        read(of(&DomainName::parse("example.com").unwrap(), identity).unwrap()).unwrap()
    }

    #[test]
    fn the_records_name_every_key_and_both_of_the_mail_from_domain() {
        let shown = serde_json::to_value(records(&identity(State::Found, Some(State::Missing)))).unwrap();
        let known: Vec<[&str; 5]> = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|record| ["type", "name", "value", "purpose", "state"].map(|field| record[field].as_str().unwrap()))
            .collect();
        assert_eq!(
            known,
            [
                ["CNAME", "one._domainkey.example.com", "one.dkim.amazonses.com", "dkim", "found"],
                ["CNAME", "two._domainkey.example.com", "two.dkim.amazonses.com", "dkim", "found"],
                ["MX", "mail.example.com", "10 feedback-smtp.eu-central-1.amazonses.com", "mail_from", "missing"],
                ["TXT", "mail.example.com", "v=spf1 include:amazonses.com ~all", "mail_from", "unknown"],
                ["TXT", "_dmarc.example.com", "v=DMARC1; p=none;", "dmarc", "unknown"],
            ]
        );
        let required: Vec<bool> = records(&identity(State::Found, None)).iter().map(|record| record.required).collect();
        assert_eq!(required, [true, true, false]);
    }

    #[test]
    fn what_is_not_found_has_a_note_and_what_failed_has_advice() {
        for state in [State::Found, State::Missing, State::Lost, State::Failed, State::Unknown] {
            let records = records(&identity(state, Some(state)));
            assert_eq!(records[0].note.is_none(), state == State::Found, "{state:?}");
            assert_eq!(records[2].note.is_none(), state == State::Found, "{state:?}");
            let is_wrong = matches!(state, State::Lost | State::Failed);
            assert_eq!(advice(Status::Verified, &records).is_some(), is_wrong, "{state:?}");
            assert!(advice(Status::Failed, &records).is_some());
        }
        assert_eq!(advice(Status::Pending, &[]), None);
        // That bounces go elsewhere stops nothing.
        assert_eq!(advice(Status::Verified, &records(&identity(State::Found, Some(State::Failed)))), None);
    }

    #[test]
    fn what_another_release_has_kept_is_read() {
        let old = json!({"type": "CNAME", "name": "a", "value": "b", "purpose": "dkim", "required": true});
        let mut newer = old.clone();
        newer["state"] = "delegated".into();
        newer["since"] = 1.into();
        let records = read(json!([old, newer])).unwrap();
        assert!(records.iter().all(|record| record.state == State::Unknown && record.note.is_some()));
        assert!(read(json!([])).unwrap().is_empty());
        assert!(matches!(read(json!("x")), Err(Error::Internal(_))));
    }
}
