//! Brings a database to this release's schema, and gives the run-time roles their passwords.
//!
//! Run as the owner, before the new code takes traffic. Migrations only go forward; the previous release runs against
//! the new schema.

use refinery::{Migration, Runner};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::{Error, Result};

macro_rules! migrations {
    ($($file:literal),+ $(,)?) => {
        /// Every migration in order: number, name and text.
        pub const MIGRATIONS: &[(&str, &str)] = &[$(
            ($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/", $file, ".sql"))),
        )+];
    };
}

migrations![
    "0001_foundation",
    "0002_platform",
    "0003_audience",
    "0004_outreach",
    "0005_delivery",
    "0006_tracking",
    "0007_tracked_links",
    "0008_statistics",
    "0009_provider_events",
    "0010_imports",
    "0011_platform",
    "0012_suppressions",
    "0013_provider_account",
    "0014_messages",
    "0015_domains",
    "0016_erasure",
    "0017_references",
    "0018_doubt",
    "0019_time",
    "0020_limits",
    "0021_health",
    "0022_work",
    "0023_restoration",
    "0024_identity",
    "0025_auth",
    "0026_organizations",
    "0027_webhooks",
    "0028_subscriptions",
    "0029_accounts",
    "0030_bounds",
    "0031_contacts",
    "0032_persons",
    "0033_segments",
    "0034_imports",
    "0035_suppressions",
    "0036_leads",
    "0037_contact_work",
    "0038_learning_jobs",
    "0039_reviewed_audience",
    "0040_leads_of_forms",
    "0041_verifications_follow",
    "0042_rare_rows",
    "0043_custom_value_statistics",
    "0044_messages_of_links",
    "0045_people_found",
];

/// The roles that functions log in as. None owns anything or passes row-level security.
pub const RUN_TIME_ROLES: &[&str] = &[
    "martlet_app",
    "martlet_scheduler",
    "martlet_sender",
    "martlet_feedback",
    "martlet_inbound",
    "martlet_maintenance",
    "martlet_identity",
    "martlet_billing",
    "martlet_dispatcher",
    "martlet_admin",
];

/// Two migrators wait for each other on this advisory lock.
const MIGRATION_LOCK: i64 = 0x4d41_5254_4c45_5400;
/// A migration that can't have its lock soon would queue every reader behind it: better it fails and is tried again.
const LOCK_TIMEOUT: &str = "10s";

/// Applies what is missing and returns the names of the migrations applied.
///
/// Errors: [`Error::Internal`] when a migration fails or an applied one has been changed since.
pub async fn migrate(client: &mut Client) -> Result<Vec<String>> {
    client
        .batch_execute(&format!("SET lock_timeout = '{LOCK_TIMEOUT}'; SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        .await?;
    let outcome = Runner::new(&all()?).set_abort_divergent(true).set_abort_missing(true).run_async(client).await;
    client.batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK}); RESET lock_timeout")).await?;
    let report = outcome.map_err(Error::internal)?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

fn all() -> Result<Vec<Migration>> {
    MIGRATIONS
        .iter()
        .map(|(file, sql)| {
            let (number, name) = file.split_once('_').ok_or_else(|| Error::internal("a migration has no number"))?;
            let number: u32 = number.parse().map_err(Error::internal)?;
            Migration::unapplied(&format!("V{number}__{name}"), sql).map_err(Error::internal)
        })
        .collect()
}

/// Sets the password of a run-time role.
///
/// Errors: [`Error::Invalid`] for a role that is not one of [`RUN_TIME_ROLES`].
pub async fn set_password(client: &Client, role: &str, password: &str) -> Result<()> {
    if !RUN_TIME_ROLES.contains(&role) {
        return Err(Error::invalid("username", "unknown_role", format!("{role} is not a run-time role")));
    }
    // ALTER ROLE takes no parameters, so the server does the quoting. The statement never reaches our log.
    let row = client
        .query_typed_one(
            "select format('alter role %I password %L', $1::text, $2::text)",
            &[(&role, Type::TEXT), (&password, Type::TEXT)],
        )
        .await?;
    client.batch_execute(row.get(0)).await?;
    Ok(())
}
