//! The ledger of code that nothing can run, `fixtures/unreachable.toml`: blocks that a compiler left and no call reaches, each with the proof.
//! An entry whose block ran, or that is about no block of its module any more, fails a test.

use super::Coverage;
use serde::Deserialize;
use std::{collections::BTreeSet, sync::LazyLock};

/// The ledger that this binary was built with.
const TEXT: &str = include_str!("../../../fixtures/unreachable.toml");

/// All entries.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The entries.
    #[serde(default)]
    pub unreachable: Vec<Entry>,
}

/// Blocks of one module that nothing can run. It is about the very module: another digest, and it says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of the module, in hex.
    pub sha256: String,
    /// Kernel id, for people.
    pub kernel: String,
    /// `base`, or the variant's features, for people.
    pub variant: String,
    /// Where the blocks begin, in bytes from the start of the module.
    pub offsets: Vec<u64>,
    /// Why nothing leads there.
    pub proof: String,
}

impl Ledger {
    /// The ledger that this binary was built with.
    ///
    /// # Errors
    /// What is wrong with it; a test sees to it that there is nothing.
    pub fn built_in() -> Result<&'static Ledger, &'static toml::de::Error> {
        static LEDGER: LazyLock<Result<Ledger, toml::de::Error>> =
            LazyLock::new(|| toml::from_str(TEXT));
        LEDGER.as_ref()
    }

    /// Marks the blocks of a module that nothing can run.
    pub fn mark(&self, coverage: &mut Coverage, sha256: &str) {
        for entry in self.unreachable.iter().filter(|one| one.sha256 == sha256) {
            for uncovered in &mut coverage.uncovered {
                if entry.offsets.contains(&uncovered.block.offset) {
                    uncovered.unreachable = Some(entry.proof.clone());
                }
            }
        }
    }

    /// Where the blocks of a module begin that nothing can run.
    pub fn offsets(&self, sha256: &str) -> BTreeSet<u64> {
        let entries = self.unreachable.iter().filter(|one| one.sha256 == sha256);
        entries
            .flat_map(|entry| entry.offsets.iter().copied())
            .collect()
    }

    /// Offsets that the ledger calls unreachable and that are no uncovered blocks of the module: they ran, or are none.
    pub fn stale(&self, coverage: &Coverage, sha256: &str) -> Vec<u64> {
        let is_open = |offset: &u64| {
            let mut uncovered = coverage.uncovered.iter();
            uncovered.any(|uncovered| uncovered.block.offset == *offset)
        };
        let offsets = self.offsets(sha256).into_iter();
        offsets.filter(|offset| !is_open(offset)).collect()
    }
}
