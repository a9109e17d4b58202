//! The result at a glance: kernels down, engines across.

use crate::{
    conform::{judge::Layer, record::Entry},
    outcome::Outcome,
    tint::{self, Tint},
};
use comfy_table::Cell;
use std::collections::BTreeMap;

/// What a cell sums up.
#[derive(Default)]
struct Sum {
    passed: u64,
    total: u64,
    bad: Vec<Layer>,
    unsupported: bool,
}

/// Renders the sums of a conformance run as a table of kernel x engine.
pub(super) fn render(entries: &[Entry], runtimes: &[String], colour: bool) -> String {
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

    let mut table = tint::table(colour);
    // `wasmtime.cranelift` in two lines keeps eight engines within a terminal.
    table.set_header(
        std::iter::once("kernel".to_owned())
            .chain(runtimes.iter().map(|id| id.replacen('.', "\n.", 1))),
    );
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
                    tint::cell(format!("FAIL {}", layers.join(" ")), Tint::Bad)
                }
                Some(sum) if sum.passed == 0 => tint::cell("unsupported", Tint::Doubtful),
                Some(sum) => tint::cell(format!("ok {}", sum.passed), Tint::Good),
            });
        }
        table.add_row(line);
    }
    table.to_string()
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
        insta::assert_snapshot!(render(&entries, &runtimes, false));
    }
}
