//! Cells of tables.

use crate::{
    document::Table,
    statistics::{Estimate, Ratio},
};

pub(super) fn table(headers: &[&str]) -> Table {
    Table::new(headers.iter().copied())
}

/// Adds a row that says something beside its first column.
pub(super) fn add(table: &mut Table, row: impl Into<Vec<String>>) {
    let row = row.into();
    if row.iter().skip(1).any(|cell| !cell.is_empty()) {
        table.add(row);
    }
}

pub(super) fn filled(table: Table) -> Option<Table> {
    (!table.rows.is_empty()).then_some(table)
}

pub(super) fn shown(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(String::new, estimate_shown)
}

pub(super) fn estimate_shown(estimate: &Estimate) -> String {
    let number = |value: f64| {
        if value.abs() < 100.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}")
        }
    };
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!(
            "{} [{}, {}]",
            number(estimate.value),
            number(low),
            number(high)
        ),
        _ => number(estimate.value),
    }
}

pub(super) fn ratio_shown(ratio: &Ratio) -> String {
    let estimate = &ratio.estimate;
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!(
                "{:.3} [{low:.3}, {high:.3}] {}",
                estimate.value,
                ratio.word.name()
            )
        }
        _ => format!("{:.3} {}", estimate.value, ratio.word.name()),
    }
}

pub(super) fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        value if value < 1e3 => format!("{value:.0} ns"),
        value if value < 1e6 => format!("{:.2} us", value / 1e3),
        value if value < 1e9 => format!("{:.2} ms", value / 1e6),
        value => format!("{:.2} s", value / 1e9),
    }
}
