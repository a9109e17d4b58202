//! What a module costs on an engine: fuel of one call at a fixed shape and size of its code, which have no noise, and the time of two
//! modules beside each other. Everything that is counted or timed has its output checked.

mod measured;
mod pairs;

pub use measured::{Measured, Number};

use crate::{
    machine::emulated,
    statistics::{Processes, Ratio, paired},
};
use assay_worker::Launch;
use fastrand::Rng;
use pairs::Engine;
use runtime_api::Info;
use serde::Serialize;
use std::time::Duration;

/// Two modules of the same kernel and variant.
pub struct Pair {
    /// Of the older pack.
    pub old: Measured,
    /// Of the newer pack.
    pub new: Measured,
}

/// Something that has no number, and why.
#[derive(Clone, Debug, Serialize)]
pub struct NotMeasured {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Why.
    pub reason: String,
    /// Whether the newer module alone is to blame: the older one was right.
    pub lost: bool,
}

/// Numbers of two modules on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// `fuel` or `code_bytes`.
    pub quantity: &'static str,
    /// The shape of the call, for fuel.
    pub case: String,
    /// Of the older module.
    pub old: u64,
    /// Of the newer one.
    pub new: u64,
}

/// Times of two modules on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Time {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// The shape of the call.
    pub case: String,
    /// New over old.
    pub ratio: Ratio,
}

/// What was found of all pairs on all engines.
#[derive(Debug, Default)]
pub struct Found {
    /// Numbers without noise, the same or not.
    pub numbers: Vec<Numbers>,
    /// Times.
    pub times: Vec<Time>,
    /// What has no number.
    pub not_measured: Vec<NotMeasured>,
}

/// How long pairs are timed.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Of batches per pair, engine and process; `None` times nothing.
    pub time: Option<Duration>,
    /// Processes per engine.
    pub processes: u32,
    /// Seed of the order and of the resamples.
    pub seed: u64,
}

/// Measures pairs on engines, one after the other. `allowed` says whether both packs let a pair run on an engine; what it refuses is
/// left to the comparison of outputs to tell.
pub fn measure(
    launches: &[Launch],
    pairs: &[Pair],
    effort: Effort,
    allowed: &dyn Fn(&Info, &Pair) -> bool,
    step: &dyn Fn(),
) -> Found {
    let mut found = Found::default();
    let mut random = Rng::with_seed(effort.seed);
    let mut times: Vec<Vec<[Processes; 2]>> = launches
        .iter()
        .map(|_| pairs.iter().map(|_| Default::default()).collect())
        .collect();
    let timing = effort.time.filter(|_| emulated().is_none());
    let processes = if timing.is_some() {
        effort.processes.max(1)
    } else {
        1
    };
    for process in 0..processes {
        let mut order: Vec<usize> = (0..launches.len()).collect();
        random.shuffle(&mut order);
        for index in order {
            let mut engine = Engine {
                launch: &launches[index],
                worker: None,
            };
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            random.shuffle(&mut order);
            for pair_index in order {
                step();
                let pair = &pairs[pair_index];
                engine.pair(
                    pair,
                    allowed,
                    process == 0,
                    timing,
                    &mut random,
                    &mut found,
                    &mut times[index][pair_index],
                );
            }
        }
    }
    for (launch, times) in launches.iter().zip(&times) {
        for (pair, [old, new]) in pairs.iter().zip(times) {
            // A pair that failed in any process has no time.
            if old.len() as u32 == processes
                && let Some(ratio) = paired(new, old, effort.seed)
            {
                found.times.push(Time {
                    runtime: launch.id.clone(),
                    kernel: pair.new.subject.kernel.clone(),
                    variant: pair.new.subject.variant.clone(),
                    case: pair.new.case().to_owned(),
                    ratio,
                });
            }
        }
    }
    found
}
