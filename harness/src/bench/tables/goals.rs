//! What this project aims at beside what was measured. A goal without data is not measured, never held.

use super::{
    Kernel,
    aims::{Aim, aims},
    metering::Metering,
    noise::SelfComparison,
    tax::{self, Tax},
    words::{Counts, Source, Verdict, mean_of_two},
};
use crate::{
    bench::native,
    registry::{CRANELIFT, POOLING},
    statistics::Estimate,
};
use runtime_api::BudgetKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// Class of size at which kernels are compared with native code.
const NATIVE_SIZE: &str = "1MiB";
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

impl Goal {
    /// Before anything is known of an engine.
    pub(super) fn not_measured(aim: &'static Aim, runtime: &str) -> Self {
        Self {
            goal: &aim.goal,
            runtime: runtime.to_owned(),
            aim: &aim.aim,
            unit: &aim.unit,
            at_most: aim.at_most,
            measured: None,
            counts: None,
            verdict: Verdict::NotMeasured,
            note: String::new(),
        }
    }
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
    let aims = aims();
    goals.push(single(source, CRANELIFT, &aims.steady_call, "call", true));
    for runtime in source.engines() {
        // Engines that have no epochs are measured without.
        let aim = &aims.steady_call_everywhere;
        goals.push(single(source, runtime, aim, "call", false));
    }
    goals.push(single(source, POOLING, &aims.full_path, "path", true));
    for runtime in [CRANELIFT, POOLING] {
        // The same from a pool of a host's own.
        let aim = &aims.full_path_with_reset;
        goals.push(single(source, runtime, aim, "pooled", true));
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
    aim: &'static Aim,
    quantity: &str,
    epochs: bool,
) -> Goal {
    let measured = source
        .smallest(runtime, quantity)
        .filter(|(budget, _)| !epochs || *budget == BudgetKind::Epoch);
    Goal {
        verdict: measured.map_or(Verdict::NotMeasured, |(_, time)| {
            Verdict::of(&time, aim.at_most)
        }),
        note: match measured {
            Some((budget, _)) => format!("rmsnorm_f32 of 1 x 64, budget {budget}"),
            None => source.why(runtime, |key| {
                key.kernel == "rmsnorm_f32" && (!epochs || key.budget == BudgetKind::Epoch)
            }),
        },
        measured: measured.map(|(_, time)| time),
        ..Goal::not_measured(aim, runtime)
    }
}

/// What a budget costs on the fastest engine, and how well that is known.
fn metered(source: &Source<'_>, metering: &[Metering], budget: BudgetKind) -> [Goal; 2] {
    let aims = aims();
    let (cost, interval) = match budget {
        BudgetKind::Fuel => (&aims.cost_of_fuel, &aims.intervals_of_fuel),
        _ => (&aims.cost_of_epochs, &aims.intervals_of_epochs),
    };
    let at_most = cost.at_most;
    let mut cost = Goal::not_measured(cost, CRANELIFT);
    let mut interval = Goal::not_measured(interval, CRANELIFT);
    let found = metering
        .iter()
        .find(|m| m.runtime == CRANELIFT && m.budget == budget);
    let why = match found {
        None => source.why(CRANELIFT, |_| false),
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
            let variant = find(CRANELIFT, kernel.id, "simd");
            let simd = ratio(variant);
            let native_bandwidth = native.and_then(|row| row.bandwidth_share);
            let simd_bandwidth = variant.and_then(|row| row.bandwidth_share);
            AgainstNative {
                kernel: kernel.id,
                base: ratio(find(CRANELIFT, kernel.id, "base")),
                simd,
                native_bandwidth,
                simd_bandwidth,
                memory_bound: [native_bandwidth, simd_bandwidth]
                    .into_iter()
                    .flatten()
                    .reduce(f64::max)
                    .map(|share| share >= MEMORY_BOUND),
                verdict: simd.map_or(Verdict::NotMeasured, |ratio| {
                    Verdict::of(&ratio, aims().no_variant_far_from_native.at_most)
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
        source.why(CRANELIFT, |key| {
            key.variant == "simd" && key.quantity == "call"
        })
    };
    let mean = simd_over_native(source, against);
    let mean_verdict = match &mean {
        None => Verdict::NotMeasured,
        Some(_) if !missing.is_empty() => Verdict::Unsure,
        Some(mean) => Verdict::of(mean, aims().variants_over_native.at_most),
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
            note: match mean {
                Some(_) => format!("geometric mean over {measured} of {of} kernels{without}"),
                None => why.clone(),
            },
            measured: mean,
            verdict: mean_verdict,
            ..Goal::not_measured(&aims().variants_over_native, CRANELIFT)
        },
        Goal {
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
            ..Goal::not_measured(&aims().no_variant_far_from_native, CRANELIFT)
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
    let (new, old) = (
        medians(CRANELIFT, "simd"),
        medians(native::BASELINE, "base"),
    );
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
                ..Goal::not_measured(&aims().itself, runtime)
            }
        })
        .collect()
}
