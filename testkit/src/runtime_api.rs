//! Lambda's Runtime API: runs a function's binary as Lambda does, without an emulator.
//!
//! A [`Function`] says what to run, an [`Environment`] is one process of it with a server of its own on the loopback
//! interface, from which it fetches one event after the other. Several environments of a function run side by side, as in
//! Lambda; each can be killed at any moment, and ends at the latest when it is dropped. A process whose driver was killed
//! ends by itself: it finds nobody to ask for its next event.

mod api;
pub mod events;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use self::api::{Exchange, Reply};
use self::process::Process;

/// What a function is given that says nothing else, as in template.yaml.
const TIMEOUT: Duration = Duration::from_secs(29);

/// A function: its binary, its environment variables, its timeout.
#[derive(Debug, Clone)]
pub struct Function {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    timeout: Duration,
}

impl Function {
    /// The function `name`, whose binary is at `binary`.
    #[must_use]
    pub fn new(name: &str, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            timeout: TIMEOUT,
        }
    }

    /// Gives the binary an argument, which Lambda never does.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable. Nothing is inherited from the driver's own environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Ends an invocation, with its process, that takes longer than this.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts a process of it. It need not be waited for: an event that comes early is handed over when it asks.
    ///
    /// Panics where the binary can't be started.
    pub async fn start(&self) -> Environment {
        let (exchange, address, server) = api::serve(&self.name, self.timeout).await;
        let process = Process::start(self, address);
        Environment { process, exchange, server, timeout: self.timeout, turn: Mutex::new(()) }
    }
}

/// What became of an event.
#[derive(Debug)]
pub enum Outcome {
    /// The function's answer.
    Answered(Value),
    /// The function's error, after which its process goes on.
    Failed(Failure),
    /// The process ended, with this status where it could start at all, and the event is nobody's.
    Ended(ExitStatus),
    /// The process was killed since it had taken longer than its timeout.
    TimedOut,
}

impl Outcome {
    /// The answer of a function that has answered.
    ///
    /// Panics with what happened instead.
    #[track_caller]
    pub fn answer(self) -> Value {
        match self {
            Self::Answered(answer) => answer,
            other => panic!("the function has not answered: {other:?}"),
        }
    }
}

/// An error as a function reports it.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Failure {
    /// The error's type.
    pub error_type: String,
    /// What it says.
    pub error_message: String,
}

/// An outcome and how long it took.
#[derive(Debug)]
pub struct Invocation {
    /// What became of the event.
    pub outcome: Outcome,
    /// From the call to the outcome; in an environment that is starting, the start included.
    pub took: Duration,
}

/// One process of a function, which works on one event at a time.
pub struct Environment {
    process: Process,
    exchange: Exchange,
    server: JoinHandle<()>,
    timeout: Duration,
    turn: Mutex<()>,
}

impl Environment {
    /// Hands over an event and waits for what becomes of it. Several calls take turns.
    pub async fn invoke(&self, event: &Value) -> Invocation {
        let _turn = self.turn.lock().await;
        let begun = Instant::now();
        let outcome = tokio::select! {
            // An answer that came is an answer, even if the process has ended since.
            biased;
            reply = self.exchange.invoke(event) => match reply {
                Reply::Answered(answer) => Outcome::Answered(answer),
                Reply::Failed(failure) => Outcome::Failed(failure),
            },
            status = self.process.ended() => Outcome::Ended(status),
            () = tokio::time::sleep(self.timeout) => {
                self.kill();
                Outcome::TimedOut
            }
        };
        Invocation { outcome, took: begun.elapsed() }
    }

    /// Waits until the function asks for an event for the first time.
    ///
    /// Errors: what it reported instead, or an empty failure where it ended without a word.
    pub async fn ready(&self) -> Result<(), Failure> {
        tokio::select! {
            biased;
            ready = self.exchange.ready() => ready,
            _ = self.process.ended() => Err(self.exchange.initialization_failure().unwrap_or_default()),
        }
    }

    /// Waits until the process ends.
    pub async fn ended(&self) -> ExitStatus {
        self.process.ended().await
    }

    /// Kills the process at once (SIGKILL), whatever it is doing. A process that has ended is left alone.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// The number of the process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// What the process has written to its standard output and standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The most memory that the process has had resident, in bytes; `None` once it has ended, or where /proc tells nothing.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.process.peak_memory()
    }

    /// The time that the process has run on a processor; `None` once it has ended, or where /proc tells nothing.
    #[must_use]
    pub fn processor_time(&self) -> Option<Duration> {
        self.process.processor_time()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // The process before the server, so that it dies of the signal alone.
        self.process.end();
        self.server.abort();
    }
}
