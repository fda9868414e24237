//! The whole local stack: what it consists of, in which order it starts, and that it ends as one.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::api::Api;
use super::aws::{Aws, Outputs};
use super::database::{self, Login};
use super::emulator::Emulator;
use super::ledger::{self, Claim};
use super::package::{self, Build};
use super::places::{Places, remove_folder};
use super::postgres::{self, Server};
use super::state::State;
use super::tools::Tools;
use super::{clock, deployment, ports, secrets};
use crate::{postbox, say};

/// The organization that the first migration makes.
const DEFAULT_ORGANIZATION: &str = "00000000-0000-0000-0000-000000000001";
/// How often the running parts are looked at.
const WATCH: Duration = Duration::from_millis(300);

/// A running stack. Dropping it ends what it started, and nothing else.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Where everything is reached.
    pub(crate) state: State,
    parts: Option<Parts>,
}

/// What this process runs. The fields are dropped in this order: who depends on another ends before it.
#[derive(Debug)]
struct Parts {
    postbox: JoinSet<Result<()>>,
    emulator: Emulator,
    server: Option<Server>,
    _traces: Traces,
    _claim: Claim,
}

impl Stack {
    /// The stack that runs already, or else a new one.
    pub(crate) async fn attach_or_start(places: &Places, database: Option<Login>) -> Result<Self> {
        match State::read(places)? {
            Some(state) => Ok(Self { state, parts: None }),
            None => Self::start(places, database).await,
        }
    }

    /// Starts everything. Where a step fails, what the steps before it started is ended.
    pub(crate) async fn start(places: &Places, database: Option<Login>) -> Result<Self> {
        for orphan in ledger::sweep(places)? {
            say::note(format_args!("Ended {orphan}, left behind by a command that was killed"));
        }
        let claim = Claim::take(places)?;
        // What an earlier stack told would be taken for what this one tells.
        remove_traces(places);
        let traces = Traces { places: places.clone() };
        let tools = Tools::ensure(places).await?;
        let (brought, functions) = tokio::try_join!(
            bring_database(places, &tools, database),
            say::step("Building and packaging the functions", package::package(places, Build::Local)),
        )?;
        let (server, login) = brought;
        let zips: Vec<_> = functions.iter().map(|function| function.zip.clone()).collect();
        let port = ports::free(ports::EMULATOR)?;
        let emulator = say::step("Starting the AWS emulator", Emulator::start(places, &tools, port, &zips)).await?;
        // The functions are told its address at deployment, and it needs theirs: so it listens before and serves after.
        let listener = ports::listen(ports::POSTBOX)?;
        let postbox_url = format!("http://{}", listener.local_addr()?);
        let aws = Aws::at(&emulator.url)?;
        let template = places.template();
        let deployment = deployment::deploy(&aws, &template, &functions, &login, &emulator.url, &postbox_url);
        let outputs = say::step("Deploying template.yaml", deployment).await?;
        let postbox = serve_postbox(listener, &emulator.url, &outputs)?;
        say::step("Migrating the database", migrate(&aws, &outputs, &login)).await?;
        let api_url = output(&outputs, "ApiUrl")?;
        let api_key =
            say::step("Checking the API", working_key(places, &aws, &outputs, &api_url, &emulator.url)).await?;
        let emulator_url = emulator.url.clone();
        let state = State { api_url, api_key, emulator_url, postbox_url, database: login, outputs };
        state.write(places)?;
        Ok(Self { state, parts: Some(Parts { postbox, emulator, server, _traces: traces, _claim: claim }) })
    }

    /// Whether this process runs it, so that it ends with it.
    pub(crate) fn is_ours(&self) -> bool {
        self.parts.is_some()
    }

    /// Waits until a part ends by itself, which none should, and says which. A stack that is only attached never does.
    pub(crate) async fn until_a_part_ends(&mut self) -> anyhow::Error {
        let Some(parts) = &mut self.parts else { return std::future::pending().await };
        loop {
            if let Err(error) = parts.check() {
                return error;
            }
            tokio::time::sleep(WATCH).await;
        }
    }
}

impl Parts {
    fn check(&mut self) -> Result<()> {
        self.emulator.still_runs()?;
        if let Some(server) = &mut self.server {
            server.still_runs()?;
        }
        match self.postbox.try_join_next() {
            None => Ok(()),
            Some(Ok(Err(error))) => Err(error).context("the stand-in for SES has ended"),
            Some(outcome) => bail!("the stand-in for SES has ended: {outcome:?}"),
        }
    }
}

