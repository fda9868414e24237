//! Lists of dates in a request.

use chrono::NaiveDate;

use crate::fields::Fields;

/// Dates of one list at most: a day off for each day of a year.
pub const HOLIDAYS_LIMIT: usize = 366;

/// Dates written as `2026-12-25`, as they are kept: in order, each once.
pub(crate) fn read(fields: &mut Fields, field: &str, texts: &[String]) -> Vec<NaiveDate> {
    if texts.len() > HOLIDAYS_LIMIT {
        fields.refuse(field, "too_many", format!("{field} has {HOLIDAYS_LIMIT} dates at most"));
        return Vec::new();
    }
    let mut dates: Vec<NaiveDate> = texts.iter().filter_map(|text| date(text)).collect();
    if dates.len() < texts.len() {
        fields.refuse(field, "invalid", format!("{field} has dates such as 2026-12-25"));
    }
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// Ten characters and no others: what is read is what is shown.
fn date(text: &str) -> Option<NaiveDate> {
    let date: NaiveDate = text.parse().ok()?;
    (date.to_string() == text && text.len() == "2026-12-25".len()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_sorted_and_none_is_guessed() {
        let texts = |dates: &[&str]| -> Vec<String> { dates.iter().map(|date| (*date).to_owned()).collect() };
        let mut fields = Fields::default();
        let dates = read(&mut fields, "holidays", &texts(&["2026-12-26", "2026-12-25", "2026-12-26", "2028-02-29"]));
        assert_eq!(dates, ["2026-12-25", "2026-12-26", "2028-02-29"].map(|date| date.parse::<NaiveDate>().unwrap()));
        assert!(fields.finish().is_ok());
        for wrong in ["", "2026-2-3", "2026-02-30", "25.12.2026", "2026-12-25T00:00:00Z", "+12026-12-25", " 2026-12-25"]
        {
            let mut fields = Fields::default();
            read(&mut fields, "holidays", &texts(&["2026-12-25", wrong]));
            assert!(fields.finish().is_err(), "{wrong:?}");
        }
        let mut fields = Fields::default();
        read(&mut fields, "holidays", &vec!["2026-12-25".to_owned(); HOLIDAYS_LIMIT + 1]);
        assert!(fields.finish().is_err());
    }
}
