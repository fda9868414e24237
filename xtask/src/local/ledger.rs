//! The record of running processes: one file per process group below `.local/run/`.
//!
//! A child is written down as soon as it runs and struck out when it has ended. What is left by an
//! owner that was killed is an orphan, which the next command of this checkout ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};

use super::places::{Places, make_folder};

/// How often a process that is to end is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a killed process may take to disappear.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// How long `up` may take to end its children when `down` asks it to.
const UP_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A process, told from a later one with the same number by the instant at which it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pid: i32,
    started: String,
}

impl ProcessId {
    /// This program.
    pub(crate) fn own() -> Result<Self> {
        let pid = i32::try_from(std::process::id()).context("the process number is out of range")?;
        Self::of(pid).context("this system tells nothing about its processes: neither /proc nor ps works")
    }

    /// The process that has this number now, if any.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: Facts::of(pid)?.started })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Facts::of(self.pid).is_some_and(|facts| facts.started == self.started && !facts.is_zombie)
    }

    fn number(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

/// How a process group is asked to end, before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// SIGTERM, and SIGKILL soon after.
    Terminate,
    /// SIGINT, on which PostgreSQL disconnects everyone and writes its checkpoint, which takes its time.
    Interrupt,
}

impl Ending {
    fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::TERM,
            Self::Interrupt => Signal::INT,
        }
    }

    fn grace(self) -> Duration {
        match self {
            Self::Terminate => Duration::from_secs(5),
            Self::Interrupt => Duration::from_secs(30),
        }
    }
}

/// One recorded process group.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    what: String,
    leader: ProcessId,
    owner: ProcessId,
    ending: Ending,
}

/// A group's line in the record, by which it is struck out.
#[derive(Debug)]
pub(crate) struct Line(PathBuf);

/// Writes a process group down.
pub(crate) fn enter(places: &Places, what: &str, leader: &ProcessId, ending: Ending) -> Result<Line> {
    let entry = Entry { what: what.into(), leader: leader.clone(), owner: ProcessId::own()?, ending };
    make_folder(&places.ledger())?;
    let path = places.ledger().join(format!("{}.json", leader.pid));
    fs::write(&path, serde_json::to_vec(&entry)?).with_context(|| format!("can't write {}", path.display()))?;
    Ok(Line(path))
}

impl Line {
    /// Strikes an ended group out.
    pub(crate) fn strike(&self) {
        // If it can't be removed, the next sweep finds that the process is gone.
        drop(fs::remove_file(&self.0));
    }
}

