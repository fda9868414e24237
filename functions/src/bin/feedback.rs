//! Consumes what SES reports of the mails that it has accepted.

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(async |environment| environment.database().await, functions::events::feedback::handle)
}
