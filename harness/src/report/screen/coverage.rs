//! Which code ran, on screen.

use crate::{
    conform::search::Searched,
    coverage::Coverage,
    document::{Cell, Part, Table},
};

/// What a search did, and a line for each module; nothing where nobody asked.
pub(super) fn parts(coverage: &[Coverage], searched: Option<&Searched>) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(searched) = searched {
        let found = format!(
            "search for calls that run more of the code: {} calls, {} of them kept as cases",
            searched.draws, searched.found
        );
        let not_searched = searched.not_searched.iter();
        let not_searched =
            not_searched.map(|(module, reason)| format!("{module} was not searched: {reason}"));
        parts.push(Part::List(
            std::iter::once(found).chain(not_searched).collect(),
        ));
    }
    if coverage.is_empty() {
        return parts;
    }
    let mut table = Table::new([
        "code that ran",
        "module",
        "blocks",
        "share",
        "shown not to run",
        "blocks that only trap",
    ]);
    for module in coverage {
        let shown = module.uncovered.len() - module.open().count();
        let of = |ran: u64, blocks: u64| Cell::number(format!("{ran} of {blocks}"), ran as f64);
        table.add([
            Cell::new(&module.kernel),
            Cell::new(&module.variant),
            of(module.ran, module.blocks),
            Cell::number(format!("{:.1} %", module.share()), module.share()),
            Cell::number(shown.to_string(), shown as f64),
            of(module.only_traps_ran, module.only_traps),
        ]);
    }
    parts.push(Part::Table(table));
    parts
}
