//! What an API function is held against: a bare function that answers with the result of one prepared query.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

/// Makes this program that function.
pub(crate) const ARGUMENT: &str = "echo";
/// Where it finds its database.
pub(crate) const DATABASE: &str = "ECHO_DATABASE";

#[expect(clippy::disallowed_methods, reason = "it has no tenant, and no part of the product")]
pub(crate) async fn run() {
    let (client, connection) = tokio_postgres::connect(&std::env::var(DATABASE).unwrap(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let statement = client.prepare("select name from organizations where id = $1").await.unwrap();
    let (client, statement) = (&client, &statement);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| {
        let rows = client.query(statement, &[&uuid::Uuid::nil()]).await?;
        Ok::<Value, Error>(json!({ "statusCode": 200, "rows": rows.len(), "path": event.payload["rawPath"] }))
    }))
    .await
    .unwrap();
}
