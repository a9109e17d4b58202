//! Comparisons for people.

use super::{answers::Outputs, numbers, outcomes, outputs, packs};
use crate::{document::Table, statistics::Word};
use std::collections::BTreeMap;

/// Lines of a kind that are shown; the JSON document has all.
const MAX_SHOWN: usize = 20;

fn with_table(text: &mut String, table: &Table) {
    if !table.rows.is_empty() {
        *text += &format!("{table}\n");
    }
}

fn lines(text: &mut String, all: &[String]) {
    for line in all.iter().take(MAX_SHOWN) {
        *text += &format!("{line}\n");
    }
    if all.len() > MAX_SHOWN {
        *text += &format!("... and {} more; --json has all\n", all.len() - MAX_SHOWN);
    }
}

impl packs::Comparison {
    /// The comparison for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} {} and {} {}\n",
            self.old.name, self.old.version, self.new.name, self.new.version
        );
        let count = |change| {
            let of = |module: &&packs::Module| module.change == change;
            self.modules.iter().filter(of).count()
        };
        let mut modules = Table::new(["module", "", "bytes"]);
        for module in &self.modules {
            let (what, bytes) = match (module.change, module.old_bytes, module.new_bytes) {
                (packs::Change::Same, ..) => continue,
                (packs::Change::Limits, ..) => ("entry point or limits changed", String::new()),
                (packs::Change::Changed, Some(old), Some(new)) => {
                    ("changed", format!("{new} was {old}"))
                }
                (packs::Change::Added, _, new) => ("added", new.unwrap_or_default().to_string()),
                (_, old, _) => ("removed", old.unwrap_or_default().to_string()),
            };
            modules.add([
                format!("{} {}", module.kernel, module.variant),
                what.to_owned(),
                bytes,
            ]);
        }
        with_table(&mut text, &modules);
        let same = count(packs::Change::Same);
        if same > 0 {
            let run = if self.outputs.is_empty() {
                ": nothing was run (--identical runs them)"
            } else {
                ""
            };
            text += &format!("{same} modules are the same to the byte{run}\n");
        }
        text += &self.outputs_text();
        let mut costs = Table::new(["engine", "what", "new over old", ""]);
        for number in &self.numbers {
            costs.add([
                number.runtime.clone(),
                format!(
                    "{} {} {}, {}",
                    number.kernel, number.variant, number.case, number.quantity
                ),
                format!("{} was {}", number.new, number.old),
                format!(
                    "{:+.1} %",
                    (number.new as f64 / number.old.max(1) as f64 - 1.0) * 100.0
                ),
            ]);
        }
        let mut unsure = 0;
        for time in &self.times {
            if time.ratio.word == Word::Unsure {
                unsure += 1;
                continue;
            }
            let estimate = &time.ratio.estimate;
            costs.add([
                time.runtime.clone(),
                format!("{} {} {}, time", time.kernel, time.variant, time.case),
                format!(
                    "{:.3} [{:.3}, {:.3}]",
                    estimate.value,
                    estimate.low.unwrap_or(f64::NAN),
                    estimate.high.unwrap_or(f64::NAN)
                ),
                time.ratio.word.name().to_owned(),
            ]);
        }
        with_table(&mut text, &costs);
        let none = |cell: &crate::compare::cost::NotMeasured| {
            format!(
                "not measured: {} {} {}: {}",
                cell.runtime, cell.kernel, cell.variant, cell.reason
            )
        };
        lines(
            &mut text,
            &self.not_measured.iter().map(none).collect::<Vec<_>>(),
        );
        lines(&mut text, &self.notes);
        for regression in self.regressions.iter().take(MAX_SHOWN) {
            text += &format!("regression: {regression}\n");
        }
        if self.regressions.len() > MAX_SHOWN {
            let more = self.regressions.len() - MAX_SHOWN;
            text += &format!("... and {more} more regressions; --json has all\n");
        }
        text + &format!(
            "{} numbers without noise changed, {} did not; {} times compared, {unsure} of them unsure; seed {}; {}",
            self.numbers.len(),
            self.same_numbers,
            self.times.len(),
            self.seed,
            self.verdict
        )
    }

    /// Modules that changed alike on all engines stand in one line.
    fn outputs_text(&self) -> String {
        let mut rows: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        let mut compared = 0;
        for outputs in &self.outputs {
            compared += outputs.cases;
            let module = format!("{} {}", outputs.kernel, outputs.variant);
            let what = match (&outputs.old_not_run, &outputs.new_not_run) {
                (None, None) => what(outputs),
                (Some(_), Some(reason)) => format!("not run: {reason}"),
                (Some(_), None) => "runs here, as it did not before".to_owned(),
                (None, Some(reason)) => format!("runs no more: {reason}"),
            };
            rows.entry((module, what))
                .or_default()
                .push(&outputs.runtime);
        }
        let mut table = Table::new(["module", "answers", "engines"]);
        for ((module, what), engines) in rows {
            table.add([module, what, engines.join("\n")]);
        }
        let mut text = String::new();
        with_table(&mut text, &table);
        if !self.outputs.is_empty() {
            text += &format!("{compared} answers compared on the same inputs\n");
        }
        text
    }
}

