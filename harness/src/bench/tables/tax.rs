//! What a call through the engine traits takes over the same call by the engine's own interface.

use super::{
    Compared, Goal,
    words::{Counts, Source, Verdict},
};
use crate::{bench::record::Key, statistics::Estimate};
use serde::Serialize;

/// The most that a call through the engine traits may take, over the call by hand.
const TAX: f64 = 1.05;
/// Or so many nanoseconds more: of a call of a few nanoseconds a ratio says little.
const TAX_NS: f64 = 10.0;

/// A call over the same by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Tax {
    /// The ratio.
    #[serde(flatten)]
    pub compared: Compared,
    /// Nanoseconds that the traits add.
    pub more: Option<Estimate>,
    /// Whether it is at most 1.05, or 10 ns more.
    pub verdict: Verdict,
}

pub(super) fn all(source: &Source<'_>) -> Vec<Tax> {
    source
        .index
        .tax()
        .into_iter()
        .map(|compared| of(source, compared))
        .collect()
}

fn of(source: &Source<'_>, compared: Compared) -> Tax {
    let ratio = compared.ratio.estimate;
    let hand = source.index.estimate(&Key {
        quantity: "hand".to_owned(),
        ..compared.key.clone()
    });
    let more = hand.map(|hand| {
        let more = |ratio: f64| (ratio - 1.0) * hand.value;
        Estimate {
            value: more(ratio.value),
            low: ratio.low.map(more),
            high: ratio.high.map(more),
            ..ratio
        }
    });
    let by_ratio = Verdict::of(&ratio, TAX);
    let by_time = more.map_or(by_ratio, |more| Verdict::of(&more, TAX_NS));
    Tax {
        compared,
        more,
        // Either bound is enough; it is missed where neither can be held.
        verdict: match (by_ratio, by_time) {
            (Verdict::Held, _) | (_, Verdict::Held) => Verdict::Held,
            (Verdict::NotHeld, Verdict::NotHeld) => Verdict::NotHeld,
            _ => Verdict::Unsure,
        },
    }
}

pub(super) fn goal(source: &Source<'_>, taxes: &[Tax], runtime: &str) -> Goal {
    let rows: Vec<&Tax> = taxes
        .iter()
        .filter(|tax| tax.compared.key.runtime == runtime)
        .collect();
    let counts = Counts::of(rows.iter().map(|tax| tax.verdict), rows.len(), "calls");
    // The least favourable: what is not held before what is.
    let order = |tax: &Tax| match tax.verdict {
        Verdict::NotHeld => 2,
        Verdict::Unsure => 1,
        _ => 0,
    };
    let worst = rows.iter().max_by(|a, b| {
        let by_value = a
            .compared
            .ratio
            .estimate
            .value
            .total_cmp(&b.compared.ratio.estimate.value);
        order(a).cmp(&order(b)).then(by_value)
    });
    Goal {
        goal: "adapter tax",
        runtime: runtime.to_owned(),
        aim: "a call through the traits at most 1.05 of the call by hand, or 10 ns more",
        unit: "ratio",
        at_most: TAX,
        measured: worst.map(|tax| tax.compared.ratio.estimate),
        counts: (counts.of > 0).then_some(counts),
        verdict: counts.verdict(),
        note: match worst {
            Some(tax) => {
                let key = &tax.compared.key;
                let more = tax
                    .more
                    .map_or_else(String::new, |more| format!(", {:+.1} ns", more.value));
                format!(
                    "the least favourable: {}, budget {}{more}",
                    key.kernel, key.budget
                )
            }
            None => source.why(runtime, |key| key.quantity == "hand"),
        },
    }
}
