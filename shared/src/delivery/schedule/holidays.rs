//! Dates on which no mail goes.

use std::sync::Arc;

use chrono::NaiveDate;

/// Local dates on which no opening of a window begins. An opening over midnight is that of the date on which it begins: on
/// the morning of a holiday it still goes on, and the evening before the day after brings none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holidays(Arc<[NaiveDate]>);

impl Holidays {
    /// These dates, in any order and however often.
    #[must_use]
    pub fn new(dates: impl IntoIterator<Item = NaiveDate>) -> Self {
        let mut dates: Vec<NaiveDate> = dates.into_iter().collect();
        dates.sort_unstable();
        dates.dedup();
        Self(dates.into())
    }

    /// Whether the date is one of them.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.0.binary_search(&date).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
