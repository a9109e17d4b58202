//! The section of a report about kernels: their time over sizes, beside native code and the bandwidth of memory.

use super::{
    charts::{self, Line},
    sections::{headers, module_name},
    timing,
};
use crate::{
    bench::{
        native,
        tables::{Crossover, Kernel, Tables},
    },
    document::{Cell, Figure, Part, Section, Table, Tone},
};
use anyhow::Result;
use runtime_api::BudgetKind;
use std::collections::{BTreeMap, BTreeSet};

/// Time of kernels beside native code and what memory allows.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn section(tables: &Tables) -> Result<Section> {
    let mut parts = Vec::new();
    if !tables.means.is_empty() {
        parts.push(means(tables));
    }
    parts.extend(figures(tables)?);
    parts.push(calls(tables));
    if !tables.ceilings.is_empty() {
        parts.push(ceilings(tables));
    }
    parts.push(crossovers(tables));
    Ok(Section {
        id: "kernels",
        title: "Kernels against native code",
        parts,
    })
}

fn means(tables: &Tables) -> Part {
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
    Part::Table(Table {
            caption: "Time over the native build of the same source for the baseline processor: geometric mean over the kernels that all engines have".to_owned(),
            headers: headers(&["engine", "module", "size", "mean ratio", "largest ratio", "kernels"]),
            rows,
        })
}

/// A picture of each kernel that was measured at several sizes.
fn figures(tables: &Tables) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let names: BTreeSet<&str> = tables
        .kernels
        .iter()
        .map(|kernel| kernel.key.kernel.as_str())
        .collect();
    for name in names {
        let lines = lines(tables, name);
        // One size makes no line.
        if lines.iter().all(|line| line.points.len() < 2) {
            continue;
        }
        let marked = lines.iter().filter(|line| line.mark.is_some()).count();
        parts.push(Part::Figure(Figure {
            name: format!("kernel-{name}"),
            caption: format!(
                "{name}: time of a call in nanoseconds over elements, without a budget, both axes logarithmic; of each engine the variant where it was measured at as many sizes as the base module; broken lines: native code and the bandwidth ceiling; a ring marks the size from which the overhead is below 10 %"
            ),
            description: format!(
                "{} {marked} of {} lines have a ring. The folded table of kernels holds the same figures.",
                slowest(&lines),
                lines.len()
            ),
            svg: charts::scaling("elements of the main tensor", "nanoseconds per call", &lines)?,
        }));
    }
    Ok(parts)
}

fn calls(tables: &Tables) -> Part {
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
                timing::value(&kernel.nanoseconds, "ns"),
                Cell::number(
                    format!("{:.2}", kernel.gigabytes_per_second),
                    kernel.gigabytes_per_second,
                ),
                kernel.gigaflops.map_or_else(Cell::default, |rate| {
                    Cell::number(format!("{rate:.2}"), rate)
                }),
                timing::share(kernel.bandwidth_share),
                kernel
                    .over_native
                    .as_ref()
                    .map_or_else(Cell::default, timing::ratio),
                kernel
                    .over_native_cpu
                    .as_ref()
                    .map_or_else(Cell::default, timing::ratio),
            ]
        })
        .collect();
    Part::Folded(Table {
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
    })
}

fn ceilings(tables: &Tables) -> Part {
    let ceilings: Vec<_> = tables
        .ceilings
        .iter()
        .map(|ceiling| {
            let rate = &ceiling.gigabytes_per_second;
            vec![
                Cell::new(&ceiling.runtime),
                Cell::new(&ceiling.size),
                Cell::number(ceiling.bytes.to_string(), ceiling.bytes as f64),
                Cell::number(
                    match (rate.low, rate.high) {
                        (Some(low), Some(high)) => {
                            format!("{:.2} [{low:.2} to {high:.2}]", rate.value)
                        }
                        _ => format!("{:.2}, one process", rate.value),
                    },
                    rate.value,
                ),
            ]
        })
        .collect();

    Part::Table(Table {
            caption: "Bandwidth ceiling of this machine, in GB/s with its 95 % interval: the triad a = b + s * c, one thread"
                .to_owned(),
            headers: headers(&["build", "size of an array", "bytes of a pass", "GB/s"]),
            rows: ceilings,
        })
}

fn crossovers(tables: &Tables) -> Part {
    let crossovers = tables
        .crossovers
        .iter()
        .map(|crossover| {
            vec![
                Cell::new(&crossover.runtime),
                Cell::new(module_name(&crossover.kernel, &crossover.variant)),
                Cell::number(
                    timing::nanoseconds(crossover.overhead_ns),
                    crossover.overhead_ns,
                ),
                Cell::number(format!("{:.3} ns", crossover.slope_ns), crossover.slope_ns),
                crossover.elements.map_or_else(
                    || Cell::toned("none", Tone::Limited),
                    |elements| Cell::number(format!("{elements:.0}"), elements),
                ),
                Cell::number(crossover.sizes.to_string(), crossover.sizes as f64),
            ]
        })
        .collect();
    Part::Folded(Table {
        caption: "Cross-over: t = overhead + slope x elements, and the size from which the overhead is below 10 %".to_owned(),
        headers: headers(&["engine", "kernel", "overhead", "slope", "elements", "sizes"]),
        rows: crossovers,
    })
}

