//! `cargo xtask conformance`: the running API held to its own description, by Schemathesis, once as each role.
//!
//! Each role is a person in an organization of their own, which has a row in every table, so that what is asked for is found.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use data_encoding::BASE32_NOPAD;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
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

/// Callers for operations that end their caller's session: more than there are requests of that kind in a long run.
const OTHERS: usize = 600;

/// What the API says of itself.
const DOCUMENT: &str = "functions/openapi.json";
/// Tells Schemathesis who asks.
const HOOKS: &str = "xtask/src/commands/conformance/people.py";

/// Everybody asks from one address, and more often than people do. What else a run sets is put back with it.
const LIFT_LIMITS: &str = "
    create temp table settings_before as table system_config;
    update system_config set value = '1000000' where (category, key) in (('rate_limits', 'public'), ('rate_limits', 'enterprise'));
    update system_config set value = '1000' where (category, key) = ('login', 'failures_of_account_and_address');
    update system_config set value = '100000'
    where category = 'login' and key in ('failures_of_account', 'failures_of_address', 'sign_ups_of_address')";
const PUT_BACK: &str = "
    update system_config s set value = before.value from settings_before before
    where (s.category, s.key) = (before.category, before.key) and s.value <> before.value";

/// Nothing is left to do for the organizations of these people: what was made up for them would trouble whoever uses the stack next.
const CLOSE: &str = "
    update organizations set status = 'deleting', delete_after = now(), deletion_id = gen_random_uuid()
     where status <> 'deleting'
       and id in (select m.organization_id from memberships m join users u on u.id = m.user_id where u.email like '%@users.test')";

