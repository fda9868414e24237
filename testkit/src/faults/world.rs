//! What one worker of a run has: a database, the stand-ins, and the functions' processes, which stay warm between rounds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::points::Points;
use super::wire::Wire;
use crate::runtime_api::{Environment, Outcome};
use crate::{AwsStandIn, Installation, TestDb};

/// A tenth of what template.yaml gives a function would do; a debug build is larger.
const MOST_MEMORY: u64 = 256 << 20;

/// What runs, and with which defect.
#[derive(Debug, Clone)]
pub struct Build {
    /// The folder of the functions' binaries.
    pub binaries: PathBuf,
    /// The defect that is switched on in them.
    pub defect: Option<String>,
}

/// What one worker has.
pub struct World<'a> {
    installation: &'a Installation<'a>,
    owner: Client,
    build: &'a Build,
    /// The wire to the database.
    pub wire: Wire,
    /// Where processes ask whether they may go on.
    pub points: Points,
    environments: HashMap<(&'static str, usize), (Arc<Environment>, usize)>,
    complaints: Vec<String>,
}

impl<'a> World<'a> {
    /// A world on this database, in which nothing runs yet.
    pub async fn new(db: &'a TestDb, installation: &'a Installation<'a>, build: &'a Build) -> Self {
        let config = db.config("owner");
        Self {
            installation,
            owner: db.owner().await,
            build,
            wire: Wire::to(&config.host, config.port).await,
            points: Points::new().await,
            environments: HashMap::new(),
            complaints: Vec::new(),
        }
    }

    /// A copy of the database as it is now.
    pub async fn backup(&mut self, db: &TestDb) -> TestDb {
        let backup = db.backup().await;
        self.owner = db.owner().await;
        backup
    }

    /// Puts a copy in the place of the database, under the feet of whoever is connected.
    pub async fn restore(&mut self, db: &TestDb, backup: &TestDb) {
        db.restore(backup).await;
        self.owner = db.owner().await;
    }

    /// What the functions call in AWS.
    pub fn aws(&self) -> &AwsStandIn {
        &self.installation.aws
    }

    /// A running process of a function; `number` tells several apart.
    pub async fn environment(&mut self, function: &'static str, number: usize) -> Arc<Environment> {
        self.environment_with(function, number, &[]).await
    }

    /// The same, started with these variables besides.
    pub async fn environment_with(
        &mut self,
        function: &'static str,
        number: usize,
        variables: &[(&str, &str)],
    ) -> Arc<Environment> {
        if let Some((environment, _)) = self.environments.get(&(function, number)) {
            if environment.is_running() {
                return environment.clone();
            }
            self.retire(function, number);
        }
        let mut installed = self
            .installation
            .function(function, self.build.binaries.join(function))
            .variable("DATABASE_PORT", self.wire.port().to_string())
            .variable("FAULT_POINTS", self.points.address());
        if let Some(defect) = &self.build.defect {
            installed = installed.variable("FAULT_DEFECT", defect);
        }
        for (name, value) in variables {
            installed = installed.variable(name, *value);
        }
        let environment = Arc::new(installed.start().await);
        self.environments.insert((function, number), (environment.clone(), 0));
        environment
    }

    /// Hands an event to a function and waits for what becomes of it.
    pub async fn call(&mut self, function: &'static str, event: &Value) -> Outcome {
        self.environment(function, 0).await.invoke(event).await.outcome
    }

    /// Ends a process, having read what it has said.
    pub fn retire(&mut self, function: &'static str, number: usize) {
        self.listen(function, number);
        self.environments.remove(&(function, number));
    }

    /// What the processes have said since the last time that must not be said, or used of memory that must not be used.
    pub fn complaints(&mut self) -> Vec<String> {
        let running: Vec<(&'static str, usize)> = self.environments.keys().copied().collect();
        for (function, number) in running {
            self.listen(function, number);
        }
        std::mem::take(&mut self.complaints)
    }

    fn listen(&mut self, function: &'static str, number: usize) {
        let Some((environment, heard)) = self.environments.get_mut(&(function, number)) else { return };
        let log = environment.log();
        for line in log[*heard..].lines() {
            if line.contains("panicked at") {
                self.complaints.push(format!("I6: {function}: {line}"));
            }
            if line.contains("deadlock detected") || line.contains("40P01") {
                self.complaints.push(format!("lock order: {function}: {line}"));
            }
        }
        *heard = log.len();
        if environment.peak_memory().is_some_and(|bytes| bytes > MOST_MEMORY) {
            self.complaints.push(format!("I6: {function} has used more than {MOST_MEMORY} bytes of memory"));
        }
    }

    /// Everything that anybody has said, for whoever has to find out.
    pub fn logs(&self) -> String {
        let mut logs = String::new();
        for ((function, number), (environment, _)) in &self.environments {
            let log = environment.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"INFO\"")).collect();
            logs.push_str(&format!(
                "--- {function} {number}\n{}\n",
                lines[lines.len().saturating_sub(20)..].join("\n")
            ));
        }
        logs
    }

    /// Stops people's clock at `at`.
    pub async fn set_clock(&self, at: DateTime<Utc>) {
        let body = format!("select timestamptz '{}'", at.to_rfc3339());
        self.run(&format!(
            "create or replace function clock_now() returns timestamptz language sql stable as $$ {body} $$"
        ))
        .await;
    }

    /// Runs statements as the owner.
    pub async fn run(&self, sql: &str) {
        self.owner.batch_execute(sql).await.unwrap();
    }

    /// Reads rows as the owner.
    #[expect(clippy::disallowed_methods, reason = "the owner sees every tenant; there is none to set")]
    pub async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.owner.query(sql, params).await.unwrap()
    }
}