/// Ends a whole process group and waits until it is gone; `reap` collects the caller's own children.
pub(crate) fn end_group(leader: &ProcessId, ending: Ending, mut reap: impl FnMut()) {
    let Some(group) = leader.number() else { return };
    if !group_runs(group) {
        return;
    }
    for (signal, patience) in [(ending.signal(), ending.grace()), (Signal::KILL, AFTER_KILL)] {
        // An error means that the group is gone already, which the loop finds out.
        let _ = kill_process_group(group, signal);
        let asked = Instant::now();
        while asked.elapsed() < patience {
            reap();
            if !group_runs(group) {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Ends what owners that no longer run have left behind, and says what that was.
pub(crate) fn sweep(places: &Places) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    let Ok(files) = fs::read_dir(places.ledger()) else { return Ok(ended) };
    for file in files {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let Some(entry) = read::<Entry>(&path) else {
            // Its writer was killed half-way, before it could tell anyone of the process.
            drop(fs::remove_file(&path));
            continue;
        };
        if entry.owner.is_alive() {
            continue;
        }
        if entry.leader.is_alive() || leaves_members(&entry.leader, &places.local()) {
            end_group(&entry.leader, entry.ending, || ());
            ended.push(entry.what);
        }
        Line(path).strike();
    }
    Ok(ended)
}

/// The right to be the one running stack of this checkout; given back when dropped.
#[derive(Debug)]
pub(crate) struct Claim(PathBuf);

impl Claim {
    /// Takes the right.
    ///
    /// # Errors
    ///
    /// Fails while another process has it.
    pub(crate) fn take(places: &Places) -> Result<Self> {
        if holder(places).is_some() {
            bail!("the local stack of this checkout runs already; end it with `cargo xtask down`");
        }
        make_folder(&places.ledger())?;
        forget_dead_claim(places);
        let path = claim_file(places);
        let own = serde_json::to_vec(&ProcessId::own()?)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("can't make {}; does another `up` start right now?", path.display()))?;
        file.write_all(&own)?;
        Ok(Self(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Forgets a claim whose process is gone.
pub(crate) fn forget_dead_claim(places: &Places) {
    if holder(places).is_none() {
        // Mostly there is none.
        drop(fs::remove_file(claim_file(places)));
    }
}

/// The process that runs this checkout's stack, if one does.
pub(crate) fn holder(places: &Places) -> Option<ProcessId> {
    read::<ProcessId>(&claim_file(places)).filter(ProcessId::is_alive)
}

/// Asks the process that runs the stack to end, and waits until it has; false if there is none.
pub(crate) fn end_holder(places: &Places) -> Result<bool> {
    let Some(holder) = holder(places) else { return Ok(false) };
    let number = holder.number().context("the record of the running stack is damaged")?;
    kill_process(number, Signal::TERM).context("can't signal the running stack; is it another user's?")?;
    let asked = Instant::now();
    while holder.is_alive() {
        if asked.elapsed() > UP_ENDS_WITHIN {
            // Its children are swept up afterwards, as after any sudden death.
            let _ = kill_process(number, Signal::KILL);
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

fn claim_file(places: &Places) -> PathBuf {
    places.ledger().join("up.claim")
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Whether anything but zombies is left of a group.
fn group_runs(group: Pid) -> bool {
    match members(group.as_raw_nonzero().get()) {
        Some(members) => !members.is_empty(),
        None => test_kill_process_group(group).is_ok(),
    }
}

/// Whether a group whose leader is gone still has members of ours: they run in a folder of ours.
///
/// The number of a group is not given to a new process while the group has members, but the group
/// may be a later one with the same number.
fn leaves_members(leader: &ProcessId, ours: &Path) -> bool {
    if Facts::of(leader.pid).is_some_and(|facts| !facts.is_zombie) {
        return false;
    }
    let in_our_folder =
        |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(ours));
    members(leader.pid).is_some_and(|members| members.iter().any(in_our_folder))
}

/// The living members of a process group; none where the system has no /proc.
fn members(group: i32) -> Option<Vec<i32>> {
    let processes = fs::read_dir("/proc").ok()?;
    let members: Vec<_> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| proc_facts(pid).is_some_and(|facts| facts.group == Some(group) && !facts.is_zombie))
        .collect();
    Path::new("/proc/self/stat").exists().then_some(members)
}

/// What the system tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    started: String,
    group: Option<i32>,
    is_zombie: bool,
}

impl Facts {
    fn of(pid: i32) -> Option<Self> {
        if Path::new("/proc/self/stat").exists() { proc_facts(pid) } else { ps_facts(pid) }
    }

    /// Reads a line of /proc/<pid>/stat: `pid (name) state parent group …`, the start being field 22.
    fn from_stat(line: &str) -> Option<Self> {
        // The name may contain spaces and parentheses, so count from its end.
        let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.into();
        Some(Self { started, group: Some(group), is_zombie: matches!(state, "Z" | "X") })
    }

    /// Reads a line of `ps -o state=,lstart=`: `S+ Tue Mar  3 10:00:00 2026`.
    fn from_ps(line: &str) -> Option<Self> {
        let (state, started) = line.trim().split_once(' ')?;
        Some(Self { started: started.trim().into(), group: None, is_zombie: state.starts_with('Z') })
    }
}

fn proc_facts(pid: i32) -> Option<Facts> {
    Facts::from_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn ps_facts(pid: i32) -> Option<Facts> {
    let output =
        std::process::Command::new("ps").args(["-o", "state=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    Facts::from_ps(&String::from_utf8(output.stdout).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a (b) c) S 1 40 40 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 10";
        let facts = Facts { started: "98765".into(), group: Some(40), is_zombie: false };
        assert_eq!(Facts::from_stat(line), Some(facts));
    }

    #[test]
    fn a_line_of_ps_is_read() {
        let facts = Facts::from_ps("Z+   Tue Mar  3 10:00:00 2026\n").unwrap();
        assert_eq!(facts, Facts { started: "Tue Mar  3 10:00:00 2026".into(), group: None, is_zombie: true });
    }

    #[test]
    fn a_process_is_not_its_successor() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive());
        assert!(!ProcessId { started: "0".into(), ..own }.is_alive());
    }
}
