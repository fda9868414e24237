//! Settings of the whole installation: typed, known by name, and changed while everything runs.
//!
//! They are read in the transaction that needs them, with its other statements or in them: what an administrator has set counts for
//! the next transaction of every function. Nothing keeps a setting between two events, so nothing needs to be told of a change.

mod changing;
mod registry;
mod values;

pub use self::changing::{Change, Setting, find, history, list, set};
pub use self::registry::{Bounds, DEFINITIONS, Definition, StringForm, definition};
pub use self::values::{parse_duration, read_value};

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

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

    /// Yes or no.
    pub fn boolean(&self, key: &str) -> Result<bool> {
        self.text(key)?.parse().map_err(|_| self.broken(key))
    }

    /// A duration such as `2 days`, `2s`, `60m` or `24h`.
    pub fn duration(&self, key: &str) -> Result<Duration> {
        parse_duration(self.text(key)?).ok_or_else(|| self.broken(key))
    }

    /// A text; empty where nothing is set.
    pub fn string(&self, key: &str) -> Result<&str> {
        self.text(key)
    }

    /// A value of any shape, in JSON.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        serde_json::from_str(self.text(key)?).map_err(|_| self.broken(key))
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.values.get(key).map(String::as_str).ok_or_else(|| self.broken(key))
    }

    fn broken(&self, key: &str) -> Error {
        Error::internal(format!("system_config {}.{key} is missing or can't be read", self.category))
    }
}
