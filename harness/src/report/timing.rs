//! The sections of a report that show what `assay bench` measured.

use super::{
    charts::{self, Axis, Bar, Interval},
    goals, kernels,
    sections::{headers, module_name},
};
use crate::{
    bench::tables::{Compared, Tables, Time, Verdict},
    document::{Cell, Figure, Part, Section, Table, Tone},
    statistics::{Estimate, Ratio, Word},
};
use anyhow::Result;
use runtime_api::BudgetKind;
use std::collections::{BTreeMap, BTreeSet};

/// Stages of an invocation, in their order.
const STAGES: [&str; 7] = [
    "lookup",
    "instantiate",
    "resolve",
    "memory",
    "first",
    "fetch",
    "drop",
];
/// Other quantities that have a place of their own among the phases of an invocation.
const PHASES: [&str; 13] = [
    "validate",
    "compile",
    "load-cached",
    "call",
    "hand",
    "batch",
    "reset",
    "pooled",
    "write",
    "in-place",
    "read",
    "path",
    "reuse",
];

/// Machine and build of a run, as facts of the report.
pub fn facts(tables: &Tables) -> Vec<(String, String)> {
    let print = &tables.run.fingerprint;
    let tree = match (&print.commit, print.clean_tree) {
        (Some(commit), Some(true)) => format!("commit {commit}"),
        (Some(commit), Some(false)) => format!("commit {commit} with changes"),
        (Some(commit), None) => format!("commit {commit}, changes unknown"),
        (None, _) => "commit unknown".to_owned(),
    };
    [
        (
            "Machine",
            format!(
                "{}, {} cores, {}, frequency governor: {}",
                print.cpu, print.cores, print.os, print.governor
            ),
        ),
        (
            "Build",
            format!(
                "assay {}, {tree}, {}, {}",
                print.harness, print.rustc, print.build
            ),
        ),
        ("Measured", print.began.clone()),
        ("Measured by", print.command.join(" ")),
        (
            "Method",
            format!(
                "{} processes per engine, {} s of batches per cell and process, seed {}",
                tables.run.processes, tables.run.seconds, tables.run.seed
            ),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// All sections.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn sections(tables: &Tables) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    if tables.times.is_empty() {
        sections.push(Section {
            id: "timing",
            title: "Times",
            parts: vec![Part::Text(match &tables.run.fingerprint.emulated {
                Some(how) => format!(
                    "not measured (emulated): {how}. Outputs were checked; times of an emulated machine would be its own."
                ),
                None => "Not measured: no cell has a time; the reasons are in the last section."
                    .to_owned(),
            })],
        });
    } else {
        sections.extend([
            invocation(tables)?,
            budgets(tables)?,
            kernels::section(tables)?,
            goals::noise(tables),
        ]);
    }
    Ok(sections)
}

fn invocation(tables: &Tables) -> Result<Section> {
    let mut bars = Vec::new();
    for runtime in tables.engines.keys() {
        let stages = STAGES.map(|stage| stage_time(tables, runtime, stage));
        if stages.iter().all(Option::is_none) {
            continue;
        }
        bars.push(Bar {
            label: runtime.clone(),
            parts: stages
                .map(|time| time.map_or(0.0, |time| time.value))
                .into(),
        });
    }
    let mut parts = Vec::new();
    if !bars.is_empty() {
        let total = |bar: &Bar| bar.parts.iter().sum::<f64>();
        let sums: Vec<String> = bars
            .iter()
            .map(|bar| format!("{} {}", bar.label, nanoseconds(total(bar))))
            .collect();
        let scaled = |unit: &dyn Fn(&Bar) -> f64| -> Vec<Bar> {
            bars.iter()
                .map(|bar| Bar {
                    label: bar.label.clone(),
                    parts: bar.parts.iter().map(|part| part / unit(bar)).collect(),
                })
                .collect()
        };
        let what = "stages of the invocation of rmsnorm_f32 of 1 x 64 by engine, with epochs where the engine has them";
        parts.push(Part::Figure(Figure {
            name: "invocation".to_owned(),
            caption: format!("Invocation overhead in microseconds: {what}, stacked"),
            description: format!(
                "In all: {}. The table below has each stage.",
                sums.join(", ")
            ),
            svg: charts::bars("microseconds", &STAGES, &scaled(&|_| 1000.0))?,
        }));
        parts.push(Part::Figure(Figure {
            name: "invocation-shares".to_owned(),
            caption: format!("The same in per cent of each engine's sum: {what}, stacked"),
            description: "The table below has each stage.".to_owned(),
            svg: charts::bars(
                "per cent of the sum of all stages",
                &STAGES,
                &scaled(&|bar| total(bar) / 100.0),
            )?,
        }));
    }
    parts.extend(phases(tables).map(Part::Table));
    if !tables.tax.is_empty() {
        let rows = tables
            .tax
            .iter()
            .map(|tax| {
                let Compared {
                    key, size, ratio, ..
                } = &tax.compared;
                let tone = match tax.verdict {
                    Verdict::Held => Tone::Good,
                    Verdict::NotHeld => Tone::Bad,
                    _ => Tone::Limited,
                };
                vec![
                    Cell::new(&key.runtime),
                    Cell::new(module_name(&key.kernel, &key.variant)),
                    Cell::new(size),
                    Cell::new(key.budget.to_string()),
                    value(&ratio.estimate, "ratio"),
                    tax.more
                        .as_ref()
                        .map_or_else(Cell::default, |more| value(more, "ns")),
                    Cell::toned(tax.verdict.name(), tone),
                ]
            })
            .collect();
        parts.push(Part::Table(Table {
            caption: "A call through the engine traits over the same call by the engine's own interface, with 95 % intervals; held: at most 1.05, or 10 ns more".to_owned(),
            headers: headers(&["engine", "kernel", "size", "budget", "ratio", "more", "verdict"]),
            rows,
        }));
    }
    Ok(Section {
        id: "invocation",
        title: "Invocation",
        parts,
    })
}

/// Every quantity that was measured of the smallest real kernel, one column each; those that this version does not know come last.
fn phases(tables: &Tables) -> Option<Table> {
    let measured: BTreeSet<&str> = tables
        .times
        .iter()
        .filter(|time| smallest(time))
        .map(|time| time.key.quantity.as_str())
        .collect();
    let known: Vec<&str> = PHASES[..3]
        .iter()
        .chain(&STAGES)
        .chain(&PHASES[3..])
        .copied()
        .collect();
    let unknown = measured.iter().copied().filter(|q| !known.contains(q));
    let mut columns: Vec<&str> = known
        .iter()
        .copied()
        .filter(|q| measured.contains(q))
        .collect();
    columns.extend(unknown);
    // A trap has a kernel of its own.
    let traps: BTreeSet<&str> = tables
        .times
        .iter()
        .map(|time| time.key.quantity.as_str())
        .filter(|quantity| quantity.starts_with("trap-"))
        .collect();
    columns.extend(traps.difference(&measured).copied());
    let rows: Vec<Vec<Cell>> = tables
        .engines
        .keys()
        .map(|runtime| {
            let times = columns.iter().map(|quantity| {
                let estimate = if quantity.starts_with("trap-") {
                    trap_time(tables, runtime, quantity)
                } else {
                    stage_time(tables, runtime, quantity)
                };
                estimate.map_or_else(Cell::default, |time| value(time, "ns"))
            });
            std::iter::once(Cell::new(runtime)).chain(times).collect()
        })
        .filter(|row: &Vec<Cell>| row.iter().skip(1).any(|cell| !cell.text.is_empty()))
        .collect();
    let mut all = headers(&["engine"]);
    all.extend(columns.iter().map(|quantity| match *quantity {
        "call" => "call (steady)".to_owned(),
        "path" => "path (all of a fresh instance)".to_owned(),
        "reuse" => "reuse (instance kept)".to_owned(),
        "batch" => "batch (per call)".to_owned(),
        other => other.to_owned(),
    }));
    (!rows.is_empty()).then(|| Table {
        caption: "Phases of an invocation of rmsnorm_f32 of 1 x 64, with epochs where the engine has them, with 95 % intervals; docs/measuring.md says what each one holds. An empty cell was not measured"
            .to_owned(),
        headers: all,
        rows,
    })
}

fn smallest(time: &Time) -> bool {
    let key = &time.key;
    key.twin.is_none()
        && key.kernel == "rmsnorm_f32"
        && key.variant == "base"
        && time.size == "small"
}

fn trap_time<'a>(tables: &'a Tables, runtime: &str, quantity: &str) -> Option<&'a Estimate> {
    let mut times = tables.times.iter();
    times
        .find(|time| time.key.runtime == runtime && time.key.quantity == quantity)
        .map(|time| &time.nanoseconds)
}

