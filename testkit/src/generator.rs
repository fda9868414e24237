//! An organization of any size as it may be after two years: contacts, the persons behind them, tags, lists, fields of its own,
//! verified addresses, and campaigns with mails and what people did with them. Drawn from a seed and the same each time, but for
//! its ids in the first place and the time that all of it ends at.
//!
//! Nothing is spread evenly: a few companies and countries have most people and many have a handful, some tags are nearly
//! everybody's and others three people's, and what is known of somebody is never everything. It is written by the server itself, a
//! statement for each table, so that a million people take minutes.

use chrono::{DateTime, Utc};
use shared::OrganizationId;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// How much is generated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Contacts.
    pub contacts: u32,
    /// What everything is drawn from.
    pub seed: u32,
}

/// The scripts, in the order in which one builds upon the other, with what they make.
const SCRIPTS: [(&str, &str); 6] = [
    ("the organization", include_str!("generator/organization.sql")),
    ("contacts and persons", include_str!("generator/people.sql")),
    ("tags and lists", include_str!("generator/groups.sql")),
    ("custom fields", include_str!("generator/fields.sql")),
    ("verified addresses", include_str!("generator/verifications.sql")),
    ("campaigns with mails and events", include_str!("generator/campaigns.sql")),
];

/// Generates an organization as the owner, all of it or nothing, and tells what it is at. Its slug is `generated-` and the seed.
///
/// Errors: those of the database, as when an organization was generated from this seed before.
pub async fn generate(
    owner: &mut Client,
    options: Options,
    mut tell: impl FnMut(&str),
) -> Result<OrganizationId, Error> {
    let organization = OrganizationId::fresh();
    let tx = owner.transaction().await?;
    let clock = tx.query_typed("select clock_now()", &[]).await?;
    let at: DateTime<Utc> = clock.first().map_or(DateTime::UNIX_EPOCH, |row| row.get(0));
    tx.batch_execute(include_str!("generator/draws.sql")).await?;
    tx.query_typed(
        "insert into generating (organization_id, seed, people, at) values ($1, $2, $3, $4)",
        &[
            (&organization, Type::UUID),
            (&i64::from(options.seed), Type::INT8),
            (&i64::from(options.contacts), Type::INT8),
            (&at, Type::TIMESTAMPTZ),
        ],
    )
    .await?;
    for (what, script) in SCRIPTS {
        tell(what);
        tx.batch_execute(script).await?;
    }
    tx.commit().await?;
    tell("statistics");
    owner.batch_execute(include_str!("generator/analyze.sql")).await?;
    Ok(organization)
}
