//! How a binary becomes a Lambda function: one runtime thread, one log line an invocation.

use std::time::Duration;

use axum::Router;
use lambda_runtime::tracing::subscriber::filter::LevelFilter;
use lambda_runtime::tracing::subscriber::fmt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::error::describe;

use crate::environment::{Environment, optional};
use crate::http;

/// How long an API function waits for one statement: the gateway waits for 30 seconds, and the function is ended after 29.
const PATIENCE: Duration = Duration::from_secs(25);

/// Serves an API function: `build` makes its router from the environment.
pub fn api<F>(build: F) -> Result<(), lambda_http::Error>
where
    F: AsyncFnOnce(&Environment) -> shared::Result<Router>,
{
    block_on(async {
        let environment = Environment::load().with_patience(PATIENCE);
        let router = http::finish(build(&environment).await?);
        lambda_http::run(router).await
    })
}

/// Serves a function that events invoke: `build` makes its state, `handle` answers one event.
pub fn events<S, E, A>(
    build: impl AsyncFnOnce(&Environment) -> shared::Result<S>,
    handle: impl AsyncFn(&S, E) -> shared::Result<A>,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    block_on(async {
        let environment = Environment::load();
        let state = build(&environment).await?;
        lambda_runtime::run(service_fn(async |event: LambdaEvent<E>| {
            let answer = handle(&state, event.payload).await;
            match &answer {
                Ok(_) => tracing::info!(request_id = event.context.request_id, "the event is handled"),
                Err(error) => {
                    tracing::error!(request_id = event.context.request_id, error = describe(error), "the event failed");
                }
            }
            answer.map_err(lambda_runtime::Error::from)
        }))
        .await
    })
}

fn block_on<T, E: From<std::io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    write_log();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// One JSON object a line, as template.yaml asks for, from the level on that Lambda's settings name. The runtime's own
/// default also reads filters by module, and carries an engine of regular expressions for it.
fn write_log() {
    let level = optional("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    fmt().with_target(false).without_time().with_max_level(level).json().init();
}
