//! What each run-time role may do, as a text that shows a change in review.

use std::fmt::Write as _;

use shared::db::migrations::RUN_TIME_ROLES;
use testkit::TestDb;
use tokio_postgres::types::Type;

#[tokio::test]
async fn each_role_may_do_exactly_this() {
    let db = TestDb::new().await;
    let rows = db
        .owner()
        .await
        .query_typed(include_str!("privileges.sql"), &[(&RUN_TIME_ROLES, Type::TEXT_ARRAY)])
        .await
        .unwrap();
    let (mut text, mut last) = (String::new(), "");
    for row in &rows {
        let (role, subject, may): (&str, &str, &str) = (row.get("role"), row.get("subject"), row.get("may"));
        if role != last {
            writeln!(text, "{role}").unwrap();
            last = role;
        }
        let policy = row.get::<_, Option<&str>>("policy").map(|name| format!("  [{name}]")).unwrap_or_default();
        writeln!(text, "    {subject}: {may}{policy}").unwrap();
    }
    insta::assert_snapshot!(text);
}
