//! `cargo xtask up`: everything running until it is told to end.

use anyhow::Result;

use crate::local::database::Login;
use crate::local::places::Places;
use crate::local::stack::Stack;
use crate::local::state::State;
use crate::say;

/// The host part of the deployed API's name.
const API_HOST: &str = ".execute-api.localhost";

/// Starts the stack, says where everything is, and watches over it.
///
/// # Errors
///
/// Returns only when something failed; the stack has ended then. It ends as well when this future is dropped.
pub(crate) async fn up(places: &Places, database: Option<Login>) -> Result<()> {
    let is_the_users = database.is_some();
    let mut stack = Stack::start(places, database).await?;
    let database = &stack.state.database;
    describe(&stack.state, &if is_the_users { database.url_without_password() } else { database.url() }).await;
    Err(stack.until_a_part_ends().await)
}

async fn describe(state: &State, database: &str) {
    let State { api_url, api_key, postbox_url, .. } = state;
    say::answer("");
    say::answer(format_args!("API       {api_url}"));
    say::answer(format_args!("API key   {api_key}"));
    say::answer(format_args!("Mailbox   {postbox_url}/"));
    say::answer(format_args!("Database  {database}"));
    say::answer("");
    say::answer("Try it:");
    say::answer(format_args!("  curl -H 'Authorization: Bearer {api_key}' {api_url}/v1/contacts"));
    say::answer("");
    if let Some(address) = address_without_name(api_url, &state.emulator_url).await {
        say::note("This system does not resolve names below localhost. curl and browsers do so by themselves;");
        say::note(format_args!("other programs reach the API at {address}"));
    }
    say::note("Everything runs. Ctrl-C ends it, as does `cargo xtask down` from elsewhere.");
}

/// Where the API is reached without its name, on a system that does not resolve it.
pub(crate) async fn address_without_name(api_url: &str, emulator_url: &str) -> Option<String> {
    let host = api_url.split_once("://")?.1;
    if tokio::net::lookup_host(host).await.is_ok() {
        return None;
    }
    let (id, _) = host.split_once(API_HOST)?;
    Some(format!("{emulator_url}/_aws/execute-api/{id}"))
}
