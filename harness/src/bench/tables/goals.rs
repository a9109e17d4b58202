//! What this project aims at beside what was measured. A goal without data is not measured, never held.

use super::{
    Kernel,
    metering::{HALF_WIDTH, Metering},
    noise::SelfComparison,
    tax::{self, Tax},
    words::{Counts, Source, Verdict, mean_of_two},
};
use crate::{bench::native, statistics::Estimate};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// The engine that most goals are about.
pub const FASTEST: &str = "wasmtime.cranelift";
/// The same code in instances of a pool.
const POOLED: &str = "wasmtime.pooling";
/// Nanoseconds that an invocation from a pool may take.
const FULL_PATH: f64 = 5000.0;
/// Class of size at which kernels are compared with native code.
const NATIVE_SIZE: &str = "1MiB";
/// The most that the geometric mean of variants may take over native code.
const NATIVE_MEAN: f64 = 1.3;
/// The most that a single one may.
const NATIVE_WORST: f64 = 2.0;
/// The share of the bandwidth from which on memory bounds a kernel.
const MEMORY_BOUND: f64 = 0.5;

/// A goal beside a measured value.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What it is about.
    pub goal: &'static str,
    /// Engine id.
    pub runtime: String,
    /// What is aimed at.
    pub aim: &'static str,
    /// Unit of the bound and of the value: `ns`, `ratio` of times, or `half width` of an interval over its value.
    pub unit: &'static str,
    /// The aim as a bound.
    pub at_most: f64,
    /// What was measured.
    pub measured: Option<Estimate>,
    /// Where it is about several: for how many it holds.
    pub counts: Option<Counts>,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What the value is, what misses the goal, or why it was not measured.
    pub note: String,
}

/// A kernel on `wasmtime.cranelift` beside native code.
#[derive(Clone, Debug, Serialize)]
pub struct AgainstNative {
    /// Kernel id.
    pub kernel: &'static str,
    /// The base module, which is scalar, over the native baseline.
    pub base: Option<Estimate>,
    /// The variant over the native baseline.
    pub simd: Option<Estimate>,
    /// Share of the bandwidth ceiling that the native baseline reaches.
    pub native_bandwidth: Option<f64>,
    /// Share that the variant reaches.
    pub simd_bandwidth: Option<f64>,
    /// Whether memory bounds it: native code or the variant reaches half of the ceiling.
    pub memory_bound: Option<bool>,
    /// Whether the variant is within twice the native time.
    pub verdict: Verdict,
}

/// All goals, and the kernels behind those about native code.
pub(super) fn goals(
    source: &Source<'_>,
    taxes: &[Tax],
    metering: &[Metering],
    kernels: &[Kernel],
    selves: &[SelfComparison],
) -> (Vec<Goal>, Vec<AgainstNative>) {
    let mut goals = Vec::new();
    for runtime in source.engines() {
        goals.push(tax::goal(source, taxes, runtime));
    }
    goals.push(steady(
        source,
        FASTEST,
        ("steady call", "at most 200 ns, with epochs"),
        200.0,
    ));
    for runtime in source.engines() {
        let what = ("steady call on every engine", "under 10 us");
        goals.push(steady(source, runtime, what, 10_000.0));
    }
    goals.push(full_path(source));
    for runtime in [FASTEST, POOLED] {
        goals.push(full_path_with_reset(source, runtime));
    }
    for budget in [BudgetKind::Epoch, BudgetKind::Fuel] {
        goals.extend(metered(source, metering, budget));
    }
    let against = against_native(kernels);
    goals.extend(native_code(source, &against));
    goals.extend(itself(source, selves));
    (goals, against)
}

/// A goal about one time of rmsnorm_f32 of 1 x 64.
fn single(
    source: &Source<'_>,
    runtime: &str,
    (goal, aim): (&'static str, &'static str),
    (quantity, at_most): (&str, f64),
    epochs: bool,
) -> Goal {
    let measured = source
        .smallest(runtime, quantity)
        .filter(|(budget, _)| !epochs || *budget == BudgetKind::Epoch);
    Goal {
        goal,
        runtime: runtime.to_owned(),
        aim,
        unit: "ns",
        at_most,
        verdict: measured.map_or(Verdict::NotMeasured, |(_, time)| {
            Verdict::of(&time, at_most)
        }),
        note: match measured {
            Some((budget, _)) => format!("rmsnorm_f32 of 1 x 64, budget {budget}"),
            None => source.why(runtime, |key| {
                key.kernel == "rmsnorm_f32" && (!epochs || key.budget == BudgetKind::Epoch)
            }),
        },
        measured: measured.map(|(_, time)| time),
        counts: None,
    }
}

