//! The section of a report about numbers without noise, and cells without a number.

use super::{
    document::{Cell, Part, Section, Table},
    sections::{headers, module_name, tone},
};
use crate::bench::tables::Tables;

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
