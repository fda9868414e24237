//! Which Python there is.

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// The oldest Python that serves.
const OLDEST: (u32, u32) = (3, 10);
/// Where a Python may be found, best first: an old `python3` often has a newer one beside it.
const PROGRAMS: [&str; 6] = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
/// What to do where none is found.
const REMEDY: &str = "install Python 3.10 or later with venv (Debian and Ubuntu: `apt install python3-venv`, \
     Fedora: `dnf install python3`, macOS: `brew install python`)";

/// A Python that can make virtual environments.
#[derive(Debug)]
pub(crate) struct Python {
    /// Its name on the path.
    pub(crate) program: &'static str,
    /// For people, as `3.11.7`.
    pub(crate) version: String,
}

impl Python {
    /// Finds the first Python on the path that is new enough.
    ///
    /// # Errors
    ///
    /// Fails with the remedy where there is none, or where it can't make virtual environments.
    pub(crate) async fn find() -> Result<Self> {
        let mut too_old = Vec::new();
        for program in PROGRAMS {
            let Some(version) = answer(program, "import platform; print(platform.python_version())").await else {
                continue;
            };
            if parse_version(&version)? < OLDEST {
                too_old.push(version);
                continue;
            }
            if answer(program, "import venv, ensurepip").await.is_none() {
                bail!(
                    "Python {version} has no venv or ensurepip module; install it \
                     (Debian and Ubuntu: `apt install python3-venv`)"
                );
            }
            return Ok(Self { program, version });
        }
        match too_old.first() {
            Some(version) => bail!("Python {version} is too old; {REMEDY}"),
            None => bail!("there is no Python; {REMEDY}"),
        }
    }
}

/// What a Python prints for a program, if it runs to its end.
async fn answer(python: &str, program: &str) -> Option<String> {
    let output = Command::new(python).args(["-c", program]).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}

/// Major and minor number of `3.11.7`, also of `3.14.0rc1`.
fn parse_version(text: &str) -> Result<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => None.with_context(|| format!("`{text}` is no version of Python")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("3.11.7").unwrap(), (3, 11));
        assert_eq!(parse_version("3.14.0rc1").unwrap(), (3, 14));
        assert!(parse_version("3.9.18").unwrap() < OLDEST);
        assert!(parse_version("PyPy").is_err());
    }
}
