//! Invoked every hour by EventBridge: keeps the house.

use functions::events::maintenance;

fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::events(async |environment| environment.database().await, maintenance::handle)
}