fn steady(
    source: &Source<'_>,
    runtime: &str,
    what: (&'static str, &'static str),
    at_most: f64,
) -> Goal {
    // Engines that have no epochs are measured without.
    single(
        source,
        runtime,
        what,
        ("call", at_most),
        what.0 == "steady call",
    )
}

fn full_path(source: &Source<'_>) -> Goal {
    let what = (
        "full path",
        "at most 5 us: lookup, pooled instance, write, call, read, drop",
    );
    single(source, POOLED, what, ("path", FULL_PATH), true)
}

/// The same from a pool of a host's own.
fn full_path_with_reset(source: &Source<'_>, runtime: &str) -> Goal {
    let what = (
        "full path with reset",
        "at most 5 us: lookup, instance that is there, write, call, read, reset",
    );
    single(source, runtime, what, ("pooled", FULL_PATH), true)
}

/// What a budget costs on the fastest engine, and how well that is known.
fn metered(source: &Source<'_>, metering: &[Metering], budget: BudgetKind) -> [Goal; 2] {
    let (goal, aim, at_most, known, width) = match budget {
        BudgetKind::Fuel => (
            "cost of fuel",
            "at most 15 % for each of the 13 kernels at 64 Ki elements",
            1.15,
            "intervals of fuel's ratios",
            "each of the 13 at most +-2 % wide",
        ),
        _ => (
            "cost of epochs",
            "at most 5 % for each of the 13 kernels at 64 Ki elements",
            1.05,
            "intervals of epochs' ratios",
            "each of the 13 at most +-2 % wide",
        ),
    };
    let base = |goal, aim, at_most| Goal {
        goal,
        runtime: FASTEST.to_owned(),
        aim,
        unit: "ratio",
        at_most,
        measured: None,
        counts: None,
        verdict: Verdict::NotMeasured,
        note: String::new(),
    };
    let (mut cost, mut interval) = (
        base(goal, aim, at_most),
        Goal {
            unit: "half width",
            ..base(known, width, HALF_WIDTH)
        },
    );
    let found = metering
        .iter()
        .find(|m| m.runtime == FASTEST && m.budget == budget);
    let why = match found {
        None => source.why(FASTEST, |_| false),
        Some(metering) if metering.measured() == 0 => metering.why.clone(),
        Some(metering) if metering.size != "64Ki" => {
            format!(
                "a quick run compares budgets at {} elements only",
                metering.size
            )
        }
        Some(metering) => {
            let counts = metering.counts_at(at_most);
            cost.verdict = counts.verdict();
            cost.counts = Some(counts);
            if let Some((kernel, ratio)) = &metering.worst {
                cost.measured = Some(*ratio);
                cost.note = format!("the largest: {kernel}");
            }
            cost.note += &listed(
                "; beyond it or unsure",
                &metering.beyond(at_most).join(", "),
            );
            let known = metering.measured() - metering.wide.len();
            let counts = Counts {
                held: known,
                not_held: metering.wide.len(),
                unsure: 0,
                of: metering.counts.of,
                what: "kernels",
            };
            interval.verdict = counts.verdict();
            interval.counts = Some(counts);
            interval.measured = metering.widest();
            interval.note = listed("wider", &metering.wide_names());
            let missing = listed("; not measured", &metering.missing.join(", "));
            cost.note += &missing;
            interval.note += &missing;
            return [cost, interval];
        }
    };
    cost.note.clone_from(&why);
    interval.note = why;
    [cost, interval]
}

fn listed(what: &str, names: &str) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("{what}: {names}")
    }
}

fn against_native(kernels: &[Kernel]) -> Vec<AgainstNative> {
    let find = |runtime: &str, kernel: &str, variant: &str| {
        kernels.iter().find(|row| {
            row.key.runtime == runtime
                && row.key.kernel == kernel
                && row.key.variant == variant
                && row.size == NATIVE_SIZE
        })
    };
    let ratio = |row: Option<&Kernel>| row?.over_native.map(|ratio| ratio.estimate);
    kernel_core::KERNELS
        .iter()
        .map(|kernel| {
            let native = find(native::BASELINE, kernel.id, "base");
            let variant = find(FASTEST, kernel.id, "simd");
            let simd = ratio(variant);
            let native_bandwidth = native.and_then(|row| row.bandwidth_share);
            let simd_bandwidth = variant.and_then(|row| row.bandwidth_share);
            AgainstNative {
                kernel: kernel.id,
                base: ratio(find(FASTEST, kernel.id, "base")),
                simd,
                native_bandwidth,
                simd_bandwidth,
                memory_bound: [native_bandwidth, simd_bandwidth]
                    .into_iter()
                    .flatten()
                    .reduce(f64::max)
                    .map(|share| share >= MEMORY_BOUND),
                verdict: simd.map_or(Verdict::NotMeasured, |ratio| {
                    Verdict::of(&ratio, NATIVE_WORST)
                }),
            }
        })
        .filter(|row| row.base.is_some() || row.simd.is_some())
        .collect()
}