/// Files that tell of a running stack and are worth nothing without it.
#[derive(Debug)]
struct Traces {
    places: Places,
}

impl Drop for Traces {
    fn drop(&mut self) {
        remove_traces(&self.places);
    }
}

/// Removes what a stack that was killed could not remove itself.
pub(crate) fn remove_traces(places: &Places) {
    State::remove(places);
    // The next start removes it before it begins.
    drop(remove_folder(&places.emulator()));
}

/// Runs a function and returns its answer.
///
/// # Errors
///
/// An error of the function is one of ours, with the end of its log.
pub(crate) async fn invoke(aws: &Aws, outputs: &Outputs, binary: &str, event: &Value) -> Result<Value> {
    let answer = aws.invoke(deployment::function_name(outputs, binary)?, event.to_string()).await?;
    match answer.error {
        None => Ok(serde_json::from_str(&answer.payload)?),
        Some(kind) => Err(anyhow!("the function {binary} failed ({kind}): {}\n{}", answer.payload, answer.log)),
    }
}

/// The user's own database, or else one on a server of ours.
async fn bring_database(places: &Places, tools: &Tools, database: Option<Login>) -> Result<(Option<Server>, Login)> {
    if let Some(login) = database {
        let name = format!("Checking {} of DATABASE_URL", login.url_without_password());
        say::step(&name, database::check(&login)).await?;
        return Ok((None, login));
    }
    let server = say::step("Starting PostgreSQL 18", postgres::start_for_development(places, tools)).await?;
    let login = server.owner.clone();
    Ok((Some(server), login))
}

fn serve_postbox(
    listener: std::net::TcpListener,
    emulator_url: &str,
    outputs: &Outputs,
) -> Result<JoinSet<Result<()>>> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let config = postbox::Config {
        emulator_url: emulator_url.into(),
        feedback_queue_url: output(outputs, "FeedbackQueueUrl")?,
        inbound_queue_url: output(outputs, "InboundQueueUrl")?,
        bucket: output(outputs, "BucketName")?,
    };
    let mut postbox = JoinSet::new();
    postbox.spawn(postbox::serve(listener, config));
    Ok(postbox)
}

/// Brings the schema up to date, and the clock back from where a simulation may have left it.
async fn migrate(aws: &Aws, outputs: &Outputs, owner: &Login) -> Result<()> {
    let answer = invoke(aws, outputs, "migrate", &json!({"action": "migrate"})).await?;
    if answer["roles_without_password"].as_array().is_none_or(|roles| !roles.is_empty()) {
        bail!("not every role of the database has a password: {answer}");
    }
    clock::reset(owner).await
}

/// The API key that was made before if it still opens the API, or else a new one.
async fn working_key(
    places: &Places,
    aws: &Aws,
    outputs: &Outputs,
    api_url: &str,
    emulator_url: &str,
) -> Result<String> {
    if let Ok(kept) = fs::read_to_string(places.api_key_file())
        && opens_api(&Api::new(api_url, emulator_url, kept.trim())?).await?
    {
        return Ok(kept.trim().into());
    }
    let event = json!({"action": "create_api_key", "organization_id": DEFAULT_ORGANIZATION, "name": "Local stack"});
    let answer = invoke(aws, outputs, "migrate", &event).await?;
    let key = answer["api_key"].as_str().context("migrate returned no API key")?;
    secrets::write(&places.api_key_file(), key)?;
    if !opens_api(&Api::new(api_url, emulator_url, key)?).await? {
        bail!("the API refuses the key that was just made");
    }
    Ok(key.into())
}

/// Whether the API takes a key. A key of another database, or a revoked one, is refused.
async fn opens_api(api: &Api) -> Result<bool> {
    let answer = api.request(Method::GET, "/v1/contacts").send().await.context("the API does not answer")?;
    match answer.status() {
        status if status.is_success() => Ok(true),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
        status => bail!("the API answers {status}: {}", answer.text().await.unwrap_or_default()),
    }
}

fn output(outputs: &Outputs, key: &str) -> Result<String> {
    outputs.get(key).cloned().with_context(|| format!("template.yaml has no output {key}"))
}