/// The rows of everything.sql that ids in a path name, by the path's beginning and the parameter.
const ROWS: &[(&str, &str, &str)] = &[
    ("/v1/admin/users/", "id", "user"),
    ("/v1/campaigns/", "id", "campaign"),
    ("/v1/campaigns/", "enrollment_id", "enrollment"),
    ("/v1/campaigns/", "step_id", "step"),
    ("/v1/contacts/deleted/", "id", "deleted"),
    ("/v1/contacts/", "id", "contact"),
    ("/v1/contacts/", "tag_id", "tag"),
    ("/v1/custom-fields/", "id", "field"),
    ("/v1/domains/", "id", "domain"),
    ("/v1/enrichment/jobs/", "id", "enrichment"),
    ("/v1/imports/", "id", "import"),
    ("/v1/jobs/", "id", "job"),
    ("/v1/lead-forms/", "id", "lead form"),
    ("/v1/lists/", "id", "list"),
    ("/v1/lists/", "contact_id", "contact"),
    ("/v1/messages/", "id", "message"),
    ("/v1/organizations/", "key_id", "key"),
    ("/v1/organizations/", "job_id", "job"),
    ("/v1/organizations/", "invite_id", "invite"),
    ("/v1/organizations/", "user_id", "user"),
    ("/v1/segments/", "id", "segment"),
    ("/v1/senders/", "id", "sender"),
    ("/v1/suppressions/", "id", "suppression"),
    ("/v1/tags/", "id", "tag"),
    ("/v1/verifications/jobs/", "id", "verification"),
    ("/v1/webhooks/deliveries/", "id", "delivery"),
    ("/v1/webhooks/", "id", "endpoint"),
    ("/v1/workflows/runs/", "id", "run"),
    ("/v1/workflows/", "id", "endpoint"),
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

impl Options {
    /// What the tests run: what covers the description, as whoever may call everything. What others may not is tested of each route.
    pub(crate) fn in_tests() -> Self {
        Self { role: Some("administrator".to_owned()), examples: 0, seed: 1, short: true }
    }
}

/// Runs it against the stack that runs, or one of this command's own. Fails on any finding.
pub(crate) async fn conformance(places: &Places, database: Option<Login>, options: &Options) -> Result<ExitCode> {
    let stack = Stack::attach_or_start(places, database).await?;
    Ok(if hold(places, &stack, options).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether nothing is found against this stack.
pub(crate) async fn hold(places: &Places, stack: &Stack, options: &Options) -> Result<bool> {
    let tools = Tools::ensure(places).await?;
    let client = stack.state.database.connect().await?;
    let without_name = up::address_without_name(&stack.state.api_url, &stack.state.emulator_url).await;
    let url = without_name.as_ref().unwrap_or(&stack.state.api_url);
    client.batch_execute(LIFT_LIMITS).await?;
    let is_sound = hold_as_all(places, &tools, &client, url, options).await;
    client.batch_execute(PUT_BACK).await?;
    client.batch_execute(CLOSE).await?;
    is_sound
}

/// Whether nothing was found as any role. They go at once: a request waits more than it works.
async fn hold_as_all(places: &Places, tools: &Tools, client: &Client, url: &str, options: &Options) -> Result<bool> {
    let roles = ROLES.into_iter().filter(|role| options.role.as_deref().is_none_or(|asked| asked == *role));
    let runs = roles.map(|role| async move {
        let log = places.logs().join(format!("conformance-{role}.log"));
        let run = hold_as(places, tools, client, url, role, &log, options);
        let is_sound = say::step(&format!("Holding the API to its description as {role}"), run).await?;
        say::answer(format_args!("{}\n", findings(&std::fs::read_to_string(&log)?)));
        say::note(format_args!("All that was said of it is in {}", log.display()));
        Ok::<_, anyhow::Error>(is_sound)
    });
    Ok(try_join_all(runs).await?.into_iter().all(|is_sound| is_sound))
}

/// Whether nothing was found as this role.
async fn hold_as(
    places: &Places,
    tools: &Tools,
    client: &Client,
    url: &str,
    role: &str,
    log: &Path,
    options: &Options,
) -> Result<bool> {
    let organization = fill(places, client).await?;
    let caller = log_in(client, organization, role).await?;
    let people = places.local().join(format!("schemathesis-{role}.json"));
    std::fs::write(&people, json!({"caller": caller, "others": others(client, role).await?}).to_string())?;
    let config = places.local().join(format!("schemathesis-{role}.toml"));
    write_config(places, client, organization, &config).await?;
    let mut run = Command::new(tools.python());
    run.env("SCHEMATHESIS_HOOKS", places.checkout().join(HOOKS)).env("MARTLET_PEOPLE", &people);
    // It leaves a cache where it runs.
    run.current_dir(places.local()).args(["-m", "schemathesis.cli"]).arg("--config-file").arg(&config);
    run.args(["run", "--url", url, "--no-color", "--continue-on-failure", "--seed", &options.seed.to_string()]);
    if options.short {
        run.args(["--phases", "examples,coverage"]);
    } else {
        run.args(["--phases", "examples,coverage,fuzzing", "--max-examples", &options.examples.to_string()]);
    }
    run.arg(places.checkout().join(DOCUMENT));
    let output = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
    run.stderr(output.try_clone()?).stdout(output);
    Ok(processes::run(places, "Schemathesis", &mut run).await?.success())
}

/// What was found, and the summary, of everything that Schemathesis writes.
fn findings(log: &str) -> &str {
    let from = ["= FAILURES =", "= ERRORS =", "= SUMMARY ="].iter().filter_map(|heading| log.find(heading)).min();
    from.map_or(log, |at| &log[log[..at].rfind('\n').unwrap_or_default()..]).trim()
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

/// Organizations with nothing but a person of that role, who is logged in, and an owner beside them.
async fn others(client: &Client, role: &str) -> Result<Vec<Value>> {
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let organization = fresh();
        client
            .query_typed(
                "with organization as (insert into organizations (id, slug, name) values ($1, 'o-' || $1, 'Other')),
                      owner as (insert into users (id, email) values ($2, $2 || '@users.test'))
                 insert into memberships (organization_id, user_id, role) values ($1, $2, 'owner')",
                &[(&organization, Type::UUID), (&fresh(), Type::UUID)],
            )
            .await?;
        others.push(log_in(client, organization, role).await?);
    }
    Ok(others)
}

/// A person of that role, logged in, as `shared::platform::credentials` has it.
async fn log_in(client: &Client, organization: Uuid, role: &str) -> Result<Value> {
    let mut secret = [0; 20];
    getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("{error}"))?;
    let bytes = [organization.as_bytes().as_slice(), &secret].concat();
    let hash = Sha256::digest(&bytes).to_vec();
    let user = fresh();
    let (membership, is_admin) = if role == "administrator" { ("owner", true) } else { (role, false) };
    client
        .query_typed(
            "with person as (
                 insert into users (id, email, email_verified_at, is_admin) values ($1, $1 || '@users.test', now(), $4)
             )
             insert into memberships (organization_id, user_id, role) values ($2, $1, $3)",
            &[(&user, Type::UUID), (&organization, Type::UUID), (&membership, Type::TEXT), (&is_admin, Type::BOOL)],
        )
        .await?;
    // Only whoever is there already can be logged in.
    client
        .query_typed(
            "insert into sessions (organization_id, id, user_id, token_hash, expires_at)
             values ($1, gen_random_uuid(), $2, $3, now() + interval '1 day')",
            &[(&organization, Type::UUID), (&user, Type::UUID), (&hash, Type::BYTEA)],
        )
        .await?;
    let token = format!("ms_{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    Ok(json!({"organization": organization, "token": token}))
}

/// The settings that are kept in the tree, and what this organization's rows are for the parameters of the paths.
async fn write_config(places: &Places, client: &Client, organization: Uuid, config: &Path) -> Result<()> {
    let base = places.checkout().join("schemathesis.toml");
    let mut text = std::fs::read_to_string(&base).with_context(|| format!("can't read {}", base.display()))?;
    let document = places.checkout().join(DOCUMENT);
    let document: Value = serde_json::from_reader(File::open(&document)?)?;
    for path in document["paths"].as_object().into_iter().flatten().map(|(path, _)| path) {
        let mut known = Vec::new();
        for parameter in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let value = match (path.as_str(), parameter) {
                // people.py names another one to what would close this organization.
                ("/v1/organizations/{id}/delete" | "/v1/organizations/{id}/leave", _) => continue,
                (path, "id") if path.starts_with("/v1/organizations/") => organization.to_string(),
                (_, "category") => "invites".to_owned(),
                ("/v1/leads/{key}", _) => {
                    let sql = "select key from lead_forms where organization_id = $1";
                    client.query_typed(sql, &[(&organization, Type::UUID)]).await?[0].try_get(0)?
                }
                (_, "key") => "lifetime".to_owned(),
                _ => match ROWS.iter().find(|(start, name, _)| path.starts_with(start) && *name == parameter) {
                    Some((.., row)) => {
                        let sql = format!("select md5('{organization} {row}')::uuid::text");
                        client.query_typed(&sql, &[]).await?[0].try_get(0)?
                    }
                    None => continue,
                },
            };
            known.push(format!("\"path.{parameter}\" = \"{value}\""));
        }
        if !known.is_empty() {
            let known = known.join(", ");
            write!(text, "\n[[operations]]\ninclude-path = \"{path}\"\nparameters = {{ {known} }}\n")?;
        }
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
