//! How long a command may take: the options that some commands share.

use crate::time_limits::{Asked, TimeLimits};

/// Limits of time.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct TimeArguments {
    /// Seconds that the run may take; what was not asked by then is named, and the verdict is not a good one [default: 540, and those of
    /// --search; 5400 with --deep, and on a machine that is emulated].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    time_limit: Option<u64>,
    /// Seconds that a module may take on an engine, before it is given up there [default: 16 deadlines of its manifest, but between 60 and
    /// 135; ten times as much with --deep, and on a machine that is emulated].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    module_time_limit: Option<u64>,
}

impl TimeArguments {
    /// The limits of a run that begins now, with `search` seconds to look for cases.
    pub fn begin(&self, deep: bool, search: u64) -> TimeLimits {
        let asked = Asked {
            run: self.time_limit,
            module: self.module_time_limit,
        };
        TimeLimits::begin(asked, deep, search)
    }
}
