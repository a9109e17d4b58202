//! The sections of a report that show what `assay bench` measured.

use super::{
    charts::{self, Axis, Bar, Interval, Line},
    document::{Cell, Figure, Part, Section, Table, Tone},
    sections::{headers, module_name},
};
use crate::{
    bench::{
        record::Twin,
        tables::{Compared, Tables},
    },
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
/// The size at which the cost of budgets is judged.
const BUDGET_SIZE: &str = "64Ki";

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
    Ok(vec![
        claims(tables),
        invocation(tables)?,
        budgets(tables)?,
        kernels(tables)?,
        noise(tables),
        resources(tables),
    ])
}

fn claims(tables: &Tables) -> Section {
    let verdict = |word: &str| {
        let tone = match word {
            "held" => Tone::Good,
            "not held" => Tone::Bad,
            _ => Tone::Limited,
        };
        Cell::toned(word, tone)
    };
    let rows = tables
        .claims
        .iter()
        .map(|claim| {
            vec![
                Cell::new(&claim.runtime),
                Cell::new(claim.claim),
                Cell::number(nanoseconds(claim.at_most_ns), claim.at_most_ns),
                time(&claim.measured),
                verdict(claim.verdict),
            ]
        })
        .collect();
    let mut parts = vec![Part::Table(Table {
        caption: "Times that are claimed or aimed at, and what was measured, with 95 % intervals; held: the interval ends at or below the claim"
            .to_owned(),
        headers: headers(&["engine", "claim", "at most", "measured", "verdict"]),
        rows,
    })];
    if !tables.sentences.is_empty() {
        parts.push(Part::List(
            tables
                .sentences
                .iter()
                .map(|sentence| sentence.text.clone())
                .collect(),
        ));
    }
    Section {
        id: "claims",
        title: "Claims",
        parts,
    }
}

fn invocation(tables: &Tables) -> Result<Section> {
    let mut bars = Vec::new();
    let mut rows = Vec::new();
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
        let mut row = vec![Cell::new(runtime)];
        for quantity in STAGES.iter().chain(&["call", "path", "reuse"]) {
            row.push(stage_time(tables, runtime, quantity).map_or_else(Cell::default, time));
        }
        rows.push(row);
    }
    let mut parts = Vec::new();
    if !bars.is_empty() {
        parts.push(Part::Figure(Figure {
            name: "invocation".to_owned(),
            caption: "Stages of the invocation of rmsnorm_f32 of 1 x 64, in nanoseconds, with epochs where the engine has them".to_owned(),
            description: "The table below holds the same figures.".to_owned(),
            svg: charts::bars("nanoseconds", &STAGES, &bars)?,
        }));
        let mut columns = headers(&["engine"]);
        columns.extend(headers(&STAGES));
        columns.extend(headers(&[
            "steady call",
            "all of a fresh instance",
            "instance kept",
        ]));
        parts.push(Part::Table(Table {
            caption: "Stages of an invocation of rmsnorm_f32 of 1 x 64, with 95 % intervals"
                .to_owned(),
            headers: columns,
            rows,
        }));
    }
    if !tables.tax.is_empty() {
        let rows = tables
            .tax
            .iter()
            .map(|tax| {
                vec![
                    Cell::new(&tax.key.runtime),
                    Cell::new(module_name(&tax.key.kernel, &tax.key.variant)),
                    Cell::new(&tax.size),
                    Cell::new(tax.key.budget.to_string()),
                    ratio(&tax.ratio),
                    Cell::new(tax.ratio.word.name()),
                ]
            })
            .collect();
        parts.push(Part::Table(Table {
            caption: "A call through the engine traits over the same call by the engine's own interface, with 95 % intervals".to_owned(),
            headers: headers(&["engine", "kernel", "size", "budget", "ratio", "verdict"]),
            rows,
        }));
    }
    Ok(Section {
        id: "invocation",
        title: "Invocation",
        parts,
    })
}

