//! Suppressions as CSV, safe to open in a spreadsheet and in the form that the import takes back.

use super::Suppression;
use crate::spreadsheets::guarded;
use crate::{Error, Result, timestamps};

/// The suppressions as a file of its own, header included.
///
/// Errors: [`Error::Internal`], which writing to memory does not give.
pub fn to_csv(suppressions: &[Suppression]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["email", "email_hash", "domain", "campaign_id", "list_id", "reason", "note", "created_at"])
        .map_err(Error::internal)?;
    for suppression in suppressions {
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
    String::from_utf8(bytes).map_err(Error::internal)
}
