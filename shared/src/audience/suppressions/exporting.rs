//! Suppressions as CSV, safe to open in a spreadsheet and in the form that the import takes back.

use super::Suppression;
use crate::spreadsheets::guarded;
use crate::{Error, Result, timestamps};

/// Bytes of a file after which no row begins. A Lambda function answers with 6 MiB of JSON at most, in which each quotation mark of the
/// file is two bytes.
const FILE_MAXIMUM: usize = 3_000_000;

/// The first of these suppressions as a file of its own, header included, and how many fit into it: one at least, if there is one.
///
/// Errors: [`Error::Internal`], which writing to memory does not give.
pub fn to_csv(suppressions: &[Suppression]) -> Result<(String, usize)> {
    let mut rows = 0;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["email", "email_hash", "domain", "campaign_id", "list_id", "reason", "note", "created_at"])
        .map_err(Error::internal)?;
    for suppression in suppressions {
        // A row has a few kilobytes at most, and the writer keeps back no more than that.
        if writer.get_ref().len() >= FILE_MAXIMUM {
            break;
        }
        rows += 1;
        writer
            .write_record([
                guarded(suppression.email.as_deref().unwrap_or_default()),
                suppression.email_hash.clone().unwrap_or_default(),
                suppression.domain.clone().unwrap_or_default(),
                suppression.campaign_id.map(|id| id.to_string()).unwrap_or_default(),
                suppression.list_id.map(|id| id.to_string()).unwrap_or_default(),
                suppression.reason.name().to_owned(),
                guarded(suppression.note.as_deref().unwrap_or_default()),
                timestamps::text(suppression.created_at),
            ])
            .map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
    Ok((String::from_utf8(bytes).map_err(Error::internal)?, rows))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::Reason;
    use super::*;
    use crate::SuppressionId;

    #[test]
    fn a_file_ends_before_it_is_too_large_for_an_answer_and_has_a_row_at_least() {
        let long = Suppression {
            id: SuppressionId::fresh(),
            email: Some(format!("{}@people.test", "x".repeat(240))),
            email_hash: None,
            domain: None,
            campaign_id: None,
            list_id: None,
            reason: Reason::Manual,
            note: Some("\"".repeat(200)),
            message_id: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        let many = vec![long; 20_000];
        let (text, rows) = to_csv(&many).unwrap();
        assert_eq!(text.lines().count(), rows + 1);
        assert!((3_000..20_000).contains(&rows), "{rows}");
        assert!(serde_json::to_string(&text).unwrap().len() < 6 << 20);
        assert_eq!(to_csv(&many[..1]).unwrap().1, 1);
        assert_eq!(to_csv(&[]).unwrap().1, 0);
    }
}
