//! The figures of the design beside what was measured.

use super::{
    metering::Metering,
    words::{Source, Verdict},
};
use crate::{
    bench::{native, record::Key},
    statistics::Estimate,
};
use runtime_api::BudgetKind;
use serde::Serialize;

/// A claim beside a measured value.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// Engine id.
    pub runtime: String,
    /// What it is about.
    pub claim: &'static str,
    /// What is claimed, as it is written in the design.
    pub claimed: &'static str,
    /// Unit of the bound and of the value: `ns`, or `ratio` of times.
    pub unit: &'static str,
    /// The claim as a bound.
    pub at_most: f64,
    /// What was measured.
    pub measured: Option<Estimate>,
    /// Whether the claim holds.
    pub verdict: Verdict,
    /// Of how many, what misses it, or why it was not measured.
    pub note: String,
}

/// What is claimed of the parts of a call: quantity, name, claim, nanoseconds.
const PARTS: [(&str, &str, &str, f64); 6] = [
    ("lookup", "lookup of the kernel", "~100 ns", 100.0),
    ("instantiate", "instance", "~1 us", 1000.0),
    ("memory", "memory set-up", "~500 ns", 500.0),
    ("fetch", "return", "~100 ns", 100.0),
    ("path", "all of a call", "~2 us", 2000.0),
    (
        "path",
        "all of a call with small tensors",
        "under 10 us",
        10_000.0,
    ),
];

/// Every claim for every engine.
pub(super) fn claims(source: &Source<'_>, metering: &[Metering]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for runtime in source.engines() {
        for (quantity, claim, claimed, at_most) in PARTS {
            let measured = source.smallest(runtime, quantity);
            let note = match &measured {
                Some((budget, _)) => format!("rmsnorm_f32 of 1 x 64, budget: {budget}"),
                None => source.why(runtime, |key| {
                    key.kernel == "rmsnorm_f32" && key.budget != BudgetKind::Fuel
                }),
            };
            claims.push(Claim {
                runtime: runtime.to_owned(),
                claim,
                claimed,
                unit: "ns",
                at_most,
                verdict: word(measured.map(|(_, time)| time), at_most),
                measured: measured.map(|(_, time)| time),
                note,
            });
        }
        claims.push(epoch_check(source, runtime));
    }
    claims.extend(metering.iter().map(of_metering));
    claims.sort_by(|a, b| (a.claim, &a.runtime).cmp(&(b.claim, &b.runtime)));
    claims
}

fn word(measured: Option<Estimate>, at_most: f64) -> Verdict {
    measured.map_or(Verdict::NotMeasured, |measured| {
        Verdict::of(&measured, at_most)
    })
}

/// What an epoch adds to a call that returns at once, in which the check at the function's entry is made once.
fn epoch_check(source: &Source<'_>, runtime: &str) -> Claim {
    let of_empty = |compared: &&super::Compared| {
        let key = &compared.key;
        key.runtime == runtime && key.kernel == native::EMPTY && key.budget == BudgetKind::Epoch
    };
    let measured = source.budgets.iter().find(of_empty).and_then(|compared| {
        let ratio = compared.ratio.estimate;
        let none = Key {
            budget: BudgetKind::None,
            ..compared.key.clone()
        };
        let none = source.index.estimate(&none)?.value;
        let difference = |ratio: f64| (ratio - 1.0) * none;
        Some(Estimate {
            value: difference(ratio.value),
            low: ratio.low.map(difference),
            high: ratio.high.map(difference),
            ..ratio
        })
    });
    Claim {
        runtime: runtime.to_owned(),
        claim: "epoch check",
        claimed: "~2 ns",
        unit: "ns",
        at_most: 2.0,
        verdict: word(measured, 2.0),
        note: match measured {
            Some(_) => "what it adds to a call that returns at once".to_owned(),
            None => source.why(runtime, |key| {
                key.kernel == native::EMPTY && key.budget == BudgetKind::Epoch
            }),
        },
        measured,
    }
}

/// Held if it is for every kernel.
fn of_metering(metering: &Metering) -> Claim {
    let mut note = if metering.measured() == 0 {
        metering.why.clone()
    } else {
        format!(
            "geometric mean over {} of {} kernels, {} elements; held for {}",
            metering.measured(),
            metering.counts.of,
            metering.size,
            metering.counts.shown()
        )
    };
    if !metering.missed.is_empty() {
        note += &format!(", not held for {}", metering.missed.join(", "));
    }
    Claim {
        runtime: metering.runtime.clone(),
        claim: match metering.budget {
            BudgetKind::Fuel => "cost of fuel",
            _ => "cost of epochs",
        },
        claimed: metering.claimed,
        unit: "ratio",
        at_most: metering.at_most,
        measured: metering.mean,
        verdict: metering.counts.verdict(),
        note,
    }
}