fn what(outputs: &Outputs) -> String {
    let mut text = match outputs.changed() {
        0 => format!("{} cases, none changed", outputs.cases),
        changed => format!("{changed} of {} changed", outputs.cases),
    };
    let differences = &outputs.differences;
    if outputs.changed_outputs > 0 {
        text += &format!(
            "\n{} outputs, {} of {} elements",
            outputs.changed_outputs, differences.differing, differences.elements
        );
        if let Some(ulp) = differences.max_ulp {
            text += &format!(", by up to {ulp} ulp");
        }
        if let Some(code) = differences.max_code {
            text += &format!(", codes by up to {code}");
        }
        if differences.nan > 0 {
            text += &format!(", {} NaN on one side", differences.nan);
        }
        text += &format!(
            "\n{} of them within tolerance of the oracle",
            outputs.within_tolerance
        );
    }
    if outputs.changed_statuses > 0 {
        text += &format!("\n{} statuses", outputs.changed_statuses);
    }
    if outputs.changed_traps > 0 {
        text += &format!("\n{} traps", outputs.changed_traps);
    }
    if outputs.broken_checks > 0 {
        text += &format!("\n{} checks broken", outputs.broken_checks);
    }
    if outputs.repaired_checks > 0 {
        text += &format!("\n{} checks repaired", outputs.repaired_checks);
    }
    if outputs.unknown > 0 {
        text += &format!("\n{} unknown: worker lost", outputs.unknown);
    }
    if let Some(first) = outputs.first.first() {
        text += &format!("\nfirst: {first}");
    }
    text
}

impl outputs::Comparison {
    /// The comparison for people: targets by engines.
    pub fn to_text(&self) -> String {
        let mut table = Table::new(["target", "engine", "", "first case that differs"]);
        for cell in &self.cells {
            let mut what = if cell.differ > 0 {
                format!("differ: {} of {}", cell.differ, cell.differ + cell.agree)
            } else if cell.agree > 0 {
                format!("agree: {}", cell.agree)
            } else {
                "nothing to compare".to_owned()
            };
            for (number, name) in [
                (cell.lost, "lost"),
                (cell.alone, "no other answered"),
                (cell.not_run, "not run"),
                (cell.not_asked, "of them not asked"),
            ] {
                if number > 0 {
                    what += &format!(", {number} {name}");
                }
            }
            let first = cell
                .first
                .as_ref()
                .map(|id| format!("{} {} {}", id.kernel, id.variant, id.case));
            table.add([
                format!("{} ({})", cell.target, cell.folder),
                format!("{} {}", cell.runtime, cell.version),
                what,
                first.unwrap_or_default(),
            ]);
        }
        let mut text = format!("{table}\n");
        let of = |difference: &outputs::Difference| {
            let answers: Vec<_> = difference
                .answers
                .iter()
                .map(|(answer, who)| format!("{answer} on {}", who.join(", ")))
                .collect();
            format!(
                "{} {} {}: {}",
                difference.id.kernel,
                difference.id.variant,
                difference.id.case,
                answers.join("; ")
            )
        };
        lines(
            &mut text,
            &self.differences.iter().map(of).collect::<Vec<_>>(),
        );
        for target in &self.targets {
            if let Some(how) = &target.emulated {
                text += &format!("{} was emulated: {how}\n", target.folder);
            }
        }
        text + &format!(
            "{} cases, {} of them compared, {} with more than one answer; {}",
            self.cases,
            self.compared,
            self.differences.len(),
            self.verdict
        )
    }
}

impl outcomes::Comparison {
    /// The comparison for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let line = |changed: &outcomes::Changed| {
            format!(
                "{}{} {}, {}: {} became {}{}{}",
                if changed.worse { "worse: " } else { "" },
                changed.check.runtime,
                changed.check.of,
                changed.check.check,
                changed.old,
                changed.new,
                if changed.detail.is_empty() { "" } else { ": " },
                changed.detail
            )
        };
        let (worse, other): (Vec<_>, Vec<_>) =
            self.changed.iter().partition(|changed| changed.worse);
        let all: Vec<String> = worse.into_iter().chain(other).map(line).collect();
        lines(&mut text, &all);
        let only = |only: &outcomes::OnlyInOne| {
            format!(
                "{}only in the {} run: {} checks of {} on {}{}",
                if only.vanished > 0 { "worse: " } else { "" },
                if only.run == "old" { "older" } else { "newer" },
                only.checks,
                only.of,
                only.runtime,
                match only.vanished {
                    0 => String::new(),
                    some => format!(": {some} that passed are not asked any more"),
                }
            )
        };
        lines(
            &mut text,
            &self.only_in_one.iter().map(only).collect::<Vec<_>>(),
        );
        lines(&mut text, &self.notes);
        text + &format!(
            "{} checks compared, {} ended otherwise, {} of them worse; {}",
            self.compared,
            self.changed.len(),
            self.changed.iter().filter(|changed| changed.worse).count(),
            self.verdict
        )
    }
}

impl numbers::Comparison {
    /// The comparison for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut table = Table::new(["engine", "module", "what", "now", ""]);
        for drift in self.drifted.iter().take(MAX_SHOWN) {
            table.add([
                drift.runtime.clone(),
                drift.module.clone(),
                drift.quantity.clone(),
                format!("{} was {}", drift.now, drift.recorded),
                if drift.regression { "fails" } else { "changed" }.to_owned(),
            ]);
        }
        with_table(&mut text, &table);
        lines(&mut text, &self.unrecorded);
        for engine in &self.absent {
            text += &format!("{engine} is recorded, and not here\n");
        }
        if !self.unrecorded.is_empty() || !self.drifted.is_empty() {
            text += "where this is meant: `assay compare --record FILE PACK` records again\n";
        }
        text + &format!(
            "{} numbers compared, {} differ, {} not recorded, {} of code for another processor not judged; {}",
            self.compared,
            self.drifted.len(),
            self.unrecorded.len(),
            self.not_judged,
            self.verdict
        )
    }
}
