//! The local stack: the deployed binaries, the deployed template and a real PostgreSQL on this machine.
//!
//! Everything lives below `.local/` of the checkout. What runs is written down there before it is
//! used, so that `down` finds it even where the process that started it was killed.
//!
//! | module | subject |
//! |---|---|
//! | [`places`] | where things are kept |
//! | [`tools`], [`python`] | what is installed from PyPI |
//! | [`processes`], [`ledger`] | children in groups of their own, and the record of them |
//! | [`ports`] | ports on the loopback interface |
//! | [`accounts`], [`installation`], [`postgres`] | the PostgreSQL server, also for root |
//! | [`database`], [`clock`] | logins, the owner, simulated time |
//! | [`emulator`], [`aws`] | the AWS emulator and what is asked of it |
//! | [`package`], [`template`], [`deployment`] | binaries to zips, zips and template to a running stack |
//! | [`stack`], [`state`], [`api`] | the whole, how others find it, and its HTTP API |

pub(crate) mod accounts;
pub(crate) mod api;
pub(crate) mod aws;
pub(crate) mod clock;
pub(crate) mod database;
pub(crate) mod deployment;
pub(crate) mod emulator;
pub(crate) mod installation;
pub(crate) mod ledger;
pub(crate) mod package;
pub(crate) mod places;
pub(crate) mod ports;
pub(crate) mod postgres;
pub(crate) mod processes;
pub(crate) mod python;
pub(crate) mod secrets;
pub(crate) mod stack;
pub(crate) mod state;
pub(crate) mod template;
pub(crate) mod tools;
