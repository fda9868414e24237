//! One module per command.

pub(crate) mod bench;
pub(crate) mod conformance;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod faults;
pub(crate) mod generate;
pub(crate) mod invoke;
pub(crate) mod lint;
pub(crate) mod package;
pub(crate) mod simulate;
pub(crate) mod test;
pub(crate) mod up;
