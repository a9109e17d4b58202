//! Which engines a command is about: the options that ten commands share.

use crate::registry::{self, Engine};
use anyhow::Result;

/// Engines that are known, and those from outside.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Adapters {
    /// An engine from outside: an executable that speaks docs/worker-protocol.md (repeatable).
    #[arg(long, value_name = "NAME=COMMAND")]
    pub(super) adapter: Vec<String>,
}

impl Adapters {
    /// All engines, absent ones included.
    ///
    /// # Errors
    /// Usage, for an adapter that is not written as it must be.
    pub fn engines(&self) -> Result<Vec<Engine>> {
        Ok(registry::with_adapters(registry::engines(), &self.adapter)?)
    }
}

/// Engines that are asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EngineArguments {
    /// Engine id or glob (repeatable) [default: all that are ready].
    #[arg(long, value_name = "ID")]
    pub(super) runtime: Vec<String>,
    #[command(flatten)]
    pub(super) adapters: Adapters,
}

impl EngineArguments {
    /// The engines that are asked for, absent ones included.
    ///
    /// # Errors
    /// Usage for names that fit nothing; engine absent if what is asked for is not ready.
    pub fn engines(&self) -> Result<Vec<Engine>> {
        Ok(registry::select(self.adapters.engines()?, &self.runtime)?)
    }

    /// Whether anything was asked for.
    pub fn is_empty(&self) -> bool {
        self.runtime.is_empty() && self.adapters.adapter.is_empty()
    }
}
