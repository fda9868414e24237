//! The database as the migrations make it: the rules of its catalog, the isolation of tenants, transactions, migrations.

#![expect(clippy::unwrap_used, reason = "a test that can't be prepared has failed")]

mod audience_plans;
mod catalog;
mod checklist;
mod deleting;
mod everything;
mod isolation;
mod migrations;
mod plans;
mod privileges;
mod references;
mod sql_files;
mod transactions;

/// Asks a question of the server until its answer is yes.
async fn until(observer: &tokio_postgres::Client, question: &str) {
    // Half a minute and more of asking: by then what is waited for does not come.
    for _ in 0..100_000 {
        if observer.query_typed(question, &[]).await.unwrap()[0].get(0) {
            return;
        }
    }
    panic!("never came to pass: {question}");
}