fn stage_time<'a>(tables: &'a Tables, runtime: &str, quantity: &str) -> Option<&'a Estimate> {
    let of = |budget| {
        tables
            .times
            .iter()
            .find(|time| {
                let key = &time.key;
                smallest(time)
                    && key.runtime == runtime
                    && key.quantity == quantity
                    && key.budget == budget
            })
            .map(|time| &time.nanoseconds)
    };
    of(BudgetKind::Epoch).or_else(|| of(BudgetKind::None))
}

fn budgets(tables: &Tables) -> Result<Section> {
    let size = tables.budget_size;
    let elements = if size == "4Ki" { "4 Ki" } else { "64 Ki" };
    let judged: Vec<&Compared> = tables
        .budgets
        .iter()
        .filter(|compared| {
            let shape = is_shape(&compared.key.kernel);
            (compared.size == size || shape) && compared.key.twin.is_none()
        })
        .collect();
    let mut parts = Vec::new();
    let engines: BTreeSet<&str> = judged.iter().map(|one| one.key.runtime.as_str()).collect();
    for engine in engines {
        let mut rows: BTreeMap<String, Vec<Option<Interval>>> = BTreeMap::new();
        // Shapes of loops would stretch the axis; they have a table.
        let of_engine = |one: &&&Compared| one.key.runtime == engine && !is_shape(&one.key.kernel);
        for one in judged.iter().filter(of_engine) {
            let series = match one.key.budget {
                BudgetKind::Epoch => 0,
                BudgetKind::Fuel => 1,
                BudgetKind::None => continue,
            };
            rows.entry(module_name(&one.key.kernel, &one.key.variant))
                .or_insert_with(|| vec![None; 2])[series] =
                interval(&one.ratio.estimate, |ratio| (ratio - 1.0) * 100.0);
        }
        let rows: Vec<_> = rows.into_iter().collect();
        if rows
            .iter()
            .any(|(_, marks)| marks.iter().any(Option::is_some))
        {
            parts.push(Part::Figure(Figure {
                name: format!("budgets-{engine}"),
                caption: format!(
                    "{engine}: what epochs and fuel add to a call, in per cent of the time without, at {elements} elements, with 95 % intervals; the bands are what is claimed, 2 to 5 % and 15 to 30 %"
                ),
                description: tables
                    .sentences
                    .iter()
                    .find(|sentence| sentence.runtime == engine)
                    .map_or_else(
                        || "The table below holds the same figures.".to_owned(),
                        |sentence| format!("{}. The table below has each kernel.", sentence.text),
                    ),
                svg: charts::intervals(
                    "per cent over no budget",
                    Axis::Linear,
                    &["epoch", "fuel"],
                    &rows,
                    &[(2.0, 5.0, 0), (15.0, 30.0, 1)],
                )?,
            }));
        }
    }
    for (shapes, caption) in [
        (
            false,
            format!(
                "Time with a budget over time without, at {elements} elements, batch beside batch in one process, with 95 % intervals"
            ),
        ),
        (
            true,
            "What the shape of a loop saves: the same ratio where each element, and where each 32nd, is a branch back, at 64 Ki elements"
                .to_owned(),
        ),
    ] {
        let rows: Vec<Vec<Cell>> = judged
            .iter()
            .filter(|one| is_shape(&one.key.kernel) == shapes)
            .map(|one| {
                vec![
                    Cell::new(&one.key.runtime),
                    Cell::new(module_name(&one.key.kernel, &one.key.variant)),
                    Cell::new(one.key.budget.to_string()),
                    ratio(&one.ratio),
                    Cell::new(one.ratio.word.name()),
                ]
            })
            .collect();
        if !rows.is_empty() {
            parts.push(Part::Table(Table {
                caption,
                headers: headers(&["engine", "kernel", "budget", "ratio", "verdict"]),
                rows,
            }));
        }
    }
    Ok(Section {
        id: "budgets",
        title: "What budgets cost",
        parts,
    })
}

