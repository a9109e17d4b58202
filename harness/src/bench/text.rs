//! The tables on screen.

mod cells;
mod words;

use super::{
    job::budget_size,
    native,
    record::Key,
    tables::{Compared, Kernel, NotMeasured, Tables, Time, is_yardstick},
};
use crate::{
    document::Table,
    statistics::{Estimate, Ratio},
};
use cells::{add, duration, filled, ratio_shown, shown, table};
use runtime_api::BudgetKind;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons that are printed for cells without a number; all are in the results folder.
const MAX_REASONS: usize = 20;

/// Ratios by what stands at the left of their row, and by engine.
type Rows<'a, const N: usize> = BTreeMap<[String; N], BTreeMap<&'a str, &'a Ratio>>;

/// A table of ratios, with a column for each engine that has one.
fn ratios<const N: usize>(left: [&str; N], rows: Rows<'_, N>) -> Option<Table> {
    let columns: BTreeSet<&str> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let headers: Vec<&str> = left.into_iter().chain(columns.iter().copied()).collect();
    let mut table = table(&headers);
    for (left, ratios) in rows {
        let cells = columns.iter().map(|runtime| {
            let ratio = ratios.get(runtime);
            ratio.map_or_else(String::new, |ratio| ratio_shown(ratio))
        });
        add(
            &mut table,
            left.into_iter().chain(cells).collect::<Vec<_>>(),
        );
    }
    filled(table)
}

