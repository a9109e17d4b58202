//! The tables of words: whether goals and claims hold, and what this run cannot tell apart.

use super::cells::{add, estimate_shown, filled, ratio_shown, table};
use crate::{
    bench::{
        record::Twin,
        tables::{Compared, Tables, denominator},
    },
    document::Table,
    statistics::Estimate,
};

impl Tables {
    pub(super) fn tax_table(&self) -> Option<Table> {
        let mut table = table(&["engine", "kernel", "budget", "ratio", "ns more", ""]);
        for tax in &self.tax {
            let Compared { key, ratio, .. } = &tax.compared;
            let more = tax.more.as_ref();
            add(
                &mut table,
                [
                    key.runtime.clone(),
                    key.kernel.clone(),
                    key.budget.to_string(),
                    ratio_shown(ratio),
                    more.map_or_else(String::new, |more| format!("{:+.1}", more.value)),
                    tax.verdict.name().to_owned(),
                ],
            );
        }
        filled(table)
    }

    pub(super) fn goal_table(&self) -> Option<Table> {
        let mut table = table(&["goal", "engine", "aim", "measured", "of", "", "note"]);
        for goal in &self.goals {
            add(
                &mut table,
                [
                    goal.goal.to_owned(),
                    goal.runtime.clone(),
                    goal.aim.to_owned(),
                    measured_shown(goal.measured.as_ref(), goal.unit),
                    denominator(goal.counts.as_ref(), goal.measured.as_ref()),
                    goal.verdict.name().to_owned(),
                    goal.note.clone(),
                ],
            );
        }
        filled(table)
    }

    pub(super) fn claim_table(&self) -> Option<Table> {
        let mut table = table(&["claim", "engine", "claimed", "measured", "", "note"]);
        for claim in &self.claims {
            add(
                &mut table,
                [
                    claim.claim.to_owned(),
                    claim.runtime.clone(),
                    claim.claimed.to_owned(),
                    measured_shown(claim.measured.as_ref(), claim.unit),
                    claim.verdict.name().to_owned(),
                    claim.note.clone(),
                ],
            );
        }
        filled(table)
    }

    pub(super) fn native_table(&self) -> Option<Table> {
        let mut table = table(&[
            "kernel",
            "base",
            "simd",
            "native, of ceiling",
            "simd, of ceiling",
            "bound by memory",
            "at most 2",
        ]);
        let ratio = |ratio: Option<&Estimate>| measured_shown(ratio, "ratio");
        let share = |share: Option<f64>| {
            share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share))
        };
        for row in &self.against_native {
            add(
                &mut table,
                [
                    row.kernel.to_owned(),
                    ratio(row.base.as_ref()),
                    ratio(row.simd.as_ref()),
                    share(row.native_bandwidth),
                    share(row.simd_bandwidth),
                    match row.memory_bound {
                        Some(true) => "yes",
                        Some(false) => "no",
                        None => "",
                    }
                    .to_owned(),
                    row.verdict.name().to_owned(),
                ],
            );
        }
        filled(table)
    }

    pub(super) fn noise_table(&self) -> Option<Table> {
        let mut table = table(&[
            "engine",
            "all pairs",
            "",
            "pairs that differ",
            "by chance",
            "in one process: unsure, floor",
            "in processes of their own: unsure, floor",
        ]);
        for one in &self.self_comparisons {
            let of = |twin| {
                self.noise
                    .iter()
                    .find(|noise| noise.runtime == one.runtime && noise.twin == twin)
                    .map_or_else(String::new, |noise| {
                        format!(
                            "{} of {}, {:.2} %",
                            noise.unsure,
                            noise.pairs,
                            100.0 * noise.floor
                        )
                    })
            };
            add(
                &mut table,
                [
                    one.runtime.clone(),
                    measured_shown(Some(&one.pooled.estimate), "ratio"),
                    one.pooled.word.name().to_owned(),
                    format!("{} of {}", one.alarms, one.pairs),
                    format!("{:.1} (as many or more: {:.2})", one.expected, one.chance),
                    of(Twin::Beside),
                    of(Twin::Apart),
                ],
            );
        }
        filled(table)
    }
}

/// A value in its unit with its interval.
fn measured_shown(estimate: Option<&Estimate>, unit: &str) -> String {
    match (estimate, unit) {
        (None, _) => String::new(),
        (Some(estimate), "ratio") => match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => format!("{:.3} [{low:.3}, {high:.3}]", estimate.value),
            _ => format!("{:.3}", estimate.value),
        },
        (Some(estimate), "half width") => format!("+-{:.2} %", 100.0 * estimate.value),
        (Some(estimate), unit) => format!("{} {unit}", estimate_shown(estimate)),
    }
}
