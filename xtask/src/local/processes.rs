//! Child processes, each in a process group of its own, so that its children end with it.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::ledger::{self, Ending, Line, ProcessId};
use super::places::Places;

/// How much of a log an error shows.
const LOG_LINES_SHOWN: usize = 15;

/// A running child with everything that it starts. Dropping it ends them all and waits for that.
#[derive(Debug)]
pub(crate) struct Group {
    what: String,
    child: Child,
    leader: ProcessId,
    ending: Ending,
    line: Option<Line>,
}

impl Group {
    /// Starts a command and writes it down, so that it is found even if this program is killed.
    pub(crate) fn start(places: &Places, what: &str, command: &mut Command, ending: Ending) -> Result<Self> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).process_group(0).spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!("can't start {what}: `{program}` is not installed"),
            _ => anyhow!(error).context(format!("can't start {what} ({program})")),
        })?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("a child has no number")?;
        let leader = ProcessId::of(pid).with_context(|| format!("the system tells nothing about {what}"))?;
        // From here on, dropping the group ends it.
        let mut group = Self { what: what.into(), child, leader, ending, line: None };
        group.line = Some(ledger::enter(places, what, &group.leader, ending)?);
        Ok(group)
    }

    /// Fails if the child has ended, showing the end of its log.
    pub(crate) fn still_runs(&mut self, log: &Path) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended ({status}). The end of {}:\n{}", self.what, log.display(), tail(log)),
        }
    }

    /// Waits until the child ends by itself.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.with_context(|| format!("can't wait for {}", self.what))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let child = &mut self.child;
        ledger::end_group(&self.leader, self.ending, || drop(child.try_wait()));
        if let Some(line) = &self.line {
            line.strike();
        }
    }
}

/// Runs a command to its end with our own standard output and error.
///
/// # Errors
///
/// Fails where it can't start; what its status means is the caller's to say.
pub(crate) async fn run(places: &Places, what: &str, command: &mut Command) -> Result<ExitStatus> {
    Group::start(places, what, command, Ending::Terminate)?.wait().await
}

/// Runs a command to its end and returns what it wrote to standard output.
///
/// # Errors
///
/// Fails where it can't start or ends with an error.
pub(crate) async fn output(places: &Places, what: &str, command: &mut Command) -> Result<Vec<u8>> {
    let mut group = Group::start(places, what, command.stdout(Stdio::piped()), Ending::Terminate)?;
    let mut text = Vec::new();
    if let Some(mut pipe) = group.child.stdout.take() {
        pipe.read_to_end(&mut text).await.with_context(|| format!("can't read what {what} writes"))?;
    }
    let status = group.wait().await?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(text)
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str) -> Places {
        let folder = std::env::temp_dir().join(format!("martlet-processes-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Places::of(folder)
    }

    #[tokio::test]
    async fn dropping_a_group_ends_its_grandchildren_and_strikes_the_line() {
        let places = places("drop");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut group = Group::start(&places, "a test", &mut command, Ending::Terminate).unwrap();
        let mut first = [0; 16];
        let read = group.child.stdout.as_mut().unwrap().read(&mut first).await.unwrap();
        let grandchild: i32 = String::from_utf8_lossy(&first[..read]).trim().parse().unwrap();
        let grandchild = ProcessId::of(grandchild).unwrap();
        assert!(grandchild.is_alive());
        drop(group);
        assert!(!grandchild.is_alive());
        assert_eq!(std::fs::read_dir(places.ledger()).unwrap().count(), 0);
        std::fs::remove_dir_all(places.checkout()).unwrap();
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let places = places("missing");
        let error = run(&places, "a test", &mut Command::new("no-such-program")).await.unwrap_err();
        assert_eq!(error.to_string(), "can't start a test: `no-such-program` is not installed");
        std::fs::remove_dir_all(places.checkout()).unwrap();
    }

    #[tokio::test]
    async fn what_a_command_writes_is_returned() {
        let places = places("output");
        let text = output(&places, "a test", Command::new("echo").arg("here")).await.unwrap();
        assert_eq!(text, b"here\n");
        std::fs::remove_dir_all(places.checkout()).unwrap();
    }
}
