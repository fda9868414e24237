//! Ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// The emulator's port where it is free; beside the 4566 that such emulators take by themselves.
pub(crate) const EMULATOR: u16 = 4580;
/// The stand-in's port where it is free.
pub(crate) const POSTBOX: u16 = 4581;
/// The database's port where it is free; PostgreSQL's own 5432 belongs to the machine's server.
pub(crate) const POSTGRES: u16 = 54320;

/// `preferred` if nobody listens there, else any free port.
///
/// Another process may take the port before it is used; its user then fails with a message of its own.
pub(crate) fn free(preferred: u16) -> Result<u16> {
    Ok(listen(preferred)?.local_addr()?.port())
}

/// Listens on `preferred` if it is free, else on any free port.
pub(crate) fn listen(preferred: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, preferred))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no port is free on 127.0.0.1; is the loopback interface up (`ip link set lo up`)?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free(port).unwrap(), port);
    }

    #[test]
    fn a_free_port_is_kept() {
        let port = free(0).unwrap();
        assert_eq!(free(port).unwrap(), port);
    }
}
