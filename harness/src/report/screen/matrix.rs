//! The result at a glance: kernels down, engines across.

use crate::{
    conform::{judge::Layer, record::Entry},
    document::{Cell, Table, Tone},
    outcome::Outcome,
};
use std::collections::BTreeMap;

/// What a cell sums up.
#[derive(Default)]
struct Sum {
    passed: u64,
    total: u64,
    bad: Vec<Layer>,
    unsupported: bool,
}

/// The sums of a conformance run as a table of kernel x engine.
pub(super) fn table(entries: &[Entry], runtimes: &[String]) -> Table {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut cells: BTreeMap<(usize, usize), Sum> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.case.is_none()) {
        let name = (entry.kernel.clone(), entry.variant.clone());
        let row = rows.iter().position(|row| *row == name).unwrap_or_else(|| {
            rows.push(name);
            rows.len() - 1
        });
        let Some(column) = runtimes.iter().position(|id| *id == entry.runtime) else {
            continue;
        };
        let sum = cells.entry((row, column)).or_default();
        sum.passed += entry.passed;
        sum.total += entry.cases;
        sum.unsupported |= entry.outcome == Outcome::Unsupported;
        if entry.outcome.is_bad() && !sum.bad.contains(&entry.layer) {
            sum.bad.push(entry.layer);
        }
    }

    let engines = runtimes.iter().map(String::as_str);
    let mut table = Table::new(std::iter::once("kernel").chain(engines));
    for (row, (kernel, variant)) in rows.iter().enumerate() {
        let name = if variant == "base" {
            kernel.clone()
        } else {
            format!("{kernel}+{variant}")
        };
        let mut line = vec![Cell::new(name)];
        for column in 0..runtimes.len() {
            line.push(match cells.get_mut(&(row, column)) {
                None => Cell::new("-"),
                Some(sum) if !sum.bad.is_empty() => {
                    sum.bad.sort_unstable();
                    let layers: Vec<String> =
                        sum.bad.iter().map(|layer| format!("{layer:?}")).collect();
                    Cell::toned(format!("FAIL {}", layers.join(" ")), Tone::Bad)
                }
                Some(sum) if sum.passed == 0 => Cell::toned("unsupported", Tone::Limited),
                Some(sum) => Cell::toned(format!("ok {}", sum.passed), Tone::Good),
            });
        }
        table.add(line);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_cases::case::Source;

    fn entry(runtime: &str, layer: Layer, outcome: Outcome, passed: u64) -> Entry {
        Entry {
            runtime: runtime.to_owned(),
            kernel: "rope_f32".to_owned(),
            variant: "base".to_owned(),
            source: Source::Edge,
            case: None,
            layer,
            outcome,
            detail: String::new(),
            max_ulp: None,
            cases: 5,
            passed,
            bytes: None,
            shrunk: None,
            repeat: None,
        }
    }

    #[test]
    fn a_cell_names_the_layers_that_fail_and_never_hides_one_behind_passes() {
        let entries = [
            entry("a.one", Layer::L1, Outcome::Pass, 5),
            entry("a.one", Layer::L3, Outcome::Pass, 5),
            entry("b", Layer::L1, Outcome::Pass, 5),
            entry("b", Layer::L6, Outcome::Error, 4),
            entry("b", Layer::L4, Outcome::Fail, 1),
            entry("c", Layer::L1, Outcome::Unsupported, 0),
        ];
        let runtimes = ["a.one", "b", "c", "d"].map(str::to_owned);
        insta::assert_snapshot!(table(&entries, &runtimes));
    }
}