fn native_code(source: &Source<'_>, against: &[AgainstNative]) -> [Goal; 2] {
    let of = kernel_core::KERNELS.len();
    let missing: Vec<&str> = kernel_core::KERNELS
        .iter()
        .map(|kernel| kernel.id)
        .filter(|id| {
            !against
                .iter()
                .any(|row| row.kernel == *id && row.simd.is_some())
        })
        .collect();
    let why = if source.run.quick {
        "a quick run measures neither variants nor tensors of 1 MiB".to_owned()
    } else {
        source.why(FASTEST, |key| {
            key.variant == "simd" && key.quantity == "call"
        })
    };
    let mean = simd_over_native(source, against);
    let mean_verdict = match &mean {
        None => Verdict::NotMeasured,
        Some(_) if !missing.is_empty() => Verdict::Unsure,
        Some(mean) => Verdict::of(mean, NATIVE_MEAN),
    };
    let counts = Counts::of(against.iter().map(|row| row.verdict), of, "kernels");
    let measured = of - missing.len();
    let worst = against
        .iter()
        .filter_map(|row| Some((row.kernel, row.simd?)))
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let missed: Vec<&str> = against
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::NotHeld | Verdict::Unsure))
        .map(|row| row.kernel)
        .collect();
    let without = listed("; not measured", &missing.join(", "));
    [
        Goal {
            goal: "variants over native code",
            runtime: FASTEST.to_owned(),
            aim: "geometric mean over the 13 kernels at 1 MiB at most 1.3",
            unit: "ratio",
            at_most: NATIVE_MEAN,
            note: match mean {
                Some(_) => format!("geometric mean over {measured} of {of} kernels{without}"),
                None => why.clone(),
            },
            measured: mean,
            counts: None,
            verdict: mean_verdict,
        },
        Goal {
            goal: "no variant far from native code",
            runtime: FASTEST.to_owned(),
            aim: "each of the 13 kernels at 1 MiB at most 2",
            unit: "ratio",
            at_most: NATIVE_WORST,
            measured: worst.map(|(_, ratio)| ratio),
            counts: (measured > 0).then_some(counts),
            verdict: counts.verdict(),
            note: match worst {
                Some((kernel, _)) => format!(
                    "the largest: {kernel}{}{without}",
                    listed("; beyond it or unsure", &missed.join(", "))
                ),
                None => why,
            },
        },
    ]
}

/// The geometric mean over the kernels that have a variant, with an interval over processes of both.
fn simd_over_native(source: &Source<'_>, against: &[AgainstNative]) -> Option<Estimate> {
    let with_variant: Vec<&str> = against
        .iter()
        .filter(|row| row.simd.is_some())
        .map(|row| row.kernel)
        .collect();
    let medians = |runtime: &str, variant: &str| -> Vec<BTreeMap<u32, f64>> {
        with_variant
            .iter()
            .filter_map(|kernel| {
                let key = source.index.rounds.keys().find(|key| {
                    key.runtime == runtime
                        && key.kernel == *kernel
                        && key.variant == variant
                        && key.quantity == "call"
                        && key.budget == BudgetKind::None
                        && key.twin.is_none()
                        && source.index.size(key) == NATIVE_SIZE
                })?;
                Some(source.index.medians(key))
            })
            .collect()
    };
    let (new, old) = (medians(FASTEST, "simd"), medians(native::BASELINE, "base"));
    if new.len() != with_variant.len() || old.len() != with_variant.len() {
        return None;
    }
    mean_of_two(&new, &old, source.run.seed).map(|ratio| ratio.estimate)
}

fn itself(source: &Source<'_>, selves: &[SelfComparison]) -> Vec<Goal> {
    source
        .engines()
        .into_iter()
        .map(|runtime| {
            let found = selves.iter().find(|one| one.runtime == runtime);
            Goal {
                goal: "A/A",
                runtime: runtime.to_owned(),
                aim: "neither faster nor slower than itself",
                unit: "ratio",
                at_most: 1.0,
                measured: found.map(|one| one.pooled.estimate),
                counts: found.map(|one| Counts {
                    held: one.pairs - one.alarms,
                    not_held: 0,
                    unsure: one.alarms,
                    of: one.pairs,
                    what: "pairs unsure",
                }),
                verdict: found.map_or(Verdict::NotMeasured, SelfComparison::verdict),
                note: match found {
                    Some(one) => format!(
                        "{}; noise floor {:.2} %{}",
                        one.pooled.word.name(),
                        100.0 * one.floor,
                        if one.as_chance {
                            ""
                        } else {
                            "; more pairs differ than chance makes"
                        }
                    ),
                    None => source.why(runtime, |key| key.twin.is_some()),
                },
            }
        })
        .collect()
}
