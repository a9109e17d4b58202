//! What a measurement ran on.

use serde::{Deserialize, Serialize};
use std::{fmt, fs, thread::available_parallelism};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Machine, build and load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Architecture and operating system of this build.
    pub target: String,
    /// The compiler of this build.
    pub rustc: String,
    /// Flags of this build.
    pub flags: String,
    /// When it began (UTC).
    pub began: String,
    /// Load of the machine when it began, over one minute.
    pub load: String,
}

impl Machine {
    /// This one, now.
    pub fn take() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let cpuinfo = text("/proc/cpuinfo");
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let load = text("/proc/loadavg")
            .split_whitespace()
            .next()
            .map(str::to_owned);
        Self {
            processor: processor.map_or_else(unknown, |name| {
                name.trim_start_matches(['\t', ' ', ':']).to_owned()
            }),
            cores: available_parallelism().map_or(1, usize::from),
            target: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            rustc: env!("LLM_RUSTC").to_owned(),
            flags: env!("LLM_FLAGS").to_owned(),
            began: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_else(|_| unknown()),
            load: load.unwrap_or_else(unknown),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.flags.is_empty() {
            "no flags"
        } else {
            &self.flags
        };
        writeln!(
            f,
            "- {}, {} cores, one thread for matrices; {}; began {} at a load of {}",
            self.processor, self.cores, self.target, self.began, self.load
        )?;
        writeln!(f, "- {}, release, {flags}; candle-core 0.11", self.rustc)
    }
}
