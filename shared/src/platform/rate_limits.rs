//! How many requests a minute an API key or a session may make, by the plan of its organization, and an address to the public
//! routes.
//!
//! A fixed window of a minute, counted in one row each. For a credential the statement that authenticates does it
//! (`credentials/authenticate.sql`), in a transaction of its own: requests of one key would otherwise wait for each other's
//! work. By machine time.

pub mod sweeping;

use std::net::IpAddr;

use tokio_postgres::Row;

use crate::delivery::tokens::KeyRing;
use crate::{Database, Error, Result};

/// Where a caller stands in its present minute, the request that asks included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests a minute that are allowed.
    pub limit: i64,
    /// Requests of this minute.
    pub used: i64,
    /// Seconds until the next minute begins, 1 at least.
    pub reset: i64,
}

impl Standing {
    /// Requests that are left in this minute.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        (self.limit - self.used).max(0)
    }

    /// Whether this request is one too many.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.used > self.limit
    }

    /// Reads the columns `plan_type`, `request_limit`, `used` and `reset_seconds`.
    ///
    /// Errors: [`Error::Internal`] when `system_config` has no number for the plan.
    pub(super) fn from_row(row: &Row) -> Result<Self> {
        let limit: Option<&str> = row.try_get("request_limit")?;
        let limit = limit.and_then(|text| text.parse().ok()).filter(|limit| *limit > 0).ok_or_else(|| {
            let plan: &str = row.try_get("plan_type").unwrap_or_default();
            Error::internal(format!("system_config rate_limits.{plan} is missing or no number above 0"))
        })?;
        Ok(Self { limit, used: row.try_get("used")?, reset: row.try_get::<_, i64>("reset_seconds")?.max(1) })
    }
}

/// Counts a request of an address to a public route. By machine time, in a transaction of its own, under nobody's tenant.
pub async fn count_address(db: &Database, keys: &KeyRing, address: IpAddr) -> Result<Standing> {
    let hash = keys.network_hash(address);
    let tx = db.begin_for(&[]).await?;
    let row = tx.query_one(include_str!("rate_limits/count_address.sql"), &[&hash.as_slice()]).await?;
    let standing = Standing::from_row(&row)?;
    tx.commit().await?;
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_of_the_limit_passes_and_the_next_does_not() {
        let at = |used| Standing { limit: 3, used, reset: 60 };
        assert_eq!([1, 2, 3, 4, 9].map(|used| at(used).remaining()), [2, 1, 0, 0, 0]);
        assert_eq!([1, 2, 3, 4, 9].map(|used| at(used).is_exceeded()), [false, false, false, true, true]);
    }
}
