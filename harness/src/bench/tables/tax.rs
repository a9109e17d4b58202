//! What a call through the engine traits takes over the same call by the engine's own interface.

use super::{
    Compared, Goal,
    aims::aims,
    words::{Counts, Source, Verdict},
};
use crate::{bench::record::Key, statistics::Estimate};
use serde::Serialize;

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
    let aim = &aims().adapter_tax;
    let by_ratio = Verdict::of(&ratio, aim.at_most);
    // Of a call of a few nanoseconds a ratio says little.
    let by_time = more
        .zip(aim.or_ns_more)
        .map_or(by_ratio, |(more, bound)| Verdict::of(&more, bound));
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
        ..Goal::not_measured(&aims().adapter_tax, runtime)
    }
}
