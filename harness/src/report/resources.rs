//! The section of a report about numbers without noise, and cells without a number.

use super::sections::{headers, module_name, tone};
use crate::{
    bench::tables::{Known, Tables},
    document::{Cell, Part, Section, Table},
};
use std::collections::BTreeSet;

/// Fuel, code and memory, and what has no number.
pub fn section(tables: &Tables) -> Section {
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
                Cell::toned(missing.outcome.to_string(), tone(missing.outcome)),
                Cell::new(&missing.reason),
            ]
        })
        .collect();
    Section {
        id: "resources",
        title: "Fuel, code and memory",
        parts: memory(tables)
            .map(Part::Table)
            .into_iter()
            .chain([
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
        ])
            .collect(),
    }
}

/// What a worker and an instance take, one column for each number that was recorded of the process or of rmsnorm_f32.
fn memory(tables: &Tables) -> Option<Table> {
    let of_memory = |fact: &&Known| {
        let per_kernel = ["fuel", "code_bytes"].contains(&fact.quantity.as_str());
        !per_kernel && (fact.kernel.is_empty() || fact.kernel == "rmsnorm_f32")
    };
    let facts = || tables.facts.iter().filter(of_memory);
    let columns: BTreeSet<&str> = facts().map(|fact| fact.quantity.as_str()).collect();
    let engines: BTreeSet<&str> = facts().map(|fact| fact.runtime.as_str()).collect();
    let rows: Vec<Vec<Cell>> = engines
        .into_iter()
        .map(|engine| {
            let numbers = columns.iter().map(|quantity| {
                facts()
                    .find(|fact| fact.runtime == engine && fact.quantity == *quantity)
                    .map_or_else(Cell::default, |fact| {
                        Cell::number(fact.value.to_string(), fact.value as f64)
                    })
            });
            std::iter::once(Cell::new(engine)).chain(numbers).collect()
        })
        .collect();
    let mut all = vec!["engine".to_owned()];
    all.extend(columns.into_iter().map(str::to_owned));
    (!rows.is_empty()).then(|| Table {
        caption: "Memory of a worker, and of an instance of rmsnorm_f32, in the unit that each name ends with; an empty cell was not recorded. docs/measuring.md says what each one holds"
            .to_owned(),
        headers: all,
        rows,
    })
}
