//! What a running stack tells the other commands, in `.local/stack.json`.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::aws::Outputs;
use super::database::Login;
use super::ledger;
use super::places::Places;
use super::secrets;

/// A running stack: where it is reached, and with which keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Base URL of the API. Its name is below `localhost`, which not every resolver knows.
    pub(crate) api_url: String,
    /// An API key of the default organization.
    pub(crate) api_key: String,
    /// Base URL of the AWS emulator.
    pub(crate) emulator_url: String,
    /// Base URL of the stand-in for SES, and address of its mailbox page.
    pub(crate) postbox_url: String,
    /// The owner's login.
    pub(crate) database: Login,
    /// The outputs of the template.
    pub(crate) outputs: Outputs,
}

impl State {
    /// Tells the others. The file holds passwords, so only its owner reads it.
    pub(crate) fn write(&self, places: &Places) -> Result<()> {
        secrets::write(&places.stack_file(), &serde_json::to_string_pretty(self)?)
    }

    /// What runs now, if a stack does.
    ///
    /// # Errors
    ///
    /// Fails while a stack is still starting.
    pub(crate) fn read(places: &Places) -> Result<Option<Self>> {
        if ledger::holder(places).is_none() {
            return Ok(None);
        }
        let text = fs::read(places.stack_file()).context("the local stack is still starting, or ending")?;
        serde_json::from_slice(&text).map(Some).context("the record of the running stack is damaged")
    }

    /// Says no more.
    pub(crate) fn remove(places: &Places) {
        // It may never have been written.
        drop(fs::remove_file(places.stack_file()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_its_file_but_is_read_only_while_its_owner_runs() {
        let folder = std::env::temp_dir().join(format!("martlet-state-{}", std::process::id()));
        let places = Places::of(folder.clone());
        let state = State {
            api_url: "http://a.execute-api.localhost:1".into(),
            api_key: "key".into(),
            emulator_url: "http://127.0.0.1:1".into(),
            postbox_url: "http://127.0.0.1:2".into(),
            database: Login {
                host: "127.0.0.1".into(),
                port: 3,
                user: "u".into(),
                password: "p".into(),
                database: "d".into(),
            },
            outputs: Outputs::from([("ApiUrl".into(), "x".into())]),
        };
        let claim = ledger::Claim::take(&places).unwrap();
        assert!(State::read(&places).unwrap_err().to_string().contains("still starting"));
        state.write(&places).unwrap();
        assert_eq!(State::read(&places).unwrap().unwrap(), state);
        assert!(ledger::Claim::take(&places).is_err());
        drop(claim);
        assert_eq!(State::read(&places).unwrap(), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
