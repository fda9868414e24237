//! Suppressions as CSV, safe to open in a spreadsheet and in the form that the import takes back.

use super::Suppression;
use crate::{Error, Result, timestamps};

/// What a spreadsheet takes for the beginning of a formula, and the quote that guards against it.
pub(super) const GUARDED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', GUARD];

/// In front of a text it makes a spreadsheet show the text. It guards itself too, so that taking it off again is certain.
pub(super) const GUARD: char = '\'';

/// The suppressions as a file of its own, header included.
///
/// Errors: [`Error::Internal`], which writing to memory does not give.
pub fn to_csv(suppressions: &[Suppression]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["email", "email_hash", "campaign_id", "reason", "note", "created_at"])
        .map_err(Error::internal)?;
    for suppression in suppressions {
        writer
            .write_record([
                guarded(suppression.email.as_deref().unwrap_or_default()),
                suppression.email_hash.clone().unwrap_or_default(),
                suppression.campaign_id.map(|id| id.to_string()).unwrap_or_default(),
                suppression.reason.name().to_owned(),
                guarded(suppression.note.as_deref().unwrap_or_default()),
                timestamps::text(suppression.created_at),
            ])
            .map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}

fn guarded(text: &str) -> String {
    if text.starts_with(GUARDED) { format!("{GUARD}{text}") } else { text.to_owned() }
}