/// Modules that are there for the shape of their loops: those of the harness, and kernels written the obvious way.
fn is_shape(kernel: &str) -> bool {
    kernel == "loop" || kernel.ends_with("naive")
}

fn interval(estimate: &Estimate, unit: impl Fn(f64) -> f64) -> Option<Interval> {
    Some(Interval {
        low: unit(estimate.low.unwrap_or(estimate.value)),
        middle: unit(estimate.value),
        high: unit(estimate.high.unwrap_or(estimate.value)),
    })
}

/// A value with its interval, in nanoseconds (`ns`) or as a ratio; or half the width of one.
pub(super) fn value(estimate: &Estimate, unit: &str) -> Cell {
    if unit == "half width" {
        let text = format!("+-{:.2} %, the widest", 100.0 * estimate.value);
        return Cell::number(text, estimate.value);
    }
    let shown = |value: f64| match unit {
        "ns" => nanoseconds(value),
        _ => format!("{value:.3}"),
    };
    let text = match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!(
            "{} [{} to {}]",
            shown(estimate.value),
            shown(low),
            shown(high)
        ),
        _ => format!("{}, one process", shown(estimate.value)),
    };
    Cell::number(text, estimate.value)
}

/// A ratio whose word is unsure is toned down.
pub(super) fn ratio(ratio: &Ratio) -> Cell {
    let tone = match ratio.word {
        Word::Unsure => Tone::Limited,
        Word::Faster | Word::Slower => Tone::Plain,
    };
    value(&ratio.estimate, "ratio").with_tone(tone)
}

/// A share in per cent.
pub(super) fn share(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::default, |value| {
        Cell::number(format!("{:.0} %", value * 100.0), value)
    })
}

/// A time in the unit that reads best.
pub(super) fn nanoseconds(value: f64) -> String {
    if value.abs() >= 1e6 {
        format!("{:.2} ms", value / 1e6)
    } else if value.abs() >= 1e3 {
        format!("{:.2} us", value / 1e3)
    } else {
        format!("{value:.1} ns")
    }
}
