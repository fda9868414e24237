//! PostgreSQL servers of our own: one to develop with, and throw-away ones for tests.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::database::{self, Login};
use super::installation::{Installation, Major};
use super::ledger::{Ending, ProcessId};
use super::places::{Places, make_folder, remove_folder};
use super::processes::{self, Group};
use super::tools::Tools;
use super::{ports, secrets};

/// How long a server may take until it answers; recovering after a crash takes longest.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(30);
const SUPERUSER: &str = "postgres";
/// Folders of test servers begin like this and end in the number of the process that owns them.
const TEST_FOLDER: &str = "martlet-test-postgres";
/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";
/// What must be free in memory for the data of tests to be kept there: several times what they take.
const MEMORY_NEEDED: u64 = 6 << 30;

/// What every server has: it is reached over the loopback interface only, and by password only.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "timezone=UTC",
    "log_timezone=UTC",
    "password_encryption=scram-sha-256",
];
/// A commit does not wait for the disk: a crash of the machine may cost the last moments, never the order of what is left.
const DEVELOPMENT_SETTINGS: [&str; 1] = ["synchronous_commit=off"];
/// Data that may be lost needs no care. Many tests at once need many connections, but little memory each.
/// A login of a test takes no longer than it must: without optimization the client's share of 4,096 rounds takes longer than most tests.
const TEST_SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=200",
    "shared_buffers=128MB",
    "scram_iterations=1",
];

/// To measure with, a commit waits for the disk as it does in life. Memory is that of a small machine, and no checkpoint comes
/// in the middle of a round.
const MEASURING_SETTINGS: [&str; 5] = [
    "shared_buffers=512MB",
    "effective_cache_size=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "max_connections=100",
];

/// A running server, with the owner's login. Dropping it ends the server.
#[derive(Debug)]
pub(crate) struct Server {
    group: Group,
    log: PathBuf,
    /// The login that migrations run as: no superuser.
    pub(crate) owner: Login,
    /// Removed after the server has ended, since fields are dropped in this order.
    _scratch: Option<Scratch>,
}

impl Server {
    /// Fails if the server has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        self.group.still_runs(&self.log)
    }
}

/// Starts the server to develop with; its data outlives it.
pub(crate) async fn start_for_development(places: &Places, tools: &Tools) -> Result<Server> {
    let major = Major::V18;
    let installation = Installation::prepare(places, tools).await?;
    let data = installation.home().join(format!("postgres-{}", major.number()));
    // Beside the data, since each is worth nothing without the other.
    let passwords = Passwords::kept_in(&data.with_extension("json"), &data)?;
    let log = places.logs().join(format!("postgres-{}.log", major.number()));
    let cluster = Cluster { places, installation: &installation, major, data, log };
    let server = cluster.start(&passwords, ports::free(ports::POSTGRES)?, &DEVELOPMENT_SETTINGS, None).await?;
    database::make_owned_database(&server.superuser, &passwords.owner).await?;
    let owner = Login { database: database::NAME.into(), ..server_owner(&server, &passwords) };
    Ok(server.owned_by(owner))
}

/// Starts a server for tests, in which the owner may also create databases. Its data is removed with it.
pub(crate) async fn start_for_tests(places: &Places, tools: &Tools, major: Major) -> Result<Server> {
    start_to_throw_away(places, tools, major, &TEST_SETTINGS, memory()).await
}

/// Starts a server like that for tests, but as careful with its data as one in production.
pub(crate) async fn start_for_measuring(places: &Places, tools: &Tools, major: Major) -> Result<Server> {
    start_to_throw_away(places, tools, major, &MEASURING_SETTINGS, None).await
}

/// The folder for data in memory, where there is room for it. Every test makes a database of some 700 files and drops it: on ext4,
/// which passes over what was deleted within the last minutes before it makes a file, that takes ten times as long.
fn memory() -> Option<&'static Path> {
    let folder = Path::new(IN_MEMORY);
    let room = rustix::fs::statvfs(folder).ok()?;
    let available = available_memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
    (available.min(room.f_bavail * room.f_frsize) >= MEMORY_NEEDED).then_some(folder)
}

