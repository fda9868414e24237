//! Where the local stack keeps things.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of this checkout.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    checkout: PathBuf,
}

impl Places {
    /// The checkout that this program was built from.
    pub(crate) fn of_this_checkout() -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = package.parent().context("the xtask package has no parent folder")?;
        let checkout = checkout.canonicalize().with_context(|| {
            format!("{} is gone: was the checkout moved? Run `cargo clean -p xtask`", checkout.display())
        })?;
        Ok(Self { checkout })
    }

    #[cfg(test)]
    pub(crate) fn of(checkout: PathBuf) -> Self {
        Self { checkout }
    }

    /// The root of the checkout.
    pub(crate) fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// The deployment's template.
    pub(crate) fn template(&self) -> PathBuf {
        self.checkout.join("template.yaml")
    }

    /// Everything that the local stack keeps; ignored by git.
    pub(crate) fn local(&self) -> PathBuf {
        self.checkout.join(".local")
    }

    /// The Python environment with the tools from PyPI.
    pub(crate) fn python(&self) -> PathBuf {
        self.local().join("python")
    }

    /// One zip per function.
    pub(crate) fn package(&self) -> PathBuf {
        self.local().join("package")
    }

    /// Logs of the servers.
    pub(crate) fn logs(&self) -> PathBuf {
        self.local().join("log")
    }

    /// Files of the emulator, which are worth nothing once it has ended.
    pub(crate) fn emulator(&self) -> PathBuf {
        self.local().join("emulator")
    }

    /// The record of running processes.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.local().join("run")
    }

    /// Where a running stack is found.
    pub(crate) fn stack_file(&self) -> PathBuf {
        self.local().join("stack.json")
    }

    /// The seeded API key, which outlives the stack as the database does.
    pub(crate) fn api_key_file(&self) -> PathBuf {
        self.local().join("api-key")
    }
}

/// Makes a folder and its parents.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("can't make the folder {}", path.display()))
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove the folder {}", path.display()))
        }
        _ => Ok(()),
    }
}