fn stage_time<'a>(tables: &'a Tables, runtime: &str, quantity: &str) -> Option<&'a Estimate> {
    let of = |budget| {
        tables
            .times
            .iter()
            .find(|time| {
                let key = &time.key;
                key.twin.is_none()
                    && key.runtime == runtime
                    && key.kernel == "rmsnorm_f32"
                    && key.variant == "base"
                    && key.quantity == quantity
                    && key.budget == budget
                    && time.size == "small"
            })
            .map(|time| &time.nanoseconds)
    };
    of(BudgetKind::Epoch).or_else(|| of(BudgetKind::None))
}

fn budgets(tables: &Tables) -> Result<Section> {
    let judged: Vec<&Compared> = tables
        .budgets
        .iter()
        .filter(|compared| compared.size == BUDGET_SIZE && compared.key.twin.is_none())
        .collect();
    let mut parts = Vec::new();
    let engines: BTreeSet<&str> = judged.iter().map(|one| one.key.runtime.as_str()).collect();
    for engine in engines {
        let mut rows: BTreeMap<String, Vec<Option<Interval>>> = BTreeMap::new();
        for one in judged.iter().filter(|one| one.key.runtime == engine) {
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
                    "{engine}: what epochs and fuel add to a call, in per cent of the time without, at 64 Ki elements, with 95 % intervals; the bands are what is claimed, 2 to 5 % and 15 to 30 %"
                ),
                description: "The table below holds the same figures.".to_owned(),
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
    let rows = judged
        .iter()
        .map(|one| {
            vec![
                Cell::new(&one.key.runtime),
                Cell::new(module_name(&one.key.kernel, &one.key.variant)),
                Cell::new(one.key.budget.to_string()),
                ratio(&one.ratio),
                Cell::new(one.ratio.word.name()),
            ]
        })
        .collect::<Vec<_>>();
    if !rows.is_empty() {
        parts.push(Part::Table(Table {
            caption: "Time with a budget over time without, at 64 Ki elements, batch beside batch in one process, with 95 % intervals".to_owned(),
            headers: headers(&["engine", "kernel", "budget", "ratio", "verdict"]),
            rows,
        }));
    }
    Ok(Section {
        id: "budgets",
        title: "What budgets cost",
        parts,
    })
}

fn kernels(tables: &Tables) -> Result<Section> {
    let mut parts = Vec::new();
    if !tables.means.is_empty() {
        let rows = tables
            .means
            .iter()
            .map(|mean| {
                vec![
                    Cell::new(&mean.runtime),
                    Cell::new(&mean.variant),
                    Cell::new(&mean.size),
                    Cell::number(format!("{:.2}", mean.over_native), mean.over_native),
                    Cell::number(
                        format!("{:.2} ({})", mean.worst.1, mean.worst.0),
                        mean.worst.1,
                    ),
                    Cell::number(
                        format!("{} of {}", mean.kernels, mean.of),
                        mean.kernels as f64,
                    ),
                ]
            })
            .collect();
        parts.push(Part::Table(Table {
            caption: "Time over the native build of the same source for the baseline processor: geometric mean over the kernels that all engines have".to_owned(),
            headers: headers(&["engine", "module", "size", "mean ratio", "largest ratio", "kernels"]),
            rows,
        }));
    }
    let names: BTreeSet<&str> = tables
        .kernels
        .iter()
        .map(|kernel| kernel.key.kernel.as_str())
        .collect();
    for name in names {
        let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for kernel in tables.kernels.iter().filter(|kernel| {
            // What has no elements has no place among sizes.
            kernel.elements > 0
                && kernel.key.kernel == name
                && kernel.key.twin.is_none()
                && kernel.key.budget == BudgetKind::None
        }) {
            let label = module_name(&kernel.key.runtime, &kernel.key.variant);
            let point = (kernel.elements as f64, kernel.nanoseconds.value);
            lines.entry(label).or_default().push(point);
        }
        let lines: Vec<Line> = lines
            .into_iter()
            .map(|(label, mut points)| {
                points.sort_by(|one, other| one.0.total_cmp(&other.0));
                let crossover = tables.crossovers.iter().find(|crossover| {
                    crossover.kernel == name
                        && module_name(&crossover.runtime, &crossover.variant) == label
                });
                let mark = crossover.and_then(|crossover| {
                    let elements = crossover.elements?;
                    Some((
                        elements,
                        crossover.overhead_ns + crossover.slope_ns * elements,
                    ))
                });
                // A cross-over outside of what was measured is a number of the table, not of the picture.
                let within = |mark: &(f64, f64)| {
                    points.first().is_some_and(|first| first.0 <= mark.0)
                        && points.last().is_some_and(|last| mark.0 <= last.0)
                };
                Line {
                    label,
                    mark: mark.filter(within),
                    points,
                }
            })
            .collect();
        if !lines.is_empty() {
            parts.push(Part::Figure(Figure {
                name: format!("kernel-{name}"),
                caption: format!(
                    "{name}: time of a call over elements, without a budget, both axes logarithmic; a ring marks the size from which the overhead is below 10 %"
                ),
                description: "The folded table below holds the same figures.".to_owned(),
                svg: charts::scaling("elements", "nanoseconds", &lines)?,
            }));
        }
    }
    let share = |value: Option<f64>| {
        value.map_or_else(Cell::default, |value| {
            Cell::number(format!("{:.0} %", value * 100.0), value)
        })
    };
    let rows = tables
        .kernels
        .iter()
        .map(|kernel| {
            vec![
                Cell::new(&kernel.key.runtime),
                Cell::new(module_name(&kernel.key.kernel, &kernel.key.variant)),
                Cell::new(&kernel.key.case),
                Cell::new(kernel.key.budget.to_string()),
                Cell::number(kernel.elements.to_string(), kernel.elements as f64),
                time(&kernel.nanoseconds),
                Cell::number(
                    format!("{:.2}", kernel.gigabytes_per_second),
                    kernel.gigabytes_per_second,
                ),
                kernel.gigaflops.map_or_else(Cell::default, |rate| {
                    Cell::number(format!("{rate:.2}"), rate)
                }),
                share(kernel.bandwidth_share),
                kernel
                    .over_native
                    .as_ref()
                    .map_or_else(Cell::default, ratio),
                kernel
                    .over_native_cpu
                    .as_ref()
                    .map_or_else(Cell::default, ratio),
            ]
        })
        .collect();
    parts.push(Part::Folded(Table {
        caption: "Kernels: time of a call with its 95 % interval, beside its limits".to_owned(),
        headers: headers(&[
            "engine",
            "kernel",
            "shape",
            "budget",
            "elements",
            "time",
            "GB/s",
            "GFLOP/s",
            "of measured bandwidth",
            "over native (baseline)",
            "over native (this processor)",
        ]),
        rows,
    }));
    let crossovers = tables
        .crossovers
        .iter()
        .map(|crossover| {
            vec![
                Cell::new(&crossover.runtime),
                Cell::new(module_name(&crossover.kernel, &crossover.variant)),
                Cell::number(nanoseconds(crossover.overhead_ns), crossover.overhead_ns),
                Cell::number(format!("{:.3} ns", crossover.slope_ns), crossover.slope_ns),
                crossover.elements.map_or_else(
                    || Cell::toned("none", Tone::Limited),
                    |elements| Cell::number(format!("{elements:.0}"), elements),
                ),
                Cell::number(crossover.sizes.to_string(), crossover.sizes as f64),
            ]
        })
        .collect();
    parts.push(Part::Folded(Table {
        caption: "Cross-over: t = overhead + slope x elements, and the size from which the overhead is below 10 %".to_owned(),
        headers: headers(&["engine", "kernel", "overhead", "slope", "elements", "sizes"]),
        rows: crossovers,
    }));
    Ok(Section {
        id: "kernels",
        title: "Kernels against native code",
        parts,
    })
}

fn noise(tables: &Tables) -> Section {
    let rows = tables
        .noise
        .iter()
        .map(|noise| {
            let tone = if noise.unsure == noise.pairs {
                Tone::Good
            } else {
                Tone::Limited
            };
            vec![
                Cell::new(&noise.runtime),
                Cell::new(match noise.twin {
                    Twin::Beside => "in one process",
                    Twin::Apart => "in processes apart",
                }),
                Cell::toned(format!("{} of {}", noise.unsure, noise.pairs), tone),
                Cell::number(format!("{:.2} %", noise.floor * 100.0), noise.floor),
            ]
        })
        .collect();
    let mut parts = vec![Part::Table(Table {
        caption: "Things compared with themselves: all should be unsure; differences below the floor mean nothing in this run".to_owned(),
        headers: headers(&["engine", "compared", "unsure", "largest difference"]),
        rows,
    })];
    let (left_out, groups) = tables.left_out;
    if left_out > 0 {
        parts.push(Part::Text(format!(
            "{left_out} of {groups} groups of cells were left out, because the time of the run was over."
        )));
    }
    Section {
        id: "noise",
        title: "Noise floor",
        parts,
    }
}

fn resources(tables: &Tables) -> Section {
    let rows = tables
        .facts
        .iter()
        .map(|fact| {
            vec![
                Cell::new(&fact.runtime),
                Cell::new(&fact.version),
                Cell::new(&fact.quantity),
                Cell::new(if fact.kernel.is_empty() {
                    "the worker".to_owned()
                } else {
                    module_name(&fact.kernel, &fact.variant)
                }),
                Cell::new(&fact.case),
                Cell::new(
                    fact.metering
                        .map(|kind| kind.to_string())
                        .unwrap_or_default(),
                ),
                Cell::number(fact.value.to_string(), fact.value as f64),
                Cell::new(if fact.constant {
                    "yes"
                } else {
                    "no: the largest"
                }),
            ]
        })
        .collect();
    let missing = tables
        .not_measured
        .iter()
        .map(|missing| {
            vec![
                Cell::new(&missing.key.runtime),
                Cell::new(module_name(&missing.key.kernel, &missing.key.variant)),
                Cell::new(&missing.key.case),
                Cell::new(missing.key.budget.to_string()),
                Cell::new(&missing.key.quantity),
                Cell::toned(
                    missing.outcome.to_string(),
                    super::sections::tone(missing.outcome),
                ),
                Cell::new(&missing.reason),
            ]
        })
        .collect();
    Section {
        id: "resources",
        title: "Fuel, code and memory",
        parts: vec![
            Part::Folded(Table {
                caption: "Numbers without noise: fuel in the engine's own unit, bytes of code, and the peak of memory of a worker in bytes".to_owned(),
                headers: headers(&[
                    "engine", "version", "quantity", "of", "shape", "budget", "value", "the same in all processes",
                ]),
                rows,
            }),
            Part::Folded(Table {
                caption: "Cells without a number, and why".to_owned(),
                headers: headers(&["engine", "kernel", "shape", "budget", "quantity", "outcome", "reason"]),
                rows: missing,
            }),
        ],
    }
}

fn interval(estimate: &Estimate, unit: impl Fn(f64) -> f64) -> Option<Interval> {
    Some(Interval {
        low: unit(estimate.low.unwrap_or(estimate.value)),
        middle: unit(estimate.value),
        high: unit(estimate.high.unwrap_or(estimate.value)),
    })
}

fn time(estimate: &Estimate) -> Cell {
    let text = match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!(
            "{} [{} to {}]",
            nanoseconds(estimate.value),
            nanoseconds(low),
            nanoseconds(high)
        ),
        _ => format!("{}, one process", nanoseconds(estimate.value)),
    };
    Cell::number(text, estimate.value)
}

fn ratio(ratio: &Ratio) -> Cell {
    let estimate = &ratio.estimate;
    let text = match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{:.3} [{low:.3} to {high:.3}]", estimate.value),
        _ => format!("{:.3}, one process", estimate.value),
    };
    let tone = match ratio.word {
        Word::Unsure => Tone::Limited,
        Word::Faster | Word::Slower => Tone::Plain,
    };
    Cell::number(text, estimate.value).with_tone(tone)
}

/// A time in the unit that reads best.
fn nanoseconds(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2} ms", value / 1e6)
    } else if value >= 1e3 {
        format!("{:.2} us", value / 1e3)
    } else {
        format!("{value:.1} ns")
    }
}