/// Bytes that programs may still take, from what Linux tells in `/proc/meminfo`.
fn available_memory(told: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

async fn start_to_throw_away(
    places: &Places,
    tools: &Tools,
    major: Major,
    settings: &[&str],
    memory: Option<&Path>,
) -> Result<Server> {
    let installation = Installation::prepare(places, tools).await?;
    for folder in [installation.home(), Path::new(IN_MEMORY)] {
        remove_left_overs(folder);
    }
    let name = format!("{TEST_FOLDER}-{}-{}", major.number(), std::process::id());
    let data = memory.unwrap_or(installation.home()).join(name);
    let scratch = Scratch(data.clone());
    let passwords = Passwords::new()?;
    let log = places.logs().join(format!("{TEST_FOLDER}-{}.log", major.number()));
    let cluster = Cluster { places, installation: &installation, major, data, log };
    let server = cluster.start(&passwords, ports::free(0)?, settings, Some(scratch)).await?;
    database::make_creating_owner(&server.superuser, &passwords.owner).await?;
    let owner = server_owner(&server, &passwords);
    Ok(server.owned_by(owner))
}

/// A server that answers, before it has an owner.
struct Started {
    group: Group,
    log: PathBuf,
    superuser: Login,
    scratch: Option<Scratch>,
}

impl Started {
    fn owned_by(self, owner: Login) -> Server {
        Server { group: self.group, log: self.log, owner, _scratch: self.scratch }
    }
}

fn server_owner(server: &Started, passwords: &Passwords) -> Login {
    Login { user: database::OWNER.into(), password: passwords.owner.clone(), ..server.superuser.clone() }
}

/// A data folder, and what is needed to serve it.
struct Cluster<'a> {
    places: &'a Places,
    installation: &'a Installation,
    major: Major,
    data: PathBuf,
    log: PathBuf,
}

impl Cluster<'_> {
    async fn start(
        &self,
        passwords: &Passwords,
        port: u16,
        settings: &[&str],
        scratch: Option<Scratch>,
    ) -> Result<Started> {
        make_folder(&self.places.logs())?;
        if !self.data.exists() {
            self.initialize(&passwords.superuser).await?;
        }
        let superuser = Login {
            host: "127.0.0.1".into(),
            port,
            user: SUPERUSER.into(),
            password: passwords.superuser.clone(),
            database: "postgres".into(),
        };
        let log = File::create(&self.log).with_context(|| format!("can't write {}", self.log.display()))?;
        let mut command = self.installation.program(self.major, "postgres");
        command.arg("-D").arg(&self.data).args(["-c", &format!("port={port}")]);
        for setting in SETTINGS.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone()?).stderr(log);
        let what = format!("PostgreSQL {}", self.major.number());
        let group = Group::start(self.places, &what, &mut command, Ending::Interrupt)?;
        let mut started = Started { group, log: self.log.clone(), superuser, scratch };
        self.wait_until_it_answers(&mut started).await?;
        Ok(started)
    }

    async fn wait_until_it_answers(&self, server: &mut Started) -> Result<()> {
        let began = Instant::now();
        loop {
            let Err(error) = server.superuser.connect().await else { return Ok(()) };
            server.group.still_runs(&self.log)?;
            if is_about_the_password(&error) {
                return Err(error).with_context(|| {
                    format!("the kept password does not fit the data; remove {} to begin anew", self.data.display())
                });
            }
            if began.elapsed() > STARTS_WITHIN {
                let log = processes::tail(&self.log);
                return Err(error)
                    .with_context(|| format!("PostgreSQL does not answer. The end of {}:\n{log}", self.log.display()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes the data folder. It gets its name when it is complete, so that an interruption leaves no half of it.
    async fn initialize(&self, superuser_password: &str) -> Result<()> {
        let unfinished = self.data.with_extension("unfinished");
        let password_file = self.data.with_extension("password");
        remove_folder(&unfinished)?;
        make_folder(&unfinished)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o700))?;
        secrets::write(&password_file, superuser_password)?;
        if let Some(account) = self.installation.account() {
            account.give(&unfinished)?;
            account.give(&password_file)?;
        }
        let log = File::create(&self.log).with_context(|| format!("can't write {}", self.log.display()))?;
        let mut command = self.installation.program(self.major, "initdb");
        command.arg("-D").arg(&unfinished).arg("--pwfile").arg(&password_file);
        command.args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"]);
        command.args(locale(self.major));
        command.stdout(log.try_clone()?).stderr(log);
        let status = processes::run(self.places, "initdb", &mut command).await;
        fs::remove_file(&password_file).context("can't remove the file with the superuser's password")?;
        if !status?.success() {
            remove_folder(&unfinished)?;
            bail!("initdb failed. The end of {}:\n{}", self.log.display(), processes::tail(&self.log));
        }
        fs::rename(&unfinished, &self.data).with_context(|| format!("can't make {}", self.data.display()))
    }
}

/// Whether a server answers, but with this.
fn is_about_the_password(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::INVALID_PASSWORD)
}

/// A locale that knows all letters and sorts alike on every machine.
fn locale(major: Major) -> &'static [&'static str] {
    match major {
        Major::V18 => &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
        // It has no locale of its own yet, and macOS has no C.UTF-8.
        Major::V16 if cfg!(target_os = "macos") => &["--locale=en_US.UTF-8"],
        Major::V16 => &["--locale=C.UTF-8"],
    }
}