impl Tables {
    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = self.head();
        let mut section = |title: &str, table: Option<Table>| {
            if let Some(table) = table {
                text += &format!("\n{title}\n{table}\n");
            }
        };
        section(
            "Invocation, ns [95 % interval]: a kernel that returns at once, and rmsnorm_f32 of 1 x 64 with its tensors in memory",
            self.invocation(),
        );
        section(
            "Phases of rmsnorm_f32 1 x 64, with epochs where the engine has them; a trap and the fresh instance after it",
            self.phases(),
        );
        section(
            "A call through the engine traits over the same call by hand (goal: 1.05, or + 10 ns)",
            self.tax_table(),
        );
        section(
            if self.run.quick {
                "Budgets over no budget at 4 Ki elements [95 % interval]"
            } else {
                "Budgets over no budget at 64 Ki elements [95 % interval]"
            },
            self.budget_table(),
        );
        for sentence in &self.sentences {
            text += &format!("{}\n", sentence.text);
        }
        let mut section = |title: &str, table: Option<Table>| {
            if let Some(table) = table {
                text += &format!("\n{title}\n{table}\n");
            }
        };
        section(
            "Kernels: time over the native build of the same source (baseline processor)",
            self.kernel_table(),
        );
        section(
            "wasmtime.cranelift at 1 MiB over the native build (baseline processor) [95 % interval]; ceiling: the triad's bandwidth",
            self.native_table(),
        );
        section(
            "Kernels: time over native code of others, whose outputs are near [95 % interval]",
            self.others_table(),
        );
        section(
            "Noise floor: things compared with themselves, all engines at once with 95 %",
            self.noise_table(),
        );
        section(
            "Claims of the design: held if the whole interval is at or below the claim",
            self.claim_table(),
        );
        section(
            "Goals: held if the whole interval is at or below the aim",
            self.goal_table(),
        );
        section("Memory", self.memory_table());
        text += &self.tail();
        text
    }

    fn head(&self) -> String {
        let print = &self.run.fingerprint;
        let commit = print.commit.as_deref().map_or("commit unknown", |commit| {
            commit.get(..12).unwrap_or(commit)
        });
        let tree = match print.clean_tree {
            Some(true) => "clean tree",
            Some(false) => "changed tree",
            None => "tree unknown",
        };
        let mut text = format!(
            "{}, {} cores, governor: {}; {}\nassay {} ({commit}, {tree}), {}; {}\npack {} {} ({}), seed {}, {} processes per engine, {} s of batches per cell and process\n",
            print.cpu,
            print.cores,
            print.governor,
            print.os,
            print.harness,
            print.rustc,
            print.build,
            self.run.pack.name,
            self.run.pack.version,
            self.run.pack.manifest_sha256.get(..12).unwrap_or_default(),
            self.run.seed,
            self.run.processes,
            self.run.seconds,
        );
        let engines: Vec<String> = self
            .engines
            .iter()
            .map(|(id, version)| format!("{id} {version}"))
            .collect();
        text += &format!("{}\n", engines.join(", "));
        text += &format!("warm-up: {}\n", self.run.warm_up);
        if let Some(how) = &print.emulated {
            text += &format!(
                "not measured (emulated): {how}; outputs were checked, nothing was timed\n"
            );
        }
        text
    }

    /// Engines in columns, the yardsticks first.
    fn columns(&self) -> Vec<&str> {
        self.engines.keys().map(String::as_str).collect()
    }

    fn time(&self, fits: impl Fn(&Time) -> bool) -> Option<&Estimate> {
        self.times
            .iter()
            .find(|time| time.key.twin.is_none() && fits(time))
            .map(|time| &time.nanoseconds)
    }

    fn invocation(&self) -> Option<Table> {
        let mut table = table(&[
            "engine",
            "empty",
            "empty, epoch",
            "empty, fuel",
            "rmsnorm",
            "rmsnorm, epoch",
            "full path",
            "pooled, with reset",
            "instance kept",
        ]);
        for runtime in self.columns() {
            let call = |kernel: &str, size: &str, budget| {
                shown(self.time(|time| {
                    let key = &time.key;
                    key.runtime == runtime
                        && key.kernel == kernel
                        && key.variant == "base"
                        && key.quantity == "call"
                        && key.budget == budget
                        && time.size == size
                }))
            };
            let way = |quantity: &str| shown(self.with_epochs(runtime, quantity));
            let row = [
                runtime.to_owned(),
                call(native::EMPTY, "empty", BudgetKind::None),
                call(native::EMPTY, "empty", BudgetKind::Epoch),
                call(native::EMPTY, "empty", BudgetKind::Fuel),
                call("rmsnorm_f32", "small", BudgetKind::None),
                call("rmsnorm_f32", "small", BudgetKind::Epoch),
                way("path"),
                way("pooled"),
                way("reuse"),
            ];
            add(&mut table, row);
        }
        filled(table)
    }

    /// A quantity of the smallest real kernel, with epochs where the engine has them.
    fn with_epochs(&self, runtime: &str, quantity: &str) -> Option<&Estimate> {
        let of = |budget| {
            self.time(|time| {
                let key = &time.key;
                key.runtime == runtime
                    && key.kernel == "rmsnorm_f32"
                    && key.quantity == quantity
                    && key.budget == budget
                    && time.size == "small"
            })
        };
        of(BudgetKind::Epoch).or_else(|| of(BudgetKind::None))
    }

    fn phases(&self) -> Option<Table> {
        const PHASES: [&str; 16] = [
            "validate",
            "compile",
            "load-cached",
            "lookup",
            "instantiate",
            "resolve",
            "memory",
            "first",
            "call",
            "batch",
            "fetch",
            "reset",
            "drop",
            "write",
            "in-place",
            "read",
        ];
        let mut headers = vec!["engine"];
        headers.extend(PHASES);
        headers.extend(["trap, 1 module", "trap, 1000"]);
        let mut table = table(&headers);
        let shown =
            |time: Option<&Estimate>| time.map_or_else(String::new, |time| duration(time.value));
        for runtime in self.columns() {
            let phases = PHASES.map(|phase| shown(self.with_epochs(runtime, phase)));
            let traps = ["trap-1", "trap-1000"].map(|quantity| {
                shown(
                    self.time(|time| time.key.runtime == runtime && time.key.quantity == quantity),
                )
            });
            let row: Vec<String> = std::iter::once(runtime.to_owned())
                .chain(phases)
                .chain(traps)
                .collect();
            add(&mut table, row);
        }
        filled(table)
    }

    fn budget_table(&self) -> Option<Table> {
        let mut rows: Rows<'_, 3> = BTreeMap::new();
        for Compared {
            key, size, ratio, ..
        } in &self.budgets
        {
            if size == budget_size(self.run.quick) || key.kernel == "loop" {
                let Key {
                    kernel, variant, ..
                } = key;
                rows.entry([kernel.clone(), variant.clone(), key.budget.to_string()])
                    .or_default()
                    .insert(&key.runtime, ratio);
            }
        }
        ratios(["kernel", "variant", "budget"], rows)
    }

    fn kernel_table(&self) -> Option<Table> {
        type Row<'a> = (&'a str, u64, &'a str, &'a str);
        let mut rows: BTreeMap<Row<'_>, BTreeMap<&str, &Kernel>> = BTreeMap::new();
        for kernel in &self.kernels {
            if kernel.size != "empty" && kernel.key.kernel != "loop" {
                rows.entry((
                    &kernel.key.kernel,
                    kernel.elements,
                    &kernel.size,
                    &kernel.key.variant,
                ))
                .or_default()
                .insert(&kernel.key.runtime, kernel);
            }
        }
        let columns: Vec<&str> = self
            .columns()
            .into_iter()
            .filter(|runtime| *runtime != native::BASELINE)
            .collect();
        let mut headers = vec!["kernel", "size", "variant", "native", "GB/s", "of triad"];
        headers.extend(&columns);
        let mut table = table(&headers);
        for ((kernel, _, size, variant), cells) in rows {
            let own = cells.get(native::BASELINE);
            let mut row = vec![
                kernel.to_owned(),
                size.to_owned(),
                variant.to_owned(),
                own.map_or_else(String::new, |own| duration(own.nanoseconds.value)),
                own.map_or_else(String::new, |own| {
                    format!("{:.2}", own.gigabytes_per_second)
                }),
                own.and_then(|own| own.bandwidth_share)
                    .map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share)),
            ];
            row.extend(columns.iter().map(|runtime| {
                cells
                    .get(runtime)
                    .map_or_else(String::new, |cell| match &cell.over_native {
                        Some(ratio) => format!("{:.2}", ratio.estimate.value),
                        None => duration(cell.nanoseconds.value),
                    })
            }));
            add(&mut table, row);
        }
        // One row for each set of kernels: what every engine of the row has.
        let mut rows: BTreeMap<_, BTreeMap<&str, String>> = BTreeMap::new();
        for mean in self.means.iter().filter(|mean| mean.of > 1) {
            let (whose, worst) = &mean.worst;
            rows.entry((&mean.size, &mean.variant, mean.kernels, mean.of))
                .or_default()
                .insert(
                    &mean.runtime,
                    format!("{:.2} (worst {worst:.2}, {whose})", mean.over_native),
                );
        }
        for ((size, variant, kernels, of), means) in rows {
            let mut row = vec![
                format!("geometric mean of {kernels} of {of}"),
                size.clone(),
                variant.clone(),
                String::new(),
                String::new(),
                String::new(),
            ];
            row.extend(
                columns
                    .iter()
                    .map(|runtime| means.get(runtime).cloned().unwrap_or_default()),
            );
            add(&mut table, row);
        }
        filled(table)
    }

    fn others_table(&self) -> Option<Table> {
        let mut rows: Rows<'_, 4> = BTreeMap::new();
        let engines = self.kernels.iter();
        for kernel in engines.filter(|kernel| !is_yardstick(&kernel.key.runtime)) {
            for (other, ratio) in &kernel.over_others {
                let key = &kernel.key;
                let row = [other, &kernel.size, &key.variant, &key.kernel];
                rows.entry(row.map(String::clone))
                    .or_default()
                    .insert(&key.runtime, ratio);
            }
        }
        ratios(["over", "size", "variant", "kernel"], rows)
    }

    fn memory_table(&self) -> Option<Table> {
        let mut table = table(&[
            "engine",
            "peak resident",
            "code of all modules, no budget",
            "resident per instance of rmsnorm_f32, new",
            "used",
            "smallest memory of kernels, pages",
        ]);
        for runtime in self.columns() {
            let of = |quantity: &str| {
                self.facts
                    .iter()
                    .filter(|fact| fact.runtime == runtime && fact.quantity == quantity)
                    .filter(|fact| fact.metering.is_none_or(|m| m == BudgetKind::None))
                    .map(|fact| fact.value)
                    .reduce(|sum, value| sum.saturating_add(value))
            };
            let of_rmsnorm = |quantity: &str| {
                self.facts
                    .iter()
                    .find(|fact| {
                        fact.runtime == runtime
                            && fact.kernel == "rmsnorm_f32"
                            && fact.quantity == quantity
                    })
                    .map(|fact| fact.value)
            };
            let kibibytes = |bytes: Option<u64>| {
                bytes.map_or_else(String::new, |b| format!("{} KiB", b / 1024))
            };
            add(
                &mut table,
                [
                    runtime.to_owned(),
                    kibibytes(of("peak_rss_bytes")),
                    kibibytes(of("code_bytes")),
                    kibibytes(of_rmsnorm("rss_per_instance_bytes")),
                    kibibytes(of_rmsnorm("rss_per_used_instance_bytes")),
                    self.smallest_memory(runtime),
                ],
            );
        }
        filled(table)
    }

    /// Pages that the kernels of an engine need at least, and how many kernels need that.
    fn smallest_memory(&self, runtime: &str) -> String {
        let mut kernels: BTreeMap<u64, usize> = BTreeMap::new();
        for fact in &self.facts {
            if fact.runtime == runtime && fact.quantity == "smallest_pages" {
                *kernels.entry(fact.value).or_default() += 1;
            }
        }
        let shown: Vec<String> = kernels
            .into_iter()
            .map(|(pages, kernels)| format!("{pages} ({kernels} of them)"))
            .collect();
        shown.join(", ")
    }

    fn tail(&self) -> String {
        let mut text = String::new();
        let mut reasons: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for NotMeasured {
            key,
            outcome,
            reason,
            ..
        } in &self.not_measured
        {
            reasons
                .entry((outcome.to_string(), reason.clone()))
                .or_default()
                .insert(key.runtime.clone());
        }
        for ((outcome, reason), runtimes) in reasons.iter().take(MAX_REASONS) {
            let runtimes: Vec<&str> = runtimes.iter().map(String::as_str).collect();
            text += &format!("\n{outcome} on {}: {reason}", runtimes.join(", "));
        }
        if reasons.len() > MAX_REASONS {
            text += &format!("\n... and {} more reasons", reasons.len() - MAX_REASONS);
        }
        for (runtime, reason) in &self.run.absent {
            text += &format!("\n{runtime} absent: {reason}");
        }
        if self.left_out.0 > 0 {
            text += &format!(
                "\n{} of {} groups of cells were left out: the time was over",
                self.left_out.0, self.left_out.1
            );
        }
        match self.seconds {
            Some(seconds) => text += &format!("\n\nmeasured in {seconds:.0} s"),
            None => text += "\n\nthe run did not come to its end",
        }
        text
    }
}
