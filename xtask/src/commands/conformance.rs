//! `cargo xtask conformance`: the running API held to its own description, by Schemathesis, once as each role.
//!
//! Each role is a person in an organization of their own, which has a row in every table, so that what is asked for is found.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::up;
use crate::local::database::Login;
use crate::local::places::Places;
use crate::local::processes;
use crate::local::stack::Stack;
use crate::local::tools::Tools;
use crate::say;

/// Roles by the least.
const ROLES: [&str; 5] = ["viewer", "member", "admin", "owner", "administrator"];

/// The rows of everything.sql that the ids of a path name, by the beginning of the path and the parameter's name.
const ROWS: &[(&str, &str, &str)] = &[
    ("/v1/campaigns/{id}", "id", "campaign"),
    ("/v1/campaigns/{id}/enrollments/{enrollment_id}", "enrollment_id", "enrollment"),
    ("/v1/campaigns/{id}/steps/{step_id}", "step_id", "step"),
    ("/v1/contacts/{id}", "id", "contact"),
    ("/v1/domains/{id}", "id", "domain"),
    ("/v1/imports/{id}", "id", "import"),
    ("/v1/jobs/{id}", "id", "job"),
    ("/v1/lists/{id}", "id", "list"),
    ("/v1/lists/{id}/members/{contact_id}", "contact_id", "contact"),
    ("/v1/messages/{id}", "id", "message"),
    ("/v1/organizations/{id}/keys/{key_id}", "key_id", "key"),
    ("/v1/organizations/{id}/exports/{job_id}", "job_id", "job"),
    ("/v1/organizations/{id}/invites/{invite_id}", "invite_id", "invite"),
    ("/v1/organizations/{id}/members/{user_id}", "user_id", "user"),
    ("/v1/senders/{id}", "id", "sender"),
    ("/v1/suppressions/{id}", "id", "suppression"),
    ("/v1/webhooks/{id}", "id", "endpoint"),
    ("/v1/webhooks/deliveries/{id}", "id", "delivery"),
    ("/v1/workflows/{id}", "id", "endpoint"),
    ("/v1/workflows/runs/{id}", "id", "run"),
];

/// What is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One of viewer, member, admin, owner and administrator (an owner who also runs the installation); all unless given
    #[arg(long, value_parser = ROLES)]
    pub(crate) role: Option<String>,
    /// Requests drawn for each operation at most, beside those that cover its description
    #[arg(long, default_value_t = 20)]
    pub(crate) examples: u32,
    /// What requests are drawn from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only what covers the description, in minutes
    #[arg(long)]
    pub(crate) short: bool,
}

/// Runs it against the stack that runs, or one of this command's own. Fails on any finding.
pub(crate) async fn conformance(places: &Places, database: Option<Login>, options: &Options) -> Result<ExitCode> {
    let tools = Tools::ensure(places).await?;
    let stack = Stack::attach_or_start(places, database).await?;
    let client = stack.state.database.connect().await?;
    let without_name = up::address_without_name(&stack.state.api_url, &stack.state.emulator_url).await;
    let url = without_name.as_ref().unwrap_or(&stack.state.api_url);
    let mut all_pass = true;
    for role in ROLES.into_iter().filter(|role| options.role.as_deref().is_none_or(|asked| asked == *role)) {
        let organization = fill(places, &client).await?;
        let token = log_in(&client, organization, role).await?;
        let config = places.local().join(format!("schemathesis-{role}.toml"));
        write_config(places, &client, organization, &config).await?;
        let mut run = Command::new(tools.python());
        run.args(["-m", "schemathesis.cli"]).arg("--config-file").arg(&config);
        run.args(["run", "--url", url, "--no-color", "--continue-on-failure"]);
        run.args(["--seed", &options.seed.to_string(), "--header", &format!("Authorization: Bearer {token}")]);
        if options.short {
            run.args(["--phases", "examples,coverage"]);
        } else {
            run.args(["--phases", "examples,coverage,fuzzing", "--max-examples", &options.examples.to_string()]);
        }
        run.arg(places.checkout().join("functions/openapi.json"));
        let name = format!("Holding the API to its description as {role}");
        all_pass &= say::step(&name, processes::run(places, "Schemathesis", &mut run)).await?.success();
    }
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A new organization with a row in every table.
async fn fill(places: &Places, client: &Client) -> Result<Uuid> {
    let organization = fresh();
    let rows = places.checkout().join("shared/tests/database/everything.sql");
    let rows = std::fs::read_to_string(&rows).with_context(|| format!("can't read {}", rows.display()))?;
    client.batch_execute(&rows.replace("${ORGANIZATION}", &organization.to_string())).await?;
    // A draft has no mail.
    let active = format!("update campaigns set status = 'active' where organization_id = '{organization}'");
    client.batch_execute(&active).await?;
    Ok(organization)
}

/// A person of that role, logged in, as `shared::platform::credentials` has it.
async fn log_in(client: &Client, organization: Uuid, role: &str) -> Result<String> {
    let mut secret = [0; 20];
    getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("{error}"))?;
    let bytes = [organization.as_bytes().as_slice(), &secret].concat();
    let hash = Sha256::digest(&bytes).to_vec();
    let user = fresh();
    let (membership, is_admin) = if role == "administrator" { ("owner", true) } else { (role, false) };
    client
        .query_typed(
            "with person as (
                 insert into users (id, email, email_verified_at, is_admin) values ($1, $1 || '@users.test', now(), $5)
             ), member as (
                 insert into memberships (organization_id, user_id, role) values ($2, $1, $3)
             )
             insert into sessions (organization_id, id, user_id, token_hash, expires_at)
             values ($2, gen_random_uuid(), $1, $4, now() + interval '1 day')",
            &[
                (&user, Type::UUID),
                (&organization, Type::UUID),
                (&membership, Type::TEXT),
                (&hash, Type::BYTEA),
                (&is_admin, Type::BOOL),
            ],
        )
        .await?;
    Ok(format!("ms_{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
}

/// The settings that are kept in the tree, and the ids of this organization's rows for the parameters of the paths.
async fn write_config(places: &Places, client: &Client, organization: Uuid, config: &Path) -> Result<()> {
    let base = places.checkout().join("schemathesis.toml");
    let mut text = std::fs::read_to_string(&base).with_context(|| format!("can't read {}", base.display()))?;
    let mut name = |path: &str, parameter: &str, id: &str| {
        let path = path.replace('{', "\\\\{").replace('}', "\\\\}");
        write!(
            text,
            "\n[[operations]]\ninclude-path-regex = \"^{path}\"\nparameters = {{ \"path.{parameter}\" = \"{id}\" }}\n"
        )
    };
    name("/v1/organizations/{id}", "id", &organization.to_string())?;
    for (path, parameter, row) in ROWS {
        let sql = format!("select md5('{organization} {row}')::uuid::text");
        let id: String = client.query_typed(&sql, &[]).await?[0].get(0);
        name(path, parameter, &id)?;
    }
    std::fs::write(config, text).with_context(|| format!("can't write {}", config.display()))
}

/// An id that nobody has.
#[expect(
    clippy::disallowed_methods,
    reason = "what is made here is of no release; the ids of the product are not at hand"
)]
fn fresh() -> Uuid {
    Uuid::new_v4()
}