/// The passwords of a server's superuser and of the owner.
#[derive(Debug, Serialize, Deserialize)]
struct Passwords {
    superuser: String,
    owner: String,
}

impl Passwords {
    fn new() -> Result<Self> {
        Ok(Self { superuser: secrets::password()?, owner: secrets::password()? })
    }

    /// Those kept in `file`, made and kept where there is no data yet.
    fn kept_in(file: &Path, data: &Path) -> Result<Self> {
        if data.exists() {
            let remedy = || format!("{} is lost; remove {} to begin anew", file.display(), data.display());
            return serde_json::from_slice(&fs::read(file).with_context(remedy)?).with_context(remedy);
        }
        let passwords = Self::new()?;
        secrets::write(file, &serde_json::to_string(&passwords)?)?;
        Ok(passwords)
    }
}

/// A folder that is removed with this value.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is removed before the next test.
        drop(remove_folder(&self.0));
        drop(remove_folder(&self.0.with_extension("unfinished")));
    }
}

/// Removes the data of tests whose process was killed. What is somebody else's stays.
fn remove_left_overs(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if owner_of_test_folder(&entry.file_name().to_string_lossy()).is_some_and(|pid| ProcessId::of(pid).is_none()) {
            drop(remove_folder(&entry.path()));
        }
    }
}

/// The process that a test server's folder belongs to: 42 for `martlet-test-postgres-18-42`.
fn owner_of_test_folder(name: &str) -> Option<i32> {
    let name = name.strip_prefix(TEST_FOLDER)?;
    let name = name.strip_suffix(".unfinished").unwrap_or(name);
    name.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_tests_have_an_owner() {
        assert_eq!(owner_of_test_folder("martlet-test-postgres-18-42"), Some(42));
        assert_eq!(owner_of_test_folder("martlet-test-postgres-16-7.unfinished"), Some(7));
        assert_eq!(owner_of_test_folder("postgres-18"), None);
    }

    #[test]
    fn what_programs_may_take_is_read_in_bytes() {
        assert_eq!(available_memory("MemTotal:  9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(available_memory("MemTotal:  9 kB\n"), None);
    }

    #[test]
    fn passwords_are_kept_and_missed() {
        let folder = std::env::temp_dir().join(format!("martlet-passwords-{}", std::process::id()));
        let (file, data) = (folder.join("passwords.json"), folder.join("data"));
        make_folder(&folder).unwrap();
        let made = Passwords::kept_in(&file, &data).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        make_folder(&data).unwrap();
        assert_eq!(Passwords::kept_in(&file, &data).unwrap().owner, made.owner);
        fs::remove_file(&file).unwrap();
        assert!(Passwords::kept_in(&file, &data).unwrap_err().to_string().contains("begin anew"));
        remove_folder(&folder).unwrap();
    }
}
