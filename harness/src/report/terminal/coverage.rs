//! Which code ran, on screen.

use crate::{conform::search::Searched, coverage::Coverage};

/// A line for each module, and what a search did; nothing where nobody asked.
pub(super) fn text(coverage: &[Coverage], searched: Option<&Searched>) -> String {
    let mut text = String::new();
    if let Some(searched) = searched {
        text += &format!(
            "\nsearch for calls that run more of the code: {} calls, {} of them kept as cases\n",
            searched.draws, searched.found
        );
        for (module, reason) in &searched.not_searched {
            text += &format!("{module} was not searched: {reason}\n");
        }
    }
    if coverage.is_empty() {
        return text;
    }
    text += &format!(
        "\n{:<16} {:<8} {:>15} {:>8} {:>10} {:>17}\n",
        "code that ran", "module", "blocks", "share", "shown not", "blocks that only"
    );
    text += &format!(
        "{:<16} {:<8} {:>15} {:>8} {:>10} {:>17}\n",
        "", "", "", "", "to run", "trap"
    );
    for module in coverage {
        let shown = module.uncovered.len() - module.open().count();
        text += &format!(
            "{:<16} {:<8} {:>15} {:>6.1} % {:>10} {:>17}\n",
            module.kernel,
            module.variant,
            format!("{} of {}", module.ran, module.blocks),
            module.share(),
            shown,
            format!("{} of {}", module.only_traps_ran, module.only_traps),
        );
    }
    text
}