/// Lines of a kernel: native code, what memory allows, then engines.
fn lines(tables: &Tables, name: &str) -> Vec<Line> {
    let mut engines: BTreeMap<(&str, &str), Vec<&Kernel>> = BTreeMap::new();
    for kernel in &tables.kernels {
        // What has no elements has no place among sizes.
        if kernel.elements > 0
            && kernel.key.kernel == name
            && kernel.key.twin.is_none()
            && kernel.key.budget == BudgetKind::None
        {
            let module = (kernel.key.runtime.as_str(), kernel.key.variant.as_str());
            engines.entry(module).or_default().push(kernel);
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    let runtimes: BTreeSet<&str> = engines.keys().map(|(runtime, _)| *runtime).collect();
    for runtime in runtimes {
        // `simd` comes after `base`, and is taken where it has as many sizes.
        let module = engines
            .iter()
            .filter(|((id, _), _)| *id == runtime)
            .max_by_key(|(_, points)| points.len());
        let Some(((_, variant), points)) = module else {
            continue;
        };
        let mut points: Vec<(f64, f64)> = points
            .iter()
            .map(|kernel| (kernel.elements as f64, kernel.nanoseconds.value))
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let crossover = tables.crossovers.iter().find(|crossover| {
            crossover.kernel == name
                && crossover.runtime == runtime
                && crossover.variant == *variant
        });
        lines.push(Line {
            label: module_name(runtime, variant),
            mark: crossover.and_then(|crossover| mark(crossover, &points)),
            points,
            yardstick: runtime.starts_with(native::BASELINE),
        });
    }
    let ceiling = ceiling(tables, name);
    if !lines.is_empty() && !ceiling.is_empty() {
        lines.push(Line {
            label: "bandwidth ceiling".to_owned(),
            points: ceiling,
            mark: None,
            yardstick: true,
        });
    }
    // Native code and the ceiling first, whatever the names of engines are.
    lines.sort_by_key(|line| !line.yardstick);
    lines
}

/// The cross-over, where it lies within what was measured; elsewhere it is a number of the table, not of the picture.
fn mark(crossover: &Crossover, points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let elements = crossover.elements?;
    let (first, last) = (points.first()?.0, points.last()?.0);
    (first <= elements && elements <= last).then_some((
        elements,
        crossover.overhead_ns + crossover.slope_ns * elements,
    ))
}

/// The least time in which memory can move what a call reads and writes: at the triad's rate on arrays of 1 MiB, which smaller
/// tensors in nearer caches may beat; beyond, at the rate on arrays larger than caches, where it was measured.
fn ceiling(tables: &Tables, name: &str) -> Vec<(f64, f64)> {
    let rate = |size: &str| {
        tables
            .ceilings
            .iter()
            .find(|ceiling| ceiling.runtime == native::BASELINE && ceiling.size == size)
            .map(|ceiling| ceiling.gigabytes_per_second.value)
    };
    let mut points: Vec<(f64, f64)> = tables
        .kernels
        .iter()
        .filter(|kernel| {
            kernel.key.runtime == native::BASELINE
                && kernel.key.kernel == name
                && kernel.elements > 0
        })
        .filter_map(|kernel| {
            let bytes = kernel.gigabytes_per_second * kernel.nanoseconds.value;
            let named = matches!(kernel.size.as_str(), "small" | "4Ki" | "64Ki" | "1MiB");
            let rate = if named {
                rate("1MiB")
            } else {
                rate("memory").or_else(|| rate("1MiB"))
            }?;
            Some((kernel.elements as f64, bytes / rate))
        })
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// The fastest and the slowest engine at the largest size that both have.
fn slowest(lines: &[Line]) -> String {
    let engines = || lines.iter().filter(|line| !line.yardstick);
    let Some(size) = engines()
        .filter_map(|line| Some(line.points.last()?.0))
        .reduce(f64::min)
    else {
        return "No engine was measured.".to_owned();
    };
    let mut times: Vec<(f64, &str)> = engines()
        .filter_map(|line| {
            let point = line.points.iter().find(|point| point.0 == size)?;
            Some((point.1, line.label.as_str()))
        })
        .collect();
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => format!(
            "At {size:.0} elements the fastest engine is {} with {}, the slowest {} with {}.",
            first.1,
            timing::nanoseconds(first.0),
            last.1,
            timing::nanoseconds(last.0)
        ),
        _ => String::new(),
    }
}
