//! Settings of the whole installation, read in the transaction that needs them.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Error, Result, Tx};

/// The settings of one category.
pub struct Settings {
    category: &'static str,
    values: HashMap<String, String>,
}

/// Reads every setting of a category.
pub async fn read(tx: &Tx, category: &'static str) -> Result<Settings> {
    let rows = tx.query(include_str!("config/read.sql"), &[&category]).await?;
    let values = rows.iter().map(|row| Ok((row.try_get("key")?, row.try_get("value")?))).collect::<Result<_>>()?;
    Ok(Settings { category, values })
}

impl Settings {
    /// A whole number.
    pub fn number(&self, key: &str) -> Result<i64> {
        self.text(key)?.parse().map_err(|_| self.broken(key))
    }

    /// A duration such as `2 days`, `2s`, `60m` or `24h`.
    pub fn duration(&self, key: &str) -> Result<Duration> {
        parse_duration(self.text(key)?).ok_or_else(|| self.broken(key))
    }

    /// A value of JSON.
    pub fn json(&self, key: &str) -> Result<serde_json::Value> {
        serde_json::from_str(self.text(key)?).map_err(|_| self.broken(key))
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.values.get(key).map(String::as_str).ok_or_else(|| self.broken(key))
    }

    fn broken(&self, key: &str) -> Error {
        Error::internal(format!("system_config {}.{key} is missing or can't be read", self.category))
    }
}

/// Reads a number and a unit: s, m, h, d or the unit's name in full.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let amount: u64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "s" | "second" | "seconds" => 1,
        "m" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    amount.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_form_that_the_documents_use() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("2 days"), Some(172_800));
        assert_eq!(seconds("2s"), Some(2));
        assert_eq!(seconds("60m"), Some(3_600));
        assert_eq!(seconds("24h"), Some(86_400));
        for broken in ["", "2", "days", "-2s", "2 weeks", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(seconds(broken), None, "{broken}");
        }
    }
}
