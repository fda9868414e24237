//! The account that PostgreSQL runs as.
//!
//! PostgreSQL refuses to run as root, for good reason, and asks the system for the name of its user.
//! Where this program runs as root, in a container for example, the server runs as `nobody`: that
//! account is everywhere, and making one of our own would change the machine.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::process::Command;

const NAME: &str = "nobody";

/// An unprivileged account, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The account to change to: none where this program is not root.
    ///
    /// # Errors
    ///
    /// Fails for root where the system has no such account.
    pub(crate) fn to_change_to() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        Self::in_passwd(&accounts).map(Some).context(
            "PostgreSQL does not run as root, and this system has no account `nobody`; run as an ordinary user",
        )
    }

    fn in_passwd(accounts: &str) -> Option<Self> {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next()? == NAME;
            let user = fields.nth(1)?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            is_it.then_some(Self { user, group })
        })
    }

    /// Has a command run under this account, without root's further groups.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Gives a file or folder to this account.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        chown(path, Some(self.user), Some(self.group))
            .with_context(|| format!("can't give {} to the account {NAME}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:8::/:/bin/sh\nnobody:x:65534:65533::/:/bin/sh\n";
        assert_eq!(Account::in_passwd(accounts), Some(Account { user: 65534, group: 65533 }));
        assert_eq!(Account::in_passwd("root:x:0:0::/root:/bin/sh\n"), None);
    }
}
