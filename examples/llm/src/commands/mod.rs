//! The commands, a file each.

pub(crate) mod compare;
pub(crate) mod generate;
pub(crate) mod measure;
pub(crate) mod upgrades;
