//! The process of an environment: its log, its end, what it uses.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::Function;

/// How often a process that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(1);

pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    id: u32,
    log: Arc<Mutex<String>>,
    status: watch::Receiver<Option<ExitStatus>>,
    watcher: Option<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(function: &Function, api: SocketAddr) -> Self {
        let mut command = Command::new(&function.binary);
        command
            .args(&function.arguments)
            .env_clear()
            .envs(of_lambda(function))
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .envs(&function.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{} can't be started: {error}", function.binary.display()));
        let (id, log) = (child.id(), Arc::new(Mutex::new(String::new())));
        let pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let child = Arc::new(Mutex::new(child));
        let (ended, status) = watch::channel(None);
        let watcher = std::thread::spawn({
            let (child, log) = (child.clone(), log.clone());
            move || {
                std::thread::scope(|scope| {
                    scope.spawn(|| copy(pipes.0, &log));
                    copy(pipes.1, &log);
                });
                ended.send_replace(Some(reap(&child)));
            }
        });
        Self { child, id, log, status, watcher: Some(watcher) }
    }

    pub(super) async fn ended(&self) -> ExitStatus {
        let mut status = self.status.clone();
        let status = status.wait_for(Option::is_some).await.unwrap();
        status.unwrap()
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn is_running(&self) -> bool {
        self.status.borrow().is_none()
    }

    pub(super) fn kill(&self) {
        // Its number can't have become another's: it is this child's until it is reaped, and then nothing is done.
        self.child.lock().unwrap().kill().unwrap();
    }

    /// Kills it and waits until nothing of it is left.
    pub(super) fn end(&mut self) {
        self.kill();
        if let Some(watcher) = self.watcher.take() {
            drop(watcher.join());
        }
    }

    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(super) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    }

    /// The sum over its threads, since only they tell it in nanoseconds.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id)).ok()? {
            let schedule = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            nanoseconds += schedule.split_whitespace().next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(nanoseconds))
    }
}

/// What Lambda sets for every function. The keys are anybody's: nothing behind the driver checks a signature.
fn of_lambda(function: &Function) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "driver".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "driver".to_owned()),
    ]
}

fn copy(pipe: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let mut log = log.lock().unwrap();
        log.push_str(&String::from_utf8_lossy(&line));
        log.push('\n');
    }
}

/// Waits for a process that has closed its output, without holding it: it may have done so alive.
fn reap(child: &Mutex<Child>) -> ExitStatus {
    loop {
        if let Some(status) = child.lock().unwrap().try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(POLL);
    }
}
